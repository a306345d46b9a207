/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_MAIL_H
#define COVEY_CORE_MAIL_H

/* What one shard tells another. A shard collects mail for each other shard in a bag during its turn; at the
 * end of the turn the I/O layer (or the simulator) carries every bag that is not empty to its destination,
 * which works it off with shard_on_mail() and frees it. Bags from one shard to another arrive in the order in
 * which they were sent. */

#include "proto/mqtt/msg.h"

struct shard;
struct pending;
struct mesh;

/* The destination that is no shard: the node's cluster thread (node/mesh). */
enum { MAIL_TO_CLUSTER = 64 /* NODE_SHARDS_MAX */ };

enum mail_kind {
    MAIL_PUBLISH,  /* msg (a ref), pending (may be NULL): match it at yours; answer MAIL_RESOLVED when pending
                    */
    MAIL_SHARED,   /* as MAIL_PUBLISH, for member `pick` of the shared route with id `route_id` */
    MAIL_HANDOFF,  /* msg (a ref), code: the handoff's number; see handoff.h */
    MAIL_RESOLVED, /* pending: yours; code */
    MAIL_CALL,     /* fn(shard, arg); drop(arg) instead when nobody will read it */
    /* between shards and the cluster thread */
    MAIL_FORWARD,     /* arg: struct fchunk */
    MAIL_ARRIVALS,    /* arg: struct arrivals */
    MAIL_ARRIVED,     /* the same, answered */
    MAIL_ARRIVED_ONE, /* arg: struct rxframe (no ref), pick: index, code: the answer */
    MAIL_BARRIER,     /* pending: yours; answer MAIL_RESOLVED when the peers know our routes; pick: 1: in any
                         case,     whatever is configured */
    MAIL_CLAIM,       /* arg: struct claim_order, see claim.h */
    MAIL_HELD,        /* arg: struct held: this node holds a client id */
    MAIL_UNHELD,      /* the same: no longer */
    MAIL_PARCEL,      /* arg: struct parcel_piece, see parcel.h */
    MAIL_PARCEL_TOLD, /* arg: struct parcel_news */
    MAIL_SETTLED,     /* arg: struct settled, see handoff_peer.h */
    MAIL_RETAINED,    /* arg: struct retained_change, of a shard for the peers, of a peer for a shard */
    MAIL_BANS,        /* arg: struct ban_mail, see bans.h; between shards too */
    MAIL_MESH_CALL,   /* mesh_fn(mesh, arg): on the cluster thread; drop as with MAIL_CALL */
};

struct mail {
    enum mail_kind kind;
    uint32_t pick;
    struct msg *msg;
    union {
        struct pending *pending;
        void (*drop)(void *arg); /* may be NULL: arg is somebody else's */
    };
    union {
        uint32_t route_id;
        uint64_t code;
        void (*fn)(struct shard *sh, void *arg);
        void (*mesh_fn)(struct mesh *m, void *arg);
    } u;
    void *arg;
};

struct mailbag {
    struct mailbag *next; /* for the carrier's queue */
    uint32_t from;        /* number of the sending shard */
    uint32_t n;
    uint32_t cap;
    struct mail items[];
};

/* Appends to the bag at *bag, making it when it is NULL. from: the sender's number; the cluster thread's is
 * MAIL_TO_CLUSTER. */
void mailbag_push(struct mailbag **bag, uint32_t from, const struct mail *m);

#endif
