/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_OVERLOAD_H
#define COVEY_CORE_OVERLOAD_H

/* What a shard gives up when its worker does not keep up or memory runs out, in this order:
 *
 *     NORMAL --busy limit--> BUSY: who is there is served, nobody new comes in (0x89)
 *       ^                      |critical limit
 *       |                      v
 *       +---cooldown--- CRITICAL: QoS 0 of its clients is dropped too, connections are closed before CONNECT
 *
 * It goes up at once and down one step at a time, after everything has been clearly below the limit of the
 * step for the cooldown. Lag is how late the worker's tick comes, smoothed over a few ticks. */

#include "node/core/settings.h"

struct shard;

enum overload_level { LOAD_NORMAL, LOAD_BUSY, LOAD_CRITICAL };
const char *overload_level_name(enum overload_level level); /* "normal", "busy", "critical" */

struct overload {
    uint8_t level; /* enum overload_level */
    uint64_t lag_ms;
    uint64_t memory_bytes;
    uint64_t calm_ms;  /* monotonic: below the step's limits since; 0: it is not */
    uint64_t since_ms; /* wall clock: on this level since; 0: always */
};

/* One measurement. True: the level has changed. */
bool overload_step(struct overload *o, const struct overload_limits *limits, uint64_t lag_ms,
                   uint64_t memory_bytes, uint64_t now_ms);
/* The same of a shard, with its log lines; once a tick. memory_bytes: of the process, 0: not known. */
void shard_note_load(struct shard *sh, uint64_t lag_ms, uint64_t memory_bytes);
/* A copy. On the shard's thread. */
void shard_load(const struct shard *sh, struct overload *out);

#endif
