/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_EXCLUSIVE_H
#define COVEY_CORE_EXCLUSIVE_H

/* $exclusive/FILTER: one client of the whole cluster at a time. It is a shared subscription whose group
 * (TOPIC_EXCLUSIVE) no client can name, with one member: so it is routed, stored and moved like one. Who
 * comes second is refused:
 *
 *     SUBSCRIBE: somebody has it, here or by the routes of a peer? 0x97
 *       else it is added, and the SUBACK waits until every reachable peer has the route;
 *     then: has a peer with a lower id that route too? It goes again, 0x97
 *       one with a higher id? It waits whether that one goes, and is refused if it does not
 *
 * Of several that begin at once each pair has at least one that sees the other, since each has told the other
 * before it decides. So there are never two, and as a rule the node with the lowest id gets it: who is
 * refused takes it back at once, and who had it before keeps it. What nobody could know, such as both sides
 * of a partition, is found afterwards: when another node still has it at two looks in a row, the one with the
 * lower id keeps it. */

#include "proto/mqtt/reason.h"
#include "proto/topic/topic.h"

struct conn;
struct session;
struct shard;
struct suback;
struct subscription;
struct pending;
struct exclusive_wait;

struct exclusives {
    struct subscription **v; /* of this shard */
    uint32_t n;
    uint32_t cap;
    uint64_t look_ms;
    struct exclusive_wait *waits; /* SUBACKs that wait for a node with a higher id */
    uint32_t waits_n;
    uint32_t waits_cap;
};
/* The node ends: nobody is told. */
void exclusives_fini(struct exclusives *e);
/* The subscription comes and goes, on whatever way. */
void exclusive_on_add(struct shard *sh, struct subscription *sub);
void exclusive_on_del(struct shard *sh, struct subscription *sub);

/* Does another client have it? own: the subscription that was added for this one, or NULL. */
bool exclusive_is_taken(const struct session *s, const struct topic_filter *f,
                        const struct subscription *own);
/* The SUBACK could leave, but for a node that is to take its subscription back first: then it has p and
 * releases it later. */
bool exclusive_waits(struct shard *sh, struct pending *p);
/* The SUBACK may leave: code number i of it depends on whether a peer has the filter as well. */
void exclusive_add_open(struct suback *b, uint16_t i, struct bytes filter);
void exclusive_decide(struct session *s, struct suback *b);
/* Looks for what two nodes have, and after those who wait; once a tick. */
void exclusive_tick(struct shard *sh);

#endif
