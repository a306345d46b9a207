/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/core/member_i.h"

#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

const char *member_state_name(enum member_state s)
{
    static const char *const names[] = {"alive", "suspect", "dead", "left"};
    return names[s];
}

void members_conf_default(struct members_conf *c)
{
    *c = (struct members_conf){.probe_interval_ms = 1000,
                               .probe_timeout_ms = 400,
                               .indirect_probes = 3,
                               .suspicion_mult = 4,
                               .suspicion_max_mult = 6,
                               .gossip_interval_ms = 200,
                               .gossip_nodes = 3,
                               .retransmit_mult = 4,
                               .push_pull_ms = 30000,
                               .reclaim_ms = 86400000,
                               .awareness_max = 8};
}

/* ---- life ----------------------------------------------------------------------------------------- */

struct members *members_new(const struct members_conf *conf, const struct member_self *self, uint64_t seed,
                            uint64_t now_ms, struct log_sink *log)
{
    struct members *m = mem_zalloc(sizeof *m);
    m->conf = *conf;
    m->log = log;
    m->now_ms = m->tick_ms = now_ms;
    m->random = hash_u64(seed, 11) | 1;
    m->v = mem_zalloc(MEMBERS_MAX * sizeof *m->v);
    m->arena = rpc_arena_new();
    memcpy(m->cluster, self->cluster, sizeof m->cluster);
    m->cluster_hash = hash_bytes(m->cluster, strlen(m->cluster), 0x636c7573746572);
    struct entry *e = &m->v[m->n++];
    e->pub = (struct member){
        .id = self->id, .epoch = self->epoch, .addr = self->addr, .since_ms = now_ms, .why = "this node"};
    memcpy(e->pub.name, self->name, sizeof e->pub.name);
    e->pub.is_draining = self->is_draining;
    e->gossip_left = gossip_limit(m);
    m->gossip_ms = now_ms + conf->gossip_interval_ms;
    return m;
}

void members_free(struct members *m)
{
    if (!m)
        return;
    rpc_arena_free(m->arena);
    rpc_buf_fini(&m->buf);
    free(m->v);
    free(m->out);
    free(m->events);
    free(m);
}

uint64_t members_random(struct members *m, uint64_t below)
{
    uint64_t x = m->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    m->random = x;
    return (x * 0x2545F4914F6CDD1Dull >> 11) % below;
}

/* ---- the table ------------------------------------------------------------------------------------ */

struct entry *entry_find(struct members *m, const struct node_id *id)
{
    for (uint32_t i = 0; i < m->n; i++) {
        if (node_id_eq(&m->v[i].pub.id, id))
            return &m->v[i];
    }
    return NULL;
}

struct entry *entry_add(struct members *m, const struct node_id *id)
{
    if (m->n == MEMBERS_MAX) {
        LOG(m->log, LOG_ERROR, "cluster more than %d members", MEMBERS_MAX);
        return NULL;
    }
    struct entry *e = &m->v[m->n++];
    *e = (struct entry){.pub = {.id = *id, .since_ms = m->now_ms, .state = MEMBER_DEAD}};
    return e;
}

void entry_remove(struct members *m, struct entry *e)
{
    CHECK(e != m->v);
    *e = m->v[--m->n];
    m->order_n = m->order_at = 0;
}

void member_event_push(struct members *m, enum member_event_kind kind, const struct entry *e)
{
    if (m->events_at == m->events_n)
        m->events_at = m->events_n = 0;
    if (m->events_n == m->events_cap) {
        m->events_cap = m->events_cap ? m->events_cap * 2 : 16;
        m->events = mem_realloc(m->events, sizeof *m->events * m->events_cap);
    }
    m->events[m->events_n++] = (struct member_event){.kind = kind, .member = e->pub};
}

bool members_event_take(struct members *m, struct member_event *out)
{
    if (m->events_at == m->events_n)
        return false;
    *out = m->events[m->events_at++];
    return true;
}

static enum member_event_kind event_of(enum member_state from, enum member_state to)
{
    switch (to) {
    case MEMBER_ALIVE:
        return from == MEMBER_SUSPECT ? MEMBER_EVENT_ALIVE : MEMBER_EVENT_JOINED;
    case MEMBER_SUSPECT:
        return MEMBER_EVENT_SUSPECT;
    case MEMBER_DEAD:
        return MEMBER_EVENT_DEAD;
    case MEMBER_LEFT:
        return MEMBER_EVENT_LEFT;
    }
    return MEMBER_EVENT_UPDATED;
}

