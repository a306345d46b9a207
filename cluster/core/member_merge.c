/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/core/member_i.h"

#include "proto/base/check.h"

#include <stdio.h>

/* What others say of a member against what is known of it (SWIM 4.2). A life of a node is its epoch: a higher
 * one wins over all that is known of a lower one. Within a life the incarnation, which only the member itself
 * raises, orders what is said; at the same one bad news wins over good news. */

void record_of(const struct entry *e, struct gossip_record *r)
{
    const struct member *p = &e->pub;
    *r = (struct gossip_record){.id = p->id,
                                .epoch = p->epoch,
                                .incarnation = p->incarnation,
                                .state = (enum gossip_state)p->state,
                                .address = p->addr,
                                .name = bytes_str(p->name),
                                .is_draining = p->is_draining};
    /* One accuser at a time, another one each time that it is told: the others count them (Lifeguard IV-B).
     */
    if (p->state == MEMBER_SUSPECT && e->suspicion.n)
        r->source = e->suspicion.by[e->gossip_left % e->suspicion.n];
}

void self_bump(struct members *m, uint32_t above)
{
    struct entry *self = m->v;
    self->pub.incarnation = above + 1;
    self->gossip_left = gossip_limit(m);
}

/* Somebody thinks us dead: a higher incarnation says that we are not (SWIM 4.2, refutation). */
static void merge_self(struct members *m, const struct gossip_record *r)
{
    const struct member *self = &m->v[0].pub;
    if (r->epoch > self->epoch) {
        LOG(m->log, LOG_ERROR, "cluster another node has the id of this one: was a data directory copied?");
        return;
    }
    if (r->epoch < self->epoch || r->incarnation < self->incarnation || r->state == GOSSIP_ALIVE ||
        m->is_leaving)
        return;
    m->stats.refutations++;
    self_bump(m, r->incarnation);
    health_change(m, 1);
}

static void take_attributes(struct members *m, struct entry *e, const struct gossip_record *r)
{
    bool differs = !net_addr_eq(&e->pub.addr, &r->address) || e->pub.is_draining != r->is_draining ||
                   e->pub.epoch != r->epoch || !bytes_eq(bytes_str(e->pub.name), r->name);
    e->pub.epoch = r->epoch;
    e->pub.incarnation = r->incarnation;
    e->pub.addr = r->address;
    e->pub.is_draining = r->is_draining;
    snprintf(e->pub.name, sizeof e->pub.name, "%.*s", (int)r->name.n, (const char *)r->name.p);
    if (differs && e->pub.state <= MEMBER_SUSPECT)
        member_event_push(m, MEMBER_EVENT_UPDATED, e);
    e->gossip_left = gossip_limit(m);
}

static void merge_alive(struct members *m, struct entry *e, const struct gossip_record *r, bool is_newer_life)
{
    if (!is_newer_life && (r->incarnation <= e->pub.incarnation || e->pub.state == MEMBER_LEFT))
        return;
    take_attributes(m, e, r);
    entry_move(m, e, MEMBER_ALIVE, is_newer_life ? "joined" : "refuted", NULL);
}

/* What is said against a member to which we have a live link is for itself to refute. */
static bool is_seen_alive(struct members *m, struct entry *e, const struct gossip_record *r)
{
    if (!e->is_reachable)
        return false;
    if (r->incarnation >= e->pub.incarnation) {
        struct entry accused = *e;
        accused.pub.incarnation = r->incarnation;
        accused.pub.state = MEMBER_SUSPECT;
        datagram_send(m, GOSSIP_ONLY, 0, &e->pub.addr, &accused, NULL);
    }
    return true;
}

static void merge_suspect(struct members *m, struct entry *e, const struct gossip_record *r)
{
    if (r->incarnation < e->pub.incarnation || e->pub.state > MEMBER_SUSPECT || is_seen_alive(m, e, r))
        return;
    const struct node_id *by = node_id_is_zero(&r->source) ? NULL : &r->source;
    e->pub.incarnation = r->incarnation;
    if (e->pub.state == MEMBER_SUSPECT)
        suspect_confirm(m, e, by);
    else
        suspect_begin(m, e, by, "suspected by another");
}

static void merge_dead(struct members *m, struct entry *e, const struct gossip_record *r, enum merge_how how)
{
    if (r->incarnation < e->pub.incarnation || e->pub.state > MEMBER_SUSPECT || is_seen_alive(m, e, r))
        return;
    if (how == MERGE_PUSH_PULL) { /* perhaps old: it gets the time to say that it lives */
        merge_suspect(m, e, r);
        return;
    }
    e->pub.incarnation = r->incarnation;
    entry_move(m, e, MEMBER_DEAD, "said to be dead", NULL);
}

static void merge_left(struct members *m, struct entry *e, const struct gossip_record *r)
{
    if (r->incarnation < e->pub.incarnation || e->pub.state == MEMBER_LEFT)
        return;
    e->pub.incarnation = r->incarnation;
    entry_move(m, e, MEMBER_LEFT, "left", NULL);
}

static void merge_forgotten(struct members *m, struct entry *e, const struct gossip_record *r)
{
    if (e->pub.state <= MEMBER_SUSPECT || r->epoch < e->pub.epoch)
        return;
    enum err e2 = members_forget(m, &r->id, m->now_ms);
    CHECK(e2 == OK); /* it is there, and does not live */
}

static void merge_known(struct members *m, struct entry *e, const struct gossip_record *r, enum merge_how how)
{
    bool is_newer_life = r->epoch > e->pub.epoch;
    if (r->epoch < e->pub.epoch)
        return;
    if (is_newer_life && r->state == GOSSIP_SUSPECT) /* it is new to us, and in doubt */
        merge_alive(m, e, r, true);
    switch (r->state) {
    case GOSSIP_ALIVE:
        merge_alive(m, e, r, is_newer_life);
        break;
    case GOSSIP_SUSPECT:
        merge_suspect(m, e, r);
        break;
    case GOSSIP_DEAD:
        merge_dead(m, e, r, how);
        break;
    case GOSSIP_LEFT:
        merge_left(m, e, r);
        break;
    case GOSSIP_FORGOTTEN:
        merge_forgotten(m, e, r);
        break;
    case GOSSIP_STATES:
        break;
    }
}

void record_merge(struct members *m, const struct gossip_record *r, enum merge_how how)
{
    if (node_id_eq(&r->id, &m->v[0].pub.id)) {
        merge_self(m, r);
        return;
    }
    struct entry *e = entry_find(m, &r->id);
    if (!e) {
        if (r->state > GOSSIP_SUSPECT) /* never heard of it, and it is gone */
            return;
        e = entry_add(m, &r->id);
        if (!e)
            return;
    }
    merge_known(m, e, r, how);
}
