/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/bans.h"

#include "node/core/hlc.h"
#include "node/mesh/mesh_i.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Bans between nodes: each change of this node to every peer as it is made, everything when a conversation
 * begins anew. Shard 0 has the table and decides what is newer. */

void bans_on_reset(struct mesh *m, struct peer *p)
{
    if (!(p->features & RPC_FEATURE_BANS))
        return;
    struct ban_mail *ask = ban_mail_new(bytes_of(NULL, 0));
    ask->to = p->id;
    ask->life = p->life;
    mesh_call(m, 0, bans_tell_all, free, ask);
}

void bans_tell(struct mesh *m, struct ban_mail *mail)
{
    bool is_for_all = node_id_is_zero(&mail->to);
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *p = m->peers[i];
        if (!p || !(p->features & RPC_FEATURE_BANS))
            continue;
        if (is_for_all || (node_id_eq(&p->id, &mail->to) && p->life == mail->life))
            peer_send(m, p, RPC_BANS, bytes_of(mail->body, mail->n));
    }
    free(mail);
}

bool bans_on_frame(struct mesh *m, struct bytes body)
{
    struct rpc_bans b;
    if (!rpc_bans_read(&b, body, m->arena))
        return false;
    for (uint32_t i = 0; i < b.n; i++) {
        if (b.items[i].stamp >= HLC_STAMP_MAX)
            return false;
    }
    mesh_mail(m, 0, &(struct mail){.kind = MAIL_BANS, .arg = ban_mail_new(body)});
    return true;
}
