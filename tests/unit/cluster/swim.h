/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TEST_CLUSTER_SWIM_H
#define COVEY_TEST_CLUSTER_SWIM_H

/* One view of the members, alone: what it sends is looked at, what it hears is made up here. Node 0 is the
 * view's own; the others exist in the test only. */

/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cluster/core/member.h"
#include "proto/rpc/gossip.h"

#include <stdlib.h>

enum { TICK_MS = 50, HEARD_MAX = 16, NODES_MAX = 250, SENT_MAX = 4096 };

/* One datagram that was sent, opened. */
struct sent {
    enum gossip_kind kind;
    uint32_t seq;
    uint32_t to; /* number of the node by its address */
    uint32_t target;
    uint32_t n;
    uint64_t at_ms;
};

struct swim {
    struct members_conf conf;
    struct members *m;
    struct rpc_arena *arena;
    struct rpc_buf buf;
    uint64_t now_ms;
    uint64_t cluster;
    uint32_t nodes;
    bool answers[NODES_MAX];              /* node i answers pings */
    bool relays;                          /* it answers PING_REQ by NACK when the target does not answer */
    uint32_t told[NODES_MAX];             /* how often a record of node i was sent */
    struct gossip_record last[NODES_MAX]; /* what was said last of it */
    struct sent sent[SENT_MAX];
    uint32_t sent_n;
    struct member_event events[64];
    uint32_t events_n;
};

static inline struct node_id node_of(uint32_t i)
{
    struct node_id id = {{0}};
    be32_put(id.b, i + 1);
    return id;
}
static inline struct net_addr addr_of(uint32_t i)
{
    return net_addr_v4(10, 0, (uint8_t)(i >> 8), (uint8_t)i, 7946);
}
static inline struct member_self self_of(uint32_t i)
{
    struct member_self s = {.id = node_of(i), .epoch = 5, .addr = addr_of(i)};
    memcpy(s.cluster, "covey", 6);
    s.name[0] = 'n';
    s.name[1] = (char)('0' + i % 10);
    return s;
}
/* As self_of() has it, ALIVE. */
static inline struct gossip_record record_of_node(uint32_t i, uint32_t incarnation, enum gossip_state state)
{
    static const char *const names[] = {"n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"};
    return (struct gossip_record){.id = node_of(i),
                                  .epoch = 5,
                                  .incarnation = incarnation,
                                  .state = state,
                                  .address = addr_of(i),
                                  .name = bytes_str(names[i % 10])};
}

/* ---- what it says --------------------------------------------------------------------------------- */

static inline uint32_t number_of(const struct node_id *id)
{
    return be32_get(id->b) - 1;
}

static inline void swim_hear(struct swim *s, uint32_t from, enum gossip_kind kind, uint32_t seq,
                             const struct gossip_record *records, uint32_t n)
{
    struct net_addr addr = addr_of(from);
    struct gossip g = {.cluster = s->cluster, .kind = kind, .seq = seq, .from = node_of(from), .n = n};
    g.records = (struct gossip_record *)(uintptr_t)records;
    rpc_buf_reset(&s->buf);
    gossip_put(&s->buf, &g);
    members_on_datagram(s->m, &addr, rpc_buf_bytes(&s->buf), s->now_ms);
}

static inline void swim_answer(struct swim *s, const struct sent *d)
{
    if (d->to >= NODES_MAX || !s->answers[d->to])
        return;
    if (d->kind == GOSSIP_PING)
        swim_hear(s, d->to, GOSSIP_ACK, d->seq, NULL, 0);
    if (d->kind == GOSSIP_PING_REQ && d->target < NODES_MAX && s->answers[d->target])
        swim_hear(s, d->to, GOSSIP_ACK, d->seq, NULL, 0);
    else if (d->kind == GOSSIP_PING_REQ && s->relays)
        swim_hear(s, d->to, GOSSIP_NACK, d->seq, NULL, 0);
}

