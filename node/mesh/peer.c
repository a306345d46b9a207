/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mesh/mesh_i.h"

#include "node/core/journal.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { REDIAL_PAUSE_MS = 100 };

/* What becomes of the other nodes: made known, linked, silent, dead, back, forgotten. */

const char *peer_name(const struct peer *p)
{
    return p->name[0] ? p->name : "?";
}

struct peer *peer_find(struct mesh *m, const struct node_id *id)
{
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        if (m->peers[i] && node_id_eq(&m->peers[i]->id, id))
            return m->peers[i];
    }
    return NULL;
}

struct peer *peer_get(struct mesh *m, const struct node_id *id)
{
    struct peer *p = peer_find(m, id);
    if (p)
        return p;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        if (m->peers[i])
            continue;
        p = m->peers[i] = mem_zalloc(sizeof *p);
        p->number = i;
        p->id = *id;
        m->view->ids[i] = *id;
        p->is_dead = true; /* until SWIM or a link says otherwise */
        p->slot = p->slot_load = SLOT_NONE;
        p->waits_end = &p->waits;
        p->link_ms = m->wall_ms;
        p->unlinked_ms = m->now_ms;
        p->dial_wait_ms = m->conf.redial_ms;
        link_init(&p->link, m->conf.ring_bytes_max);
        return p;
    }
    LOG(m->conf.log, LOG_ERROR, "cluster more than %d other nodes", PEERS_MAX);
    return NULL;
}

void peer_free(struct mesh *m, struct peer *p)
{
    m->peers[p->number] = NULL;
    forward_drop(p);
    link_fini(&p->link);
    free(p->runs);
    holds_free(p);
    free(p);
}

/* ---- for the question why a message has not arrived ----------------------------------------------- */

struct link_note {
    enum journal_what what;
    uint32_t peer;
    bool has_text;
    char text[JOURNAL_TEXT_MAX + 1];
};

static void on_link_note(struct shard *sh, void *arg)
{
    struct link_note *n = arg;
    journal_put_link(sh, n->what, n->peer, n->has_text ? n->text : NULL);
    free(n);
}

/* Into the journal of one shard, for those of a node are read together. text NULL: the event's own. */
static void journal_tell(struct mesh *m, const struct peer *p, enum journal_what what, const char *text)
{
    struct link_note *n = mem_zalloc(sizeof *n);
    n->what = what;
    n->peer = p->number;
    n->has_text = text != NULL;
    snprintf(n->text, sizeof n->text, "%s", text ? text : "");
    mesh_call(m, 0, on_link_note, free, n);
}

/* ---- who lives ------------------------------------------------------------------------------------ */

static void live_update(struct mesh *m)
{
    uint32_t n = 0;
    m->live[n++] = m->conf.id;
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        if (peer_is_live(m->peers[i]))
            m->live[n++] = m->peers[i]->id;
    }
    m->live_n = n;
    __atomic_store_n(&m->view->count, n - 1, __ATOMIC_RELEASE);
    ids_on_membership(m);
}

static void peer_live(struct mesh *m, struct peer *p)
{
    if (!p->is_dead)
        return;
    p->is_dead = false;
    __atomic_or_fetch(&m->view->live, 1ull << p->number, __ATOMIC_RELEASE);
    LOG(m->conf.log, LOG_NOTICE, "cluster member up node=%s", peer_name(p));
    live_update(m);
}

void peer_on_dead(struct mesh *m, struct peer *p, const char *why)
{
    if (p->is_dead)
        return;
    p->is_dead = true;
    __atomic_and_fetch(&m->view->live, ~(1ull << p->number), __ATOMIC_RELEASE);
    LOG(m->conf.log, LOG_WARNING, "cluster member down node=%s why=\"%s\"", peer_name(p), why);
    if (p->wire)
        wire_close(p->wire, "the member is dead");
    routes_sync_off(m, p);
    journal_tell(m, p, JOURNAL_NODE_GIVEN_UP, why);
    forward_give_up(m, p);
    /* What it did not take it will not miss: the next conversation begins anew. */
    link_fini(&p->link);
    link_init(&p->link, m->conf.ring_bytes_max);
    peer_room_update(m, p);
    p->runs_n = 0;
    p->life++;
    live_update(m);
    ids_on_dead(m, p);
    moves_on_dead(m, p);
}

/* ---- conversations -------------------------------------------------------------------------------- */

void peer_on_reset(struct mesh *m, struct peer *p)
{
    MESH_COUNT(m, LINK_RESETS);
    p->life++;
    p->runs_n = 0;
    routes_sync_start(m, p);
    forward_repeat(m, p);
    ids_on_reset(m, p);
    moves_on_reset(m, p);
    retained_on_reset(m, p);
    bans_on_reset(m, p);
    push_pull_send(m, p, RPC_PUSH_PULL);
    p->push_pull_ms = m->now_ms + m->conf.members.push_pull_ms;
}

/* A partition is never silent: who was away, for how long, and what applied meanwhile. */
static void partition_note(struct mesh *m, const struct peer *p)
{
    const struct member *mb = members_find(m->members, &p->id);
    uint64_t away_ms = m->now_ms - p->unlinked_ms;
    if (!mb || mb->state == MEMBER_LEFT || !p->epoch)
        return;
    m->partitions++;
    MESH_COUNT(m, PARTITIONS);
    snprintf(m->last_partition, sizeof m->last_partition,
             "%.48s came back after %llu s; both sides went on, the newer connection and the newer retained "
             "message win",
             peer_name(p), (unsigned long long)(away_ms / 1000));
    LOG(m->conf.log, LOG_WARNING, "cluster partition healed node=%s away_s=%llu policy=available",
        peer_name(p), (unsigned long long)(away_ms / 1000));
}

