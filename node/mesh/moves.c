/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/parcel.h"
#include "node/mesh/mesh_i.h"

#include "proto/base/mem.h"

#include <stdlib.h>

/* Sessions that move (node/core/parcel.h): carrying their pieces, and finding out when nothing more can reach
 * the old place. The claimant waits until every reachable node knows its routes, then asks the holder to
 * finish. The holder asks every node for a mark, which is answered behind all that the node's shards had sent
 * before; when all marks are in, nothing is on its way any more. */

enum { MARK_MS = 5000, PIECE_BODY_MAX = 256 << 20 };

/* The claimant's side: FINISH is due when the routes are known. */
struct finishing {
    struct list link;
    struct parcel_order *order; /* peer: the holder */
    uint64_t seq;
    uint64_t until_ms;
};

/* A round of marks: the holder's, or one that a peer asked for and our shards answer. */
struct mark_round {
    struct list link;
    uint64_t token;
    uint64_t until_ms;
    uint64_t peers;             /* that have not answered, a bit each */
    uint32_t shards;            /* likewise, how many */
    struct parcel_order *order; /* the holder's: what ends then; NULL: a peer waits */
    struct node_id asked_by;
    uint64_t their_token;
};

static void trace(const struct mesh *m, const char *what, struct bytes client_id, const struct node_id *peer,
                  uint64_t token)
{
    char id[LOG_ESCAPED_MAX], node[NODE_ID_TEXT_N];
    LOG(m->conf.log, LOG_DEBUG, "cluster session %s client_id=\"%s\" node=%s token=%llx", what,
        log_escape(id, client_id), node_id_text(node, peer), (unsigned long long)token);
}

/* ---- to and from shards --------------------------------------------------------------------------- */

static void order_to_shard(struct mesh *m, struct parcel_order *o, void (*fn)(struct shard *sh, void *order))
{
    mesh_call(m, mesh_home(m, parcel_order_id(o)), fn, free, o);
}

void moves_release(struct mesh *m, const struct rpc_release *r)
{
    if (node_id_eq(&r->to, &m->conf.id))
        return;
    struct parcel_order *o = parcel_order_new(r->client_id);
    MESH_COUNT(m, HANDOVERS);
    trace(m, "released", r->client_id, &r->to, r->token);
    o->peer = r->to;
    o->token = r->token;
    o->stamp = r->stamp;
    o->clean_start = r->clean_start;
    order_to_shard(m, o, parcel_release);
}

static void gone_tell(struct mesh *m, const struct node_id *id)
{
    for (uint32_t i = 0; i < m->shards_n; i++)
        mesh_call(m, i, parcel_peer_gone, free, mem_dup(id, sizeof *id));
}

void moves_on_piece(struct mesh *m, struct parcel_piece *piece)
{
    struct peer *p = peer_find(m, &piece->to);
    if (peer_is_live(p))
        peer_send(m, p, RPC_PARCEL, rpc_buf_bytes(&piece->body));
    else
        gone_tell(m, &piece->to);
    parcel_piece_free(piece);
}

static void ref_send(struct mesh *m, const struct parcel_order *o, enum rpc_op op)
{
    struct peer *p = peer_find(m, &o->peer);
    struct rpc_parcel_ref r = {.number = o->number, .client_id = parcel_order_id(o)};
    if (!peer_is_live(p))
        return;
    rpc_buf_reset(&m->scratch);
    rpc_parcel_ref_put(&m->scratch, &r);
    peer_send(m, p, op, rpc_buf_bytes(&m->scratch));
}

static struct parcel_order *order_dup(const struct parcel_order *o)
{
    return mem_dup(o, sizeof *o + o->client_id_n);
}

static void finish_later(struct mesh *m, const struct parcel_order *o)
{
    struct finishing *f = mem_zalloc(sizeof *f);
    routes_sync_journal(m);
    f->order = order_dup(o);
    f->seq = routelog_seq(m->routelog);
    f->until_ms = m->now_ms + m->conf.barrier_ms;
    list_push(&m->parcels, &f->link);
}

