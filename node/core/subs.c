/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/subs.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum {
    CACHE_WAYS = 4,
    CACHE_BUCKETS_MIN = 64,
    CACHE_BUCKETS_MAX = 32768,
    CACHE_TOPIC_MAX = 1024,  /* longer topics are not kept */
    CACHE_ROUTES_MAX = 4096, /* nor are topics that match more filters */
};

enum { SUBS_BLOCK = 127 };

struct subs_block {
    struct subs_block *next;
    struct subscription v[SUBS_BLOCK];
};

void subs_init(struct subs *s, struct routes *routes, uint32_t shard)
{
    *s = (struct subs){.routes = routes, .shard = shard, .cache_mask = CACHE_BUCKETS_MIN - 1};
    s->cache = mem_zalloc(sizeof(struct match *) * CACHE_WAYS * CACHE_BUCKETS_MIN);
}

void subs_fini(struct subs *s)
{
    for (uint32_t i = 0; i < (s->cache_mask + 1) * CACHE_WAYS; i++)
        free(s->cache[i]);
    free(s->cache);
    free(s->uncached);
    for (uint32_t i = 0; i < s->lists_cap; i++) {
        if (s->lists[i].n > 1)
            free(s->lists[i].u.v);
    }
    free(s->lists);
    route_list_fini(&s->found);
    while (s->blocks) {
        struct subs_block *next = s->blocks->next;
        free(s->blocks);
        s->blocks = next;
    }
}

/* ---- lists ---------------------------------------------------------------------------------------- */

static struct sublist *list_get(struct subs *s, uint32_t id)
{
    if (id >= s->lists_cap) {
        uint32_t cap = s->lists_cap ? s->lists_cap : 64;
        while (cap <= id)
            cap += cap / 4;
        s->lists = mem_realloc(s->lists, sizeof *s->lists * cap);
        memset(s->lists + s->lists_cap, 0, sizeof *s->lists * (cap - s->lists_cap));
        s->lists_cap = cap;
    }
    return &s->lists[id];
}

/* A list of one is the pointer itself; a longer one has room for the next power of two. */
static void list_append(struct sublist *l, struct subscription *sub)
{
    sub->slot = l->n;
    if (l->n == 0) {
        l->u.one = sub;
    } else if (l->n == 1) {
        struct subscription *one = l->u.one;
        l->u.v = mem_alloc(sizeof(struct subscription *) * 2);
        l->u.v[0] = one;
        l->u.v[1] = sub;
    } else {
        if ((l->n & (l->n - 1)) == 0)
            l->u.v = mem_realloc(l->u.v, sizeof(struct subscription *) * 2 * l->n);
        l->u.v[l->n] = sub;
    }
    l->n++;
}

static void list_swap(struct sublist *l, uint32_t a, uint32_t b)
{
    if (a == b)
        return;
    struct subscription *t = l->u.v[a];
    l->u.v[a] = l->u.v[b];
    l->u.v[b] = t;
    l->u.v[a]->slot = a;
    l->u.v[b]->slot = b;
}

static void list_remove(struct sublist *l, struct subscription *sub)
{
    list_swap(l, sub->slot, l->n - 1);
    l->n--;
    if (l->n == 0) {
        *l = (struct sublist){0};
    } else if (l->n == 1) {
        struct subscription *one = l->u.v[0];
        free(l->u.v);
        l->u.one = one;
    } else if ((l->n & (l->n - 1)) == 0) {
        l->u.v = mem_realloc(l->u.v, sizeof(struct subscription *) * l->n);
    }
}

/* Subscriptions come from blocks: without malloc's own bytes for each, and in one place for a walk. */
static struct subscription *sub_alloc(struct subs *s)
{
    if (!s->free) {
        struct subs_block *b = mem_alloc(sizeof *b);
        b->next = s->blocks;
        s->blocks = b;
        for (unsigned i = 0; i < SUBS_BLOCK; i++) {
            memcpy(&b->v[i], &s->free, sizeof s->free);
            s->free = &b->v[i];
        }
    }
    struct subscription *sub = s->free;
    memcpy(&s->free, sub, sizeof s->free);
    *sub = (struct subscription){0};
    return sub;
}

static void sub_free(struct subs *s, struct subscription *sub)
{
    memcpy(sub, &s->free, sizeof s->free);
    s->free = sub;
}

