/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/mem.h"
#include "proto/rpc/rpc_i.h"

#include <stdlib.h>

static void item_of(Covey__Rpc__Bans__Item *out, const struct rpc_ban *b)
{
    covey__rpc__bans__item__init(out);
    out->as = (uint32_t)b->as;
    out->who = rpc_data(b->who);
    out->by = rpc_data(b->by);
    out->reason = rpc_data(b->reason);
    out->at_ms = b->at_ms;
    out->until_ms = b->until_ms;
    out->stamp = b->stamp;
    out->node = b->node;
    out->is_gone = b->is_gone;
}

void rpc_bans_put(struct rpc_buf *b, const struct rpc_bans *m)
{
    Covey__Rpc__Bans p = COVEY__RPC__BANS__INIT;
    Covey__Rpc__Bans__Item *items = mem_alloc(m->n * sizeof *items + 1);
    Covey__Rpc__Bans__Item **list = mem_alloc(m->n * sizeof(Covey__Rpc__Bans__Item *) + 1);
    for (uint32_t i = 0; i < m->n; i++) {
        item_of(&items[i], &m->items[i]);
        list[i] = &items[i];
    }
    p.items = list;
    p.n_items = m->n;
    rpc_pack(b, &p.base);
    free(items);
    free(list);
}

static bool ban_read(struct rpc_ban *b, const Covey__Rpc__Bans__Item *item)
{
    if (item->as == 0 || item->as >= BAN_AS_END || item->who.len == 0 || item->who.len > BAN_WHO_MAX ||
        item->by.len > BAN_TEXT_MAX || item->reason.len > BAN_TEXT_MAX)
        return false;
    *b = (struct rpc_ban){.as = (enum rpc_ban_as)item->as,
                          .who = rpc_view(item->who),
                          .by = rpc_view(item->by),
                          .reason = rpc_view(item->reason),
                          .at_ms = item->at_ms,
                          .until_ms = item->until_ms,
                          .stamp = item->stamp,
                          .node = item->node,
                          .is_gone = item->is_gone};
    return true;
}

bool rpc_bans_read(struct rpc_bans *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__Bans *p = rpc_unpack(&covey__rpc__bans__descriptor, body, a);
    if (!p)
        return false;
    *m = (struct rpc_bans){.n = (uint32_t)p->n_items};
    m->items = rpc_arena_take(a, p->n_items * sizeof *m->items);
    for (uint32_t i = 0; m->items && i < m->n; i++) {
        if (!ban_read(&m->items[i], p->items[i]))
            return false;
    }
    return m->items != NULL;
}
