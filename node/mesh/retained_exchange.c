/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mesh/retained_sync_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Lists of stamps and the records that follow from them. */

/* A look-up costs about as much as copying so many bytes. */
enum { LOOKUP_BYTES = 1024 };
enum { BUCKET_KEY_N = 2, ITEM_HEAD_N = 2 + 8 + 8, LISTS_BYTES_MAX = 1 << 20, WANTED_BYTES_MAX = 4 << 20 };

static struct bytes bucket_prefix(uint8_t buf[BUCKET_KEY_N], uint32_t bucket)
{
    be16_put(buf, (uint16_t)bucket);
    return bytes_of(buf, BUCKET_KEY_N);
}

static void page_drop(struct sync_peer *p)
{
    struct list_page *pg = p->pages;
    p->pages = pg->next;
    if (!p->pages)
        p->pages_end = &p->pages;
    p->pages_bytes -= (uint32_t)sizeof *pg + pg->n;
    p->is_walking = false;
    p->wants_n = 0;
    free(pg);
}

void exchange_drop(struct sync_peer *p)
{
    while (p->pages)
        page_drop(p);
    free(p->wants);
    rpc_buf_fini(&p->wanted);
}

/* ---- records to the peer -------------------------------------------------------------------------- */

static void items_flush(struct retained_sync *rs, const struct sync_peer *p)
{
    struct rpc_retained r = {.items = rs->items, .n = rs->items_n, .is_repair = true};
    if (!rs->items_n)
        return;
    rpc_buf_reset(&rs->scratch);
    rpc_retained_put(&rs->scratch, &r);
    rs->conf.send(rs->conf.ctx, p->number, RPC_RETAINED, rpc_buf_bytes(&rs->scratch));
    rs->items_n = rs->items_bytes = 0;
}

static struct rpc_retained_item *item_add(struct retained_sync *rs)
{
    if (rs->items_n == rs->items_cap) {
        rs->items_cap = rs->items_cap ? rs->items_cap * 2 : 256;
        rs->items = mem_realloc(rs->items, rs->items_cap * sizeof *rs->items);
    }
    return &rs->items[rs->items_n++];
}

/* What we have goes to the peer. */
static void offer(struct retained_sync *rs, const struct sync_peer *p, const struct retained_meta *m)
{
    struct bytes record;
    enum err e = store_get(rs->reader, STORE_RETAINED, m->key, &record);
    if (e == ERR_NOTFOUND && m->fades_ms != RETAINED_FADES_NEVER)
        record = bytes_of(NULL, 0);
    else if (e != OK)
        return; /* damaged: others may have it whole */
    *item_add(rs) =
        (struct rpc_retained_item){.key = m->key, .record = record, .stamp = m->stamp, .node = m->node};
    rs->items_bytes += m->key.n + record.n;
    sync_spend(rs, LOOKUP_BYTES + record.n);
    if (rs->items_bytes >= rs->conf.page_bytes)
        items_flush(rs, p);
}

static bool may_go_on(const struct retained_sync *rs, const struct sync_peer *p)
{
    return rs->left && sync_has_room(rs, p);
}

static void push_step(struct retained_sync *rs, struct sync_peer *p)
{
    const struct bytes all = bytes_of(NULL, 0);
    struct retained_meta m;
    struct bytes key;
    bool has = stamps_seek(rs, &p->push, all, &m, &key);
    for (; has && may_go_on(rs, p); has = stamps_next(rs, all, &m, &key)) {
        if (stamp_counts(rs, &m))
            offer(rs, p, &m);
        place_set(&p->push, key);
        sync_spend(rs, 0);
    }
    p->is_pushing = has;
}

/* ---- the leader: a list of the peer against ours -------------------------------------------------- */

static bool item_peek(const struct list_page *pg, struct rpc_retained_item *item)
{
    const uint8_t *at = pg->items + pg->at;
    if (pg->at == pg->n)
        return false;
    *item = (struct rpc_retained_item){.key = bytes_of(at + ITEM_HEAD_N, be16_get(at)),
                                       .stamp = be64_get(at + 2),
                                       .node = be64_get(at + 10)};
    return true;
}

static void item_pass(struct list_page *pg)
{
    pg->at += ITEM_HEAD_N + be16_get(pg->items + pg->at);
}

static void want(struct sync_peer *p, struct bytes key)
{
    if (p->wants_n == p->wants_cap) {
        p->wants_cap = p->wants_cap ? p->wants_cap * 2 : 256;
        p->wants = mem_realloc(p->wants, p->wants_cap * sizeof *p->wants);
    }
    p->wants[p->wants_n++] = key;
}

static void walk_set(struct sync_peer *p, struct bytes key)
{
    be16_put(p->walk.key, (uint16_t)p->pages->bucket);
    bytes_put(p->walk.key + BUCKET_KEY_N, key);
    p->walk.n = BUCKET_KEY_N + key.n;
}

