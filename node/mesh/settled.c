/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mesh/mesh_i.h"

#include "proto/base/mem.h"

#include <stdlib.h>

/* Handoffs of QoS 2 messages that are over: whoever keeps their uids may forget them (handoff_peer.h). */

void settled_send(struct mesh *m, struct settled *s)
{
    struct peer *p = peer_find(m, &s->to);
    struct rpc_settled r = {.uids = &s->uid, .n = 1};
    if (peer_is_live(p)) {
        rpc_buf_reset(&m->scratch);
        rpc_settled_put(&m->scratch, &r);
        peer_send(m, p, RPC_SETTLED, rpc_buf_bytes(&m->scratch));
    }
    free(s);
}

bool forward_on_settled(struct mesh *m, struct peer *p, struct bytes body)
{
    struct rpc_settled r;
    (void)p;
    if (!rpc_settled_read(&r, body, m->arena))
        return false;
    for (uint32_t i = 0; i < m->shards_n; i++) {
        struct seen_list *l = mem_alloc(sizeof *l + r.n * sizeof l->uids[0]);
        l->n = r.n;
        memcpy(l->uids, r.uids, r.n * sizeof l->uids[0]);
        mesh_call(m, i, seen_settle, free, l);
    }
    return true;
}
