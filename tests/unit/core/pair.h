/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TEST_CORE_PAIR_H
#define COVEY_TEST_CORE_PAIR_H

/* Two nodes of one shard each, and what carries sessions between them: the part of the cluster thread is
 * played by the test, which may stop any step of a move. Node 0 is called the holder, node 1 the claimant. */

#include "tests/unit/core/broker.h"

#include "node/core/conn_i.h"
#include "node/core/parcel.h"
#include "node/core/shard_i.h"

enum { H, A };
/* Steps of a move that can be held up. */
enum { STOP_CUT = 1, STOP_FINISH = 2, STOP_END = 4, STOP_STORED = 8, STOP_GONE = 16, STOP_READY = 32 };

struct pair {
    struct broker *b[2];
    uint64_t number;   /* of the session that moved last, at its holder */
    uint64_t token;    /* of the claim that waits */
    uint32_t claimant; /* whose claim that is */
    uint32_t stop;     /* STOP_*: these are lost */
    uint32_t lost;     /* STOP_*: these were */
    bool is_apart;     /* nothing passes, in either direction */
    bool no_release;   /* the arbiter finds no holder that can be reached */
    uint32_t pieces;   /* carried */
    uint32_t held;     /* client ids that a node said it holds */
    uint32_t bytes_max;
};

static inline struct node_id pair_id(uint32_t at)
{
    struct node_id id = {{0}};
    id.b[0] = (uint8_t)(at + 1);
    return id;
}

static inline void pair_know(struct pair *p, uint32_t at)
{
    struct peers *peers = node_peers(p->b[at]->node);
    peers->ids[0] = pair_id(1 - at);
    peers->live = 1;
    peers->count = 1;
}

static inline struct pair *pair_new(void)
{
    struct pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    for (uint32_t i = 0; i < 2; i++) {
        struct broker *b = p->b[i] = broker_new();
        node_free(b->node);
        b->conf.is_clustered = true;
        b->conf.id = pair_id(i);
        b->conf.epoch = 1;
        b->conf.seed = 7 + i;
        broker_boot(b);
        pair_know(p, i);
    }
    return p;
}

static inline void pair_free(struct pair *p)
{
    broker_free(p->b[H]);
    broker_free(p->b[A]);
    free(p);
}

/* Node `at` stops as if its power failed and is back with what it had committed. */
static inline void pair_power_cycle(struct pair *p, uint32_t at)
{
    struct broker *b = p->b[at];
    struct store *committed = store_mem_clone(b->store);
    struct node_id *id = malloc(sizeof *id);
    assert_non_null(id);
    b->conf.epoch++;
    broker_power_cycle(b, committed);
    pair_know(p, at);
    *id = pair_id(at); /* the other one finds that it began anew */
    parcel_peer_gone(p->b[1 - at]->sh, id);
}

static inline struct parcel_order *pair_order(struct bytes client_id, uint32_t peer, uint64_t number)
{
    struct parcel_order *o = parcel_order_new(client_id);
    o->peer = pair_id(peer);
    o->number = number;
    return o;
}

static inline void pair_release(struct pair *p, uint32_t holder, struct bytes id, bool clean)
{
    struct parcel_order *o = pair_order(id, 1 - holder, 0);
    o->token = p->token;
    o->stamp = p->token;
    o->clean_start = clean;
    parcel_release(p->b[holder]->sh, o);
}

/* The CONNECT that waits goes on. */
static inline void pair_answer(struct pair *p)
{
    struct claim_answer *a = malloc(sizeof *a);
    assert_non_null(a);
    *a = (struct claim_answer){.token = p->token, .stamp = p->token + 1};
    p->token = 0;
    claim_on_answer(p->b[p->claimant]->sh, a);
}

static inline bool pair_stops(struct pair *p, uint32_t what)
{
    p->lost |= p->stop & what;
    return p->is_apart || p->stop & what;
}

static inline void pair_on_piece(struct pair *p, uint32_t from, const struct parcel_piece *piece)
{
    struct rpc_arena *arena = rpc_arena_new();
    struct rpc_parcel m;
    struct node_id to = pair_id(1 - from);
    assert_true(node_id_eq(&piece->to, &to));
    assert_true(rpc_parcel_read(&m, rpc_buf_bytes(&piece->body), arena));
    p->bytes_max = piece->body.n > p->bytes_max ? piece->body.n : p->bytes_max;
    uint32_t step = m.kind == RPC_PARCEL_CUT ? STOP_CUT : m.kind == RPC_PARCEL_END ? STOP_END : 0;
    p->number = m.number ? m.number : p->number;
    p->pieces++;
    if (!pair_stops(p, step)) {
        if (m.kind == RPC_PARCEL_NONE) {
            if (m.token && m.token == p->token)
                pair_answer(p);
        } else {
            struct parcel_in *in = malloc(sizeof *in + piece->body.n);
            assert_non_null(in);
            *in = (struct parcel_in){.from = pair_id(from), .stamp = m.token, .n = piece->body.n};
            memcpy(in->body, piece->body.b, piece->body.n);
            parcel_take(p->b[1 - from]->sh, in);
        }
    }
    rpc_arena_free(arena);
}

