/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/claim.h"
#include "node/mesh/mesh_i.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Client ids: a CONNECT of this node that waits for the arbiter and for the session, this node as an arbiter,
 * and the announcements that keep arbiters right when nodes come and go. */

enum { MOVING_MS = 3000, ANNOUNCE_MS = 50, ANNOUNCE_PAGE = 2000, HOLD_ITEMS_MAX = 512 };

struct claim_wait {
    struct list link;
    uint64_t token;
    uint64_t stamp;
    uint64_t until_ms;
    uint32_t shard;
    uint32_t round; /* of the membership when it was granted */
    bool clean_start;
    bool is_granted;
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

static const struct node_id *arbiter_of(const struct mesh *m, struct bytes client_id)
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

static void on_claim(struct mesh *m, struct peer *p, const struct rpc_claim *c)
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

static void hold_local(struct mesh *m, const struct node_id *node, struct bytes client_id, uint64_t stamp)
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

static void claim_here(struct mesh *m, struct claim_wait *w, struct bytes client_id, bool clean_start)
{
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
    const struct node_id *arbiter = arbiter_of(m, client_id);
    LOG(m->conf.log, LOG_DEBUG, "cluster claim token=%llx arbiter=%s", (unsigned long long)token,
        node_id_eq(arbiter, &m->conf.id) ? "self" : "peer");
    if (node_id_eq(arbiter, &m->conf.id)) {
        claim_here(m, w, client_id, clean_start);
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

/* ---- announcements -------------------------------------------------------------------------------- */

struct hold_item {
    uint32_t at; /* in text */
    uint16_t n;
    bool is_held;
    uint64_t stamp;
};
struct hold_batch {
    uint32_t n;
    uint32_t text_n;
    uint32_t text_cap;
    uint8_t *text;
    struct hold_item v[HOLD_ITEMS_MAX];
};

static void batch_put(struct mesh *m, const struct hold_batch *b, bool is_held)
{
    struct rpc_hold_item items[HOLD_ITEMS_MAX];
    struct rpc_hold h = {.items = items};
    for (uint32_t i = 0; i < b->n; i++) {
        if (b->v[i].is_held == is_held)
            items[h.n++] = (struct rpc_hold_item){.client_id = bytes_of(b->text + b->v[i].at, b->v[i].n),
                                                  .stamp = b->v[i].stamp};
    }
    rpc_buf_reset(&m->scratch);
    if (h.n)
        rpc_hold_put(&m->scratch, &h);
}

void ids_send(struct mesh *m, struct peer *p)
{
    struct hold_batch *b = p->holds;
    if (!b || !b->n)
        return;
    batch_put(m, b, true);
    if (rpc_buf_bytes(&m->scratch).n)
        peer_send(m, p, RPC_HOLD, rpc_buf_bytes(&m->scratch));
    batch_put(m, b, false);
    if (rpc_buf_bytes(&m->scratch).n)
        peer_send(m, p, RPC_UNHOLD, rpc_buf_bytes(&m->scratch));
    b->n = b->text_n = 0;
}

static void batch_add(struct mesh *m, struct peer *p, struct bytes client_id, uint64_t stamp, bool is_held)
{
    if (!p->holds)
        p->holds = mem_zalloc(sizeof *p->holds);
    struct hold_batch *b = p->holds;
    if (b->n == HOLD_ITEMS_MAX)
        ids_send(m, p);
    if (b->text_n + client_id.n > b->text_cap) {
        b->text_cap = (b->text_n + client_id.n) * 2;
        b->text = mem_realloc(b->text, b->text_cap);
    }
    bytes_put(b->text + b->text_n, client_id);
    b->v[b->n++] = (struct hold_item){b->text_n, (uint16_t)client_id.n, is_held, stamp};
    b->text_n += client_id.n;
}

void holds_free(struct peer *p)
{
    if (p->holds)
        free(p->holds->text);
    free(p->holds);
    p->holds = NULL;
}

static void tell(struct mesh *m, struct bytes client_id, uint64_t stamp, bool is_held)
{
    const struct node_id *arbiter = arbiter_of(m, client_id);
    if (node_id_eq(arbiter, &m->conf.id)) {
        if (is_held)
            hold_local(m, &m->conf.id, client_id, stamp);
        else
            arbiter_unhold(m->arbiter, client_id, &m->conf.id, stamp);
        return;
    }
    struct peer *p = peer_find(m, arbiter);
    if (peer_is_live(p))
        batch_add(m, p, client_id, stamp, is_held);
}

void ids_on_held(struct mesh *m, struct held *h, bool is_held)
{
    mesh_stamp_see(m, h->stamp);
    tell(m, bytes_of(h->client_id, h->client_id_n), h->stamp, is_held);
    free(h);
}

/* One page of a shard's sessions on its way to the cluster thread and, if there are more, back for the next.
 */
struct announce {
    struct claim_walk walk;
    uint32_t round;
    uint32_t shard;
    uint32_t n;
    uint32_t text_n, text_cap;
    uint8_t *text; /* be16 length, id, be64 stamp */
};

static void announce_one(void *ctx, struct bytes client_id, uint64_t stamp)
{
    struct announce *a = ctx;
    uint32_t need = a->text_n + 2 + client_id.n + 8;
    if (need > a->text_cap) {
        a->text_cap = need * 2;
        a->text = mem_realloc(a->text, a->text_cap);
    }
    uint8_t *p = be16_put(a->text + a->text_n, (uint16_t)client_id.n);
    be64_put(bytes_put(p, client_id), stamp);
    a->text_n = need;
}

static void announce_free(void *arg)
{
    struct announce *a = arg;
    free(a->text);
    free(a);
}

static void announce_take(struct mesh *m, void *arg);

/* On the shard. */
static void announce_page(struct shard *sh, void *arg)
{
    struct announce *a = arg;
    a->text_n = 0;
    claim_each(sh, &a->walk, ANNOUNCE_PAGE, announce_one, a);
    shard_mesh_call(sh, announce_take, announce_free, a);
}

static void announce_take(struct mesh *m, void *arg)
{
    struct announce *a = arg;
    struct cursor c = cursor_of(bytes_of(a->text, a->text_n));
    struct bytes id;
    uint64_t stamp;
    while (cursor_lenbytes(&c, &id) && cursor_u64(&c, &stamp))
        tell(m, id, stamp, true);
    if (!a->walk.is_over && a->round == m->announce_round) {
        mesh_call(m, a->shard, announce_page, announce_free, a);
        return;
    }
    announce_free(a);
}

void ids_on_membership(struct mesh *m)
{
    m->members_round++;
    m->announce_ms = m->now_ms + ANNOUNCE_MS;
}

void ids_on_reset(struct mesh *m, struct peer *p)
{
    arbiter_drop_node(m->arbiter, &p->id); /* it announces what it holds */
    ids_on_membership(m);
    list_each(l, &m->claims) /* what it was asked it may not have heard */
    {
        const struct claim_wait *w = container_of(l, struct claim_wait, link);
        if (!w->is_granted && node_id_eq(arbiter_of(m, bytes_of(w->client_id, w->client_id_n)), &p->id))
            claim_there(m, p, w);
    }
}

static void announce_all(struct mesh *m)
{
    m->announce_ms = 0;
    m->announce_round++;
    for (uint32_t i = 0; i < m->shards_n && m->live_n > 1; i++) {
        struct announce *a = mem_zalloc(sizeof *a);
        a->shard = i;
        a->round = m->announce_round;
        mesh_call(m, i, announce_page, announce_free, a);
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
    for (uint32_t i = 0; i < h.n; i++) {
        if (is_held)
            hold_local(m, &p->id, h.items[i].client_id, h.items[i].stamp);
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
        if (m->now_ms < w->until_ms)
            continue;
        MESH_COUNT(m, CLAIM_TIMEOUTS);
        wait_end(m, w);
    }
    if (m->announce_ms && m->now_ms >= m->announce_ms)
        announce_all(m);
}

void ids_fini(struct mesh *m)
{
    struct list *l;
    while ((l = list_pop(&m->claims)))
        free(container_of(l, struct claim_wait, link));
}
