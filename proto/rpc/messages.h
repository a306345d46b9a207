/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_RPC_MESSAGES_H
#define COVEY_RPC_MESSAGES_H

/* The messages of cluster.proto as plain structs. A put appends the message to a buffer; a read fills a
 * struct whose views and arrays live in the body and in the arena, until the arena is reset. A read answers
 * false when the body is malformed or a value is out of its bounds: ids of the wrong length, an empty client
 * id, more items than the body could hold.
 *
 * Routes have their own: route_messages.h. Publishes: publish_entry.h. */

#include "proto/rpc/net_addr.h"
#include "proto/rpc/node_id.h"

/* Memory for reading messages: one allocation that is used again for each. A message that would need far more
 * than its own size is refused. */
struct rpc_arena;
struct rpc_arena *rpc_arena_new(void);
void rpc_arena_free(struct rpc_arena *a); /* NULL is fine */
void rpc_arena_reset(struct rpc_arena *a);

/* A growing buffer. Begins as zeros. */
struct rpc_buf {
    uint8_t *b;
    uint32_t n;
    uint32_t cap;
};
void rpc_buf_reset(struct rpc_buf *b);
void rpc_buf_fini(struct rpc_buf *b);
static inline struct bytes rpc_buf_bytes(const struct rpc_buf *b)
{
    return bytes_of(b->b, b->n);
}

struct rpc_hello {
    uint32_t version;
    uint32_t version_min;
    uint64_t features;
    struct node_id node_id;
    uint64_t epoch;
    struct bytes cluster;
    struct bytes name;
    struct bytes mqtt_address;
    struct net_addr address;
    bool is_draining;
};
void rpc_hello_put(struct rpc_buf *b, const struct rpc_hello *m);
bool rpc_hello_read(struct rpc_hello *m, struct bytes body, struct rpc_arena *a);

struct rpc_resume {
    uint64_t conversation;
    uint64_t received;
    uint64_t nonce;
};
void rpc_resume_put(struct rpc_buf *b, const struct rpc_resume *m);
bool rpc_resume_read(struct rpc_resume *m, struct bytes body, struct rpc_arena *a);

struct rpc_run {
    uint64_t seq;
    uint32_t first;
    uint32_t count;
    uint32_t code; /* enum reason */
};
struct rpc_results {
    struct rpc_run *runs;
    uint32_t n;
};
void rpc_results_put(struct rpc_buf *b, const struct rpc_results *m);
bool rpc_results_read(struct rpc_results *m, struct bytes body, struct rpc_arena *a);

struct rpc_settled {
    uint64_t *uids;
    uint32_t n;
};
void rpc_settled_put(struct rpc_buf *b, const struct rpc_settled *m);
bool rpc_settled_read(struct rpc_settled *m, struct bytes body, struct rpc_arena *a);

/* ---- client ids ----------------------------------------------------------------------------------- */

struct rpc_claim {
    struct bytes client_id;
    uint64_t stamp;
    uint64_t token;
    bool clean_start;
};
void rpc_claim_put(struct rpc_buf *b, const struct rpc_claim *m);
bool rpc_claim_read(struct rpc_claim *m, struct bytes body, struct rpc_arena *a);

struct rpc_grant {
    uint64_t token;
    uint64_t stamp;
    bool has_holder;
    struct node_id holder;
    struct bytes client_id;
};
void rpc_grant_put(struct rpc_buf *b, const struct rpc_grant *m);
bool rpc_grant_read(struct rpc_grant *m, struct bytes body, struct rpc_arena *a);

struct rpc_release {
    struct bytes client_id;
    uint64_t stamp;
    uint64_t token;
    struct node_id to;
    bool clean_start;
};
void rpc_release_put(struct rpc_buf *b, const struct rpc_release *m);
bool rpc_release_read(struct rpc_release *m, struct bytes body, struct rpc_arena *a);

struct rpc_hold_item {
    struct bytes client_id;
    uint64_t stamp;
};
struct rpc_hold { /* HOLD and UNHOLD */
    struct rpc_hold_item *items;
    uint32_t n;
};
void rpc_hold_put(struct rpc_buf *b, const struct rpc_hold *m);
bool rpc_hold_read(struct rpc_hold *m, struct bytes body, struct rpc_arena *a);

/* ---- sessions that move --------------------------------------------------------------------------- */

enum rpc_parcel_kind {
    RPC_PARCEL_NONE,
    RPC_PARCEL_BEGIN,
    RPC_PARCEL_QUEUE,
    RPC_PARCEL_CUT,
    RPC_PARCEL_MORE,
    RPC_PARCEL_END,
    RPC_PARCEL_KINDS,
};
struct rpc_parcel {
    uint64_t number;
    uint64_t token;
    enum rpc_parcel_kind kind;
    struct bytes client_id;
    struct bytes session;
    struct bytes state;
    struct bytes *subs;
    uint32_t subs_n;
    struct bytes *messages;
    uint32_t messages_n;
};
void rpc_parcel_put(struct rpc_buf *b, const struct rpc_parcel *m);
bool rpc_parcel_read(struct rpc_parcel *m, struct bytes body, struct rpc_arena *a);

