/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mesh/mesh_i.h"

#include "proto/base/mem.h"

#include <stdlib.h>

/* Whom to call, and when: members without a link, and the addresses of the configuration where nobody is
 * known yet. The node with the smaller id calls; the other one does too when that takes too long. */

enum { DIAL_WAIT_MAX_MS = 10000, CALLED_MS = 2000, KNOCK_MS = 10000, ALONE_MS = 10000, ATTEMPT_MS = 5000 };

struct seed {
    struct net_addr addr;
    bool is_self;
    uint64_t next_ms;
    uint32_t wait_ms;
};

static bool is_member_at(struct mesh *m, const struct net_addr *a)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        if (m->peers[i] && m->peers[i]->was_linked && net_addr_eq(&m->peers[i]->addr, a))
            return true;
    }
    return net_addr_eq(&members_self(m->members)->addr, a);
}

void mesh_seeds_set(struct mesh *m, const struct net_addr *v, uint32_t n)
{
    struct seed *seeds = mem_zalloc(sizeof *seeds * (n + 1));
    for (uint32_t i = 0; i < n; i++) {
        seeds[i] = (struct seed){.addr = v[i], .wait_ms = m->conf.redial_ms, .next_ms = m->now_ms};
        for (uint32_t k = 0; k < m->seeds_n; k++)
            if (net_addr_eq(&m->seeds[k].addr, &v[i]))
                seeds[i] = m->seeds[k];
    }
    free(m->seeds);
    m->seeds = seeds;
    m->seeds_n = n;
}

void mesh_join(struct mesh *m, const struct net_addr *seed)
{
    struct net_addr *v = mem_zalloc(sizeof *v * (m->seeds_n + 1));
    for (uint32_t i = 0; i < m->seeds_n; i++)
        v[i] = m->seeds[i].addr;
    v[m->seeds_n] = *seed;
    mesh_seeds_set(m, v, m->seeds_n + 1);
    free(v);
}

void dial_fini(struct mesh *m)
{
    free(m->seeds);
    m->seeds = NULL;
}

void dial_on_self(struct mesh *m, const struct net_addr *a)
{
    for (uint32_t i = 0; i < m->seeds_n; i++)
        if (net_addr_eq(&m->seeds[i].addr, a))
            m->seeds[i].is_self = true;
}

/* Are there addresses of other nodes, whether they answer or not? */
bool dial_has_others(const struct mesh *m)
{
    for (uint32_t i = 0; i < m->seeds_n; i++)
        if (!m->seeds[i].is_self && !net_addr_eq(&m->seeds[i].addr, &members_self(m->members)->addr))
            return true;
    return false;
}

bool mesh_wants_seeds(const struct mesh *m)
{
    if (m->view->count == 0)
        return true;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        if (m->peers[i] && m->peers[i]->is_dead)
            return true;
    return false;
}

static bool seed_take(struct mesh *m, struct net_addr *to)
{
    for (uint32_t i = 0; i < m->seeds_n; i++) {
        struct seed *s = &m->seeds[i];
        if (s->is_self || m->now_ms < s->next_ms || is_member_at(m, &s->addr))
            continue;
        s->next_ms = m->now_ms + ATTEMPT_MS; /* unless the attempt fails earlier */
        *to = s->addr;
        return true;
    }
    return false;
}

static bool peer_is_due(const struct mesh *m, const struct peer *p)
{
    const struct member *mb = members_find(m->members, &p->id);
    if (p->wire || !p->addr.port || m->now_ms < p->dial_ms || !mb || mb->state == MEMBER_LEFT)
        return false;
    bool is_caller = node_id_cmp(&m->conf.id, &p->id) < 0;
    return is_caller || m->now_ms - p->unlinked_ms >= CALLED_MS;
}

bool mesh_dial_take(struct mesh *m, struct net_addr *to)
{
    if (m->is_leaving)
        return false;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *p = m->peers[i];
        if (!p || !peer_is_due(m, p))
            continue;
        p->dial_ms = m->now_ms + ATTEMPT_MS;
        *to = p->addr;
        return true;
    }
    return seed_take(m, to);
}

static uint32_t wait_longer(uint32_t *wait_ms)
{
    uint32_t wait = *wait_ms;
    *wait_ms = wait * 2 < DIAL_WAIT_MAX_MS ? wait * 2 : DIAL_WAIT_MAX_MS;
    return wait;
}

void mesh_on_dial_failed(struct mesh *m, const struct net_addr *to)
{
    for (uint32_t i = 0; i < m->seeds_n; i++)
        if (net_addr_eq(&m->seeds[i].addr, to))
            m->seeds[i].next_ms = m->now_ms + wait_longer(&m->seeds[i].wait_ms);
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *p = m->peers[i];
        if (!p || p->wire || !net_addr_eq(&p->addr, to))
            continue;
        p->dial_ms = m->now_ms + (p->is_dead ? KNOCK_MS : wait_longer(&p->dial_wait_ms));
    }
}

/* ---- ready ---------------------------------------------------------------------------------------- */

bool mesh_is_ready(const struct mesh *m)
{
    if (m->is_leaving)
        return false;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        const struct peer *p = m->peers[i];
        if (peer_is_reachable(p) && !p->take.is_complete)
            return false;
    }
    return m->had_contact || !dial_has_others(m) || m->now_ms - m->start_ms >= ALONE_MS;
}
