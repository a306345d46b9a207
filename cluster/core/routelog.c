/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/core/routelog.h"

#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Changes are kept as they are sent, elements of RouteDeltas.routes, in blocks; a frame is a part of a block.
 */

enum { BLOCK_BYTES = 60 << 10, BLOCK_ITEMS = 4096, BODY_MAX = 128 << 10, DIGEST_MS = 10000 };

struct block {
    struct block *next;
    uint64_t first; /* number of its first change */
    uint32_t n;     /* changes */
    uint32_t bytes;
    uint32_t cap;
    uint32_t at[BLOCK_ITEMS + 1]; /* where each begins; the last is the end */
    uint8_t *b;
};

struct routelog {
    struct block *oldest, *newest;
    uint64_t bytes;
    uint64_t seq;
    uint64_t sum;
    uint64_t count;
};

uint64_t route_item_hash(struct bytes filter, struct bytes group)
{
    uint64_t g = group.n ? hash_bytes(group.p, group.n, 0x67726f7570) : 0;
    return hash_bytes(filter.p, filter.n, 0x66696c746572 ^ g);
}

struct routelog *routelog_new(void)
{
    return mem_zalloc(sizeof(struct routelog));
}

static void oldest_drop(struct routelog *l)
{
    struct block *b = l->oldest;
    l->oldest = b->next;
    if (!l->oldest)
        l->newest = NULL;
    l->bytes -= b->cap + sizeof *b;
    free(b->b);
    free(b);
}

void routelog_free(struct routelog *l)
{
    while (l && l->oldest)
        oldest_drop(l);
    free(l);
}

static struct block *block_for(struct routelog *l, uint32_t size)
{
    struct block *b = l->newest;
    if (b && b->n < BLOCK_ITEMS && b->bytes + size <= b->cap)
        return b;
    b = mem_alloc(sizeof *b);
    b->next = NULL;
    b->first = l->seq + 1;
    b->n = b->bytes = b->at[0] = 0;
    b->cap = size > BLOCK_BYTES ? size : BLOCK_BYTES;
    b->b = mem_alloc(b->cap);
    if (l->newest)
        l->newest->next = b;
    else
        l->oldest = b;
    l->newest = b;
    l->bytes += b->cap + sizeof *b;
    while (l->bytes > ROUTELOG_BYTES_MAX && l->oldest != l->newest)
        oldest_drop(l);
    return b;
}

uint64_t routelog_add(struct routelog *l, const struct route_item *item, enum routelog_effect effect)
{
    uint32_t size = route_item_size(item);
    struct block *b = block_for(l, size);
    CHECK(route_item_put(b->b + b->bytes, ROUTE_DELTAS_FIELD, item) == b->b + b->bytes + size);
    b->bytes += size;
    b->at[++b->n] = b->bytes;
    if (effect == ROUTELOG_MEMBERSHIP) {
        uint64_t h = route_item_hash(item->filter, item->group);
        l->sum += item->is_gone ? -h : h;
        l->count += item->is_gone ? -1ull : 1;
    }
    return ++l->seq;
}

void routelog_trim(struct routelog *l, uint64_t seq)
{
    while (l->oldest && l->oldest->first + l->oldest->n <= seq + 1)
        oldest_drop(l);
}

uint64_t routelog_seq(const struct routelog *l)
{
    return l->seq;
}
uint64_t routelog_sum(const struct routelog *l)
{
    return l->sum;
}
uint64_t routelog_count(const struct routelog *l)
{
    return l->count;
}

/* Are all changes from this number on still there? */
static bool has_from(const struct routelog *l, uint64_t number)
{
    return number > l->seq || (l->oldest && l->oldest->first <= number);
}

/* ---- what a peer gets ----------------------------------------------------------------------------- */

void routefeed_start(struct routefeed *f, const struct routelog *l)
{
    uint64_t snapshots = f->snapshots + 1;
    *f = (struct routefeed){.from_seq = l->seq, .is_snapshot = true, .snapshots = snapshots};
}

/* The peer fell behind, or has something else than we have: a snapshot in the same conversation. */
static void snapshot_again(struct routefeed *f, const struct routelog *l)
{
    uint64_t told = f->told;
    routefeed_start(f, l);
    f->told = told;
}