static inline void pair_on_told(struct pair *p, uint32_t from, const struct parcel_news *n)
{
    struct shard *other = p->b[1 - from]->sh;
    struct parcel_order *o = pair_order(parcel_order_id(&n->order), from, n->order.number);
    switch (n->what) {
    case PARCEL_READY:
        if (n->order.token && n->order.token == p->token && !(p->stop & STOP_READY))
            pair_answer(p);
        if (!pair_stops(p, STOP_FINISH)) {
            parcel_end(other, o);
            return;
        }
        break;
    case PARCEL_STORED:
        if (!pair_stops(p, STOP_STORED)) {
            parcel_stored(other, o);
            return;
        }
        break;
    case PARCEL_GONE:
        if (!pair_stops(p, STOP_GONE)) {
            parcel_gone(other, o);
            return;
        }
        break;
    }
    free(o);
}

static inline void pair_on_claim(struct pair *p, uint32_t from, const struct claim_order *c)
{
    p->token = c->token;
    p->claimant = from;
    if (p->no_release || p->is_apart)
        pair_answer(p);
    else
        pair_release(p, 1 - from, bytes_of(c->client_id, c->client_id_n), c->clean_start);
}

/* One bag from one node; false: there was none. */
static inline bool pair_carry(struct pair *p, uint32_t from)
{
    struct mailbag *bag = shard_outbox_take(p->b[from]->sh, MAIL_TO_CLUSTER);
    if (!bag)
        return false;
    for (uint32_t i = 0; i < bag->n; i++) {
        const struct mail *m = &bag->items[i];
        if (m->kind == MAIL_CLAIM)
            pair_on_claim(p, from, m->arg);
        else if (m->kind == MAIL_PARCEL)
            pair_on_piece(p, from, m->arg);
        else if (m->kind == MAIL_PARCEL_TOLD)
            pair_on_told(p, from, m->arg);
        p->held += m->kind == MAIL_HELD;
        if (m->kind == MAIL_BARRIER) {
            pending_release(p->b[from]->sh, m->pending, RC_SUCCESS);
            bag->items[i] = (struct mail){.kind = MAIL_CALL};
        }
    }
    mailbag_free(bag);
    return true;
}

/* What there is to carry now, without commits. */
static inline void pair_carry_all(struct pair *p)
{
    bool any = true;
    while (any) {
        any = pair_carry(p, H);
        any |= pair_carry(p, A);
    }
}

/* Until nothing is left to be carried or stored. */
static inline void pair_run(struct pair *p)
{
    for (unsigned i = 0; i < 8; i++) {
        pair_carry_all(p);
        broker_commit(p->b[H]);
        broker_commit(p->b[A]);
    }
    pair_carry_all(p);
}

static inline void pair_wait(struct pair *p, uint64_t ms)
{
    broker_wait(p->b[H], ms);
    broker_wait(p->b[A], ms);
    pair_run(p);
}

/* A message comes to one node from a third one. */
static inline void pair_arrive(struct pair *p, uint32_t at, uint64_t uid, uint8_t qos, const char *payload)
{
    struct shard *sh = p->b[at]->sh;
    enum topic_verdict verdict;
    struct publication pub = {.uid = uid,
                              .m = {.topic = bytes_str("t"), .payload = bytes_str(payload), .qos = qos}};
    const struct match *match = subs_match(&sh->subs, pub.m.topic, &verdict);
    assert_non_null(match);
    deliver_local(sh, &pub, match);
    publication_fini(sh, &pub);
}

/* Opens a connection at a node; what it waits for is carried and stored. */
static inline void pair_open(struct pair *p, uint32_t at, struct client *c, const struct connect_how *how)
{
    client_open(p->b[at], c, how);
    pair_run(p);
}

/* A persistent subscriber of t/# with QoS 2 at a node, online. */
static inline void pair_subscribed(struct pair *p, uint32_t at, struct client *c,
                                   const struct connect_how *how)
{
    pair_open(p, at, c, how);
    expect_connack(c, SESSION_NEW);
    client_subscribe(c, 1, "t/#", 2);
    pair_run(p);
    expect_suback(c, 1, 2);
}

static inline struct session *pair_session(struct pair *p, uint32_t at, const char *id)
{
    return session_find(p->b[at]->sh, bytes_str(id));
}

/* The session is at one node only, nothing of it is left on the way or in the other's store. */
static inline void expect_settled(struct pair *p, uint32_t at, const char *id)
{
    assert_non_null(pair_session(p, at, id));
    assert_null(pair_session(p, 1 - at, id));
    for (unsigned t = STORE_SESSIONS; t <= STORE_STATE; t++)
        assert_int_equal(store_count(p->b[1 - at]->store, (enum store_table)t), 0);
    assert_int_equal(store_count(p->b[at]->store, STORE_PARCELS), 0);
    assert_int_equal(store_count(p->b[1 - at]->store, STORE_PARCELS), 0);
}

#endif
