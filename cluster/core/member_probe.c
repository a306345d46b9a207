/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/core/member_i.h"

/* The failure detector (SWIM 3.1, 4.3): one member after the other is pinged, in a random order that visits
 * each once a round; who does not answer is pinged through others. How well we ourselves hear, Lifeguard's
 * local health, stretches our patience (Lifeguard IV-A). */

void health_change(struct members *m, int by)
{
    uint32_t max = m->conf.awareness_max ? m->conf.awareness_max - 1 : 0;
    if (by > 0)
        m->health = m->health + (uint32_t)by > max ? max : m->health + (uint32_t)by;
    else if (m->health)
        m->health--;
}

static uint64_t stretched(const struct members *m, uint32_t ms)
{
    return (uint64_t)ms * (m->health + 1);
}

/* ---- whose turn it is ----------------------------------------------------------------------------- */

static void order_shuffle(struct members *m)
{
    m->order_n = m->order_at = 0;
    for (uint32_t i = 1; i < m->n; i++) {
        if (m->v[i].pub.state <= MEMBER_SUSPECT)
            m->order[m->order_n++] = i;
    }
    for (uint32_t i = m->order_n; i > 1; i--) {
        uint32_t k = (uint32_t)members_random(m, i), t = m->order[i - 1];
        m->order[i - 1] = m->order[k];
        m->order[k] = t;
    }
}

static struct entry *next_target(struct members *m)
{
    struct entry *urgent = node_id_is_zero(&m->urgent) ? NULL : entry_find(m, &m->urgent);
    m->urgent = (struct node_id){0};
    if (urgent && urgent->pub.state <= MEMBER_SUSPECT)
        return urgent;
    for (unsigned round = 0; round < 2; round++) {
        while (m->order_at < m->order_n) {
            struct entry *e = &m->v[m->order[m->order_at++]];
            if (e < m->v + m->n && e->pub.state <= MEMBER_SUSPECT)
                return e;
        }
        order_shuffle(m);
    }
    return NULL;
}

/* ---- a probe -------------------------------------------------------------------------------------- */

void probe_cancel(struct members *m)
{
    m->probe.is_on = false;
}

static void probe_start(struct members *m)
{
    struct entry *e = next_target(m);
    if (!e)
        return;
    m->stats.probes++;
    m->probe = (struct probe){.is_on = true,
                              .seq = ++m->seq,
                              .target = e->pub.id,
                              .start_ms = m->now_ms,
                              .timeout_ms = m->now_ms + stretched(m, m->conf.probe_timeout_ms),
                              .end_ms = m->now_ms + stretched(m, m->conf.probe_interval_ms)};
    datagram_send(m, GOSSIP_PING, m->probe.seq, &e->pub.addr, e, NULL);
}

static void probe_indirectly(struct members *m, struct entry *target)
{
    struct entry *asked[8];
    uint32_t max = m->conf.indirect_probes < 8 ? m->conf.indirect_probes : 8;
    m->probe.is_indirect = true;
    for (uint32_t tries = 0; tries < max * 4 && m->probe.asked < max; tries++) {
        struct entry *e = entry_random(m, target);
        bool is_again = !e;
        for (uint32_t i = 0; i < m->probe.asked; i++)
            is_again |= asked[i] == e;
        if (is_again)
            continue;
        asked[m->probe.asked++] = e;
        datagram_send(m, GOSSIP_PING_REQ, m->probe.seq, &e->pub.addr, e, target);
    }
}

static void probe_failed(struct members *m, struct entry *target)
{
    m->stats.probes_failed++;
    /* Those who were asked and did not even say that they had no answer: we may be the deaf one. */
    uint32_t silent = m->probe.asked > m->probe.nacks ? m->probe.asked - m->probe.nacks : 0;
    health_change(m, m->probe.asked ? (int)silent : 1);
    if (target->pub.state == MEMBER_SUSPECT)
        suspect_confirm(m, target, &m->v[0].pub.id);
    else
        suspect_begin(m, target, &m->v[0].pub.id, "probe failed");
}

static void probe_end(struct members *m)
{
    struct entry *target = entry_find(m, &m->probe.target);
    m->probe.is_on = false;
    if (!target || target->pub.state > MEMBER_SUSPECT)
        return;
    if (m->probe.is_acked || target->is_reachable) /* a live link has pings of its own */
        health_change(m, -1);
    else
        probe_failed(m, target);
}

static void relays_tick(struct members *m)
{
    for (uint32_t i = 0; i < RELAYS_MAX; i++) {
        struct relay *r = &m->relays[i];
        if (!r->is_on || m->now_ms < r->nack_ms)
            continue;
        r->is_on = false;
        datagram_send(m, GOSSIP_NACK, r->their_seq, &r->to, NULL, entry_find(m, &r->target));
    }
}

void probe_tick(struct members *m)
{
    struct probe *p = &m->probe;
    relays_tick(m);
    if (p->is_on && !p->is_acked && !p->is_indirect && m->now_ms >= p->timeout_ms) {
        struct entry *target = entry_find(m, &p->target);
        if (target && !target->is_reachable)
            probe_indirectly(m, target);
    }
    bool is_urgent = !node_id_is_zero(&m->urgent);
    if (p->is_on && (m->now_ms >= p->end_ms || (is_urgent && p->is_acked)))
        probe_end(m);
    if (!p->is_on && (m->now_ms >= p->end_ms || is_urgent))
        probe_start(m);
}

/* ---- what comes ----------------------------------------------------------------------------------- */

void probe_on_ping(struct members *m, const struct net_addr *from, const struct gossip *g)
{
    datagram_send(m, GOSSIP_ACK, g->seq, from, entry_find(m, &g->from), NULL);
}

void probe_on_ping_req(struct members *m, const struct net_addr *from, const struct gossip *g)
{
    struct entry *target = entry_find(m, &g->target);
    if (!target)
        return;
    struct relay *r = &m->relays[m->relay_next++ % RELAYS_MAX];
    *r = (struct relay){.is_on = true,
                        .seq = ++m->seq,
                        .their_seq = g->seq,
                        .to = *from,
                        .target = g->target,
                        .nack_ms = m->now_ms + m->conf.probe_timeout_ms * 4 / 5};
    datagram_send(m, GOSSIP_PING, r->seq, &target->pub.addr, target, NULL);
}

void probe_on_ack(struct members *m, const struct gossip *g)
{
    if (m->probe.is_on && g->seq == m->probe.seq) {
        m->probe.is_acked = true;
        return;
    }
    for (uint32_t i = 0; i < RELAYS_MAX; i++) {
        struct relay *r = &m->relays[i];
        if (!r->is_on || r->seq != g->seq)
            continue;
        r->is_on = false;
        datagram_send(m, GOSSIP_ACK, r->their_seq, &r->to, NULL, NULL);
    }
}

void probe_on_nack(struct members *m, const struct gossip *g)
{
    if (m->probe.is_on && g->seq == m->probe.seq)
        m->probe.nacks++;
}

/* Dead members are asked now and then, so that a partition heals by itself. */
void knock_tick(struct members *m)
{
    for (uint32_t i = 1; i < m->n; i++) {
        struct entry *e = &m->v[i];
        if (e->pub.state != MEMBER_DEAD || m->now_ms < e->knock_ms)
            continue;
        e->knock_ms = m->now_ms + KNOCK_MS;
        datagram_send(m, GOSSIP_PING, ++m->seq, &e->pub.addr, e, NULL);
    }
}
