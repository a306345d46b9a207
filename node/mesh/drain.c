/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/drain.h"

#include "node/mesh/mesh_i.h"

#include "proto/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* Moving everybody to the other nodes at a set rate, a step every DRAIN_MS on each shard in turn. */

enum { DRAIN_MS = 100 };

/* Somebody who takes over: not draining itself, and able to adopt sessions when `adopts`. */
static struct peer *target_pick(struct mesh *m, uint64_t feature)
{
    uint64_t start = mesh_random(m) % PEERS_MAX;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *p = m->peers[(start + i) % PEERS_MAX];
        if (!peer_is_reachable(p) || (p->features & feature) != feature)
            continue;
        const struct member *mb = members_find(m->members, &p->id);
        if (mb && !mb->is_draining)
            return p;
    }
    return NULL;
}

static void adopt_send(struct mesh *m, struct bytes client_id)
{
    struct peer *p = target_pick(m, RPC_FEATURE_ADOPT);
    if (!p)
        return;
    struct rpc_adopt a = {.client_id = client_id};
    rpc_buf_reset(&m->scratch);
    rpc_adopt_put(&m->scratch, &a);
    peer_send(m, p, RPC_ADOPT, rpc_buf_bytes(&m->scratch));
}

static void on_step_done(struct mesh *m, void *arg)
{
    struct drain_step *d = arg;
    struct draining *at = &m->draining[d->shard];
    for (uint32_t i = 0; i < d->ids_n; i++)
        adopt_send(m, d->ids[i]);
    at->at = d->at;
    at->left = d->connected_left + d->offline_left;
    at->is_busy = false;
    drain_step_free(d);
}

static void step_send(struct mesh *m, uint32_t shard, const struct peer *target, uint32_t clients)
{
    struct draining *at = &m->draining[shard];
    struct drain_step *d = mem_zalloc(sizeof *d);
    d->shard = shard;
    d->at = at->at;
    d->done = on_step_done;
    d->clients = clients;
    snprintf(d->reference, sizeof d->reference, "%s", target->mqtt_address);
    at->is_busy = true;
    mesh_call(m, shard, drain_step, drain_step_free, d);
}

/* Shares what may be moved now among the shards, in turns when it is less than one for each. */
static void steps_send(struct mesh *m, const struct peer *target)
{
    m->drain_credit += m->drain_per_s * DRAIN_MS;
    uint32_t clients = m->drain_credit / 1000;
    m->drain_credit %= 1000;
    for (uint32_t i = 0; i < m->shards_n; i++) {
        uint32_t shard = (m->drain_next + i) % m->shards_n, share = clients / (m->shards_n - i);
        share += clients % (m->shards_n - i) != 0;
        if (m->draining[shard].is_busy)
            continue; /* its share is for the others */
        step_send(m, shard, target, share);
        clients -= share;
    }
    m->drain_next++;
}

void drain_tick(struct mesh *m)
{
    if (!m->drain_per_s || m->now_ms < m->drain_ms)
        return;
    m->drain_ms = m->now_ms + DRAIN_MS;
    const struct peer *target = target_pick(m, 0);
    if (target)
        steps_send(m, target);
}

void mesh_drain(struct mesh *m, uint32_t clients_per_s)
{
    bool is_draining = clients_per_s > 0;
    if (is_draining != (m->drain_per_s > 0))
        LOG(m->conf.log, LOG_NOTICE, "cluster drain %s clients_per_s=%u", is_draining ? "begins" : "ends",
            clients_per_s);
    m->drain_per_s = clients_per_s;
    m->drain_credit = 0;
    for (uint32_t i = 0; i < NODE_SHARDS_MAX; i++)
        m->draining[i].left = UINT32_MAX;
    __atomic_store_n(&m->view->is_draining, is_draining, __ATOMIC_RELEASE);
    members_self_set(m->members, &members_self(m->members)->addr, is_draining, m->now_ms);
}

uint64_t drain_left(const struct mesh *m)
{
    uint64_t left = 0;
    for (uint32_t i = 0; i < m->shards_n; i++)
        left += m->draining[i].left == UINT32_MAX ? 1 : m->draining[i].left;
    return left;
}
