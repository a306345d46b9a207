/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_BASE_HIST_H
#define COVEY_BASE_HIST_H

/* A histogram of durations with buckets of fixed bounds. One thread writes, any may read: each number is
 * right, though they may be of different moments. */

#include <stdatomic.h>
#include <stdint.h>

#define HIST_BOUNDS_US                                                                                 \
    {                                                                                                  \
        20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000, 1000000, \
            2000000                                                                                    \
    }
enum { HIST_BOUNDS = 16, HIST_BUCKETS = HIST_BOUNDS + 1 /* what is longer */ };

struct hist {
    _Atomic uint64_t count[HIST_BUCKETS];
    _Atomic uint64_t sum_us;
};

/* A copy, or the sum of several. */
struct hist_sum {
    uint64_t count[HIST_BUCKETS];
    uint64_t sum_us;
};

static inline void hist_grow(_Atomic uint64_t *v, uint64_t n)
{
    atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void hist_add(struct hist *h, uint64_t us)
{
    static const uint32_t bounds[HIST_BOUNDS] = HIST_BOUNDS_US;
    int i = 0;
    while (i < HIST_BOUNDS && us > bounds[i])
        i++;
    hist_grow(&h->count[i], 1);
    hist_grow(&h->sum_us, us);
}

static inline void hist_read(struct hist_sum *to, const struct hist *h)
{
    for (int i = 0; i < HIST_BUCKETS; i++)
        to->count[i] += atomic_load_explicit(&h->count[i], memory_order_relaxed);
    to->sum_us += atomic_load_explicit(&h->sum_us, memory_order_relaxed);
}

#endif