void entry_move(struct members *m, struct entry *e, enum member_state state, const char *why,
                const struct node_id *source)
{
    enum member_state from = e->pub.state;
    e->gossip_left = gossip_limit(m);
    if (from == state)
        return;
    e->pub.state = state;
    e->pub.since_ms = m->now_ms;
    e->pub.why = why;
    e->pub.source = source ? *source : (struct node_id){0};
    e->knock_ms = m->now_ms + KNOCK_MS;
    member_event_push(m, event_of(from, state), e);
}

struct entry *entry_random(struct members *m, const struct entry * not )
{
    uint32_t start = (uint32_t)members_random(m, m->n);
    for (uint32_t i = 0; i < m->n; i++) {
        struct entry *e = &m->v[(start + i) % m->n];
        if (e != m->v && e != not &&e->pub.state <= MEMBER_SUSPECT)
            return e;
    }
    return NULL;
}

/* ---- what others ask ------------------------------------------------------------------------------ */

const struct member *members_find(const struct members *m, const struct node_id *id)
{
    const struct entry *e = entry_find((struct members *)(uintptr_t)m, id);
    return e ? &e->pub : NULL;
}
const struct member *members_self(const struct members *m)
{
    return &m->v[0].pub;
}
uint32_t members_count(const struct members *m)
{
    return m->n;
}
const struct member *members_at(const struct members *m, uint32_t i)
{
    CHECK(i < m->n);
    return &m->v[i].pub;
}
uint32_t members_health(const struct members *m)
{
    return m->health;
}
void members_stats(const struct members *m, struct members_stats *out)
{
    *out = m->stats;
}

uint32_t members_alive_count(const struct members *m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->n; i++)
        n += m->v[i].pub.state <= MEMBER_SUSPECT;
    return n;
}

/* ---- what happens --------------------------------------------------------------------------------- */

void members_on_contact(struct members *m, const struct member_self *peer, uint64_t now_ms)
{
    m->now_ms = now_ms;
    struct entry *e = entry_find(m, &peer->id);
    bool is_new = !e || peer->epoch > e->pub.epoch;
    if (!e)
        e = entry_add(m, &peer->id);
    if (!e || peer->epoch < e->pub.epoch)
        return;
    bool differs = !net_addr_eq(&e->pub.addr, &peer->addr) || e->pub.epoch != peer->epoch ||
                   e->pub.is_draining != peer->is_draining || strcmp(e->pub.name, peer->name) != 0;
    e->pub.epoch = peer->epoch;
    e->pub.incarnation = is_new ? 0 : e->pub.incarnation;
    e->pub.addr = peer->addr;
    e->pub.is_draining = peer->is_draining;
    memcpy(e->pub.name, peer->name, sizeof e->pub.name);
    if (e->pub.state != MEMBER_ALIVE)
        entry_move(m, e, MEMBER_ALIVE, "linked", NULL);
    else if (differs)
        member_event_push(m, MEMBER_EVENT_UPDATED, e);
}

void members_set_reachable(struct members *m, const struct node_id *id, bool is_reachable)
{
    struct entry *e = entry_find(m, id);
    if (!e)
        return;
    if (e->is_reachable && !is_reachable)
        m->urgent = *id;
    e->is_reachable = is_reachable;
}

void members_self_set(struct members *m, const struct net_addr *addr, bool is_draining, uint64_t now_ms)
{
    m->now_ms = now_ms;
    m->v[0].pub.addr = *addr;
    m->v[0].pub.is_draining = is_draining;
    self_bump(m, m->v[0].pub.incarnation);
}

void members_leave(struct members *m, uint64_t now_ms)
{
    m->now_ms = now_ms;
    m->is_leaving = true;
    m->v[0].pub.state = MEMBER_LEFT;
    m->v[0].pub.why = "leaves";
    self_bump(m, m->v[0].pub.incarnation);
    /* Not by chance only: everybody is told at once. */
    for (uint32_t i = 1; i < m->n; i++)
        if (m->v[i].pub.state <= MEMBER_SUSPECT)
            datagram_send(m, GOSSIP_ONLY, 0, &m->v[i].pub.addr, &m->v[i], NULL);
}

