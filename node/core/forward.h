/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_FORWARD_H
#define COVEY_CORE_FORWARD_H

/* Publishes on their way to and from other nodes, the shards' side.
 *
 * Out: a publish is encoded once, as an entry of a PUBLISHES frame, into the shard's chunk for each peer with
 * a match; at the end of the turn the chunks go to the cluster thread, which makes each a frame without
 * copying it. No counted copy, no mail a message.
 *
 * In: the cluster thread gives a shard the places in a frame where its entries begin; they are decoded and
 * delivered in place. Who published with QoS 1 or 2 waits for an answer: at once, or when whoever has to
 * store the message has done so. */

#include "cluster/core/link.h"
#include "node/core/deliver.h"

struct mesh;
struct pending;
struct route;

/* Entries for one peer. Made by a shard, owned by the cluster thread once mailed (MAIL_FORWARD). */
struct fchunk {
    struct frame_buf *frame; /* body_n bytes of body are written, not sealed */
    uint32_t body_n;
    uint32_t peer;             /* number */
    uint32_t shard;            /* that waits for the answers */
    uint32_t count;            /* entries */
    uint32_t waits;            /* of them with a pending */
    uint32_t pendings_n;       /* may be less than count: nobody waits for the entries behind */
    struct pending **pendings; /* by entry, NULL where nobody waits */
    struct fchunk *next;       /* what follows is the cluster thread's: until all answers are there */
    uint64_t seq;
    uint64_t since_ms;
};
void fchunk_free(struct fchunk *c); /* pendings are released or dropped before */
void fchunk_drop(struct fchunk *c); /* with its pendings */
/* Takes out who waits for the entry; NULL: nobody. */
static inline struct pending *fchunk_take(struct fchunk *c, uint32_t index)
{
    struct pending *p = index < c->pendings_n ? c->pendings[index] : NULL;
    if (p) {
        c->pendings[index] = NULL;
        c->waits--;
    }
    return p;
}

/* To every subscriber at these peers (a bit each). */
void forward_publish(struct shard *sh, struct publication *p, uint64_t peers);
/* To one member of a shared route at one peer. False: not now (QoS 0 to a full link). */
bool forward_shared(struct shard *sh, struct publication *p, const struct route *r, uint32_t peer);
/* For a handoff: with the flag `once`; p has a pending. */
void forward_once(struct shard *sh, struct publication *p, uint32_t peer);
/* There is room again: connections that waited for it are read again. */
void forward_resume(struct shard *sh);
/* Calls fn(mesh, arg), arg from malloc(), on the cluster thread behind everything that this shard has
 * accepted so far for other nodes, also what waits for a commit before it is forwarded; and, unless via is
 * MAIL_TO_CLUSTER, for the shard of that number. */
void forward_mark(struct shard *sh, uint32_t via, void (*fn)(struct mesh *m, void *arg), void *arg);
/* Moves the chunks into the outbox. */
void forward_flush(struct shard *sh);
void forward_fini(struct shard *sh);

/* ---- arrivals ------------------------------------------------------------------------------------- */

/* One PUBLISHES frame from a peer. Counted (atomic): each shard with entries in it holds a reference, the
 * cluster thread one until every answer is there. */
struct rxframe {
    uint32_t refs;
    uint32_t count;   /* entries */
    struct list link; /* what follows is the cluster thread's */
    uint32_t peer;
    uint32_t life; /* of the conversation that it came by */
    uint64_t seq;
    uint32_t unanswered; /* entries that want an answer and have none */
    uint8_t *left;       /* by entry: shards that have not answered; behind body */
    uint8_t *codes;      /* by entry: the worst answer so far; behind left */
    uint32_t body_n;
    uint8_t body[];
};
void rxframe_unref(struct rxframe *rx);

enum {
    ARRIVAL_WAITS = 0xff /* as a code: the answer comes by MAIL_ARRIVED_ONE */,
    ARRIVAL_PLAIN = UINT32_MAX
};

struct arrival {
    uint32_t at; /* offset of the entry in the body */
    uint32_t index;
    uint32_t route_id; /* of a shared route, or ARRIVAL_PLAIN */
    uint32_t pick;
    uint8_t wants; /* in: an answer is wanted */
    uint8_t code;  /* out */
};
/* A shard's entries of one frame (MAIL_ARRIVALS); comes back as MAIL_ARRIVED when one of them wants an
 * answer, else the shard frees it. */
struct arrivals {
    struct rxframe *rx;
    uint32_t n;
    uint32_t wanting;
    struct arrival v[];
};
void arrivals_take(struct shard *sh, struct arrivals *a);
void arrivals_free(struct arrivals *a); /* gives its reference of the frame back */

/* A message whose member of a shared route is gone, for another one; by MAIL_CALL share_redispatch(), which
 * frees it. */
struct redispatch {
    struct msg *msg;         /* a ref */
    struct pending *pending; /* a ref of this shard's */
    uint32_t not_peer;       /* who could not take it */
    uint32_t filter_n;
    uint32_t group_n;
    uint8_t text[]; /* filter, group */
};
void share_redispatch(struct shard *sh, void *redispatch);
void redispatch_drop(void *redispatch); /* of a node that ends */

/* A number for a message that this shard accepted, unique in the cluster: 24 bits of the node's life, 6 of
 * the shard, one that tells whether it is stored before it goes to other shards and nodes (struct
 * publication's hold), 33 of a counter that starts anew with the life. Of messages that differ in the counter
 * only the smaller one goes every way first. */
enum { UID_COUNT_BITS = 33, UID_SHARD_SHIFT = 34, UID_LIFE_SHIFT = 40 };
uint64_t shard_uid(struct shard *sh, bool hold);

#endif
