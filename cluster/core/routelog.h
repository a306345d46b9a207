/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_ROUTELOG_H
#define COVEY_CLUSTER_ROUTELOG_H

/* Route sync: each node is the only writer of its own set of routes and tells it to every peer as numbered
 * deltas. This is both halves, pure: the log of own changes with what each peer was sent and has confirmed,
 * and what was taken from a peer. The set itself is in the node's route table; the log only keeps recent
 * changes, bounded in bytes, for peers that fell behind; whoever fell behind further gets a snapshot in
 * pages.
 *
 * Owner:    routelog_add() -> per peer: routefeed_next() says what to send: deltas, or the next page
 * Receiver: routetake_*()  checks numbers and digests and says what to do with what came */

#include "proto/base/bytes.h"
#include "proto/rpc/route_messages.h"

enum { ROUTELOG_BYTES_MAX = 64 << 20, ROUTE_PAGE_MAX = 512 /* routes a page, 64 KiB about */ };

/* What both sides add up for the digest: the same on every node. Of a shared route without `online`. */
uint64_t route_item_hash(struct bytes filter, struct bytes group);

/* ---- own changes ---------------------------------------------------------------------------------- */

struct routelog;
struct routelog *routelog_new(void);
void routelog_free(struct routelog *l);
/* Numbers and keeps a change; answers its number (from 1). Adjusts sum and count. is_new: whether it changes
 * membership of the set (a first add, or a removal), not only `online`. */
enum routelog_effect { ROUTELOG_MEMBERSHIP, ROUTELOG_ONLINE };
uint64_t routelog_add(struct routelog *l, const struct route_item *item, enum routelog_effect effect);
/* Nobody will ask for changes up to here any more. */
void routelog_trim(struct routelog *l, uint64_t seq);
uint64_t routelog_seq(const struct routelog *l); /* the last number given; 0: none */
uint64_t routelog_sum(const struct routelog *l);
uint64_t routelog_count(const struct routelog *l);

/* ---- what one peer gets --------------------------------------------------------------------------- */

struct routefeed {
    uint64_t sent;  /* deltas up to this number were sent */
    uint64_t told;  /* the highest that ever was, in this conversation: an answer may still be on its way */
    uint64_t acked; /* confirmed */
    uint64_t from_seq;  /* of the snapshot under way */
    uint32_t page;      /* next page's number */
    uint32_t page_id;   /* route id where it begins */
    bool is_snapshot;   /* pages are to be sent before deltas */
    uint64_t digest_ms; /* when the next digest is due */
    uint64_t snapshots; /* ever begun */
};
/* A new conversation (first contact, or after a reset): a snapshot comes first. */
void routefeed_start(struct routefeed *f, const struct routelog *l);
/* Writes a RouteDeltas body with what the peer has not been sent, at most ~64 KiB of it, to out (room for
 * out_n >= 128 KiB). Answers its size; 0: nothing to send. When the log no longer has what is due, turns to a
 * snapshot and answers 0 (f->is_snapshot). */
uint32_t routefeed_deltas(struct routefeed *f, const struct routelog *l, uint8_t *out, uint32_t out_n);
/* A page of the snapshot: the caller goes through the route table from f->page_id on and adds routes. */
struct routepage; /* under construction */
struct routepage *routepage_new(void);
void routepage_free(struct routepage *p);
void routepage_add(struct routepage *p, const struct route_item *item); /* copies */
bool routepage_is_full(const struct routepage *p);
/* The RouteSnapshot body; next_id: where the next page begins; is_last ends the snapshot. Views until the
 * next call on p, which begins an empty page. */
struct bytes routepage_seal(struct routepage *p, struct routefeed *f, uint32_t next_id, bool is_last);
/* ROUTE_ACK body; false: malformed or never sent. One for what was sent before a snapshot that is under way
 * says nothing: what counts is the answer to the snapshot. */
bool routefeed_on_ack(struct routefeed *f, struct bytes body);
/* ROUTE_WANT body: back to a number, or to a snapshot. False: malformed. */
bool routefeed_on_want(struct routefeed *f, const struct routelog *l, struct bytes body);
/* Changes up to this number are not sent to it any more, unless it falls behind so far that it gets a
 * snapshot anyway. */
uint64_t routefeed_done(const struct routefeed *f);
/* A RouteDigest body of the present state when one is due (every 10 s, and only when all was sent). */
uint32_t routefeed_digest(struct routefeed *f, const struct routelog *l, uint64_t now_ms, uint8_t out[64]);

/* ---- what a peer says ----------------------------------------------------------------------------- */

struct routetake {
    uint64_t seq;   /* applied up to here */
    uint64_t acked; /* of that, confirmed to the peer */
    uint64_t sum;   /* of the slot in use */
    uint64_t count;
    uint64_t load_sum, load_count; /* of the snapshot being loaded */
    uint64_t from_seq;
    uint32_t page;    /* expected next */
    bool is_loading;  /* a snapshot is coming in: what came so far is in the second slot */
    bool is_complete; /* the slot in use holds a whole set */
    uint64_t gaps, digests_failed;
};
/* What the caller does to the table. add and del answer whether the slot's set changed by it. */
struct routetake_ops {
    bool (*add)(void *ctx, const struct route_item *item);
    bool (*del)(void *ctx, const struct route_item *item);
    void (*load_begin)(void *ctx); /* what follows goes into a fresh slot */
    void (*load_end)(void *ctx);   /* that slot is complete: the old one is off */
    void *ctx;
};
void routetake_start(struct routetake *t);
/* Works a frame's body off. ROUTETAKE_GAP: send ROUTE_WANT{t->seq + 1}; ROUTETAKE_WRONG (a digest that does
 * not agree): send ROUTE_WANT{0}; ROUTETAKE_MALFORMED: end the connection. */
enum routetake_verdict { ROUTETAKE_OK, ROUTETAKE_GAP, ROUTETAKE_WRONG, ROUTETAKE_MALFORMED };
enum routetake_verdict routetake_deltas(struct routetake *t, struct bytes body,
                                        const struct routetake_ops *ops);
enum routetake_verdict routetake_snapshot(struct routetake *t, struct bytes body,
                                          const struct routetake_ops *ops);
enum routetake_verdict routetake_digest(struct routetake *t, struct bytes body);
/* A RouteAck body when one is due (seq advanced); 0: none. */
uint32_t routetake_ack(struct routetake *t, uint8_t out[32]);
/* Body of a ROUTE_WANT. */
uint32_t route_want_put(uint8_t out[32], uint64_t from);

#endif
