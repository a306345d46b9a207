/* SPDX-License-Identifier: Apache-2.0 */
#include "node/auth/pwtext.h"

#include <sodium.h>

const char *pwtext_base64_take(const char *at, uint8_t *out, size_t cap, size_t *n)
{
    size_t text_n = strcspn(at, "$"), bare_n = text_n;
    const char *end;
    while (bare_n && at[bare_n - 1] == '=')
        bare_n--;
    if (text_n - bare_n > 2 ||
        sodium_base642bin(out, cap, at, bare_n, NULL, n, &end, sodium_base64_VARIANT_ORIGINAL_NO_PADDING) !=
            0 ||
        end != at + bare_n)
        return NULL;
    return at + text_n;
}

const char *pwtext_number_take(const char *at, unsigned long max, unsigned long *out)
{
    unsigned long v = 0;
    const char *p = at;
    for (; *p >= '0' && *p <= '9'; p++) {
        v = v * 10 + (unsigned long)(*p - '0');
        if (v > max)
            return NULL;
    }
    *out = v;
    return p > at && v ? p : NULL;
}
