/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/routes_i.h"

#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"
#include "proto/topic/topic.h"

#include <stdlib.h>

/* ---- versions and lock ---------------------------------------------------------------------------- */

uint64_t routes_hash(const struct routes *t, struct bytes topic)
{
    return hash_bytes(topic.p, topic.n, t->seed);
}

uint64_t routes_version(const struct routes *t, uint64_t topic_hash)
{
    uint64_t wild = __atomic_load_n(&t->wild_version, __ATOMIC_ACQUIRE);
    uint32_t exact = __atomic_load_n(&t->exact_versions[topic_hash % EXACT_VERSIONS], __ATOMIC_ACQUIRE);
    return wild << 32 ^ exact;
}

void routes_version_bump(struct routes *t, const struct route *r)
{
    if (r->u.node)
        __atomic_add_fetch(&t->wild_version, 1, __ATOMIC_RELEASE);
    else
        __atomic_add_fetch(&t->exact_versions[r->hash % EXACT_VERSIONS], 1, __ATOMIC_RELEASE);
}

void routes_lock(struct routes *t)
{
    while (__atomic_exchange_n(&t->lock, 1, __ATOMIC_ACQUIRE)) {
        while (__atomic_load_n(&t->lock, __ATOMIC_RELAXED))
            __builtin_ia32_pause();
    }
}

void routes_unlock(struct routes *t)
{
    __atomic_store_n(&t->lock, 0, __ATOMIC_RELEASE);
}

/* ---- nodes ---------------------------------------------------------------------------------------- */

static struct tnode *tnode_new(struct tnode *parent, struct bytes level, uint32_t edge_hash)
{
    struct tnode *n = mem_zalloc(sizeof *n + level.n);
    n->parent = parent;
    n->edge_hash = edge_hash;
    n->level_n = level.n;
    bytes_put((uint8_t *)n->level, level);
    return n;
}

static bool level_is(struct bytes level, char c)
{
    return level.n == 1 && level.p[0] == (uint8_t)c;
}

static struct tnode *child_get(struct routes *t, struct tnode *parent, struct bytes level)
{
    struct tnode *n;
    if (level_is(level, '+')) {
        if (!parent->plus) {
            n = tnode_new(parent, level, 0);
            __atomic_store_n(&parent->plus, n, __ATOMIC_RELEASE);
            __atomic_add_fetch(&parent->children, 1, __ATOMIC_RELAXED);
        }
        return parent->plus;
    }
    uint32_t h = edge_hash(t, parent, hash_bytes(level.p, level.n, t->seed));
    n = routes_edge_find(t, parent, level, h);
    if (!n) {
        n = tnode_new(parent, level, h);
        ptrtab_add(&t->edges, n);
        __atomic_add_fetch(&parent->children, 1, __ATOMIC_RELAXED);
    }
    return n;
}

/* Where a filter with wildcards hangs: the slot of its last node, making the nodes on the way. */
static struct route **wild_slot_get(struct routes *t, struct bytes filter, struct tnode **node)
{
    struct tnode *n = t->root;
    uint32_t at = 0;
    struct bytes level;
    while (topic_level_next(filter, &at, &level)) {
        if (level_is(level, '#')) {
            *node = n;
            return &n->hash;
        }
        n = child_get(t, n, level);
    }
    *node = n;
    return &n->end;
}

static struct route **wild_slot_find(struct routes *t, struct bytes filter)
{
    struct tnode *n = t->root;
    uint32_t at = 0;
    struct bytes level;
    while (n && topic_level_next(filter, &at, &level)) {
        if (level_is(level, '#'))
            return &n->hash;
        if (level_is(level, '+'))
            n = n->plus;
        else
            n = routes_edge_find(t, n, level, edge_hash(t, n, hash_bytes(level.p, level.n, t->seed)));
    }
    return n ? &n->end : NULL;
}

/* Nodes that hold nothing any more go, from the leaf up. */
static void tnode_prune(struct routes *t, struct tnode *n)
{
    while (n != t->root && n->children == 0) {
        struct tnode *parent = n->parent;
        if (parent->plus == n)
            __atomic_store_n(&parent->plus, NULL, __ATOMIC_RELEASE);
        else
            ptrtab_del(&t->edges, n);
        __atomic_sub_fetch(&parent->children, 1, __ATOMIC_RELAXED);
        t->defer_free(n);
        n = parent;
    }
}

/* ---- routes --------------------------------------------------------------------------------------- */

static bool has_wildcard(struct bytes f)
{
    return f.n && (memchr(f.p, '+', f.n) || memchr(f.p, '#', f.n));
}

