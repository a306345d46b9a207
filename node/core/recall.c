/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/recall.h"

#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

void recall_init(struct recall *r, uint32_t max)
{
    *r = (struct recall){.max = max, .buckets_n = 1};
    while (r->buckets_n < max)
        r->buckets_n *= 2;
    list_init(&r->used);
}

static struct recalled **bucket_of(const struct recall *r, uint64_t ident, uint8_t kind, uint64_t hash)
{
    return &r->buckets[hash_u64(ident, hash + kind) & (r->buckets_n - 1)];
}

/* at: where it hangs in its bucket. */
static void drop(struct recall *r, struct recalled **at)
{
    struct recalled *e = *at;
    *at = e->next;
    list_del(&e->link);
    r->n--;
    free(e);
}

static void oldest_drop(struct recall *r)
{
    struct recalled *e = container_of(r->used.next, struct recalled, link);
    struct recalled **at = bucket_of(r, e->ident, e->kind, e->hash);
    while (*at != e)
        at = &(*at)->next;
    drop(r, at);
}

void recall_reset(struct recall *r)
{
    while (r->n)
        oldest_drop(r);
}

void recall_fini(struct recall *r)
{
    recall_reset(r);
    free(r->buckets);
}

/* Where it hangs; NULL: nowhere. */
static struct recalled **find(const struct recall *r, uint64_t ident, uint8_t kind, uint64_t hash,
                              struct bytes topic)
{
    if (!r->buckets)
        return NULL;
    for (struct recalled **at = bucket_of(r, ident, kind, hash); *at; at = &(*at)->next) {
        const struct recalled *e = *at;
        if (e->ident == ident && e->hash == hash && e->kind == kind &&
            bytes_eq(bytes_of(e->topic, e->topic_n), topic))
            return at;
    }
    return NULL;
}

const struct recalled *recall_find(struct recall *r, uint64_t ident, uint8_t kind, uint64_t hash,
                                   struct bytes topic, uint64_t now_ms)
{
    struct recalled **at = find(r, ident, kind, hash, topic);
    if (!at)
        return NULL;
    struct recalled *e = *at;
    if (now_ms >= e->until_ms) {
        drop(r, at);
        return NULL;
    }
    list_del(&e->link);
    list_push(&r->used, &e->link);
    return e;
}

void recall_put(struct recall *r, uint64_t ident, uint8_t kind, uint64_t hash, struct bytes topic,
                uint8_t answer, uint64_t until_ms)
{
    if (!r->max)
        return;
    struct recalled **at = find(r, ident, kind, hash, topic);
    if (at)
        drop(r, at);
    if (!r->buckets)
        r->buckets = mem_zalloc(r->buckets_n * sizeof(struct recalled *));
    if (r->n == r->max)
        oldest_drop(r);
    struct recalled *e = mem_alloc(sizeof *e + topic.n);
    at = bucket_of(r, ident, kind, hash);
    *e = (struct recalled){.next = *at,
                           .ident = ident,
                           .hash = hash,
                           .until_ms = until_ms,
                           .kind = kind,
                           .answer = answer,
                           .topic_n = (uint16_t)topic.n};
    bytes_put(e->topic, topic);
    list_init(&e->link);
    list_push(&r->used, &e->link);
    *at = e;
    r->n++;
}
