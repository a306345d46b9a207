/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/topic/utf8.h"

#include "proto/topic/scan.h"

bool utf8_is_valid(struct bytes b)
{
    if (b.n == 0)
        return true;
    const uint8_t *p = b.p;
    const uint8_t *end = b.p + b.n;
    while (end - p >= 8) {
        if (word_is_text(word_load(p))) {
            p += 8;
            continue;
        }
        uint32_t n = utf8_sequence(p, end);
        if (!n)
            return false;
        p += n;
    }
    while (p < end) {
        uint32_t n = utf8_sequence(p, end);
        if (!n)
            return false;
        p += n;
    }
    return true;
}