static void forget(struct members *m, struct entry *e)
{
    member_event_push(m, MEMBER_EVENT_FORGOTTEN, e);
    entry_remove(m, e);
}

enum err members_forget(struct members *m, const struct node_id *id, uint64_t now_ms)
{
    struct entry *e = entry_find(m, id);
    m->now_ms = now_ms;
    if (!e)
        return ERR_NOTFOUND;
    if (e == m->v || e->pub.state <= MEMBER_SUSPECT)
        return ERR_EXISTS;
    uint32_t at = m->forgotten_next++ % FORGOTTEN_MAX;
    record_of(e, &m->forgotten[at].record);
    m->forgotten[at].record.state = GOSSIP_FORGOTTEN;
    m->forgotten[at].record.name.n = 0;
    m->forgotten[at].left = gossip_limit(m) * 2;
    forget(m, e);
    return OK;
}

static void reclaim_tick(struct members *m)
{
    for (uint32_t i = m->n; i-- > 1;) {
        struct entry *e = &m->v[i];
        if (e->pub.state > MEMBER_SUSPECT && m->now_ms - e->pub.since_ms >= m->conf.reclaim_ms)
            forget(m, e);
    }
}

void members_tick(struct members *m, uint64_t now_ms)
{
    uint64_t late_ms = now_ms - m->tick_ms;
    m->now_ms = m->tick_ms = now_ms;
    if (late_ms > STALL_MS) { /* what came meanwhile has to be read first */
        probe_cancel(m);
        suspects_postpone(m, late_ms);
        health_change(m, 1);
    }
    if (!m->is_leaving) {
        probe_tick(m);
        suspects_tick(m);
        knock_tick(m);
    }
    gossip_tick(m);
    reclaim_tick(m);
}

/* ---- in and out ----------------------------------------------------------------------------------- */

void members_on_datagram(struct members *m, const struct net_addr *from, struct bytes d, uint64_t now_ms)
{
    struct gossip g;
    m->now_ms = now_ms;
    m->stats.datagrams_received++;
    rpc_arena_reset(m->arena);
    if (!gossip_read(&g, d, m->arena) || g.kind == GOSSIP_STATE) {
        m->stats.datagrams_malformed++;
        return;
    }
    if (g.cluster != m->cluster_hash) {
        m->stats.datagrams_foreign++;
        return;
    }
    for (uint32_t i = 0; i < g.n; i++)
        record_merge(m, &g.records[i], MERGE_GOSSIP);
    switch (g.kind) {
    case GOSSIP_PING:
        probe_on_ping(m, from, &g);
        break;
    case GOSSIP_PING_REQ:
        probe_on_ping_req(m, from, &g);
        break;
    case GOSSIP_ACK:
        probe_on_ack(m, &g);
        break;
    case GOSSIP_NACK:
        probe_on_nack(m, &g);
        break;
    case GOSSIP_ONLY:
    case GOSSIP_STATE:
    case GOSSIP_KINDS:
        break;
    }
}

bool members_datagram_take(struct members *m, struct member_datagram *out)
{
    if (m->out_at == m->out_n) {
        m->out_at = m->out_n = 0;
        return false;
    }
    *out = m->out[m->out_at++];
    m->stats.datagrams_sent++;
    return true;
}

uint32_t members_push_pull_put(const struct members *m, uint8_t **buf, uint32_t *cap)
{
    struct gossip_record *records = mem_zalloc(m->n * sizeof *records);
    struct rpc_buf b = {*buf, 0, *cap};
    for (uint32_t i = 0; i < m->n; i++)
        record_of(&m->v[i], &records[i]);
    struct gossip g = {.cluster = m->cluster_hash,
                       .kind = GOSSIP_STATE,
                       .from = m->v[0].pub.id,
                       .records = records,
                       .n = m->n};
    gossip_put(&b, &g);
    free(records);
    *buf = b.b;
    *cap = b.cap;
    return b.n;
}

bool members_push_pull_merge(struct members *m, const struct node_id *from, struct bytes b, uint64_t now_ms)
{
    struct gossip g;
    m->now_ms = now_ms;
    rpc_arena_reset(m->arena);
    if (!gossip_read(&g, b, m->arena) || g.kind != GOSSIP_STATE || !node_id_eq(&g.from, from))
        return false;
    for (uint32_t i = 0; i < g.n; i++)
        record_merge(m, &g.records[i], MERGE_PUSH_PULL);
    return true;
}
