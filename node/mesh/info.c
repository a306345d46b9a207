/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mesh/mesh_i.h"

#include "proto/base/mem.h"

/* What this node believes, for whoever asks. */

static void peer_info(const struct mesh *m, const struct peer *p, struct mesh_peer_info *out)
{
    const struct member *mb = members_find(m->members, &p->id);
    if (mb)
        out->member = *mb;
    out->is_linked = p->wire != NULL;
    out->linked_since_ms = p->link_ms;
    memcpy(out->link_why, p->link_why, sizeof out->link_why);
    out->version = p->version;
    out->features = p->features;
    out->routes = p->take.count;
    out->routes_complete = p->take.is_complete;
    out->routes_acked = p->feed.acked;
    out->ring_bytes = p->link.ring_bytes;
    out->forwarded = p->forwarded;
    out->received = p->received;
    out->resent = p->link.resent;
}

void mesh_info(struct mesh *m, struct mesh_info *out)
{
    *out = (struct mesh_info){.self = *members_self(m->members),
                              .is_ready = mesh_is_ready(m),
                              .is_draining = m->drain_per_s > 0,
                              .drain_left = drain_left(m),
                              .route_seq = routelog_seq(m->routelog),
                              .routes = routelog_count(m->routelog),
                              .ids_arbitrated = arbiter_count(m->arbiter),
                              .health = members_health(m->members),
                              .partitions = m->partitions,
                              .merges = m->counters[MC_MERGES]};
    hist_read(&out->forwards, &m->forwards);
    memcpy(out->last_partition, m->last_partition, sizeof out->last_partition);
    out->peers = mem_zalloc(sizeof *out->peers * PEERS_MAX);
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (m->peers[i])
            peer_info(m, m->peers[i], &out->peers[out->peers_n++]);
}
