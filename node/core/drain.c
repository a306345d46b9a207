/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/drain.h"

#include "node/core/conn_i.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

static void conns_move(struct shard *sh, const struct drain_step *d)
{
    uint32_t n = 0;
    list_each_safe(l, &sh->conns)
    {
        struct conn *c = container_of(l, struct conn, all_link);
        if (c->state != CONN_OPEN)
            continue;
        if (n++ == d->clients)
            return;
        COUNT(sh, CLIENT_MOVED);
        conn_redirect(c, d->reference);
    }
}

/* Sessions that wait without a connection: their ids, a few at a time. */
static void sessions_name(struct shard *sh, struct drain_step *d)
{
    uint32_t max = d->clients < DRAIN_IDS_MAX ? d->clients : DRAIN_IDS_MAX;
    while (d->ids_n < max) {
        struct session *s = ptrtab_next(&sh->sessions, &d->at);
        if (!s) {
            d->at = 0;
            return;
        }
        if (!s->conn && session_is_persistent(s) && !session_is_leaving(s))
            d->ids[d->ids_n++] = bytes_of(mem_dup(s->id, s->id_n), s->id_n);
    }
}

void drain_step_free(void *arg)
{
    struct drain_step *d = arg;
    for (uint32_t i = 0; i < d->ids_n; i++)
        free((void *)(uintptr_t)d->ids[i].p);
    free(d);
}

void drain_step(struct shard *sh, void *arg)
{
    struct drain_step *d = arg;
    conns_move(sh, d);
    d->ids_n = 0;
    sessions_name(sh, d);
    d->connected_left = sh->online_n;
    d->offline_left = sh->sessions.n - sh->online_n;
    shard_mesh_call(sh, d->done, drain_step_free, d);
}
