/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/mem.h"
#include "proto/rpc/rpc_i.h"

#include <stdlib.h>

/* Sessions that move. */

static ProtobufCBinaryData *list_of(const struct bytes *v, uint32_t n)
{
    ProtobufCBinaryData *list = mem_alloc(n * sizeof *list + 1);
    for (uint32_t i = 0; i < n; i++)
        list[i] = rpc_data(v[i]);
    return list;
}

void rpc_parcel_put(struct rpc_buf *b, const struct rpc_parcel *m)
{
    Covey__Rpc__Parcel p = COVEY__RPC__PARCEL__INIT;
    p.number = m->number;
    p.token = m->token;
    p.kind = (Covey__Rpc__Parcel__Kind)m->kind;
    p.client_id = rpc_data(m->client_id);
    p.session = rpc_data(m->session);
    p.state = rpc_data(m->state);
    p.subs = list_of(m->subs, m->subs_n);
    p.n_subs = m->subs_n;
    p.messages = list_of(m->messages, m->messages_n);
    p.n_messages = m->messages_n;
    rpc_pack(b, &p.base);
    free(p.subs);
    free(p.messages);
}

static bool list_read(struct bytes **out, uint32_t *n, const ProtobufCBinaryData *v, size_t count,
                      struct rpc_arena *a)
{
    *n = (uint32_t)count;
    *out = rpc_arena_take(a, count * sizeof **out);
    for (size_t i = 0; *out && i < count; i++)
        (*out)[i] = rpc_view(v[i]);
    return *out != NULL;
}

bool rpc_parcel_read(struct rpc_parcel *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__Parcel *p = rpc_unpack(&covey__rpc__parcel__descriptor, body, a);
    if (!p || !rpc_is_client_id(p->client_id) || (unsigned)p->kind >= RPC_PARCEL_KINDS)
        return false;
    *m = (struct rpc_parcel){.number = p->number,
                             .token = p->token,
                             .kind = (enum rpc_parcel_kind)p->kind,
                             .client_id = rpc_view(p->client_id),
                             .session = rpc_view(p->session),
                             .state = rpc_view(p->state)};
    return list_read(&m->subs, &m->subs_n, p->subs, p->n_subs, a) &&
           list_read(&m->messages, &m->messages_n, p->messages, p->n_messages, a);
}

void rpc_parcel_ref_put(struct rpc_buf *b, const struct rpc_parcel_ref *m)
{
    Covey__Rpc__ParcelRef p = COVEY__RPC__PARCEL_REF__INIT;
    p.number = m->number;
    p.client_id = rpc_data(m->client_id);
    rpc_pack(b, &p.base);
}

bool rpc_parcel_ref_read(struct rpc_parcel_ref *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__ParcelRef *p = rpc_unpack(&covey__rpc__parcel_ref__descriptor, body, a);
    if (!p || !rpc_is_client_id(p->client_id))
        return false;
    *m = (struct rpc_parcel_ref){p->number, rpc_view(p->client_id)};
    return true;
}

void rpc_adopt_put(struct rpc_buf *b, const struct rpc_adopt *m)
{
    Covey__Rpc__Adopt p = COVEY__RPC__ADOPT__INIT;
    p.client_id = rpc_data(m->client_id);
    rpc_pack(b, &p.base);
}

bool rpc_adopt_read(struct rpc_adopt *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__Adopt *p = rpc_unpack(&covey__rpc__adopt__descriptor, body, a);
    if (!p || !rpc_is_client_id(p->client_id))
        return false;
    m->client_id = rpc_view(p->client_id);
    return true;
}
