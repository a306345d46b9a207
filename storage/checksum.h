/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_STORAGE_CHECKSUM_H
#define COVEY_STORAGE_CHECKSUM_H

/* The checksum behind every stored value. It covers table, key and value, so a value that turns up under
 * another key or in another table is refused as well. It is part of the file format: the same on every
 * machine and in every version that writes STORE_FORMAT 1, which is why it is not proto/base/hash.h. It finds
 * damage (one in 2^32 passes); it is no protection against somebody who edits the file.
 *
 * Sixteen bytes a step by one 64x64->128 bit multiplication, little-endian words, the rest padded with zeros
 * and told apart by the lengths. */

#include "storage/batch.h"

#include <endian.h>

enum { CHECKSUM_BYTES = 4 };

static inline uint64_t checksum_mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t checksum_word(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return le64toh(v);
}

static inline uint64_t checksum_add(uint64_t h, struct bytes b)
{
    const uint64_t k = 0xe7037ed1a0b428dbull;
    const uint8_t *p = b.p;
    uint32_t left = b.n;
    for (; left >= 16; left -= 16, p += 16)
        h = checksum_mix(checksum_word(p) ^ k, checksum_word(p + 8) ^ h);
    if (left) {
        uint8_t last[16] = {0};
        memcpy(last, p, left);
        h = checksum_mix(checksum_word(last) ^ k, checksum_word(last + 8) ^ h);
    }
    return checksum_mix(h ^ b.n, 0xa0761d6478bd642full);
}

static inline uint32_t checksum(enum store_table t, struct bytes key, struct bytes value)
{
    uint64_t h = 0x8ebc6af09c88c6e3ull ^ (uint64_t)t;
    return (uint32_t)checksum_add(checksum_add(h, key), value);
}

#endif
