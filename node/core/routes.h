/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_ROUTES_H
#define COVEY_CORE_ROUTES_H

/* The route table of a node: which destinations hold subscribers of a filter. One table, read by all shards
 * without locks (RCU: readers see a consistent old or new state, what is unlinked is freed when no reader can
 * still hold it), changed only when a destination's first subscriber of a filter comes or its last one goes.
 *
 * Filters without wildcards are in a hash table, so the common publish is one look-up; those with + or # are
 * in a trie whose edges are in a second hash table. A shared subscription is a route of its own (group,
 * filter) that hangs on the plain route of its filter.
 *
 * Readers may keep what a match answered as long as routes_versions() for its topic stays the same. */

#include "proto/base/bytes.h"
#include "proto/base/err.h"

struct routes;

struct route {
    uint32_t id; /* dense, below routes_id_max(); used again after the route is gone */
    uint32_t hash;
    uint64_t shards;      /* atomic: bit n: shard n of this node has subscribers */
    uint64_t peers;       /* atomic: bit n: peer slot n has subscribers */
    uint64_t announced;   /* atomic: number of the change that told the peers; 0: not yet */
    struct route *shared; /* atomic: of a plain route its first shared one, of a shared one the next */
    union {
        struct tnode *node;  /* of a plain route with wildcards: where it ends; else NULL */
        struct share *share; /* of a shared route: its members by destination */
    } u;
    uint16_t filter_n;
    uint16_t group_n;
    char text[]; /* filter, then group */
};

/* Members of a shared route by destination, for picking one (atomic). */
struct share {
    uint64_t turn;          /* of round robin */
    uint32_t *peers_online; /* atomic: by peer slot; NULL: no peer has members */
    uint8_t is_journaled;   /* that its members changed stands in the journal */
    uint32_t online[];      /* members with a connection, by shard */
};

static inline bool route_is_shared(const struct route *r)
{
    return r->group_n > 0;
}
static inline struct bytes route_filter(const struct route *r)
{
    return bytes_of(r->text, r->filter_n);
}
static inline struct bytes route_group(const struct route *r)
{
    return bytes_of(r->text + r->filter_n, r->group_n);
}

/* defer_free: see node.h. shards: how many destinations a share counts. */
struct routes *routes_new(uint64_t seed, uint32_t shards, void (*defer_free)(void *p));
void routes_free(struct routes *t);

/* Destination `shard` has subscribers of the filter (group empty: not shared). The filter is well formed.
 * Callers of add and del exclude each other by routes_lock(). The answer stays valid until the destination is
 * taken out. */
struct route *routes_add(struct routes *t, struct bytes filter, struct bytes group, uint32_t shard);
void routes_del(struct routes *t, struct route *r, uint32_t shard);
/* ---- other nodes ---------------------------------------------------------------------------------- */

/* A set of routes of another node is a slot, a destination like a shard. Callers hold the lock; both answer
 * whether the set changed. online: members with a connection, of a shared route. */
bool routes_peer_add(struct routes *t, struct bytes filter, struct bytes group, uint32_t slot,
                     uint32_t online);
bool routes_peer_del(struct routes *t, struct bytes filter, struct bytes group, uint32_t slot);
/* Takes a slot out of at most `max` routes from id *at on; takes the lock. True: it is out of all of them. */
bool routes_sweep(struct routes *t, uint32_t slot, uint32_t *at, uint32_t max);
/* Members with a connection: of a slot; of this node's shards. */
static inline uint32_t share_online_peer(const struct route *r, uint32_t slot)
{
    const uint32_t *v = __atomic_load_n(&r->u.share->peers_online, __ATOMIC_ACQUIRE);
    return v ? __atomic_load_n(&v[slot], __ATOMIC_RELAXED) : 0;
}
uint32_t routes_online_here(const struct routes *t, const struct route *r);

/* The journal: what changes in the set of filters that this node's own shards subscribe to, for telling the
 * other nodes. Nothing is written until it is enabled. */
struct route_change {
    struct bytes filter; /* views while the callback runs */
    struct bytes group;
    bool is_gone;
    bool is_online_only; /* a shared route's number of members, nothing else */
    uint32_t online;     /* as it is now */
};
void routes_journal_enable(struct routes *t);
bool routes_journal_pending(const struct routes *t); /* any thread */
/* Empties it: fn gets each change in order. One thread, without the lock. */
void routes_journal_each(struct routes *t, void (*fn)(void *ctx, const struct route_change *c), void *ctx);
/* The number that the change got; takes the lock. A route that is gone again is no error. */
void routes_announced_set(struct routes *t, struct bytes filter, struct bytes group, uint64_t seq);
/* A member of a shared route of this node got or lost its connection. */
void routes_online_changed(struct routes *t, struct route *r);
/* Goes through at most `max` ids from *at on and calls fn for each route with subscribers on this node; holds
 * the lock meanwhile. True: that was the last. */
bool routes_page(struct routes *t, uint32_t *at, uint32_t max,
                 void (*fn)(void *ctx, const struct route *r, uint32_t online), void *ctx);

/* ---- look-ups ------------------------------------------------------------------------------------- */

/* The route, or NULL. */
struct route *routes_find(struct routes *t, struct bytes filter, struct bytes group);

/* Changes when the answer for this topic may have changed. */
uint64_t routes_version(const struct routes *t, uint64_t topic_hash);
/* The hash that routes_version() and routes_match() want. */
uint64_t routes_hash(const struct routes *t, struct bytes topic);

/* A growing list of plain routes whose filter matches (each once), reused from call to call. */
struct route_list {
    struct route **v;
    uint32_t n;
    uint32_t cap;
    struct tnode **front[2]; /* the walk's own */
    uint32_t front_cap[2];
};
void route_list_fini(struct route_list *l);
/* Plain routes for `topic`, those with only shared subscribers included. */
void routes_match(const struct routes *t, struct bytes topic, uint64_t topic_hash, struct route_list *out);

/* Calls fn for every route; the caller holds the lock. */
void routes_each(struct routes *t, void (*fn)(void *ctx, struct route *r), void *ctx);
uint64_t routes_count(const struct routes *t);
uint32_t routes_id_max(const struct routes *t);

/* A spin lock for the rare writers; readers never take it. */
void routes_lock(struct routes *t);
void routes_unlock(struct routes *t);

#endif
