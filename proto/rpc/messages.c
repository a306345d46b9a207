/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/mem.h"
#include "proto/rpc/rpc_i.h"

#include <stdlib.h>

/* Connections, answers to publishes, and marks. */

void rpc_hello_put(struct rpc_buf *b, const struct rpc_hello *m)
{
    Covey__Rpc__Hello p = COVEY__RPC__HELLO__INIT;
    uint8_t address[NET_ADDR_N];
    net_addr_put(address, &m->address);
    p.version = m->version;
    p.version_min = m->version_min;
    p.features = m->features;
    p.node_id = rpc_data(node_id_bytes(&m->node_id));
    p.epoch = m->epoch;
    p.cluster = mem_dup(m->cluster.p, m->cluster.n);
    p.name = mem_dup(m->name.p, m->name.n);
    p.mqtt_address = mem_dup(m->mqtt_address.p, m->mqtt_address.n);
    p.address = rpc_data(bytes_of(address, sizeof address));
    p.is_draining = m->is_draining;
    rpc_pack(b, &p.base);
    free(p.cluster);
    free(p.name);
    free(p.mqtt_address);
}

bool rpc_hello_read(struct rpc_hello *m, struct bytes body, struct rpc_arena *a)
{
    enum { TEXT_MAX = 255 };
    const Covey__Rpc__Hello *p = rpc_unpack(&covey__rpc__hello__descriptor, body, a);
    if (!p)
        return false;
    *m = (struct rpc_hello){.version = p->version,
                            .version_min = p->version_min,
                            .features = p->features,
                            .epoch = p->epoch,
                            .cluster = bytes_str(p->cluster),
                            .name = bytes_str(p->name),
                            .mqtt_address = bytes_str(p->mqtt_address),
                            .is_draining = p->is_draining};
    return node_id_read(&m->node_id, rpc_view(p->node_id)) && !node_id_is_zero(&m->node_id) &&
           net_addr_read(&m->address, rpc_view(p->address)) && m->cluster.n <= TEXT_MAX &&
           m->name.n <= TEXT_MAX && m->mqtt_address.n <= TEXT_MAX && m->epoch > 0 &&
           m->version >= m->version_min;
}

void rpc_resume_put(struct rpc_buf *b, const struct rpc_resume *m)
{
    Covey__Rpc__Resume p = COVEY__RPC__RESUME__INIT;
    p.conversation = m->conversation;
    p.received = m->received;
    p.nonce = m->nonce;
    rpc_pack(b, &p.base);
}

bool rpc_resume_read(struct rpc_resume *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__Resume *p = rpc_unpack(&covey__rpc__resume__descriptor, body, a);
    if (!p)
        return false;
    *m = (struct rpc_resume){p->conversation, p->received, p->nonce};
    return true;
}

/* ---- answers -------------------------------------------------------------------------------------- */

void rpc_results_put(struct rpc_buf *b, const struct rpc_results *m)
{
    Covey__Rpc__Results p = COVEY__RPC__RESULTS__INIT;
    Covey__Rpc__Results__Run *runs = mem_alloc(m->n * sizeof *runs + 1);
    Covey__Rpc__Results__Run **list = mem_alloc(m->n * sizeof(Covey__Rpc__Results__Run *) + 1);
    for (uint32_t i = 0; i < m->n; i++) {
        covey__rpc__results__run__init(&runs[i]);
        runs[i].seq = m->runs[i].seq;
        runs[i].first = m->runs[i].first;
        runs[i].count = m->runs[i].count;
        runs[i].code = m->runs[i].code;
        list[i] = &runs[i];
    }
    p.runs = list;
    p.n_runs = m->n;
    rpc_pack(b, &p.base);
    free(runs);
    free(list);
}

bool rpc_results_read(struct rpc_results *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__Results *p = rpc_unpack(&covey__rpc__results__descriptor, body, a);
    if (!p)
        return false;
    *m = (struct rpc_results){.n = (uint32_t)p->n_runs};
    m->runs = rpc_arena_take(a, p->n_runs * sizeof *m->runs);
    for (uint32_t i = 0; m->runs && i < m->n; i++) {
        if (p->runs[i]->code > UINT8_MAX)
            return false;
        m->runs[i] =
            (struct rpc_run){p->runs[i]->seq, p->runs[i]->first, p->runs[i]->count, p->runs[i]->code};
    }
    return m->runs != NULL;
}

void rpc_settled_put(struct rpc_buf *b, const struct rpc_settled *m)
{
    Covey__Rpc__Settled p = COVEY__RPC__SETTLED__INIT;
    p.uids = m->uids;
    p.n_uids = m->n;
    rpc_pack(b, &p.base);
}

bool rpc_settled_read(struct rpc_settled *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__Settled *p = rpc_unpack(&covey__rpc__settled__descriptor, body, a);
    if (!p)
        return false;
    *m = (struct rpc_settled){p->uids, (uint32_t)p->n_uids};
    return true;
}

/* ---- marks ---------------------------------------------------------------------------------------- */

void rpc_mark_put(struct rpc_buf *b, const struct rpc_mark *m)
{
    Covey__Rpc__Mark p = COVEY__RPC__MARK__INIT;
    p.token = m->token;
    rpc_pack(b, &p.base);
}

bool rpc_mark_read(struct rpc_mark *m, struct bytes body, struct rpc_arena *a)
{
    const Covey__Rpc__Mark *p = rpc_unpack(&covey__rpc__mark__descriptor, body, a);
    if (!p)
        return false;
    m->token = p->token;
    return true;
}