struct subscription *subs_add(struct subs *s, struct session *session, const struct topic_filter *f)
{
    struct subscription *sub = sub_alloc(s);
    routes_lock(s->routes);
    struct route *r = routes_find(s->routes, f->filter, f->group);
    if (!r || !(r->shards & 1ull << s->shard))
        r = routes_add(s->routes, f->filter, f->group, s->shard);
    routes_unlock(s->routes);
    sub->session = session;
    sub->route = r;
    list_append(list_get(s, r->id), sub);
    s->count++;
    return sub;
}

void subs_del(struct subs *s, struct subscription *sub)
{
    struct route *r = sub->route;
    struct sublist *l = &s->lists[r->id];
    if (route_is_shared(r))
        subs_member_set(s, sub, SUBS_OFFLINE);
    list_remove(l, sub);
    if (l->n == 0) {
        routes_lock(s->routes);
        routes_del(s->routes, r, s->shard);
        routes_unlock(s->routes);
    }
    s->count--;
    sub_free(s, sub);
}

void subs_member_set(struct subs *s, struct subscription *sub, enum subs_member state)
{
    struct sublist *l = &s->lists[sub->route->id];
    bool is_online = sub->slot < l->online;
    if (is_online == (state == SUBS_ONLINE))
        return;
    uint32_t *count = &sub->route->u.share->online[s->shard];
    if (state == SUBS_ONLINE) {
        list_swap(l, sub->slot, l->online);
        l->online++;
        __atomic_add_fetch(count, 1, __ATOMIC_RELAXED);
    } else {
        l->online--;
        list_swap(l, sub->slot, l->online);
        __atomic_sub_fetch(count, 1, __ATOMIC_RELAXED);
    }
    routes_online_changed(s->routes, sub->route);
}

/* ---- matching ------------------------------------------------------------------------------------- */

static uint16_t levels_count(struct bytes t)
{
    uint32_t n = 1;
    for (uint32_t i = 0; i < t.n; i++)
        n += t.p[i] == '/';
    return n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
}

/* $SYS/broker/connection/NAME/state, where Mosquitto's bridges tell that they are connected, by their will
 * too. */
static bool is_bridge_state(struct bytes t)
{
    static const char before[] = "$SYS/broker/connection/", behind[] = "/state";
    const uint32_t before_n = sizeof before - 1, behind_n = sizeof behind - 1;
    return t.n > before_n + behind_n && bytes_starts(t, bytes_of(before, before_n)) &&
           memcmp(t.p + t.n - behind_n, behind, behind_n) == 0 &&
           !memchr(t.p + before_n, '/', t.n - before_n - behind_n);
}

enum topic_special topic_special_of(struct bytes t)
{
    if (t.p[0] != '$')
        return TOPIC_PLAIN;
    if (bytes_starts(t, bytes_of("$delayed/", 9)))
        return TOPIC_DELAYED;
    if (is_bridge_state(t))
        return TOPIC_DOLLAR;
    bool is_reserved = bytes_starts(t, bytes_of("$SYS/", 5)) || bytes_starts(t, bytes_of("$share/", 7)) ||
                       bytes_starts(t, bytes_of("$exclusive/", 11)) || bytes_eq(t, bytes_of("$SYS", 4)) ||
                       bytes_eq(t, bytes_of("$share", 6));
    return is_reserved ? TOPIC_RESERVED : TOPIC_DOLLAR;
}