void moves_on_told(struct mesh *m, struct parcel_news *n)
{
    static const char *const words[] = {"arrived", "stored", "gone"};
    trace(m, words[n->what], parcel_order_id(&n->order), &n->order.peer, n->order.token);
    switch (n->what) {
    case PARCEL_READY:
        ids_on_ready(m, n->order.token);
        finish_later(m, &n->order);
        break;
    case PARCEL_STORED:
        if (!n->order.token)
            MESH_COUNT(m, MERGES);
        ref_send(m, &n->order, RPC_PARCEL_STORED);
        break;
    case PARCEL_GONE:
        ref_send(m, &n->order, RPC_PARCEL_GONE);
        break;
    }
    free(n);
}

/* ---- marks ---------------------------------------------------------------------------------------- */

static struct mark_round *round_find(struct mesh *m, uint64_t token)
{
    list_each(l, &m->marks)
    {
        struct mark_round *r = container_of(l, struct mark_round, link);
        if (r->token == token)
            return r;
    }
    return NULL;
}

static void round_end(struct mesh *m, struct mark_round *r)
{
    list_del(&r->link);
    if (r->order) {
        order_to_shard(m, r->order, parcel_end);
    } else {
        struct peer *p = peer_find(m, &r->asked_by);
        struct rpc_mark reply = {.token = r->their_token};
        rpc_buf_reset(&m->scratch);
        rpc_mark_put(&m->scratch, &reply);
        if (peer_is_live(p))
            peer_send(m, p, RPC_MARK_REPLY, rpc_buf_bytes(&m->scratch));
    }
    free(r);
}

static void round_look(struct mesh *m, struct mark_round *r)
{
    if (!r->peers && !r->shards)
        round_end(m, r);
}

struct shard_mark {
    uint64_t token;
    uint32_t via; /* the shard of the session that leaves; MAIL_TO_CLUSTER: it is on another node */
};

static void on_shard_marked(struct mesh *m, void *arg)
{
    struct shard_mark *mark = arg;
    struct mark_round *r = round_find(m, mark->token);
    free(mark);
    if (!r)
        return;
    r->shards--;
    round_look(m, r);
}

/* On the shard: everything that it had to send goes before the answer. */
static void shard_mark(struct shard *sh, void *mark)
{
    forward_mark(sh, ((struct shard_mark *)mark)->via, on_shard_marked, mark);
}

static struct mark_round *round_new(struct mesh *m, uint32_t via)
{
    struct mark_round *r = mem_zalloc(sizeof *r);
    r->token = ++m->mark_next;
    r->until_ms = m->now_ms + MARK_MS;
    r->shards = m->shards_n;
    list_push(&m->marks, &r->link);
    for (uint32_t i = 0; i < m->shards_n; i++) {
        struct shard_mark *mark = mem_alloc(sizeof *mark);
        *mark = (struct shard_mark){r->token, via};
        mesh_call(m, i, shard_mark, free, mark);
    }
    return r;
}

/* The claimant wants the end: everybody, itself included, is asked for a mark. */
static void on_finish(struct mesh *m, struct parcel_order *o)
{
    struct mark_round *r = round_new(m, mesh_home(m, parcel_order_id(o)));
    struct rpc_mark mark = {.token = r->token};
    r->order = o;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *p = m->peers[i];
        if (!peer_is_reachable(p))
            continue;
        r->peers |= 1ull << i;
        rpc_buf_reset(&m->scratch);
        rpc_mark_put(&m->scratch, &mark);
        peer_send(m, p, RPC_MARK, rpc_buf_bytes(&m->scratch));
    }
}

static bool on_mark(struct mesh *m, struct peer *p, unsigned op, struct bytes body)
{
    struct rpc_mark mark;
    if (!rpc_mark_read(&mark, body, m->arena))
        return false;
    if (op == RPC_MARK) {
        struct mark_round *r = round_new(m, MAIL_TO_CLUSTER);
        r->asked_by = p->id;
        r->their_token = mark.token;
        return true;
    }
    struct mark_round *r = round_find(m, mark.token);
    if (r) {
        r->peers &= ~(1ull << p->number);
        round_look(m, r);
    }
    return true;
}

