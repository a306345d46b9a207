/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_ARBITER_H
#define COVEY_CLUSTER_ARBITER_H

/* Who holds which client id. Each id has an arbiter among the nodes that live, by rendezvous hashing; the
 * arbiter remembers the holder and decides between claimants. Pure tables: the mesh carries the messages.
 *
 * A claim has a stamp (hybrid logical clock, ties by node id); the higher one wins. */

#include "proto/base/err.h"
#include "proto/rpc/node_id.h"

/* The node of `n` that is the arbiter of the id: highest keyed hash of (node id, client id). n > 0. */
uint32_t arbiter_pick(const struct node_id *nodes, uint32_t n, struct bytes client_id);

struct arbiter; /* the ids whose arbiter this node is */

struct arbiter *arbiter_new(uint64_t seed);
void arbiter_free(struct arbiter *a);
uint64_t arbiter_count(const struct arbiter *a);

struct arbiter_verdict {
    bool is_granted;       /* false: the present holder has a higher stamp; it stays */
    bool has_holder;       /* another node holds it, and is to hand over to the winner */
    struct node_id holder; /* the one who is to hand over: the old holder, or the claimant that lost */
    struct node_id winner;
    uint64_t winner_stamp;
};

/* `node` wants the id (a client connected there). A claim is granted whatever the stamps: the newest
 * connection wins by arriving last; its stamp becomes higher than the holder's. */
struct arbiter_verdict arbiter_claim(struct arbiter *a, struct bytes client_id, const struct node_id *node,
                                     uint64_t stamp);
/* `node` says that it holds the id since `stamp` (announcement after a change of membership). When another
 * one is known as holder the higher stamp wins, and the verdict names who is to hand over. */
struct arbiter_verdict arbiter_hold(struct arbiter *a, struct bytes client_id, const struct node_id *node,
                                    uint64_t stamp);
/* It holds it no longer; ignored when somebody else does, or with a higher stamp. */
/* Is a holder of it known? */
bool arbiter_has(struct arbiter *a, struct bytes client_id);
void arbiter_unhold(struct arbiter *a, struct bytes client_id, const struct node_id *node, uint64_t stamp);
/* Everything that `node` held is free (it died, was removed, or will announce anew). */
void arbiter_drop_node(struct arbiter *a, const struct node_id *node);
/* Forgets all: every node announces anew. */
void arbiter_clear(struct arbiter *a);

#endif