/* True: the page is done. */
static bool walk(struct retained_sync *rs, struct sync_peer *p)
{
    uint8_t buf[BUCKET_KEY_N];
    struct list_page *pg = p->pages;
    struct bytes prefix = bucket_prefix(buf, pg->bucket), key;
    struct retained_meta own;
    bool has_own = stamps_seek(rs, &p->walk, prefix, &own, &key);
    for (;;) {
        struct rpc_retained_item item;
        bool has_item = item_peek(pg, &item);
        if (!has_item && !(pg->is_last && has_own))
            return true;
        if (!may_go_on(rs, p))
            return false;
        sync_spend(rs, 0);
        if (has_own && !stamp_counts(rs, &own)) { /* as if it were not there */
            walk_set(p, own.key);
            has_own = stamps_next(rs, prefix, &own, &key);
            continue;
        }
        int which = !has_item ? -1 : !has_own ? 1 : bytes_cmp(own.key, item.key);
        int rank = which ? -which : retained_rank_cmp(own.stamp, own.node, item.stamp, item.node);
        walk_set(p, which <= 0 ? own.key : item.key);
        if (rank > 0)
            offer(rs, p, &own);
        if (rank < 0)
            want(p, item.key);
        if (which >= 0)
            item_pass(pg);
        if (which <= 0)
            has_own = stamps_next(rs, prefix, &own, &key);
    }
}

static void answer(struct retained_sync *rs, struct sync_peer *p)
{
    struct rpc_retained_want w = {p->wants, p->wants_n};
    items_flush(rs, p);
    rpc_buf_reset(&rs->scratch);
    rpc_retained_want_put(&rs->scratch, &w);
    rs->conf.send(rs->conf.ctx, p->number, RPC_RETAINED_WANT, rpc_buf_bytes(&rs->scratch));
    page_drop(p);
}

static void pages_step(struct retained_sync *rs, struct sync_peer *p)
{
    while (p->pages && may_go_on(rs, p)) {
        if (!p->is_walking)
            p->walk = p->pages->begin;
        p->is_walking = true;
        if (!walk(rs, p) || rs->conf.is_busy(rs->conf.ctx))
            return;
        answer(rs, p);
    }
}

/* The items are in order, and behind what was listed before; else the list of the bucket begins anew. */
static bool list_copy(struct list_page *pg, const struct rpc_retained *list)
{
    uint8_t *at = pg->items;
    for (uint32_t i = 0; i < list->n; i++) {
        const struct rpc_retained_item *item = &list->items[i];
        if (!retained_is_sound(item->key, item->stamp, bytes_of(NULL, 0)) ||
            (i && bytes_cmp(list->items[i - 1].key, item->key) >= 0))
            return false;
        at = be16_put(at, (uint16_t)item->key.n);
        at = bytes_put(be64_put(be64_put(at, item->stamp), item->node), item->key);
    }
    return true;
}

static void range_set(struct sync_peer *p, struct list_page *pg, const struct rpc_retained *list)
{
    struct place *listed = &p->listed;
    bool goes_on = listed->n && be16_get(listed->key) == pg->bucket;
    struct bytes behind = bytes_of(listed->key + BUCKET_KEY_N, goes_on ? listed->n - BUCKET_KEY_N : 0);
    if (goes_on && (!list->n || bytes_cmp(list->items[0].key, behind) > 0))
        pg->begin = *listed;
    if (!list->n && !pg->is_last)
        return;
    listed->n = 0;
    if (pg->is_last)
        return;
    be16_put(listed->key, (uint16_t)pg->bucket);
    bytes_put(listed->key + BUCKET_KEY_N, list->items[list->n - 1].key);
    listed->n = BUCKET_KEY_N + list->items[list->n - 1].key.n;
}

bool exchange_on_list(struct retained_sync *rs, struct sync_peer *p, const struct rpc_retained *list)
{
    uint64_t bytes = 0;
    (void)rs;
    for (uint32_t i = 0; i < list->n; i++)
        bytes += ITEM_HEAD_N + list->items[i].key.n;
    if (list->bucket >= RETAINED_BUCKETS || p->pages_bytes + sizeof *p->pages + bytes > LISTS_BYTES_MAX)
        return false;
    struct list_page *pg = mem_zalloc(sizeof *pg + bytes);
    pg->bucket = list->bucket;
    pg->is_last = list->is_last;
    pg->n = (uint32_t)bytes;
    if (!list_copy(pg, list)) {
        free(pg);
        return false;
    }
    range_set(p, pg, list);
    p->pages_bytes += (uint32_t)sizeof *pg + pg->n;
    *p->pages_end = pg;
    p->pages_end = &pg->next;
    return true;
}

/* ---- the follower: ours to the peer --------------------------------------------------------------- */

void exchange_begin(struct sync_peer *p, uint32_t differed)
{
    p->differed = differed;
    p->bucket = 0;
    p->list.n = 0;
    p->is_listing = differed > 0;
    p->owes_end = true;
}

