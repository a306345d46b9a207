/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mesh/mesh_i.h"

#include "proto/base/mem.h"

#include <stdlib.h>

/* SUBACKs that wait until every reachable peer has our routes, or for barrier_ms: what is subscribed is seen.
 */

enum { MUST_WAIT_MS = 250 };

struct barrier {
    struct list link;
    struct pending *pending;
    uint64_t seq;
    uint64_t until_ms;
    uint32_t shard;
};

uint64_t barrier_acked(const struct mesh *m)
{
    uint64_t least = UINT64_MAX;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        const struct peer *p = m->peers[i];
        if (peer_is_reachable(p) && p->feed.acked < least)
            least = p->feed.acked;
    }
    return least;
}

static void release(struct mesh *m, uint32_t shard, struct pending *p)
{
    mesh_mail(m, shard, &(struct mail){.kind = MAIL_RESOLVED, .pending = p, .u.code = RC_SUCCESS});
}

void barrier_add(struct mesh *m, uint32_t shard, struct pending *p, uint32_t must)
{
    routes_sync_journal(m); /* what the subscription changed is in it */
    uint64_t seq = routelog_seq(m->routelog);
    uint32_t wait_ms = m->conf.barrier_ms ? m->conf.barrier_ms : must ? MUST_WAIT_MS : 0;
    if (!wait_ms || barrier_acked(m) >= seq) {
        release(m, shard, p);
        return;
    }
    MESH_COUNT(m, BARRIER_WAITS);
    struct barrier *b = mem_alloc(sizeof *b);
    *b = (struct barrier){.pending = p, .seq = seq, .shard = shard, .until_ms = m->now_ms + wait_ms};
    list_push(&m->barriers, &b->link);
}

void barriers_step(struct mesh *m)
{
    uint64_t acked = barrier_acked(m);
    __atomic_store_n(&m->view->routes_acked, acked, __ATOMIC_RELEASE);
    /* In the order of their numbers and of their deadlines. */
    while (!list_is_empty(&m->barriers)) {
        struct barrier *b = container_of(m->barriers.next, struct barrier, link);
        if (b->seq > acked && m->now_ms < b->until_ms)
            return;
        if (b->seq > acked)
            MESH_COUNT(m, BARRIER_TIMEOUTS);
        release(m, b->shard, b->pending);
        list_del(&b->link);
        free(b);
    }
}

void barriers_fini(struct mesh *m)
{
    list_each_safe(l, &m->barriers)
    {
        struct barrier *b = container_of(l, struct barrier, link);
        pending_drop(b->pending);
        free(b);
    }
}