static struct route *plain_find(struct routes *t, struct bytes filter)
{
    if (!has_wildcard(filter))
        return routes_exact_find(t, filter, (uint32_t)routes_hash(t, filter));
    struct route **slot = wild_slot_find(t, filter);
    return slot ? *slot : NULL;
}

static uint32_t id_take(struct routes *t)
{
    return t->ids_free_n ? t->ids_free[--t->ids_free_n]
                         : __atomic_fetch_add(&t->id_next, 1, __ATOMIC_RELAXED);
}

static void id_put(struct routes *t, uint32_t id)
{
    if (t->ids_free_n == t->ids_free_cap) {
        t->ids_free_cap = t->ids_free_cap ? t->ids_free_cap * 2 : 64;
        t->ids_free = mem_realloc(t->ids_free, sizeof *t->ids_free * t->ids_free_cap);
    }
    t->ids_free[t->ids_free_n++] = id;
}

static struct route *route_new(struct routes *t, struct bytes filter, struct bytes group, uint32_t hash)
{
    struct route *r = mem_zalloc(sizeof *r + filter.n + group.n);
    r->id = id_take(t);
    r->hash = hash;
    r->filter_n = (uint16_t)filter.n;
    r->group_n = (uint16_t)group.n;
    bytes_put(bytes_put((uint8_t *)r->text, filter), group);
    if (r->id >= t->by_id_cap) {
        t->by_id_cap = t->by_id_cap ? t->by_id_cap * 2 : 256;
        t->by_id = mem_realloc(t->by_id, sizeof(struct route *) * t->by_id_cap);
    }
    t->by_id[r->id] = r;
    __atomic_add_fetch(&t->count, 1, __ATOMIC_RELAXED);
    return r;
}

/* The route without a group: made when missing, since shared routes hang on it. */
static struct route *plain_get(struct routes *t, struct bytes filter)
{
    struct route *r = plain_find(t, filter);
    if (r)
        return r;
    uint32_t h = (uint32_t)routes_hash(t, filter);
    r = route_new(t, filter, bytes_of(NULL, 0), h);
    if (!has_wildcard(filter)) {
        ptrtab_add(&t->exact, r);
        return r;
    }
    struct route **slot = wild_slot_get(t, filter, &r->u.node);
    __atomic_add_fetch(&r->u.node->children, 1, __ATOMIC_RELAXED);
    __atomic_store_n(slot, r, __ATOMIC_RELEASE);
    return r;
}

static struct route *shared_find(struct route *plain, struct bytes group)
{
    struct route *r = __atomic_load_n(&plain->shared, __ATOMIC_ACQUIRE);
    while (r && !bytes_eq(route_group(r), group))
        r = __atomic_load_n(&r->shared, __ATOMIC_ACQUIRE);
    return r;
}

struct route *routes_find(struct routes *t, struct bytes filter, struct bytes group)
{
    struct route *r = plain_find(t, filter);
    return r && group.n ? shared_find(r, group) : r;
}

struct route *routes_get(struct routes *t, struct bytes filter, struct bytes group, struct route **plain)
{
    struct route *r = *plain = plain_get(t, filter);
    if (!group.n)
        return r;
    r = shared_find(*plain, group);
    if (!r) {
        r = route_new(t, filter, group, (*plain)->hash);
        r->u.share = mem_zalloc(sizeof *r->u.share + t->shards * sizeof r->u.share->online[0]);
        r->shared = (*plain)->shared;
        __atomic_store_n(&(*plain)->shared, r, __ATOMIC_RELEASE);
    }
    return r;
}

struct route *routes_add(struct routes *t, struct bytes filter, struct bytes group, uint32_t shard)
{
    struct route *plain, *r = routes_get(t, filter, group, &plain);
    bool is_first = r->shards == 0;
    __atomic_or_fetch(&r->shards, 1ull << shard, __ATOMIC_RELEASE);
    if (is_first) { /* peers may have kept the route in the table; they do not know of ours */
        __atomic_store_n(&r->announced, 0, __ATOMIC_RELEASE);
        route_change_put(t, r, ROUTE_CHANGE_ADD);
    }
    routes_version_bump(t, plain);
    return r;
}

static void route_retire(struct routes *t, struct route *r)
{
    t->by_id[r->id] = NULL;
    id_put(t, r->id);
    __atomic_sub_fetch(&t->count, 1, __ATOMIC_RELAXED);
    if (route_is_shared(r)) {
        if (r->u.share->peers_online)
            t->defer_free(r->u.share->peers_online);
        t->defer_free(r->u.share);
    }
    t->defer_free(r);
}

