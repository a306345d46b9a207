/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rpc/rpc_i.h"

/* What administrators ask other nodes. */

void rpc_admin_put(struct rpc_buf *b, const struct rpc_admin *m)
{
    Covey__Rpc__Admin p = COVEY__RPC__ADMIN__INIT;
    p.kind = (uint32_t)m->kind;
    p.id = m->id;
    p.total = m->total;
    p.offset = m->offset;
    p.data = rpc_data(m->data);
    rpc_pack(b, &p.base);
}

bool rpc_admin_read(struct rpc_admin *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__Admin *p = rpc_unpack(&covey__rpc__admin__descriptor, body, a);
    if (!p || p->kind == 0 || p->kind >= RPC_ADMIN_KIND_END)
        return false;
    *m = (struct rpc_admin){(enum rpc_admin_kind)p->kind, p->id, p->total, p->offset, rpc_view(p->data)};
    return m->kind != RPC_ADMIN_PIECE || (m->offset <= m->total && m->data.n <= m->total - m->offset);
}
