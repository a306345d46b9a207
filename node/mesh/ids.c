/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/claim.h"
#include "node/mesh/mesh_i.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Client ids: a CONNECT of this node that waits for the arbiter and for the session, and this node as an
 * arbiter. */

enum { MOVING_MS = 3000 };

struct claim_wait {
    struct list link;
    uint64_t token;
    uint64_t stamp;
    uint64_t until_ms;
    uint32_t shard;
    uint32_t round; /* of the membership when it was granted */
    bool clean_start;
    bool is_granted;
    bool is_early; /* see is_early() */
    bool has_holder;
    struct node_id holder; /* who hands over */
    uint16_t client_id_n;
    uint8_t client_id[];
};

/* ---- waiting CONNECTs ----------------------------------------------------------------------------- */

static struct claim_wait *wait_find(struct mesh *m, uint64_t token)
{
    list_each(l, &m->claims)
    {
        struct claim_wait *w = container_of(l, struct claim_wait, link);
        if (w->token == token)
            return w;
    }
    return NULL;
}

/* The CONNECT goes on. An arbiter that has not granted it, or is not the one any more, does not know of it:
 * then the shard tells it when the session is there. */
static void wait_end(struct mesh *m, struct claim_wait *w)
{
    if (!w->is_granted || w->round != m->members_round)
        w->stamp = 0;
    struct claim_answer *a = mem_alloc(sizeof *a);
    *a = (struct claim_answer){.token = w->token, .stamp = w->stamp};
    mesh_call(m, w->shard, claim_on_answer, free, a);
    list_del(&w->link);
    free(w);
}

uint64_t ids_stamp(struct mesh *m, uint64_t token)
{
    const struct claim_wait *w = wait_find(m, token);
    return w ? w->stamp : 0;
}

void ids_on_ready(struct mesh *m, uint64_t token)
{
    struct claim_wait *w = wait_find(m, token);
    if (w)
        wait_end(m, w);
}

void ids_on_moving(struct mesh *m, uint64_t token)
{
    struct claim_wait *w = wait_find(m, token);
    if (w)
        w->until_ms = m->now_ms + MOVING_MS; /* it comes, however long it is */
}

/* ---- as arbiter ----------------------------------------------------------------------------------- */

const struct node_id *ids_arbiter(const struct mesh *m, struct bytes client_id)
{
    return &m->live[arbiter_pick(m->live, m->live_n, client_id)];
}

/* Tells whoever held the id to hand its session to the winner: now, with the claim's token, or when it is
 * back, with 0. */
static void release_send(struct mesh *m, struct bytes client_id, const struct arbiter_verdict *v,
                         uint64_t token, bool clean_start)
{
    struct rpc_release r = {.client_id = client_id,
                            .stamp = v->winner_stamp,
                            .to = v->winner,
                            .token = token,
                            .clean_start = clean_start};
    if (node_id_eq(&v->holder, &m->conf.id)) {
        moves_release(m, &r);
        return;
    }
    struct peer *p = peer_find(m, &v->holder);
    if (!p)
        return;
    rpc_buf_reset(&m->scratch);
    rpc_release_put(&m->scratch, &r);
    peer_send(m, p, RPC_RELEASE, rpc_buf_bytes(&m->scratch));
}

static bool holder_answers(struct mesh *m, const struct arbiter_verdict *v)
{
    return v->has_holder &&
           (node_id_eq(&v->holder, &m->conf.id) || peer_is_reachable(peer_find(m, &v->holder)));
}

/* When who arbitrates has changed, nobody can say of an id that has not been announced that it has no holder:
 * not before all have announced all that they hold. A peer says so with a HOLD of nothing; older ones do not,
 * and are not waited for longer than SETTLE_MS. */
static bool is_early(struct mesh *m, struct bytes client_id)
{
    return (m->untold || m->own_walks) && m->now_ms < m->settle_ms && !arbiter_has(m->arbiter, client_id);
}

/* A claim of a peer that came early. */
struct early_claim {
    struct list link;
    struct node_id from;
    uint64_t stamp;
    uint64_t token;
    bool clean_start;
    uint16_t client_id_n;
    uint8_t client_id[];
};

static void early_add(struct mesh *m, const struct peer *p, const struct rpc_claim *c)
{
    struct early_claim *e = mem_alloc(sizeof *e + c->client_id.n);
    *e = (struct early_claim){.from = p->id,
                              .stamp = c->stamp,
                              .token = c->token,
                              .clean_start = c->clean_start,
                              .client_id_n = (uint16_t)c->client_id.n};
    bytes_put(e->client_id, c->client_id);
    list_push(&m->early, &e->link);
}