static void sent_up_to(struct routefeed *f, uint64_t seq)
{
    f->sent = seq;
    f->told = seq > f->told ? seq : f->told;
}

uint32_t routefeed_deltas(struct routefeed *f, const struct routelog *l, uint8_t *out, uint32_t out_n)
{
    uint64_t next = f->sent + 1;
    if (f->is_snapshot || next > l->seq)
        return 0;
    if (!has_from(l, next)) {
        snapshot_again(f, l);
        return 0;
    }
    /* A peer that keeps up is at the newest block. */
    const struct block *b = l->newest->first <= next ? l->newest : l->oldest;
    while (next >= b->first + b->n)
        b = b->next;
    uint32_t i = (uint32_t)(next - b->first), n = b->bytes - b->at[i];
    CHECK(n + ROUTE_HEAD_MAX <= out_n);
    uint8_t *p = route_deltas_head_put(out, next);
    memcpy(p, b->b + b->at[i], n);
    sent_up_to(f, b->first + b->n - 1);
    return (uint32_t)(p - out) + n;
}

bool routefeed_on_ack(struct routefeed *f, struct bytes body)
{
    uint64_t seq;
    if (!route_number_read(&seq, body) || seq > f->told)
        return false;
    if (seq <= f->sent)
        f->acked = seq > f->acked ? seq : f->acked;
    return true;
}

bool routefeed_on_want(struct routefeed *f, const struct routelog *l, struct bytes body)
{
    uint64_t from;
    if (!route_number_read(&from, body))
        return false;
    if (from == 0 || from > l->seq + 1 || !has_from(l, from))
        snapshot_again(f, l);
    else if (!f->is_snapshot)
        f->sent = from - 1;
    return true;
}

uint64_t routefeed_done(const struct routefeed *f)
{
    return f->is_snapshot || f->acked < f->from_seq ? f->from_seq : f->acked;
}

uint32_t routefeed_digest(struct routefeed *f, const struct routelog *l, uint64_t now_ms, uint8_t out[64])
{
    if (f->is_snapshot || f->sent != l->seq || now_ms < f->digest_ms)
        return 0;
    f->digest_ms = now_ms + DIGEST_MS;
    return route_digest_put(out, l->seq, l->sum, l->count);
}

/* ---- pages ---------------------------------------------------------------------------------------- */

struct routepage {
    uint32_t n; /* bytes behind the room for the head */
    uint32_t items;
    uint32_t cap;
    uint8_t *b;
};

struct routepage *routepage_new(void)
{
    return mem_zalloc(sizeof(struct routepage));
}

void routepage_free(struct routepage *p)
{
    if (p)
        free(p->b);
    free(p);
}

void routepage_add(struct routepage *p, const struct route_item *item)
{
    uint32_t size = route_item_size(item);
    if (ROUTE_HEAD_MAX + p->n + size > p->cap) {
        p->cap = (ROUTE_HEAD_MAX + p->n + size) * 2;
        p->b = mem_realloc(p->b, p->cap);
    }
    route_item_put(p->b + ROUTE_HEAD_MAX + p->n, ROUTE_SNAPSHOT_FIELD, item);
    p->n += size;
    p->items++;
}

bool routepage_is_full(const struct routepage *p)
{
    return p->items >= ROUTE_PAGE_MAX || p->n >= BLOCK_BYTES;
}

struct bytes routepage_seal(struct routepage *p, struct routefeed *f, uint32_t next_id, bool is_last)
{
    uint8_t head[ROUTE_HEAD_MAX];
    uint32_t head_n = (uint32_t)(route_snapshot_head_put(head, f->from_seq, f->page, is_last) - head);
    if (!p->b) {
        p->cap = ROUTE_HEAD_MAX;
        p->b = mem_alloc(p->cap);
    }
    uint8_t *from = p->b + ROUTE_HEAD_MAX - head_n;
    memcpy(from, head, head_n);
    struct bytes body = bytes_of(from, head_n + p->n);
    p->n = p->items = 0;
    f->page++;
    f->page_id = next_id;
    if (is_last) {
        f->is_snapshot = false;
        sent_up_to(f, f->from_seq);
    }
    return body;
}
