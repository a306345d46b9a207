/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rpc/gossip.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "proto/rpc/gossip.pb-c.h"
#include "proto/rpc/rpc_i.h"

#include <stdlib.h>

struct packed {
    Covey__Rpc__MemberRecord m;
    uint8_t address[NET_ADDR_N];
};

static void record_pack(struct packed *p, const struct gossip_record *r)
{
    covey__rpc__member_record__init(&p->m);
    net_addr_put(p->address, &r->address);
    p->m.id = rpc_data(node_id_bytes(&r->id));
    p->m.epoch = r->epoch;
    p->m.incarnation = r->incarnation;
    p->m.state = r->state;
    p->m.address = rpc_data(bytes_of(p->address, sizeof p->address));
    p->m.name = rpc_data(r->name);
    p->m.is_draining = r->is_draining;
    if (!node_id_is_zero(&r->source))
        p->m.source = rpc_data(node_id_bytes(&r->source));
}

uint32_t gossip_record_size(const struct gossip_record *r)
{
    struct packed p;
    record_pack(&p, r);
    uint32_t n = (uint32_t)covey__rpc__member_record__get_packed_size(&p.m);
    return n + 3; /* tag and length */
}

void gossip_put(struct rpc_buf *b, const struct gossip *g)
{
    Covey__Rpc__Gossip m = COVEY__RPC__GOSSIP__INIT;
    struct packed *v = mem_alloc(g->n * sizeof *v + 1);
    Covey__Rpc__MemberRecord **list = mem_alloc(g->n * sizeof(Covey__Rpc__MemberRecord *) + 1);
    uint8_t address[NET_ADDR_N];
    for (uint32_t i = 0; i < g->n; i++) {
        record_pack(&v[i], &g->records[i]);
        list[i] = &v[i].m;
    }
    m.cluster = g->cluster;
    m.kind = g->kind;
    m.seq = g->seq;
    m.from = rpc_data(node_id_bytes(&g->from));
    if (!node_id_is_zero(&g->target)) {
        net_addr_put(address, &g->target_address);
        m.target = rpc_data(node_id_bytes(&g->target));
        m.target_address = rpc_data(bytes_of(address, sizeof address));
    }
    m.records = list;
    m.n_records = g->n;
    rpc_pack(b, &m.base);
    free(v);
    free(list);
}

static bool record_read(struct gossip_record *r, const Covey__Rpc__MemberRecord *m)
{
    *r = (struct gossip_record){.epoch = m->epoch,
                                .incarnation = m->incarnation,
                                .state = (enum gossip_state)m->state,
                                .name = rpc_view(m->name),
                                .is_draining = m->is_draining};
    if (m->source.len && !node_id_read(&r->source, rpc_view(m->source)))
        return false;
    return node_id_read(&r->id, rpc_view(m->id)) && !node_id_is_zero(&r->id) && m->state < GOSSIP_STATES &&
           m->epoch > 0 && net_addr_read(&r->address, rpc_view(m->address)) && m->name.len <= GOSSIP_NAME_MAX;
}

bool gossip_read(struct gossip *g, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__Gossip *m = rpc_unpack(&covey__rpc__gossip__descriptor, body, a);
    if (!m || m->kind >= GOSSIP_KINDS || m->n_records > GOSSIP_RECORDS_MAX)
        return false;
    *g = (struct gossip){
        .cluster = m->cluster, .kind = (enum gossip_kind)m->kind, .seq = m->seq, .n = (uint32_t)m->n_records};
    if (!node_id_read(&g->from, rpc_view(m->from)) || node_id_is_zero(&g->from))
        return false;
    if (m->target.len && (!node_id_read(&g->target, rpc_view(m->target)) ||
                          !net_addr_read(&g->target_address, rpc_view(m->target_address))))
        return false;
    g->records = rpc_arena_take(a, g->n * sizeof *g->records);
    for (uint32_t i = 0; g->records && i < g->n; i++)
        if (!record_read(&g->records[i], m->records[i]))
            return false;
    return g->records != NULL;
}