/* Takes what it sends and what it tells; those who answer do so at once. */
static inline void swim_pull(struct swim *s)
{
    struct member_datagram d;
    struct member_event e;
    struct gossip g;
    while (members_datagram_take(s->m, &d)) {
        assert_true(d.n <= MEMBER_DATAGRAM_MAX);
        rpc_arena_reset(s->arena);
        assert_true(gossip_read(&g, bytes_of(d.b, d.n), s->arena));
        assert_true(number_of(&g.from) == 0 && g.kind != GOSSIP_STATE);
        struct sent out = {g.kind, g.seq, be16_get(d.to.ip + 14), number_of(&g.target), g.n, s->now_ms};
        for (uint32_t i = 0; i < g.n; i++) {
            uint32_t about = number_of(&g.records[i].id);
            for (uint32_t k = 0; k < i; k++) /* each once in a datagram */
                assert_false(node_id_eq(&g.records[k].id, &g.records[i].id));
            s->told[about]++;
            s->last[about] = g.records[i];
        }
        if (s->sent_n < SENT_MAX)
            s->sent[s->sent_n++] = out;
        swim_answer(s, &out);
    }
    while (members_event_take(s->m, &e)) {
        assert_true(s->events_n < sizeof s->events / sizeof *s->events);
        s->events[s->events_n++] = e;
    }
}

static inline void swim_forget_sent(struct swim *s)
{
    swim_pull(s);
    s->sent_n = s->events_n = 0;
    memset(s->told, 0, sizeof s->told);
}

static inline void swim_run(struct swim *s, uint64_t ms)
{
    for (uint64_t end = s->now_ms + ms; s->now_ms < end;) {
        s->now_ms += TICK_MS;
        members_tick(s->m, s->now_ms);
        swim_pull(s);
    }
}

/* How many of this kind were sent, to a node or to anybody (NODES_MAX). */
static inline uint32_t swim_count(const struct swim *s, enum gossip_kind kind, uint32_t to)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->sent_n; i++)
        n += s->sent[i].kind == kind && (to == NODES_MAX || s->sent[i].to == to);
    return n;
}

/* ---- life ----------------------------------------------------------------------------------------- */

static inline void swim_contact(struct swim *s, uint32_t i)
{
    struct member_self peer = self_of(i);
    members_on_contact(s->m, &peer, s->now_ms);
}

/* A view that knows node 1 .. nodes - 1, all alive and answering; nothing is left to be told. */
static inline struct swim *swim_new(uint32_t nodes)
{
    struct swim *s = calloc(1, sizeof *s);
    struct member_self self = self_of(0);
    struct gossip g;
    uint8_t *b = NULL;
    uint32_t cap = 0;
    assert_non_null(s);
    members_conf_default(&s->conf);
    s->now_ms = 100000;
    s->nodes = nodes;
    s->arena = rpc_arena_new();
    s->relays = true;
    s->m = members_new(&s->conf, &self, 1, s->now_ms, NULL);
    uint32_t n = members_push_pull_put(s->m, &b, &cap);
    assert_true(gossip_read(&g, bytes_of(b, n), s->arena));
    s->cluster = g.cluster;
    free(b);
    for (uint32_t i = 1; i < nodes; i++) {
        s->answers[i] = true;
        swim_contact(s, i);
        swim_pull(s);
        s->events_n = 0;
    }
    swim_run(s, 30000);
    assert_int_equal(members_alive_count(s->m), nodes);
    assert_int_equal(members_health(s->m), 0);
    swim_forget_sent(s);
    return s;
}

static inline void swim_free(struct swim *s)
{
    members_free(s->m);
    rpc_arena_free(s->arena);
    rpc_buf_fini(&s->buf);
    free(s);
}

static inline const struct member *swim_find(struct swim *s, uint32_t i)
{
    struct node_id id = node_of(i);
    return members_find(s->m, &id);
}

static inline void swim_tell(struct swim *s, uint32_t from, const struct gossip_record *r)
{
    swim_hear(s, from, GOSSIP_ONLY, 0, r, 1);
    swim_pull(s);
}

/* Node `about` in this state, said by `from`. */
static inline void swim_say(struct swim *s, uint32_t from, uint32_t about, uint32_t incarnation,
                            enum gossip_state state)
{
    struct gossip_record r = record_of_node(about, incarnation, state);
    if (state == GOSSIP_SUSPECT)
        r.source = node_of(from);
    swim_tell(s, from, &r);
}

static inline void expect_state(struct swim *s, uint32_t i, enum member_state state)
{
    assert_non_null(swim_find(s, i));
    assert_int_equal(swim_find(s, i)->state, state);
}

/* The event that came since the last look, and no other. */
static inline void expect_event(struct swim *s, enum member_event_kind kind, uint32_t about)
{
    assert_int_equal(s->events_n, 1);
    assert_int_equal(s->events[0].kind, kind);
    assert_int_equal(number_of(&s->events[0].member.id), about);
    s->events_n = 0;
}

#endif