bool exchange_on_want(struct retained_sync *rs, struct sync_peer *p, const struct rpc_retained_want *w)
{
    uint64_t bytes = 0;
    (void)rs;
    for (uint32_t i = 0; i < w->n; i++)
        bytes += 2 + w->keys[i].n;
    if (!p->unanswered || p->wanted.n + bytes > WANTED_BYTES_MAX)
        return false;
    p->unanswered--;
    if (p->wanted.n + bytes > p->wanted.cap) {
        p->wanted.cap = (uint32_t)(p->wanted.n + bytes) * 2;
        p->wanted.b = mem_realloc(p->wanted.b, p->wanted.cap);
    }
    uint8_t *at = p->wanted.b + p->wanted.n;
    for (uint32_t i = 0; i < w->n; i++)
        at = bytes_put(be16_put(at, (uint16_t)w->keys[i].n), w->keys[i]);
    p->wanted.n += (uint32_t)bytes;
    return true;
}

static void wanted_step(struct retained_sync *rs, struct sync_peer *p)
{
    uint8_t buf[RETAINED_META_KEY_MAX];
    while (p->wanted_at < p->wanted.n && may_go_on(rs, p)) {
        struct bytes key = bytes_of(p->wanted.b + p->wanted_at + 2, be16_get(p->wanted.b + p->wanted_at));
        struct retained_meta m;
        struct bytes value;
        p->wanted_at += 2 + key.n;
        sync_spend(rs, 0);
        if (key.n > RETAINED_KEY_MAX)
            continue;
        struct bytes meta_key = retained_meta_key(buf, key);
        if (store_get(rs->reader, STORE_RETAINED_META, meta_key, &value) != OK ||
            !retained_meta_read(&m, meta_key, value) || !stamp_counts(rs, &m))
            continue;
        m.key = key; /* stays while the records gather */
        offer(rs, p, &m);
    }
    items_flush(rs, p);
    if (p->wanted_at < p->wanted.n)
        return;
    rpc_buf_reset(&p->wanted);
    p->wanted_at = 0;
}

static bool bucket_differs(const struct sync_peer *p)
{
    return p->differ[p->bucket / 64] >> p->bucket % 64 & 1;
}

/* One page of the bucket. */
static void page_send(struct retained_sync *rs, struct sync_peer *p)
{
    uint8_t buf[BUCKET_KEY_N];
    struct bytes prefix = bucket_prefix(buf, p->bucket), key = {0};
    struct retained_meta m;
    struct rpc_retained list = {.bucket = p->bucket};
    bool has = stamps_seek(rs, &p->list, prefix, &m, &key);
    for (; has && rs->items_bytes < rs->conf.page_bytes && rs->left;
         has = stamps_next(rs, prefix, &m, &key)) {
        place_set(&p->list, key);
        sync_spend(rs, 0);
        if (!stamp_counts(rs, &m))
            continue;
        *item_add(rs) = (struct rpc_retained_item){.key = m.key, .stamp = m.stamp, .node = m.node};
        rs->items_bytes += ITEM_HEAD_N + m.key.n;
    }
    list.items = rs->items;
    list.n = rs->items_n;
    list.is_last = !has;
    rpc_buf_reset(&rs->scratch);
    rpc_retained_bucket_put(&rs->scratch, &list);
    rs->conf.send(rs->conf.ctx, p->number, RPC_RETAINED_BUCKET, rpc_buf_bytes(&rs->scratch));
    p->burst_bytes += rs->items_bytes + (uint32_t)sizeof(struct list_page);
    p->unanswered++;
    rs->items_n = rs->items_bytes = 0;
    if (!has) {
        p->bucket++;
        p->list.n = 0;
    }
}

static void list_step(struct retained_sync *rs, struct sync_peer *p)
{
    if (!p->unanswered)
        p->burst_bytes = 0;
    while (p->bucket < RETAINED_BUCKETS && !bucket_differs(p))
        p->bucket++;
    while (p->bucket < RETAINED_BUCKETS && p->burst_bytes < rs->conf.page_bytes && may_go_on(rs, p) &&
           !rs->conf.is_busy(rs->conf.ctx)) {
        page_send(rs, p);
        while (p->bucket < RETAINED_BUCKETS && !bucket_differs(p))
            p->bucket++;
    }
    p->is_listing = p->bucket < RETAINED_BUCKETS;
}

static void end_send(struct retained_sync *rs, struct sync_peer *p)
{
    struct rpc_retained_digests d = {.is_reply = true};
    p->owes_end = false;
    rpc_buf_reset(&rs->scratch);
    rpc_retained_digests_put(&rs->scratch, &d);
    rs->conf.send(rs->conf.ctx, p->number, RPC_RETAINED_DIGESTS, rpc_buf_bytes(&rs->scratch));
}

void exchange_step(struct retained_sync *rs, struct sync_peer *p)
{
    if (p->is_pushing && p->is_settled)
        push_step(rs, p);
    pages_step(rs, p);
    items_flush(rs, p);
    if (p->wanted_at < p->wanted.n)
        wanted_step(rs, p);
    if (p->is_listing && p->wanted_at == p->wanted.n)
        list_step(rs, p);
    if (p->owes_end && !p->is_listing && !p->unanswered && p->wanted_at == p->wanted.n && !p->has_theirs)
        end_send(rs, p);
}
