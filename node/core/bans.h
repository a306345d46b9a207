/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_BANS_H
#define COVEY_CORE_BANS_H

/* Who may not come in: by client id, user name, address, network, or an expression that is looked for in one
 * of the names. Every shard has the whole table, so a CONNECT asks nobody.
 *
 *     ctl, flapping detection --> shard 0 --> its store
 *     other nodes (BANS) ------->         --> the other shards
 *                                         --> other nodes, when the change was made here
 *
 * Each ban is of one change, and the change that ranks higher by stamp and node wins wherever they meet (as
 * with retained messages). A ban that was lifted, or is over, stays 24 h after the change as a tombstone, so
 * that a node which was away does not bring back an older one. */

#include "node/core/ip_net.h"
#include "node/core/ptrtab.h"
#include "proto/base/err.h"
#include "proto/base/list.h"
#include "proto/rpc/messages.h"

struct conn;
struct connect;
struct node;
struct shard;
struct pattern;

enum {
    BANS_MAX = 100000,
    BANS_NETS_MAX = 1000,   /* each CONNECT is held against all of them */
    BANS_PATTERNS_MAX = 64, /* likewise */
};

/* "clientid", "username", "peerhost", "peerhost_net", "clientid_re", "username_re". */
const char *ban_as_name(enum rpc_ban_as as);
/* False: none of them. */
bool ban_as_parse(enum rpc_ban_as *out, const char *name);

/* ---- the table of a shard ------------------------------------------------------------------------- */

struct bans {
    struct ptrtab all; /* of struct ban */
    struct list nets;
    struct list patterns;
    struct rpc_arena *arena; /* of changes that are read; made when first needed */
    uint64_t seed;
    uint64_t sweep_ms; /* wall clock: not before */
};

struct ban {
    uint32_t hash;
    struct rpc_ban b; /* views of text */
    struct ip_net net;
    struct pattern *pattern;
    struct list link; /* in nets or patterns */
    uint8_t text[];
};

void bans_init(struct bans *t, uint64_t seed);
void bans_fini(struct bans *t);
/* Takes a copy, unless what is there ranks as high. False: nothing changed. */
bool bans_put(struct bans *t, const struct rpc_ban *b, uint64_t wall_ms);
/* What is known of it, a tombstone too; NULL: nothing. */
const struct ban *bans_get(const struct bans *t, enum rpc_ban_as as, struct bytes who);

struct ban_subject {
    struct bytes client_id; /* n 0: none yet */
    struct bytes username;  /* n 0: none */
    const char *address;    /* "" : none */
};
/* The ban that keeps it out now, or NULL. An expression that does not come to an end keeps it out. */
const struct rpc_ban *bans_find(const struct bans *t, const struct ban_subject *s, uint64_t wall_ms);
/* It is not lifted and not over. */
static inline bool ban_is_on(const struct rpc_ban *b, uint64_t wall_ms)
{
    return !b->is_gone && (b->until_ms == 0 || b->until_ms > wall_ms);
}
/* Drops tombstones that have done their work. on_drop may be NULL. */
void bans_sweep(struct bans *t, uint64_t wall_ms, void (*on_drop)(void *ctx, const struct rpc_ban *b),
                void *ctx);

/* ---- on a shard ----------------------------------------------------------------------------------- */

/* A CONNECT: RC_BANNED and logged, or not. Before any work of authentication, and again when that has given
 * the client another user name. */
bool ban_stops(struct conn *c, const struct connect *k);

/* Sets a ban or changes it; as, who, by, reason and until_ms are the caller's. On shard 0. False: not a valid
 * one, or too many; why (of n bytes) says it. The table has it at once, the other shards within a turn; who
 * waits for the next commit (persist.h) knows that it is stored, and after a failure that is tried again. */
bool ban_add(struct shard *sh, const struct rpc_ban *b, char *why, size_t n);
/* Lifts it. False: there is none. On shard 0. */
bool ban_del(struct shard *sh, enum rpc_ban_as as, struct bytes who);
/* Appends bans that are on as one BANS message, a few hundred from *place (0 at first) on, which moves.
 * False: that was all. Any shard. */
bool bans_list(struct shard *sh, uint32_t *place, struct rpc_buf *out);
/* Once a tick. */
void bans_tick(struct shard *sh);

/* Changes between shards, and between shard 0 and the cluster thread (MAIL_BANS). */
struct ban_mail {
    struct node_id to; /* for one peer, while `life` of it lasts; zero: for all */
    uint32_t life;
    uint32_t n;
    uint8_t body[]; /* Bans */
};
struct ban_mail *ban_mail_new(struct bytes body);
/* Takes m. */
void bans_arrive(struct shard *sh, struct ban_mail *m);
/* On shard 0: everything, tombstones too, goes to the cluster thread for the peer in arg, a struct ban_mail
 * without body, which it takes. */
void bans_tell_all(struct shard *sh, void *arg);

/* Reads the store into all shards. Before they start. */
MUST_USE enum err bans_load(struct node *n);

#endif