static void decide(struct mesh *m, struct peer *p, const struct rpc_claim *c)
{
    mesh_stamp_see(m, c->stamp);
    struct arbiter_verdict v = arbiter_claim(m->arbiter, c->client_id, &p->id, c->stamp);
    mesh_stamp_see(m, v.winner_stamp);
    bool moves = holder_answers(m, &v);
    struct rpc_grant g = {.token = c->token,
                          .has_holder = moves,
                          .holder = v.holder,
                          .client_id = c->client_id,
                          .stamp = v.winner_stamp};
    rpc_buf_reset(&m->scratch);
    rpc_grant_put(&m->scratch, &g);
    peer_send(m, p, RPC_GRANT, rpc_buf_bytes(&m->scratch));
    if (v.has_holder)
        release_send(m, c->client_id, &v, moves ? c->token : 0, c->clean_start);
}

static void on_claim(struct mesh *m, struct peer *p, const struct rpc_claim *c)
{
    if (is_early(m, c->client_id))
        early_add(m, p, c);
    else
        decide(m, p, c);
}

/* Those that need not wait any longer. */
static void early_step(struct mesh *m)
{
    list_each_safe(l, &m->early)
    {
        struct early_claim *e = container_of(l, struct early_claim, link);
        struct rpc_claim c = {.client_id = bytes_of(e->client_id, e->client_id_n),
                              .stamp = e->stamp,
                              .token = e->token,
                              .clean_start = e->clean_start};
        struct peer *p = peer_find(m, &e->from);
        if (peer_is_live(p) && is_early(m, c.client_id))
            continue;
        if (peer_is_live(p))
            decide(m, p, &c);
        list_del(&e->link);
        free(e);
    }
}

void ids_hold(struct mesh *m, const struct node_id *node, struct bytes client_id, uint64_t stamp)
{
    mesh_stamp_see(m, stamp);
    struct arbiter_verdict v = arbiter_hold(m->arbiter, client_id, node, stamp);
    if (v.has_holder)
        release_send(m, client_id, &v, 0, false);
}

/* ---- as claimant ---------------------------------------------------------------------------------- */

static void on_granted(struct mesh *m, struct claim_wait *w, bool has_holder, const struct node_id *holder,
                       uint64_t stamp)
{
    mesh_stamp_see(m, stamp);
    w->stamp = stamp;
    w->is_granted = true;
    w->round = m->members_round;
    LOG(m->conf.log, LOG_DEBUG, "cluster claim granted token=%llx holder=%d", (unsigned long long)w->token,
        has_holder);
    if (!has_holder) {
        wait_end(m, w);
        return;
    }
    struct peer *h = peer_find(m, holder);
    if (!peer_is_reachable(h)) { /* it cannot hand over now; both are merged when it is back */
        wait_end(m, w);
        return;
    }
    MESH_COUNT(m, TAKEOVERS);
    w->has_holder = true;
    w->holder = *holder;
}

static void claim_here(struct mesh *m, struct claim_wait *w)
{
    struct bytes client_id = bytes_of(w->client_id, w->client_id_n);
    bool clean_start = w->clean_start;
    w->is_early = is_early(m, client_id);
    if (w->is_early)
        return;
    struct arbiter_verdict v = arbiter_claim(m->arbiter, client_id, &m->conf.id, w->stamp);
    bool moves = holder_answers(m, &v);
    uint64_t token = w->token;
    if (v.has_holder)
        release_send(m, client_id, &v, moves ? token : 0, clean_start);
    on_granted(m, w, moves, &v.holder, v.winner_stamp);
}

static void claim_there(struct mesh *m, struct peer *p, const struct claim_wait *w)
{
    struct rpc_claim c = {.client_id = bytes_of(w->client_id, w->client_id_n),
                          .stamp = w->stamp,
                          .token = w->token,
                          .clean_start = w->clean_start};
    ids_send(m, p); /* what was said of the id before comes first */
    rpc_buf_reset(&m->scratch);
    rpc_claim_put(&m->scratch, &c);
    peer_send(m, p, RPC_CLAIM, rpc_buf_bytes(&m->scratch));
}

