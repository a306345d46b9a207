/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/core/member_i.h"

#include <math.h>

/* Suspicion (SWIM 4.2) whose time shrinks as independent members confirm it (Lifeguard IV-B). */

/* max - (max - min) x log(c + 1) / log(k + 1), at least min; c confirmations beyond the first, k of them
 * expected. */
uint64_t suspicion_ms(const struct members *m, uint32_t confirmations)
{
    const struct members_conf *c = &m->conf;
    double n = members_alive_count(m), nodes = log10(n < 1 ? 1 : n);
    double min = c->suspicion_mult * (nodes > 1 ? nodes : 1) * c->probe_interval_ms;
    double max = min * c->suspicion_max_mult;
    double k = c->suspicion_mult > 2 ? c->suspicion_mult - 2.0 : 0;
    if (n - 2 < k || k < 1) /* too few others to confirm it */
        return (uint64_t)min;
    double ms = max - (max - min) * log(confirmations + 1.0) / log(k + 1.0);
    return (uint64_t)(ms > min ? ms : min);
}

static bool has_accused(const struct suspicion *s, const struct node_id *by)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (node_id_eq(&s->by[i], by))
            return true;
    }
    return false;
}

void suspect_begin(struct members *m, struct entry *e, const struct node_id *by, const char *why)
{
    e->suspicion = (struct suspicion){.start_ms = m->now_ms};
    if (by)
        e->suspicion.by[e->suspicion.n++] = *by;
    entry_move(m, e, MEMBER_SUSPECT, why, by);
}

void suspect_confirm(struct members *m, struct entry *e, const struct node_id *by)
{
    struct suspicion *s = &e->suspicion;
    if (!by || s->n == CONFIRMATIONS_MAX || has_accused(s, by))
        return;
    s->by[s->n++] = *by;
    e->gossip_left = gossip_limit(m); /* news that makes the others faster */
}

void suspects_postpone(struct members *m, uint64_t ms)
{
    for (uint32_t i = 1; i < m->n; i++)
        m->v[i].suspicion.start_ms += ms;
}

void suspects_tick(struct members *m)
{
    for (uint32_t i = 1; i < m->n; i++) {
        struct entry *e = &m->v[i];
        if (e->pub.state != MEMBER_SUSPECT)
            continue;
        if (e->is_reachable) { /* it has come back by itself */
            entry_move(m, e, MEMBER_ALIVE, "linked", NULL);
            continue;
        }
        uint32_t confirmations = e->suspicion.n > 1 ? e->suspicion.n - 1 : 0;
        if (m->now_ms >= e->suspicion.start_ms + suspicion_ms(m, confirmations))
            entry_move(m, e, MEMBER_DEAD, "suspicion timed out", NULL);
    }
}
