/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_EXCLUSIVE_H
#define COVEY_CORE_EXCLUSIVE_H

/* $exclusive/FILTER: one client of the whole cluster at a time. It is a shared subscription whose group
 * (TOPIC_EXCLUSIVE) no client can name, with one member: so it is routed, stored and moved like one. Who
 * comes second is refused:
 *
 *     SUBSCRIBE: somebody has it, here or by the routes of a peer? 0x97
 *       else it is added, and the SUBACK waits until every reachable peer has the route;
 *     then: has a peer that route too? It goes again, 0x97
 *
 * Of two that begin at once at least one sees the other, since each has told the other before it decides;
 * both may be refused. What nobody could know, such as both sides of a partition, is found afterwards: when
 * another node still has it at two looks in a row, the one with the lower id keeps it. */

#include "proto/mqtt/reason.h"
#include "proto/topic/topic.h"

struct conn;
struct session;
struct shard;
struct suback;
struct subscription;

struct exclusives {
    struct subscription **v; /* of this shard */
    uint32_t n;
    uint32_t cap;
    uint64_t look_ms;
};
void exclusives_fini(struct exclusives *e);
/* The subscription comes and goes, on whatever way. */
void exclusive_on_add(struct shard *sh, struct subscription *sub);
void exclusive_on_del(struct shard *sh, struct subscription *sub);

/* Does another client have it? own: the subscription that was added for this one, or NULL. */
bool exclusive_is_taken(const struct session *s, const struct topic_filter *f,
                        const struct subscription *own);
/* The SUBACK may leave: code number i of it depends on whether a peer has the filter as well. */
void exclusive_add_open(struct suback *b, uint16_t i, struct bytes filter);
void exclusive_decide(struct session *s, struct suback *b);
/* Looks for what two nodes have; once a tick. */
void exclusive_tick(struct shard *sh);

#endif
