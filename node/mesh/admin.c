/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mesh/mesh_i.h"

/* What administrators ask other nodes goes through here: the mesh has the links, who asks and answers is
 * elsewhere. */

void mesh_admin_hook(struct mesh *m, void (*fn)(void *ctx, const char *from, const struct rpc_admin *a),
                     void *ctx)
{
    m->on_admin = fn;
    m->on_admin_ctx = ctx;
}

static void send(struct mesh *m, struct peer *p, const struct rpc_admin *a)
{
    rpc_buf_reset(&m->scratch);
    rpc_admin_put(&m->scratch, a);
    peer_send(m, p, RPC_ADMIN, rpc_buf_bytes(&m->scratch));
}

bool mesh_admin_send(struct mesh *m, const char *node, const struct rpc_admin *a)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *p = m->peers[i];
        if (!peer_is_reachable(p) || strcmp(peer_name(p), node) != 0 || !(p->features & RPC_FEATURE_ADMIN))
            continue;
        send(m, p, a);
        return true;
    }
    return false;
}

bool admin_on_frame(struct mesh *m, const struct peer *p, struct bytes body)
{
    struct rpc_admin a;
    if (!rpc_admin_read(&a, body, m->arena))
        return false;
    if (m->on_admin)
        m->on_admin(m->on_admin_ctx, peer_name(p), &a);
    else if (a.kind == RPC_ADMIN_CALL) /* nobody answers here: said at once, by an answer without bytes */
        mesh_admin_send(m, peer_name(p), &(struct rpc_admin){.kind = RPC_ADMIN_PIECE, .id = a.id});
    return true;
}
