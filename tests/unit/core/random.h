/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TEST_CORE_RANDOM_H
#define COVEY_TEST_CORE_RANDOM_H

/* Seeded random numbers, so that a failing run can be had again. */

#include <stdint.h>

struct random {
    uint64_t x;
};

static inline uint32_t random_u32(struct random *r)
{
    r->x ^= r->x >> 12;
    r->x ^= r->x << 25;
    r->x ^= r->x >> 27;
    return (uint32_t)((r->x * 0x2545F4914F6CDD1Dull) >> 32);
}

/* 0 .. n - 1 */
static inline uint32_t random_below(struct random *r, uint32_t n)
{
    return random_u32(r) % n;
}

#endif
