/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/core/member_i.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <math.h>
#include <stdlib.h>

/* Rumours ride on every datagram and go round by themselves (SWIM 4.1). A rumour is what the table says of a
 * member now; each is sent a number of times, the least sent first. */

uint32_t gossip_limit(const struct members *m)
{
    return m->conf.retransmit_mult * (uint32_t)ceil(log10(m->n + 1.0));
}

struct filling {
    struct gossip_record records[MEMBERS_MAX];
    uint32_t n;
    uint32_t room;
};

static bool fill(struct filling *f, const struct gossip_record *r)
{
    uint32_t size = gossip_record_size(r);
    if (size > f->room || f->n == MEMBERS_MAX)
        return false;
    f->room -= size;
    f->records[f->n++] = *r;
    return true;
}

static void fill_entry(struct members *m, struct filling *f, struct entry *e)
{
    struct gossip_record r;
    e->filling = m->filling;
    record_of(e, &r);
    if (fill(f, &r))
        e->gossip_left--;
}

static void fill_rumours(struct members *m, struct filling *f, const struct entry *first)
{
    uint32_t limit = gossip_limit(m);
    m->filling++;
    for (uint32_t left = limit; left; left--) {
        for (uint32_t i = 0; i < m->n; i++) {
            struct entry *e = &m->v[i];
            if (e->gossip_left > limit)
                e->gossip_left = limit;
            if (e->gossip_left == left && e != first && e->filling != m->filling)
                fill_entry(m, f, e);
        }
    }
    for (uint32_t i = 0; i < FORGOTTEN_MAX; i++)
        if (m->forgotten[i].left && fill(f, &m->forgotten[i].record))
            m->forgotten[i].left--;
}

static void out_push(struct members *m, const struct net_addr *to, struct bytes b)
{
    CHECK(b.n <= MEMBER_DATAGRAM_MAX);
    if (m->out_n == m->out_cap) {
        m->out_cap = m->out_cap ? m->out_cap * 2 : 16;
        m->out = mem_realloc(m->out, sizeof *m->out * m->out_cap);
    }
    struct member_datagram *d = &m->out[m->out_n++];
    d->to = *to;
    d->n = b.n;
    memcpy(d->b, b.p, b.n);
}

void datagram_send(struct members *m, enum gossip_kind kind, uint32_t seq, const struct net_addr *to,
                   const struct entry *for_member, const struct entry *target)
{
    struct filling *f = mem_alloc(sizeof *f);
    f->n = 0;
    f->room = MEMBER_DATAGRAM_MAX - GOSSIP_HEAD_MAX;
    /* Who is suspected hears of it first, and can say that it lives (Lifeguard IV-C). */
    if (for_member && for_member->pub.state >= MEMBER_SUSPECT && for_member->pub.state <= MEMBER_DEAD) {
        struct gossip_record r;
        record_of(for_member, &r);
        fill(f, &r);
    }
    fill_rumours(m, f, for_member);
    struct gossip g = {.cluster = m->cluster_hash,
                       .kind = kind,
                       .seq = seq,
                       .from = m->v[0].pub.id,
                       .records = f->records,
                       .n = f->n};
    if (target) {
        g.target = target->pub.id;
        g.target_address = target->pub.addr;
    }
    rpc_buf_reset(&m->buf);
    gossip_put(&m->buf, &g);
    out_push(m, to, rpc_buf_bytes(&m->buf));
    free(f);
}

static bool has_rumours(const struct members *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (m->v[i].gossip_left)
            return true;
    for (uint32_t i = 0; i < FORGOTTEN_MAX; i++)
        if (m->forgotten[i].left)
            return true;
    return false;
}

void gossip_tick(struct members *m)
{
    if (m->now_ms < m->gossip_ms)
        return;
    m->gossip_ms = m->now_ms + m->conf.gossip_interval_ms;
    for (uint32_t i = 0; i < m->conf.gossip_nodes && has_rumours(m); i++) {
        struct entry *e = entry_random(m, NULL);
        if (e)
            datagram_send(m, GOSSIP_ONLY, 0, &e->pub.addr, e, NULL);
    }
}
