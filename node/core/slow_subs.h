/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_SLOW_SUBS_H
#define COVEY_CORE_SLOW_SUBS_H

/* Who takes long to acknowledge: the slowest pairs of client and topic of a shard. The time of a message of
 * QoS 1 or 2 runs from when this node took it, or from when the client connected if that was later, until
 * PUBACK or PUBREC. While it is on, a message in flight is kept until then, also for a session that ends with
 * its connection. */

#include "proto/base/bytes.h"

struct session;
struct shard;
struct slot;

struct slow_sub {
    uint64_t took_ms; /* the longest */
    uint64_t last_ms; /* wall clock: of the last slow one */
    uint16_t client_id_n;
    uint16_t topic_n;
    uint8_t text[]; /* client id, topic */
};

struct slow_subs {
    struct slow_sub **v; /* in no order; made when first needed */
    uint32_t n;
    uint64_t look_ms;
};
void slow_subs_fini(struct slow_subs *t);

/* The message in the slot was acknowledged; slow_subs_ms is set. */
void slow_subs_note(struct session *s, const struct slot *slot);
/* Forgets what is older than slow_subs_expiry_ms; once a tick. */
void slow_subs_tick(struct shard *sh);
void slow_subs_clear(struct shard *sh);
/* On the shard's thread. */
const struct slow_subs *slow_subs_of(const struct shard *sh);

#endif