static void shared_unlink(struct route *plain, struct route *r)
{
    struct route **at = &plain->shared;
    while (*at != r)
        at = &(*at)->shared;
    __atomic_store_n(at, r->shared, __ATOMIC_RELEASE);
}

static void plain_unlink(struct routes *t, struct route *r)
{
    if (!r->u.node) {
        ptrtab_del(&t->exact, r);
        return;
    }
    struct route **slot = r->u.node->hash == r ? &r->u.node->hash : &r->u.node->end;
    __atomic_store_n(slot, NULL, __ATOMIC_RELEASE);
    __atomic_sub_fetch(&r->u.node->children, 1, __ATOMIC_RELAXED);
}

void routes_release(struct routes *t, struct route *r)
{
    struct route *plain = r;
    if (r->group_n) {
        plain = plain_find(t, route_filter(r));
        CHECK(plain != NULL);
        if (!r->shards && !r->peers) {
            shared_unlink(plain, r);
            routes_version_bump(t, plain);
            route_retire(t, r);
        }
    }
    if (!plain->shards && !plain->peers && !plain->shared) {
        struct tnode *node = plain->u.node;
        plain_unlink(t, plain);
        routes_version_bump(t, plain);
        route_retire(t, plain);
        if (node)
            tnode_prune(t, node);
        return;
    }
    routes_version_bump(t, plain);
}

void routes_del(struct routes *t, struct route *r, uint32_t shard)
{
    if (__atomic_and_fetch(&r->shards, ~(1ull << shard), __ATOMIC_RELEASE) == 0)
        route_change_put(t, r, ROUTE_CHANGE_DEL);
    routes_release(t, r);
}

/* ---- the table ------------------------------------------------------------------------------------ */

struct routes *routes_new(uint64_t seed, uint32_t shards, void (*defer_free)(void *p))
{
    struct routes *t = mem_zalloc(sizeof *t);
    t->seed = seed;
    t->shards = shards;
    t->defer_free = defer_free ? defer_free : free;
    ptrtab_init(&t->exact, offsetof(struct route, hash), t->defer_free);
    ptrtab_init(&t->edges, offsetof(struct tnode, edge_hash), t->defer_free);
    t->root = tnode_new(NULL, bytes_of(NULL, 0), 0);
    return t;
}

static void plain_free(struct route *r)
{
    while (r) {
        struct route *s = r->shared;
        if (route_is_shared(r)) {
            free(r->u.share->peers_online);
            free(r->u.share);
        }
        free(r);
        r = s;
    }
}

static void tnode_free(struct tnode *n)
{
    plain_free(n->end);
    plain_free(n->hash);
    free(n);
}

/* A chain of '+' nodes hangs on one edge node only, so it is walked from there. */
static void plus_free(struct tnode *n)
{
    while (n) {
        struct tnode *plus = n->plus;
        tnode_free(n);
        n = plus;
    }
}

void routes_free(struct routes *t)
{
    if (!t)
        return;
    uint32_t at = 0;
    void *p;
    while ((p = ptrtab_next(&t->exact, &at)))
        plain_free(p);
    at = 0;
    while ((p = ptrtab_next(&t->edges, &at)))
        plus_free(p);
    plus_free(t->root);
    ptrtab_fini(&t->exact);
    ptrtab_fini(&t->edges);
    free(t->ids_free);
    free(t->by_id);
    free(t->journal.b);
    free(t);
}

static void plain_each(struct route *r, void (*fn)(void *ctx, struct route *r), void *ctx)
{
    while (r) {
        struct route *next = r->shared;
        if (r->shards)
            fn(ctx, r);
        r = next;
    }
}

static void plus_each(struct tnode *n, void (*fn)(void *ctx, struct route *r), void *ctx)
{
    for (; n; n = n->plus) {
        plain_each(n->end, fn, ctx);
        plain_each(n->hash, fn, ctx);
    }
}

void routes_each(struct routes *t, void (*fn)(void *ctx, struct route *r), void *ctx)
{
    uint32_t at = 0;
    void *p;
    while ((p = ptrtab_next(&t->exact, &at)))
        plain_each(p, fn, ctx);
    at = 0;
    while ((p = ptrtab_next(&t->edges, &at)))
        plus_each(p, fn, ctx);
    plus_each(t->root, fn, ctx);
}

uint64_t routes_count(const struct routes *t)
{
    return __atomic_load_n(&t->count, __ATOMIC_RELAXED);
}

uint32_t routes_id_max(const struct routes *t)
{
    return __atomic_load_n(&t->id_next, __ATOMIC_RELAXED);
}