/* Counts first, so that the whole answer is one allocation. */
static struct match *match_new(struct subs *s, struct bytes topic, uint64_t hash, uint64_t version)
{
    uint32_t local_n = 0, shared_n = 0;
    uint64_t here = s->shard == SUBS_NO_SHARD ? 0 : 1ull << s->shard;
    routes_match(s->routes, topic, hash, &s->found);
    for (uint32_t i = 0; i < s->found.n; i++) {
        struct route *r = s->found.v[i];
        local_n += (__atomic_load_n(&r->shards, __ATOMIC_ACQUIRE) & here) != 0;
        for (r = __atomic_load_n(&r->shared, __ATOMIC_ACQUIRE); r;
             r = __atomic_load_n(&r->shared, __ATOMIC_ACQUIRE))
            shared_n++;
    }
    struct match *m =
        mem_alloc(sizeof *m + shared_n * sizeof(struct route *) + local_n * sizeof(uint32_t) + topic.n);
    struct route **shared = (struct route **)(void *)(m + 1);
    uint32_t *local = (uint32_t *)(void *)(shared + shared_n);
    uint32_t ln = 0, sn = 0;
    *m = (struct match){
        .hash = hash, .version = version, .topic_n = (uint16_t)topic.n, .levels = levels_count(topic)};
    for (uint32_t i = 0; i < s->found.n; i++) {
        struct route *r = s->found.v[i];
        uint64_t shards = __atomic_load_n(&r->shards, __ATOMIC_ACQUIRE);
        if ((shards & here) && ln < local_n)
            local[ln++] = r->id;
        m->remote |= shards & ~here;
        m->peers |= __atomic_load_n(&r->peers, __ATOMIC_ACQUIRE);
        for (r = __atomic_load_n(&r->shared, __ATOMIC_ACQUIRE); r && sn < shared_n;
             r = __atomic_load_n(&r->shared, __ATOMIC_ACQUIRE))
            shared[sn++] = r;
    }
    m->local_n = ln;
    m->shared_n = sn;
    m->local = local;
    m->shared = shared;
    char *text = (char *)(local + local_n);
    memcpy(text, topic.p, topic.n);
    m->topic = text;
    m->special = (uint8_t)topic_special_of(topic);
    return m;
}

/* Doubles the cache when it misses more often than it could hold. */
static void cache_grow(struct subs *s)
{
    uint32_t old_n = (s->cache_mask + 1) * CACHE_WAYS;
    struct match **old = s->cache;
    s->cache_mask = s->cache_mask * 2 + 1;
    s->cache = mem_zalloc(sizeof(struct match *) * CACHE_WAYS * (s->cache_mask + 1));
    s->cache_misses = 0;
    s->cached = 0;
    for (uint32_t i = 0; i < old_n; i++) {
        struct match *m = old[i];
        if (!m)
            continue;
        struct match **b = &s->cache[(m->hash & s->cache_mask) * CACHE_WAYS];
        unsigned w = 0;
        while (w < CACHE_WAYS && b[w])
            w++;
        if (w == CACHE_WAYS) {
            free(m);
        } else {
            b[w] = m;
            s->cached++;
        }
    }
    free(old);
}

/* Where m goes: its own old place, a free one, or CACHE_WAYS when the bucket is full. */
static unsigned bucket_place(struct match *const *bucket, const struct match *m)
{
    unsigned w = 0;
    while (w < CACHE_WAYS && bucket[w] && !(bucket[w]->hash == m->hash && bucket[w]->topic_n == m->topic_n))
        w++;
    return w;
}

static const struct match *match_miss(struct subs *s, struct bytes topic, uint64_t hash,
                                      struct match **bucket, enum topic_verdict *verdict)
{
    *verdict = topic_name_check(topic, 0);
    if (*verdict != TOPIC_OK)
        return NULL;
    struct match *m = match_new(s, topic, hash, routes_version(s->routes, hash));
    if (topic.n > CACHE_TOPIC_MAX || m->local_n + m->shared_n > CACHE_ROUTES_MAX) {
        free(s->uncached);
        return s->uncached = m;
    }
    unsigned w = bucket_place(bucket, m);
    if (w == CACHE_WAYS && ++s->cache_misses > s->cached && s->cache_mask + 1 < CACHE_BUCKETS_MAX) {
        cache_grow(s);
        bucket = &s->cache[(hash & s->cache_mask) * CACHE_WAYS];
        w = bucket_place(bucket, m);
    }
    if (w == CACHE_WAYS)
        w = CACHE_WAYS - 1; /* the one that moved furthest back */
    s->cached += bucket[w] == NULL;
    free(bucket[w]);
    bucket[w] = m;
    return m;
}

const struct match *subs_match(struct subs *s, struct bytes topic, enum topic_verdict *verdict)
{
    uint64_t hash = routes_hash(s->routes, topic);
    struct match **b = &s->cache[(hash & s->cache_mask) * CACHE_WAYS];
    for (unsigned w = 0; w < CACHE_WAYS; w++) {
        struct match *m = b[w];
        if (!m || m->hash != hash || m->topic_n != topic.n)
            continue;
        if (memcmp(m->topic, topic.p, topic.n) != 0 || m->version != routes_version(s->routes, hash))
            break;
        if (w > 0) {
            b[w] = b[w - 1];
            b[w - 1] = m;
        }
        return m;
    }
    return match_miss(s, topic, hash, b, verdict);
}
