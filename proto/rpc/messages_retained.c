/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/mem.h"
#include "proto/rpc/rpc_i.h"

#include <stdlib.h>

/* Retained messages. */

static bool is_key(ProtobufCBinaryData d)
{
    enum { KEY_MAX = 500 }; /* the store's */
    return d.len > 0 && d.len <= KEY_MAX;
}

void rpc_retained_put(struct rpc_buf *b, const struct rpc_retained *m)
{
    Covey__Rpc__Retained p = COVEY__RPC__RETAINED__INIT;
    Covey__Rpc__Retained__Item *items = mem_alloc(m->n * sizeof *items + 1);
    Covey__Rpc__Retained__Item **list = mem_alloc(m->n * sizeof(Covey__Rpc__Retained__Item *) + 1);
    for (uint32_t i = 0; i < m->n; i++) {
        covey__rpc__retained__item__init(&items[i]);
        items[i].key = rpc_data(m->items[i].key);
        items[i].record = rpc_data(m->items[i].record);
        items[i].stamp = m->items[i].stamp;
        items[i].node = m->items[i].node;
        list[i] = &items[i];
    }
    p.items = list;
    p.n_items = m->n;
    p.is_repair = m->is_repair;
    rpc_pack(b, &p.base);
    free(items);
    free(list);
}

bool rpc_retained_read(struct rpc_retained *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__Retained *p = rpc_unpack(&covey__rpc__retained__descriptor, body, a);
    if (!p)
        return false;
    *m = (struct rpc_retained){.n = (uint32_t)p->n_items, .is_repair = p->is_repair};
    m->items = rpc_arena_take(a, p->n_items * sizeof *m->items);
    for (uint32_t i = 0; m->items && i < m->n; i++) {
        const Covey__Rpc__Retained__Item *item = p->items[i];
        if (!is_key(item->key))
            return false;
        m->items[i] =
            (struct rpc_retained_item){rpc_view(item->key), rpc_view(item->record), item->stamp, item->node};
    }
    return m->items != NULL;
}

void rpc_retained_bucket_put(struct rpc_buf *b, const struct rpc_retained *m)
{
    Covey__Rpc__RetainedBucket p = COVEY__RPC__RETAINED_BUCKET__INIT;
    Covey__Rpc__RetainedBucket__Item *items = mem_alloc(m->n * sizeof *items + 1);
    Covey__Rpc__RetainedBucket__Item **list =
        mem_alloc(m->n * sizeof(Covey__Rpc__RetainedBucket__Item *) + 1);
    for (uint32_t i = 0; i < m->n; i++) {
        covey__rpc__retained_bucket__item__init(&items[i]);
        items[i].key = rpc_data(m->items[i].key);
        items[i].stamp = m->items[i].stamp;
        items[i].node = m->items[i].node;
        list[i] = &items[i];
    }
    p.bucket = m->bucket;
    p.is_last = m->is_last;
    p.items = list;
    p.n_items = m->n;
    rpc_pack(b, &p.base);
    free(items);
    free(list);
}

bool rpc_retained_bucket_read(struct rpc_retained *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__RetainedBucket *p = rpc_unpack(&covey__rpc__retained_bucket__descriptor, body, a);
    if (!p)
        return false;
    *m = (struct rpc_retained){.n = (uint32_t)p->n_items, .bucket = p->bucket, .is_last = p->is_last};
    m->items = rpc_arena_take(a, p->n_items * sizeof *m->items);
    for (uint32_t i = 0; m->items && i < m->n; i++) {
        const Covey__Rpc__RetainedBucket__Item *item = p->items[i];
        if (!is_key(item->key))
            return false;
        m->items[i] =
            (struct rpc_retained_item){.key = rpc_view(item->key), .stamp = item->stamp, .node = item->node};
    }
    return m->items != NULL;
}

void rpc_retained_digests_put(struct rpc_buf *b, const struct rpc_retained_digests *m)
{
    Covey__Rpc__RetainedDigests p = COVEY__RPC__RETAINED_DIGESTS__INIT;
    p.digests = m->digests;
    p.n_digests = m->n;
    p.is_reply = m->is_reply;
    rpc_pack(b, &p.base);
}

bool rpc_retained_digests_read(struct rpc_retained_digests *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__RetainedDigests *p = rpc_unpack(&covey__rpc__retained_digests__descriptor, body, a);
    if (!p)
        return false;
    *m = (struct rpc_retained_digests){p->digests, (uint32_t)p->n_digests, p->is_reply};
    return true;
}

void rpc_retained_want_put(struct rpc_buf *b, const struct rpc_retained_want *m)
{
    Covey__Rpc__RetainedWant p = COVEY__RPC__RETAINED_WANT__INIT;
    ProtobufCBinaryData *keys = mem_alloc(m->n * sizeof *keys + 1);
    for (uint32_t i = 0; i < m->n; i++)
        keys[i] = rpc_data(m->keys[i]);
    p.keys = keys;
    p.n_keys = m->n;
    rpc_pack(b, &p.base);
    free(keys);
}

bool rpc_retained_want_read(struct rpc_retained_want *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__RetainedWant *p = rpc_unpack(&covey__rpc__retained_want__descriptor, body, a);
    if (!p)
        return false;
    *m = (struct rpc_retained_want){.n = (uint32_t)p->n_keys};
    m->keys = rpc_arena_take(a, p->n_keys * sizeof *m->keys);
    for (uint32_t i = 0; m->keys && i < m->n; i++) {
        if (!is_key(p->keys[i]))
            return false;
        m->keys[i] = rpc_view(p->keys[i]);
    }
    return m->keys != NULL;
}