void ids_claim(struct mesh *m, uint32_t shard, uint64_t token, struct bytes client_id, bool clean_start)
{
    struct claim_wait *w = mem_alloc(sizeof *w + client_id.n);
    *w = (struct claim_wait){.token = token,
                             .stamp = mesh_stamp(m),
                             .until_ms = m->now_ms + m->conf.claim_ms,
                             .shard = shard,
                             .clean_start = clean_start,
                             .client_id_n = (uint16_t)client_id.n};
    bytes_put(w->client_id, client_id);
    list_push(&m->claims, &w->link);
    MESH_COUNT(m, CLAIMS);
    const struct node_id *arbiter = ids_arbiter(m, client_id);
    LOG(m->conf.log, LOG_DEBUG, "cluster claim token=%llx arbiter=%s", (unsigned long long)token,
        node_id_eq(arbiter, &m->conf.id) ? "self" : "peer");
    if (node_id_eq(arbiter, &m->conf.id)) {
        claim_here(m, w);
        return;
    }
    struct peer *p = peer_find(m, arbiter);
    if (peer_is_live(p))
        claim_there(m, p, w);
}

void ids_on_order(struct mesh *m, struct claim_order *o)
{
    ids_claim(m, o->shard, o->token, bytes_of(o->client_id, o->client_id_n), o->clean_start);
    free(o);
}

/* ---- changes ---------------------------------------------------------------------------------------- */

void ids_on_reset(struct mesh *m, struct peer *p)
{
    arbiter_drop_node(m->arbiter, &p->id); /* it announces what it holds */
    ids_unsettle(m, 1ull << p->number);
    list_each(l, &m->claims) /* what it was asked it may not have heard */
    {
        const struct claim_wait *w = container_of(l, struct claim_wait, link);
        if (!w->is_granted && node_id_eq(ids_arbiter(m, bytes_of(w->client_id, w->client_id_n)), &p->id))
            claim_there(m, p, w);
    }
}

/* ---- frames --------------------------------------------------------------------------------------- */

static bool on_grant(struct mesh *m, struct bytes body)
{
    struct rpc_grant g;
    if (!rpc_grant_read(&g, body, m->arena))
        return false;
    struct claim_wait *w = wait_find(m, g.token);
    if (w)
        on_granted(m, w, g.has_holder, &g.holder, g.stamp);
    return true;
}

static bool on_holds(struct mesh *m, struct peer *p, struct bytes body, bool is_held)
{
    struct rpc_hold h;
    if (!rpc_hold_read(&h, body, m->arena))
        return false;
    if (is_held && h.n == 0)
        m->untold &= ~(1ull << p->number);
    for (uint32_t i = 0; i < h.n; i++) {
        if (is_held)
            ids_hold(m, &p->id, h.items[i].client_id, h.items[i].stamp);
        else
            arbiter_unhold(m->arbiter, h.items[i].client_id, &p->id, h.items[i].stamp);
    }
    return true;
}

bool ids_on_frame(struct mesh *m, struct peer *p, unsigned op, struct bytes body)
{
    struct rpc_claim c;
    struct rpc_release r;
    switch (op) {
    case RPC_CLAIM:
        if (!rpc_claim_read(&c, body, m->arena))
            return false;
        on_claim(m, p, &c);
        return true;
    case RPC_RELEASE:
        if (!rpc_release_read(&r, body, m->arena))
            return false;
        moves_release(m, &r);
        return true;
    case RPC_GRANT:
        return on_grant(m, body);
    default:
        return on_holds(m, p, body, op == RPC_HOLD);
    }
}

/* ---- time and death ------------------------------------------------------------------------------- */

void ids_on_dead(struct mesh *m, struct peer *p)
{
    arbiter_drop_node(m->arbiter, &p->id);
    m->untold &= ~(1ull << p->number);
    list_each_safe(l, &m->claims)
    {
        struct claim_wait *w = container_of(l, struct claim_wait, link);
        if (w->has_holder && node_id_eq(&w->holder, &p->id))
            wait_end(m, w);
    }
}

void ids_step(struct mesh *m)
{
    list_each_safe(l, &m->claims)
    {
        struct claim_wait *w = container_of(l, struct claim_wait, link);
        if (w->is_early) {
            claim_here(m, w); /* it may be over then */
            continue;
        }
        if (m->now_ms < w->until_ms)
            continue;
        MESH_COUNT(m, CLAIM_TIMEOUTS);
        wait_end(m, w);
    }
    early_step(m);
    if (m->announce_ms && m->now_ms >= m->announce_ms)
        ids_announce(m);
}

void ids_fini(struct mesh *m)
{
    struct list *l;
    while ((l = list_pop(&m->claims)))
        free(container_of(l, struct claim_wait, link));
    while ((l = list_pop(&m->early)))
        free(container_of(l, struct early_claim, link));
}
