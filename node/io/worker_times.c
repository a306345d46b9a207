/* SPDX-License-Identifier: Apache-2.0 */
/* How long turns and acknowledgements take. */
#include "node/io/io_private.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"

/* A turn that is timed, with one packet in it. */
static void sample_begin(struct worker *w)
{
    w->turns_to_sample = WORKER_SAMPLE_TURNS;
    w->sample_us = clock_us(CLOCK_MONOTONIC);
    shard_sample(w->shard, w->sample_us);
}

static void sample_end(struct worker *w, uint64_t acked_from_us)
{
    uint64_t now_us = clock_us(CLOCK_MONOTONIC);
    if (w->sample_us) {
        hist_add(&w->stats.turns_took, now_us - w->sample_us);
        shard_sample(w->shard, 0);
        w->sample_us = 0;
    }
    if (acked_from_us)
        hist_add(&w->stats.acks_took, now_us - acked_from_us);
}

/* How long the turn took, to a few milliseconds. */
static void lag_note(struct worker *w, uint64_t lag_ms)
{
    struct worker_stats *s = &w->stats;
    uint32_t period = (uint32_t)(w->now_ms / WORKER_LAG_PERIOD_MS);
    uint32_t last = atomic_load_explicit(&s->lag_period, memory_order_relaxed);
    if (unlikely(period != last)) {
        uint64_t before = period == last + 1 ? atomic_load_explicit(&s->lag_ms[0], memory_order_relaxed) : 0;
        atomic_store_explicit(&s->lag_ms[1], before, memory_order_relaxed);
        atomic_store_explicit(&s->lag_ms[0], 0, memory_order_relaxed);
        atomic_store_explicit(&s->lag_period, period, memory_order_relaxed);
    }
    if (unlikely(lag_ms > atomic_load_explicit(&s->lag_ms[0], memory_order_relaxed)))
        atomic_store_explicit(&s->lag_ms[0], lag_ms, memory_order_relaxed);
}

void worker_times_begin(struct worker *w)
{
    if (unlikely(w->turns_to_sample-- == 0))
        sample_begin(w);
}

void worker_times_end(struct worker *w, uint64_t now_ms)
{
    uint64_t acked_from_us = shard_acked_from(w->shard);

    lag_note(w, now_ms - w->now_ms);
    if (unlikely(acked_from_us || w->sample_us))
        sample_end(w, acked_from_us);
}