/* Something about the peer, to every shard. */
static void shards_tell(struct mesh *m, const struct peer *p, void (*fn)(struct shard *sh, void *node_id))
{
    for (uint32_t i = 0; i < m->shards_n; i++)
        mesh_call(m, i, fn, free, mem_dup(&p->id, sizeof p->id));
}

static const char *link_text(const struct peer *p, enum link_resume how)
{
    if (!p->was_linked)
        return "For the first time";
    if (p->is_dead)
        return "What was published for it while it was given up is lost";
    return how == LINK_RESET ? "It has started again: what waited with QoS 1 is sent again, the rest is lost"
                             : NULL;
}

void peer_on_link(struct mesh *m, struct peer *p, struct wire *w, enum link_resume how)
{
    bool is_same_life = p->epoch == w->peer_epoch;
    journal_tell(m, p, JOURNAL_LINK_UP, link_text(p, how));
    if (p->is_dead && p->was_linked && is_same_life)
        partition_note(m, p);
    p->wire = w;
    p->epoch = w->peer_epoch;
    p->version = w->version;
    p->features = w->features;
    p->was_linked = true;
    p->link_ms = m->wall_ms;
    p->dial_wait_ms = m->conf.redial_ms;
    shards_tell(m, p, peer_handoffs_wake);
    m->had_contact = true;
    peer_live(m, p);
    members_set_reachable(m->members, &p->id, true);
    LOG(m->conf.log, LOG_NOTICE, "cluster link up node=%s version=%u", peer_name(p), p->version);
}

void peer_on_unlink(struct mesh *m, struct peer *p, const char *why)
{
    p->wire = NULL;
    link_detach(&p->link);
    p->link_ms = m->wall_ms;
    /* When both sides called at once, the other side ended this connection for one whose greeting is on its
     * way: another call would end that one too, and so on. */
    p->unlinked_ms = m->now_ms;
    p->dial_ms = m->now_ms + REDIAL_PAUSE_MS;
    snprintf(p->link_why, sizeof p->link_why, "%s", why);
    members_set_reachable(m->members, &p->id, false);
    journal_tell(m, p, JOURNAL_LINK_DOWN, why);
    LOG(m->conf.log, LOG_NOTICE, "cluster link down node=%s why=\"%s\"", peer_name(p), why);
}

void peer_mark_dirty(struct mesh *m, struct peer *p)
{
    if (p->wire && list_is_empty(&p->wire->dirty_link))
        list_push(&m->dirty, &p->wire->dirty_link);
}

void peer_send(struct mesh *m, struct peer *p, enum rpc_op op, struct bytes body)
{
    if (!peer_is_live(p))
        return;
    struct frame_buf *f = frame_buf_new(body.n);
    bytes_put(frame_buf_body(f), body);
    frame_buf_seal(f, op, body.n);
    link_push(&p->link, f);
    peer_mark_dirty(m, p);
}

/* ---- full and congested links --------------------------------------------------------------------- */

static void on_room(struct shard *sh, void *arg)
{
    (void)arg;
    forward_resume(sh);
}

void peer_room_update(struct mesh *m, struct peer *p)
{
    enum link_room room = p->is_dead ? LINK_OPEN : link_room(&p->link);
    uint64_t bit = 1ull << p->number;
    if (room == p->room)
        return;
    if (room == LINK_OPEN)
        __atomic_and_fetch(&m->view->congested, ~bit, __ATOMIC_RELEASE);
    else
        __atomic_or_fetch(&m->view->congested, bit, __ATOMIC_RELEASE);
    if (room == LINK_FULL)
        __atomic_or_fetch(&m->view->full, bit, __ATOMIC_RELEASE);
    else
        __atomic_and_fetch(&m->view->full, ~bit, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < m->shards_n && room == LINK_OPEN; i++)
        mesh_call(m, i, on_room, NULL, NULL);
    p->room = (uint8_t)room;
}

/* ---- what SWIM says ------------------------------------------------------------------------------- */

static void peer_take_attributes(struct peer *p, const struct member *mb)
{
    p->addr = mb->addr;
    memcpy(p->name, mb->name, sizeof p->name);
}

static void on_event(struct mesh *m, const struct member_event *e)
{
    if (node_id_eq(&e->member.id, &m->conf.id))
        return;
    struct peer *p = peer_get(m, &e->member.id);
    if (!p)
        return;
    peer_take_attributes(p, &e->member);
    switch (e->kind) {
    case MEMBER_EVENT_JOINED:
    case MEMBER_EVENT_UPDATED:
        p->dial_ms = m->now_ms;
        break;
    case MEMBER_EVENT_SUSPECT:
        LOG(m->conf.log, LOG_NOTICE, "cluster member suspect node=%s why=\"%s\"", peer_name(p),
            e->member.why ? e->member.why : "");
        break;
    case MEMBER_EVENT_ALIVE:
        break;
    case MEMBER_EVENT_DEAD:
        peer_on_dead(m, p, e->member.why ? e->member.why : "dead");
        break;
    case MEMBER_EVENT_LEFT:
        peer_on_dead(m, p, "left");
        break;
    case MEMBER_EVENT_FORGOTTEN:
        peer_on_dead(m, p, "forgotten");
        retained_on_forgotten(m, p);
        shards_tell(m, p, peer_handoffs_forget);
        peer_free(m, p);
        break;
    }
}

void peers_work_events(struct mesh *m)
{
    struct member_event e;
    while (members_event_take(m->members, &e))
        on_event(m, &e);
}
