/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mesh/mesh_i.h"

#include <stdlib.h>

/* Sequenced frames of a peer, each to the part that it is for. */

static bool on_push_pull(struct mesh *m, struct peer *p, unsigned op, struct bytes body)
{
    if (!members_push_pull_merge(m->members, &p->id, body, m->now_ms))
        return false;
    if (op == RPC_PUSH_PULL)
        push_pull_send(m, p, RPC_PUSH_PULL_REPLY);
    return true;
}

void push_pull_send(struct mesh *m, struct peer *p, enum rpc_op op)
{
    uint8_t *buf = NULL;
    uint32_t cap = 0;
    uint32_t n = members_push_pull_put(m->members, &buf, &cap);
    peer_send(m, p, op, bytes_of(buf, n));
    free(buf);
}

bool peer_on_frame(struct mesh *m, struct peer *p, unsigned op, struct bytes body)
{
    switch ((enum rpc_op)op) {
    case RPC_PUSH_PULL:
    case RPC_PUSH_PULL_REPLY:
        return on_push_pull(m, p, op, body);
    case RPC_ROUTE_DELTAS:
    case RPC_ROUTE_SNAPSHOT:
    case RPC_ROUTE_ACK:
    case RPC_ROUTE_DIGEST:
    case RPC_ROUTE_WANT:
        return routes_on_frame(m, p, op, body);
    case RPC_PUBLISHES:
        return forward_on_publishes(m, p, body);
    case RPC_RESULTS:
        return forward_on_results(m, p, body);
    case RPC_SETTLED:
        return forward_on_settled(m, p, body);
    case RPC_CLAIM:
    case RPC_GRANT:
    case RPC_RELEASE:
    case RPC_HOLD:
    case RPC_UNHOLD:
        return ids_on_frame(m, p, op, body);
    case RPC_PARCEL:
    case RPC_PARCEL_STORED:
    case RPC_PARCEL_FINISH:
    case RPC_PARCEL_GONE:
    case RPC_ADOPT:
    case RPC_MARK:
    case RPC_MARK_REPLY:
        return moves_on_frame(m, p, op, body);
    case RPC_RETAINED:
    case RPC_RETAINED_DIGESTS:
    case RPC_RETAINED_BUCKET:
    case RPC_RETAINED_WANT:
        return retained_on_frame(m, p, op, body);
    case RPC_ADMIN:
        return admin_on_frame(m, p, body);
    case RPC_BANS:
        return bans_on_frame(m, body);
    case RPC_HELLO:
    case RPC_RESUME:
    case RPC_ACK:
    case RPC_PING:
    case RPC_BYE:
        break;
    }
    return false;
}