/* ---- frames --------------------------------------------------------------------------------------- */

static bool on_parcel(struct mesh *m, struct peer *p, struct bytes body)
{
    struct rpc_parcel r;
    if (!rpc_parcel_read(&r, body, m->arena))
        return false;
    if (r.kind == RPC_PARCEL_NONE || r.kind == RPC_PARCEL_BEGIN || r.kind == RPC_PARCEL_END)
        trace(m,
              r.kind == RPC_PARCEL_NONE    ? "not there"
              : r.kind == RPC_PARCEL_BEGIN ? "begins"
                                           : "ends",
              r.client_id, &p->id, r.token);
    if (r.kind == RPC_PARCEL_NONE) {
        ids_on_ready(m, r.token);
        return true;
    }
    ids_on_moving(m, r.token);
    struct parcel_in *in = mem_alloc(sizeof *in + body.n);
    *in = (struct parcel_in){.from = p->id, .stamp = ids_stamp(m, r.token), .n = body.n};
    memcpy(in->body, body.p, body.n);
    mesh_call(m, mesh_home(m, r.client_id), parcel_take, free, in);
    return true;
}

static bool on_ref(struct mesh *m, struct peer *p, unsigned op, struct bytes body)
{
    struct rpc_parcel_ref r;
    if (!rpc_parcel_ref_read(&r, body, m->arena))
        return false;
    struct parcel_order *o = parcel_order_new(r.client_id);
    o->peer = p->id;
    o->number = r.number;
    if (op == RPC_PARCEL_FINISH)
        on_finish(m, o);
    else
        order_to_shard(m, o, op == RPC_PARCEL_STORED ? parcel_stored : parcel_gone);
    return true;
}

bool moves_on_frame(struct mesh *m, struct peer *p, unsigned op, struct bytes body)
{
    struct rpc_adopt a;
    switch (op) {
    case RPC_PARCEL:
        return on_parcel(m, p, body);
    case RPC_MARK:
    case RPC_MARK_REPLY:
        return on_mark(m, p, op, body);
    case RPC_ADOPT:
        if (!rpc_adopt_read(&a, body, m->arena))
            return false;
        ids_claim(m, mesh_home(m, a.client_id), 1ull << 63 | ++m->mark_next, a.client_id, false);
        return true;
    default:
        return on_ref(m, p, op, body);
    }
}

/* ---- time and death ------------------------------------------------------------------------------- */

void moves_on_dead(struct mesh *m, struct peer *p)
{
    gone_tell(m, &p->id);
    list_each_safe(l, &m->marks)
    {
        struct mark_round *r = container_of(l, struct mark_round, link);
        r->peers &= ~(1ull << p->number);
        round_look(m, r);
    }
}

/* It may remember nothing of what was under way. */
void moves_on_reset(struct mesh *m, struct peer *p)
{
    moves_on_dead(m, p);
}

void moves_step(struct mesh *m)
{
    uint64_t acked = barrier_acked(m);
    list_each_safe(l, &m->parcels)
    {
        struct finishing *f = container_of(l, struct finishing, link);
        if (acked < f->seq && m->now_ms < f->until_ms)
            continue;
        ref_send(m, f->order, RPC_PARCEL_FINISH);
        list_del(&f->link);
        free(f->order);
        free(f);
    }
    list_each_safe(l, &m->marks)
    {
        struct mark_round *r = container_of(l, struct mark_round, link);
        if (m->now_ms >= r->until_ms)
            round_end(m, r);
    }
}

void moves_fini(struct mesh *m)
{
    struct list *l;
    while ((l = list_pop(&m->parcels))) {
        struct finishing *f = container_of(l, struct finishing, link);
        free(f->order);
        free(f);
    }
    while ((l = list_pop(&m->marks))) {
        struct mark_round *r = container_of(l, struct mark_round, link);
        free(r->order);
        free(r);
    }
}
