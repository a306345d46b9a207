/* SPDX-License-Identifier: Apache-2.0 */
/* One node's view of the members against whatever a node with the secret sends it. The input is a list of
 * steps: kind, length, and so many bytes of a datagram or a push-pull, or a number for the other steps.
 * Whatever comes: the node stays in its own view, counts stay within their bounds, and all that it sends can
 * be read. */
#include "cluster/core/member.h"
#include "proto/rpc/gossip.h"

#include <stdlib.h>

#define REQUIRE(cond) \
    do {              \
        if (!(cond))  \
            abort();  \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { STEPS_MAX = 200, KNOWN = 6, BODY_MAX = 4096 };
enum step {
    STEP_RAW,
    STEP_DATAGRAM,
    STEP_RECORD,
    STEP_STATE,
    STEP_TICK,
    STEP_CONTACT,
    STEP_OTHER,
    STEP_KINDS
};

struct play {
    struct members *m;
    struct rpc_arena *arena;
    uint64_t now_ms;
    uint64_t cluster;
};

static struct node_id id_of(uint32_t i)
{
    return (struct node_id){{(uint8_t)(i + 1), 7}};
}

static struct member_self self_of(uint32_t i)
{
    struct member_self s = {.id = id_of(i), .epoch = 5, .addr = net_addr_v4(10, 0, 0, (uint8_t)i, 7946)};
    s.name[0] = (char)('a' + i);
    memcpy(s.cluster, "fuzz", 5);
    return s;
}

/* The hash that the node's own datagrams carry. */
static uint64_t cluster_of(struct play *p)
{
    uint8_t *b = NULL;
    uint32_t cap = 0, n = members_push_pull_put(p->m, &b, &cap);
    struct gossip g;
    REQUIRE(gossip_read(&g, bytes_of(b, n), p->arena));
    free(b);
    rpc_arena_reset(p->arena);
    return g.cluster;
}

static void check(struct play *p)
{
    struct member_datagram d;
    struct member_event e;
    struct gossip g;
    struct node_id self = id_of(0);
    while (members_datagram_take(p->m, &d)) {
        REQUIRE(d.n <= MEMBER_DATAGRAM_MAX);
        rpc_arena_reset(p->arena);
        REQUIRE(gossip_read(&g, bytes_of(d.b, d.n), p->arena));
        REQUIRE(g.cluster == p->cluster && node_id_eq(&g.from, &self) && g.kind != GOSSIP_STATE);
    }
    while (members_event_take(p->m, &e))
        REQUIRE(!node_id_eq(&e.member.id, &self) && memchr(e.member.name, 0, sizeof e.member.name));
    uint32_t n = members_count(p->m), alive = 0;
    REQUIRE(n >= 1 && n <= MEMBERS_MAX && node_id_eq(&members_self(p->m)->id, &self));
    for (uint32_t i = 0; i < n; i++) {
        const struct member *m = members_at(p->m, i);
        REQUIRE(memchr(m->name, 0, sizeof m->name) && !node_id_is_zero(&m->id));
        REQUIRE(members_find(p->m, &m->id) == m);
        alive += m->state <= MEMBER_SUSPECT;
    }
    REQUIRE(alive == members_alive_count(p->m) && members_health(p->m) < 8);
    REQUIRE(members_self(p->m)->state == MEMBER_ALIVE || members_self(p->m)->state == MEMBER_LEFT);
}

/* Fields of protobuf may stand in any order and the last one counts: so the body gets what lets it in. */
static uint32_t let_in(const struct play *p, uint8_t *b, uint32_t n, bool is_state)
{
    b[n++] = 1 << 3 | 1;
    for (unsigned i = 0; i < 8; i++)
        b[n++] = (uint8_t)(p->cluster >> (8 * i));
    b[n++] = 3 << 3 | 2;
    b[n++] = NODE_ID_N;
    struct node_id from = id_of(1);
    memcpy(b + n, from.b, NODE_ID_N);
    n += NODE_ID_N;
    if (is_state) {
        b[n++] = 2 << 3;
        b[n++] = GOSSIP_STATE;
    }
    return n;
}

/* A datagram of records that are well formed, four bytes each. */
static uint32_t records_put(const struct play *p, uint8_t *out, const uint8_t *b, uint32_t n)
{
    struct gossip_record records[16];
    struct gossip g = {.cluster = p->cluster, .from = id_of(1), .records = records};
    g.kind = (enum gossip_kind)(n ? b[0] % GOSSIP_STATE : GOSSIP_ONLY);
    g.seq = n > 1 ? b[1] : 0;
    for (uint32_t at = 2; at + 4 <= n && g.n < 16; at += 4) {
        struct gossip_record r = {.id = id_of(b[at] % KNOWN), .epoch = 1 + b[at + 1] % 12};
        r.incarnation = b[at + 2];
        r.state = (enum gossip_state)(b[at + 3] % GOSSIP_STATES);
        r.source = b[at + 3] & 0x80 ? id_of(b[at] / KNOWN % KNOWN) : (struct node_id){0};
        r.address = net_addr_v4(10, 1, b[at + 1], b[at], 7946);
        r.name = bytes_of("name", b[at] % 5);
        r.is_draining = b[at + 3] & 0x40;
        records[g.n++] = r;
    }
    g.target = id_of(n % KNOWN);
    g.target_address = net_addr_v4(10, 0, 0, 9, 1);
    struct rpc_buf buf = {0};
    gossip_put(&buf, &g);
    REQUIRE(buf.n <= BODY_MAX);
    memcpy(out, buf.b, buf.n);
    n = buf.n;
    rpc_buf_fini(&buf);
    return n;
}

static void other(struct play *p, unsigned what)
{
    struct node_id id = id_of(what / 8 % KNOWN);
    struct net_addr addr = net_addr_v4(10, 2, 0, (uint8_t)what, 7946);
    switch (what % 8) {
    case 0:
        members_set_reachable(p->m, &id, true);
        break;
    case 1:
        members_set_reachable(p->m, &id, false);
        break;
    case 2:
        members_self_set(p->m, &addr, what & 64, p->now_ms);
        break;
    case 3:
        REQUIRE(members_forget(p->m, &id, p->now_ms) != OK || !members_find(p->m, &id));
        break;
    case 4:
        if (what > 200)
            members_leave(p->m, p->now_ms);
        break;
    default:
        break;
    }
}

static void step(struct play *p, enum step kind, const uint8_t *b, uint32_t n)
{
    uint8_t body[BODY_MAX + 64];
    struct net_addr from = net_addr_v4(10, 0, 0, 1, 7946);
    struct node_id sender = id_of(1);
    struct member_self peer = self_of(n ? 1 + b[0] % (KNOWN - 1) : 1);
    memcpy(body, b, n);
    switch (kind) {
    case STEP_RAW:
        members_on_datagram(p->m, &from, bytes_of(b, n), p->now_ms);
        break;
    case STEP_DATAGRAM:
        members_on_datagram(p->m, &from, bytes_of(body, let_in(p, body, n, false)), p->now_ms);
        break;
    case STEP_RECORD:
        members_on_datagram(p->m, &from, bytes_of(body, records_put(p, body, b, n)), p->now_ms);
        break;
    case STEP_STATE:
        if (!members_push_pull_merge(p->m, &sender, bytes_of(body, let_in(p, body, n, true)), p->now_ms))
            return;
        break;
    case STEP_TICK:
        for (uint32_t i = 0; i < n && i < 20; i++) {
            p->now_ms += (uint64_t)b[i] * b[i];
            members_tick(p->m, p->now_ms);
        }
        break;
    case STEP_CONTACT:
        peer.epoch = n > 1 ? 1 + b[1] % 12 : 5;
        members_on_contact(p->m, &peer, p->now_ms);
        break;
    case STEP_OTHER:
    case STEP_KINDS:
        other(p, n ? b[0] : 0);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct members_conf conf;
    struct member_self self = self_of(0);
    struct play p = {.arena = rpc_arena_new(), .now_ms = 1000};
    members_conf_default(&conf);
    p.m = members_new(&conf, &self, 1, p.now_ms, NULL);
    p.cluster = cluster_of(&p);
    for (unsigned i = 0; i < STEPS_MAX && n >= 2; i++) {
        uint32_t len = data[1] < 240 ? data[1] : (uint32_t)(data[1] - 239) * 256;
        len = len < n - 2 ? len : (uint32_t)(n - 2);
        step(&p, (enum step)(data[0] % STEP_KINDS), data + 2, len);
        check(&p);
        data += 2 + len;
        n -= 2 + len;
    }
    members_free(p.m);
    rpc_arena_free(p.arena);
    return 0;
}
