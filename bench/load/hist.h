/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A histogram of nanoseconds with 64 linear steps per power of two: 1.6 % resolution from 0 to 2^42 ns
 * in a fixed table, so that a sample costs a few instructions and no memory is ever allocated.
 */
#ifndef BENCH_LOAD_HIST_H
#define BENCH_LOAD_HIST_H

#include <stdint.h>

#define HIST_SUB_BITS 6
#define HIST_SUBS     (1u << HIST_SUB_BITS)
#define HIST_BUCKETS  ((42 - HIST_SUB_BITS + 1) * HIST_SUBS)

struct hist {
    uint64_t count;
    uint64_t max;
    uint64_t bucket[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t value_ns);

/* The value below which the share `permille_10` / 10000 of the samples lie; 0 when there are none. */
uint64_t hist_percentile(const struct hist *h, unsigned permille_10);

#endif