struct rpc_parcel_ref { /* PARCEL_STORED, PARCEL_FINISH, PARCEL_GONE; number is not used in ADOPT */
    uint64_t number;
    struct bytes client_id;
};
void rpc_parcel_ref_put(struct rpc_buf *b, const struct rpc_parcel_ref *m);
bool rpc_parcel_ref_read(struct rpc_parcel_ref *m, struct bytes body, struct rpc_arena *a);

struct rpc_adopt {
    struct bytes client_id;
};
void rpc_adopt_put(struct rpc_buf *b, const struct rpc_adopt *m);
bool rpc_adopt_read(struct rpc_adopt *m, struct bytes body, struct rpc_arena *a);

struct rpc_mark {
    uint64_t token;
};
void rpc_mark_put(struct rpc_buf *b, const struct rpc_mark *m);
bool rpc_mark_read(struct rpc_mark *m, struct bytes body, struct rpc_arena *a);

/* ---- retained messages ---------------------------------------------------------------------------- */

struct rpc_retained_item {
    struct bytes key;
    struct bytes record; /* n 0: deleted */
    uint64_t stamp;
    uint64_t node;
};
struct rpc_retained { /* RETAINED; RETAINED_BUCKET without records */
    struct rpc_retained_item *items;
    uint32_t n;
    uint32_t bucket;
    bool is_last;
    bool is_repair; /* of RETAINED */
};
void rpc_retained_put(struct rpc_buf *b, const struct rpc_retained *m);
bool rpc_retained_read(struct rpc_retained *m, struct bytes body, struct rpc_arena *a);
void rpc_retained_bucket_put(struct rpc_buf *b, const struct rpc_retained *m);
bool rpc_retained_bucket_read(struct rpc_retained *m, struct bytes body, struct rpc_arena *a);

struct rpc_retained_digests {
    uint64_t *digests;
    uint32_t n;
    bool is_reply;
};
void rpc_retained_digests_put(struct rpc_buf *b, const struct rpc_retained_digests *m);
bool rpc_retained_digests_read(struct rpc_retained_digests *m, struct bytes body, struct rpc_arena *a);

struct rpc_retained_want {
    struct bytes *keys;
    uint32_t n;
};
void rpc_retained_want_put(struct rpc_buf *b, const struct rpc_retained_want *m);
bool rpc_retained_want_read(struct rpc_retained_want *m, struct bytes body, struct rpc_arena *a);

/* ---- calls of administrators ---------------------------------------------------------------------- */

enum rpc_admin_kind {
    RPC_ADMIN_CALL = 1, /* data: the request */
    RPC_ADMIN_PIECE,    /* data: a piece of the answer, which begins at offset and has total bytes */
    RPC_ADMIN_MORE,     /* the piece from offset on is wanted */
    RPC_ADMIN_KIND_END,
};
struct rpc_admin {
    enum rpc_admin_kind kind;
    uint64_t id;
    uint64_t total;
    uint64_t offset;
    struct bytes data;
};
void rpc_admin_put(struct rpc_buf *b, const struct rpc_admin *m);
/* False: malformed, or a piece that does not lie within its answer. */
bool rpc_admin_read(struct rpc_admin *m, struct bytes body, struct rpc_arena *a);

/* ---- who may not come in -------------------------------------------------------------------------- */

/* What `who` of a ban is. The numbers are also those of the store. */
enum rpc_ban_as {
    BAN_CLIENT_ID = 1,
    BAN_USERNAME,
    BAN_ADDRESS,      /* "10.0.0.1" */
    BAN_NET,          /* "10.0.0.0/8" */
    BAN_CLIENT_ID_RE, /* a regular expression that is looked for in it */
    BAN_USERNAME_RE,
    BAN_AS_END,
};
enum { BAN_WHO_MAX = 65535, BAN_TEXT_MAX = 512 /* of by and reason */ };

struct rpc_ban {
    enum rpc_ban_as as;
    struct bytes who;
    struct bytes by;
    struct bytes reason;
    uint64_t at_ms;    /* wall clock */
    uint64_t until_ms; /* 0: for good */
    uint64_t stamp;    /* of the change (node/core/hlc.h), and the life of the node that made it */
    uint64_t node;
    bool is_gone; /* lifted */
};
struct rpc_bans {
    struct rpc_ban *items;
    uint32_t n;
};
void rpc_bans_put(struct rpc_buf *b, const struct rpc_bans *m);
bool rpc_bans_read(struct rpc_bans *m, struct bytes body, struct rpc_arena *a);

#endif
