/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/routes_i.h"

#include "proto/base/mem.h"

#include <stdlib.h>

/* What changes in this node's own set of routes, for the other nodes: written under the lock of the table by
 * whoever changes it, read by the cluster thread. */

bool routes_journal_pending(const struct routes *t)
{
    return __atomic_load_n(&t->journal.pending, __ATOMIC_ACQUIRE) != 0;
}

/* Kind, length of filter and group, their text. */
void route_change_put(struct routes *t, const struct route *r, enum route_change_kind kind)
{
    struct route_changes *j = &t->journal;
    size_t need = j->n + 5 + r->filter_n + r->group_n;
    if (!j->is_on)
        return;
    if (need > j->cap) {
        j->cap = need * 2;
        j->b = mem_realloc(j->b, j->cap);
    }
    uint8_t *p = j->b + j->n;
    *p++ = (uint8_t)kind;
    p = be16_put(be16_put(p, r->filter_n), r->group_n);
    memcpy(p, r->text, (size_t)r->filter_n + r->group_n);
    j->n = need;
    __atomic_store_n(&j->pending, need, __ATOMIC_RELEASE);
}

void routes_journal_enable(struct routes *t)
{
    routes_lock(t);
    t->journal.is_on = true;
    /* What the sessions of the store brought is news too. */
    for (uint32_t id = 0; id < routes_id_max(t); id++) {
        const struct route *r = t->by_id[id];
        if (r && r->shards)
            route_change_put(t, r, ROUTE_CHANGE_ADD);
    }
    routes_unlock(t);
}

void routes_online_changed(struct routes *t, struct route *r)
{
    if (!t->journal.is_on)
        return;
    routes_lock(t);
    if (!r->u.share->is_journaled) {
        r->u.share->is_journaled = 1;
        route_change_put(t, r, ROUTE_CHANGE_ONLINE);
    }
    routes_unlock(t);
}

/* How many members it has now; false: there is no such route any more. */
static bool online_now(struct routes *t, struct route_change *c)
{
    routes_lock(t);
    struct route *r = routes_find(t, c->filter, c->group);
    bool is_there = r && r->shards;
    if (is_there) {
        r->u.share->is_journaled = 0;
        c->online = routes_online_here(t, r);
    }
    routes_unlock(t);
    return is_there;
}

static bool change_read(struct routes *t, struct cursor *at, struct route_change *c)
{
    uint8_t kind;
    uint16_t filter_n, group_n;
    if (!cursor_u8(at, &kind) || !cursor_u16(at, &filter_n) || !cursor_u16(at, &group_n))
        return false;
    *c = (struct route_change){.is_gone = kind == ROUTE_CHANGE_DEL,
                               .is_online_only = kind == ROUTE_CHANGE_ONLINE};
    if (!cursor_bytes(at, filter_n, &c->filter) || !cursor_bytes(at, group_n, &c->group))
        return false;
    if (c->group.n && !c->is_gone && !online_now(t, c))
        c->filter.n = c->is_online_only ? 0 : c->filter.n; /* it went away again: its removal follows */
    return true;
}

void routes_journal_each(struct routes *t, void (*fn)(void *ctx, const struct route_change *c), void *ctx)
{
    routes_lock(t);
    uint8_t *b = t->journal.b;
    struct cursor at = cursor_of(bytes_of(b, t->journal.n));
    t->journal.b = NULL;
    t->journal.n = t->journal.cap = 0;
    __atomic_store_n(&t->journal.pending, 0, __ATOMIC_RELEASE);
    routes_unlock(t);
    struct route_change c;
    while (change_read(t, &at, &c))
        if (c.filter.n)
            fn(ctx, &c);
    free(b);
}

void routes_announced_set(struct routes *t, struct bytes filter, struct bytes group, uint64_t seq)
{
    routes_lock(t);
    struct route *r = routes_find(t, filter, group);
    if (r)
        __atomic_store_n(&r->announced, seq, __ATOMIC_RELEASE);
    routes_unlock(t);
}

bool routes_page(struct routes *t, uint32_t *at, uint32_t max,
                 void (*fn)(void *ctx, const struct route *r, uint32_t online), void *ctx)
{
    routes_lock(t);
    uint32_t end = routes_id_max(t), stop = end - *at < max ? end : *at + max;
    for (; *at < stop; (*at)++) {
        const struct route *r = t->by_id[*at];
        if (r && r->shards)
            fn(ctx, r, route_is_shared(r) ? routes_online_here(t, r) : 0);
    }
    bool is_over = *at == routes_id_max(t);
    routes_unlock(t);
    return is_over;
}
