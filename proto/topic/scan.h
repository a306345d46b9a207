/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TOPIC_SCAN_H
#define COVEY_TOPIC_SCAN_H

/* What the UTF-8 and the topic checks share: looking at eight bytes of ASCII at once, and at one UTF-8
 * sequence. Private to proto/topic.
 *
 * The word tricks hold for any byte order: each answers whether some byte, or how many, have a property,
 * never which. They rest on this: when no byte of v is 0x80 or above and none is 0, then v - WORD_ONES
 * borrows across no byte and sets no high bit. */

#include "proto/base/bytes.h"

#define WORD_ONES  0x0101010101010101ull
#define WORD_HIGHS 0x8080808080808080ull

static inline uint64_t word_load(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/* The bytes from p to end, 1..7 of them, filled up with letters, which no check minds. `start` is where the
 * string begins: when eight bytes lie before its end they are read at once and those before p shifted out. */
static inline uint64_t word_load_tail(const uint8_t *start, const uint8_t *p, const uint8_t *end)
{
    uint32_t n = (uint32_t)(end - p);
    uint64_t letters = WORD_ONES * 'a';

    if (end - start >= 8)
        return be64_get(end - 8) << (64 - 8 * n) | letters >> (8 * n);
    for (uint32_t i = 0; i < n; i++)
        letters = letters << 8 | p[i];
    return letters;
}

/* Are all eight bytes in 0x01..0x7f? */
static inline bool word_is_text(uint64_t v)
{
    return (((v - WORD_ONES) | v) & WORD_HIGHS) == 0;
}

/* Is one of the eight bytes c? v is text, c below 0x80. */
static inline bool word_has(uint64_t v, uint8_t c)
{
    return (((v ^ (WORD_ONES * c)) - WORD_ONES) & WORD_HIGHS) != 0;
}

/* How many of the eight bytes are c? v is text, c below 0x80. */
static inline uint32_t word_count(uint64_t v, uint8_t c)
{
    uint64_t differs = (v ^ (WORD_ONES * c)) + (WORD_HIGHS - WORD_ONES);
    return (uint32_t)(((~differs & WORD_HIGHS) >> 7) * WORD_ONES >> 56);
}

static inline bool utf8_is_tail(uint8_t b)
{
    return (b & 0xc0) == 0x80;
}

/* Length of the well-formed sequence at p < end, 0 when it is none or U+0000 (Unicode, table 3-7). */
static inline uint32_t utf8_sequence(const uint8_t *p, const uint8_t *end)
{
    uint8_t b = *p;
    size_t left = (size_t)(end - p);

    if (b < 0x80)
        return b != 0;
    if (b < 0xc2)
        return 0;
    if (b < 0xe0)
        return left >= 2 && utf8_is_tail(p[1]) ? 2 : 0;
    if (b < 0xf0) {
        uint8_t lowest = b == 0xe0 ? 0xa0 : 0x80;  /* below: over-long */
        uint8_t highest = b == 0xed ? 0x9f : 0xbf; /* above: surrogates */
        return left >= 3 && p[1] >= lowest && p[1] <= highest && utf8_is_tail(p[2]) ? 3 : 0;
    }
    if (b < 0xf5) {
        uint8_t lowest = b == 0xf0 ? 0x90 : 0x80;
        uint8_t highest = b == 0xf4 ? 0x8f : 0xbf; /* above: beyond U+10FFFF */
        return left >= 4 && p[1] >= lowest && p[1] <= highest && utf8_is_tail(p[2]) && utf8_is_tail(p[3]) ? 4
                                                                                                          : 0;
    }
    return 0;
}

#endif
