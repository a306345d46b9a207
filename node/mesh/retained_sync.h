/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_MESH_RETAINED_SYNC_H
#define COVEY_MESH_RETAINED_SYNC_H

/* Makes the retained messages of two nodes the same when they meet, and looks now and then whether they still
 * are. Changes that happen while both are linked are told by others; this is for what was missed.
 *
 *     leader                                        follower
 *     scans its stamps -> RETAINED_DIGESTS ------>  scans its own, compares
 *                                         <------  RETAINED_BUCKET: its items of buckets that differ, paged
 *     RETAINED: what it has newer --------------->  applies
 *     RETAINED_WANT: what it lacks; one a page --->
 *               applies  <-----------------------  RETAINED: these
 *                                         <------  RETAINED_DIGESTS, is_reply: that was all
 *
 * The follower sends as many pages as make PAGE_BYTES and goes on when all are answered; the leader answers
 * when it can store more. So both keep a bounded amount in memory, whatever the stores hold. Either may lead;
 * a peer that does not know digests is sent everything.
 *
 * Pure; one thread. Work is done by retained_sync_step(), a small piece at a time. */

#include "node/core/retained_meta.h"
#include "proto/base/err.h"
#include "proto/rpc/frame.h"
#include "proto/rpc/messages.h"
#include "storage/store.h"

struct retained_sync;

struct retained_sync_conf {
    struct store *store;
    void *ctx; /* of the functions */
    void (*send)(void *ctx, uint32_t peer, enum rpc_op op, struct bytes body);
    /* Does the link take more? Asked before each message of any size. */
    bool (*has_room)(void *ctx, uint32_t peer);
    /* A change of the peer, sound: to a shard. */
    void (*apply)(void *ctx, uint32_t peer, const struct rpc_retained_item *item);
    /* Before a comparison: is everything stored, or has failed, that was under way when mark() was last
     * called for the peer? What comes later is told by others. Asked until it is so. */
    void (*mark)(void *ctx, uint32_t peer);
    bool (*is_settled)(void *ctx, uint32_t peer);
    /* Is so much applied and not yet stored that no more shall be asked for? */
    bool (*is_busy)(void *ctx);
    uint32_t period_ms;  /* between two rounds; 10 minutes */
    uint32_t step_items; /* so many records are looked at in one step, about; 2000 take less than 2 ms */
    uint32_t page_bytes; /* of a list, or of records in one message; 64 KiB */
};
void retained_sync_conf_default(struct retained_sync_conf *c);

MUST_USE enum err retained_sync_new(struct retained_sync **out, const struct retained_sync_conf *conf);
void retained_sync_free(struct retained_sync *rs); /* NULL is fine */

/* A conversation with the peer has begun anew: what was under way with it is over. Of two nodes one leads. */
enum retained_sync_role {
    RETAINED_SYNC_LEADS,   /* a round now, and every period */
    RETAINED_SYNC_FOLLOWS, /* the peer does that */
    RETAINED_SYNC_PUSHES,  /* the peer does not know digests: everything goes to it, once */
};
void retained_sync_on_reset(struct retained_sync *rs, uint32_t peer, enum retained_sync_role role);
void retained_sync_on_gone(struct retained_sync *rs, uint32_t peer);
/* Something was lost here or on the way to the peer: a round soon. */
void retained_sync_again(struct retained_sync *rs, uint32_t peer);

/* RETAINED and the three behind it; body is the caller's, the arena is reset by the caller. False: malformed,
 * or not as agreed. */
bool retained_sync_on_frame(struct retained_sync *rs, uint32_t peer, unsigned op, struct bytes body,
                            struct rpc_arena *arena);
/* A piece of what there is to do. True: there is more. */
bool retained_sync_step(struct retained_sync *rs, uint64_t mono_ms, uint64_t wall_ms);
/* Is anything under way? */
bool retained_sync_is_idle(const struct retained_sync *rs);
/* The buckets that the last comparison with the peer found different. */
uint32_t retained_sync_differed(const struct retained_sync *rs, uint32_t peer);

#endif
