/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load/hist.h"

static unsigned hist_index(uint64_t v)
{
    if (v < HIST_SUBS)
        return (unsigned)v;
    unsigned shift = 63u - (unsigned)__builtin_clzll(v) - HIST_SUB_BITS;
    unsigned i = (shift + 1) * HIST_SUBS + (unsigned)((v >> shift) - HIST_SUBS);
    return i < HIST_BUCKETS ? i : HIST_BUCKETS - 1;
}

static uint64_t hist_value(unsigned i)
{
    if (i < HIST_SUBS)
        return i;
    unsigned shift = i / HIST_SUBS - 1;
    uint64_t low = (uint64_t)(i % HIST_SUBS + HIST_SUBS) << shift;
    return low + ((uint64_t)1 << shift) / 2;
}

void hist_add(struct hist *h, uint64_t value_ns)
{
    h->count++;
    h->bucket[hist_index(value_ns)]++;
    if (value_ns > h->max)
        h->max = value_ns;
}

uint64_t hist_percentile(const struct hist *h, unsigned permille_10)
{
    if (!h->count)
        return 0;
    uint64_t rank = (h->count * permille_10 + 9999) / 10000;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen >= rank && seen)
            return hist_value(i) < h->max ? hist_value(i) : h->max;
    }
    return h->max;
}
