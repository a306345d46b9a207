/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/mem.h"
#include "proto/rpc/rpc_i.h"

#include <stdlib.h>

/* Client ids and their arbiters. */

void rpc_claim_put(struct rpc_buf *b, const struct rpc_claim *m)
{
    Covey__Rpc__Claim p = COVEY__RPC__CLAIM__INIT;
    p.client_id = rpc_data(m->client_id);
    p.stamp = m->stamp;
    p.token = m->token;
    p.clean_start = m->clean_start;
    rpc_pack(b, &p.base);
}

bool rpc_claim_read(struct rpc_claim *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__Claim *p = rpc_unpack(&covey__rpc__claim__descriptor, body, a);
    if (!p || !rpc_is_client_id(p->client_id))
        return false;
    *m = (struct rpc_claim){rpc_view(p->client_id), p->stamp, p->token, p->clean_start};
    return true;
}

void rpc_grant_put(struct rpc_buf *b, const struct rpc_grant *m)
{
    Covey__Rpc__Grant p = COVEY__RPC__GRANT__INIT;
    p.token = m->token;
    p.stamp = m->stamp;
    p.client_id = rpc_data(m->client_id);
    if (m->has_holder)
        p.holder = rpc_data(node_id_bytes(&m->holder));
    rpc_pack(b, &p.base);
}

bool rpc_grant_read(struct rpc_grant *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__Grant *p = rpc_unpack(&covey__rpc__grant__descriptor, body, a);
    if (!p)
        return false;
    *m = (struct rpc_grant){.token = p->token,
                            .stamp = p->stamp,
                            .has_holder = p->holder.len > 0,
                            .client_id = rpc_view(p->client_id)};
    return !m->has_holder || node_id_read(&m->holder, rpc_view(p->holder));
}

void rpc_release_put(struct rpc_buf *b, const struct rpc_release *m)
{
    Covey__Rpc__Release p = COVEY__RPC__RELEASE__INIT;
    p.client_id = rpc_data(m->client_id);
    p.stamp = m->stamp;
    p.token = m->token;
    p.to = rpc_data(node_id_bytes(&m->to));
    p.clean_start = m->clean_start;
    rpc_pack(b, &p.base);
}

bool rpc_release_read(struct rpc_release *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__Release *p = rpc_unpack(&covey__rpc__release__descriptor, body, a);
    if (!p || !rpc_is_client_id(p->client_id))
        return false;
    *m = (struct rpc_release){.client_id = rpc_view(p->client_id),
                              .stamp = p->stamp,
                              .token = p->token,
                              .clean_start = p->clean_start};
    return node_id_read(&m->to, rpc_view(p->to));
}

void rpc_hold_put(struct rpc_buf *b, const struct rpc_hold *m)
{
    Covey__Rpc__Hold p = COVEY__RPC__HOLD__INIT;
    Covey__Rpc__Hold__Item *items = mem_alloc(m->n * sizeof *items + 1);
    Covey__Rpc__Hold__Item **list = mem_alloc(m->n * sizeof(Covey__Rpc__Hold__Item *) + 1);
    for (uint32_t i = 0; i < m->n; i++) {
        covey__rpc__hold__item__init(&items[i]);
        items[i].client_id = rpc_data(m->items[i].client_id);
        items[i].stamp = m->items[i].stamp;
        list[i] = &items[i];
    }
    p.items = list;
    p.n_items = m->n;
    rpc_pack(b, &p.base);
    free(items);
    free(list);
}

bool rpc_hold_read(struct rpc_hold *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__Hold *p = rpc_unpack(&covey__rpc__hold__descriptor, body, a);
    if (!p)
        return false;
    *m = (struct rpc_hold){.n = (uint32_t)p->n_items};
    m->items = rpc_arena_take(a, p->n_items * sizeof *m->items);
    for (uint32_t i = 0; m->items && i < m->n; i++) {
        if (!rpc_is_client_id(p->items[i]->client_id))
            return false;
        m->items[i] = (struct rpc_hold_item){rpc_view(p->items[i]->client_id), p->items[i]->stamp};
    }
    return m->items != NULL;
}
