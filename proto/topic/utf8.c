/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/topic/utf8.h"

#include "proto/topic/scan.h"

bool utf8_is_valid(struct bytes b)
{
    if (b.n == 0)
        return true;
    const uint8_t *p = b.p;
    const uint8_t *end = b.p + b.n;
    while (p < end) {
        uint32_t n = end - p >= 8 ? 8 : (uint32_t)(end - p);
        uint64_t v = n == 8 ? word_load(p) : word_load_tail(b.p, p, end);
        if (word_is_text(v)) {
            p += n;
            continue;
        }
        /* Scripts other than ASCII come in runs. */
        do {
            n = utf8_sequence(p, end);
            if (!n)
                return false;
            p += n;
        } while (p < end && *p >= 0x80);
    }
    return true;
}
