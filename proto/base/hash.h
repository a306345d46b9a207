/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_BASE_HASH_H
#define COVEY_BASE_HASH_H

/* A fast 64-bit hash for in-memory tables. It is seeded per process so that a client cannot prepare
 * colliding keys offline, and every table that uses it compares the whole key, so a collision costs time in
 * one bucket and never correctness. What must agree between nodes uses SipHash with the cluster's key. */

#include "proto/base/bytes.h"

static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    __extension__ unsigned __int128 m = (unsigned __int128)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static inline uint64_t hash_u64le(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint64_t hash_bytes(const void *data, size_t n, uint64_t seed)
{
    const uint8_t *p = (const uint8_t *)data;
    const uint64_t k0 = 0xa0761d6478bd642full, k1 = 0xe7037ed1a0b428dbull;
    uint64_t h = seed ^ k0;
    uint64_t a, b;
    size_t left = n;

    while (left > 16) {
        h = hash_mix(hash_u64le(p) ^ k1, hash_u64le(p + 8) ^ h);
        p += 16;
        left -= 16;
    }
    if (left >= 8) {
        a = hash_u64le(p);
        b = hash_u64le(p + left - 8);
    } else if (left >= 4) {
        uint32_t x, y;
        memcpy(&x, p, 4);
        memcpy(&y, p + left - 4, 4);
        a = x;
        b = y;
    } else if (left) {
        a = (uint64_t)p[0] << 16 | (uint64_t)p[left >> 1] << 8 | p[left - 1];
        b = 0;
    } else {
        a = b = 0;
    }
    return hash_mix(k1 ^ n, hash_mix(a ^ k1, b ^ h));
}

static inline uint64_t hash_u64(uint64_t v, uint64_t seed)
{
    return hash_mix(v ^ seed ^ 0xa0761d6478bd642full, 0xe7037ed1a0b428dbull);
}

#endif
