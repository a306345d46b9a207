/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/claim.h"

#include "node/core/conn_i.h"
#include "node/core/parked.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { STAMP_SHIFT = 16 };

void claims_init(struct claims *c)
{
    list_init(&c->waiting);
    c->next = 1;
}

void claims_fini(struct claims *c)
{
    parked_free_all(&c->waiting);
}

bool claim_is_needed(const struct shard *sh, struct bytes client_id)
{
    const struct node *n = sh->node;
    if (!n->conf.is_clustered || !peers_any(&n->peers))
        return false;
    const struct session *s = session_find((struct shard *)(uintptr_t)sh, client_id);
    return s == NULL || session_is_leaving(s);
}

void claim_begin(struct conn *c, const struct connect *k, const uint8_t *body, uint32_t n)
{
    struct shard *sh = c->shard;
    uint64_t token = sh->claims.next++ * NODE_SHARDS_MAX + sh->number;
    parked_new(&sh->claims.waiting, c, token, body, n);
    struct claim_order *o = mem_alloc(sizeof *o + k->client_id.n);
    *o = (struct claim_order){.token = token,
                              .shard = sh->number,
                              .clean_start = k->clean_start,
                              .client_id_n = (uint16_t)k->client_id.n};
    bytes_put(o->client_id, k->client_id);
    mail_push(sh, MAIL_TO_CLUSTER, &(struct mail){.kind = MAIL_CLAIM, .arg = o});
}

void claim_on_answer(struct shard *sh, void *arg)
{
    struct claim_answer a = *(struct claim_answer *)arg;
    free(arg);
    struct parked *p = parked_take(&sh->claims.waiting, a.token);
    if (p && p->conn)
        connect_resume(p->conn, p->body, p->n, a.stamp);
    parked_free(p);
}

/* ---- telling the arbiter -------------------------------------------------------------------------- */

static void tell(const struct session *s, enum mail_kind kind)
{
    struct shard *sh = s->shard;
    struct claims *c = &sh->claims;
    c->newest = s->stamp > c->newest ? s->stamp : c->newest;
    if (!sh->node->conf.is_clustered || !peers_any(&sh->node->peers))
        return;
    struct held *h = mem_alloc(sizeof *h + s->id_n);
    *h = (struct held){.stamp = s->stamp, .shard = sh->number, .client_id_n = s->id_n};
    memcpy(h->client_id, s->id, s->id_n);
    mail_push(sh, MAIL_TO_CLUSTER, &(struct mail){.kind = kind, .arg = h});
}

void claim_tell_held(struct session *s)
{
    /* It may follow one of its client id that ended a moment ago, with a stamp of another node's clock: the
     * end of that one is not to be taken for its own. */
    uint64_t now = s->shard->wall_ms << STAMP_SHIFT, told = s->shard->claims.newest;
    uint64_t before = s->stamp > told ? s->stamp : told;
    s->stamp = now > before ? now : before + 1;
    tell(s, MAIL_HELD);
}

void claim_tell_again(const struct session *s)
{
    tell(s, MAIL_HELD);
}

void claim_tell_unheld(const struct session *s)
{
    tell(s, MAIL_UNHELD);
}

void claim_each(struct shard *sh, struct claim_walk *w, uint32_t max,
                void (*fn)(void *ctx, struct bytes client_id, uint64_t stamp), void *ctx)
{
    uint32_t mask = ptrtab_slots(&sh->sessions) ? ptrtab_slots(&sh->sessions)->mask : 0;
    if (mask != w->mask)
        *w = (struct claim_walk){.mask = mask};
    for (uint32_t n = 0; n < max; n++) {
        struct session *s = ptrtab_next(&sh->sessions, &w->at);
        if (!s) {
            w->is_over = true;
            return;
        }
        if (!session_is_leaving(s))
            fn(ctx, session_id(s), s->stamp);
    }
}
