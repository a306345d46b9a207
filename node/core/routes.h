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
    uint64_t turn;     /* of round robin */
    uint32_t online[]; /* members with a connection, by shard */
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
