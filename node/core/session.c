/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/session.h"

#include "node/core/client_events.h"
#include "node/core/conn_i.h"
#include "node/core/delayed.h"
#include "node/core/publish_out.h"
#include "node/core/retained.h"
#include "node/core/rewrite.h"
#include "node/core/note.h"
#include "node/core/shard_i.h"
#include "node/core/subscribe.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

static uint32_t id_hash(const struct shard *sh, struct bytes id)
{
    return (uint32_t)hash_bytes(id.p, id.n, sh->node->conf.seed);
}

struct session *session_find(struct shard *sh, struct bytes id)
{
    uint32_t h = id_hash(sh, id), at = 0;
    struct ptrslots *slots = ptrtab_slots(&sh->sessions);
    struct session *s;
    while ((s = ptrslots_probe(slots, h, &at))) {
        if (bytes_eq(session_id(s), id))
            return s;
    }
    return NULL;
}

struct session *session_new(struct shard *sh, struct bytes id, uint64_t number)
{
    struct session *s = mem_zalloc(sizeof *s + id.n + 1);
    s->shard = sh;
    s->hash = id_hash(sh, id);
    s->number = number ? number : sh->session_next++ * NODE_SHARDS_MAX + sh->number;
    s->created_ms = s->since_ms = sh->wall_ms;
    s->id_n = (uint16_t)id.n;
    bytes_put((uint8_t *)s->id, id);
    s->inflight_max = sh->settings->inflight_max;
    wheel_timer_init(&s->timer);
    list_init(&s->dirty_link);
    ptrtab_add(&sh->sessions, s);
    return s;
}

static void ring_drop_pendings(struct ring *r)
{
    for (uint64_t i = r->first; i < r->end; i++)
        pending_drop(ring_at(r, i)->pending);
}

void session_free(struct session *s)
{
    if (s->q) {
        ring_drop_pendings(&s->q->win);
        ring_drop_pendings(&s->q->tail);
    }
    list_del(&s->dirty_link);
    parcel_free(s->parcel);
    wheel_stop(&s->timer);
    sendq_free(s->q);
    pidset_free(s->rx2);
    if (s->will)
        msg_unref(s->will->msg);
    free(s->will);
    free(s->subs);
    free(s->username);
    free(s->mount);
    gate_ident_free(s->ident);
    free(s);
}

/* Who waits for messages of a queue that goes away: there is nobody left to keep them for. Answers how many
 * messages are lost. */
static uint32_t pendings_release(struct session *s, struct ring *r)
{
    uint32_t lost = 0;
    for (uint64_t i = r->first; i < r->end; i++) {
        struct slot *slot = ring_at(r, i);
        struct pending *p = slot->pending;
        slot->pending = NULL;
        if (slot->state == SLOT_READY)
            lost++;
        pending_release(s->shard, p, RC_SUCCESS);
    }
    return lost;
}

static void end_note(struct session *s, uint32_t lost)
{
    const char *why = !session_is_persistent(s) ? "It ended with its connection: its expiry is 0"
                      : session_is_over(s)      ? "Its Session Expiry Interval has passed"
                                                : "It was discarded: by a clean start, or an operator";
    s->shard->counters.v[C_DROPPED_SESSION_END] += lost;
    note_session(s, JOURNAL_SESSION_ENDED, bytes_of(NULL, 0), 0, why);
    if (lost)
        note_session(s, JOURNAL_QUEUE_LOST, bytes_of(NULL, 0), lost, NULL);
}

void session_end(struct session *s)
{
    struct shard *sh = s->shard;
    uint32_t lost = 0;
    CHECK(s->conn == NULL);
    will_publish(s);
    while (s->subs_n)
        session_sub_del(s, s->subs[s->subs_n - 1]);
    if (s->q) {
        lost = pendings_release(s, &s->q->win);
        lost += pendings_release(s, &s->q->tail);
    }
    if (s->is_recorded) {
        persist_session_end(s);
        persist_hurry(sh);
    }
    if (s->parcel)
        parcel_session_ends(sh, s);
    persist_forget(s);
    claim_tell_unheld(s);
    COUNT(sh, SESSION_TERMINATED);
    end_note(s, lost);
    ptrtab_del(&sh->sessions, s);
    session_free(s);
}

/* ---- subscriptions -------------------------------------------------------------------------------- */

/* The shorter of two lists has it: this session's, or the route's. */
struct subscription *session_sub_find(const struct session *s, const struct route *r)
{
    const struct sublist *l = subs_list(&s->shard->subs, r->id);
    struct subscription *const *v = l->n < s->subs_n ? sublist_items(l) : s->subs;
    uint32_t n = l->n < s->subs_n ? l->n : s->subs_n;
    for (uint32_t i = 0; i < n; i++) {
        if (v[i]->route == r && v[i]->session == s)
            return v[i];
    }
    return NULL;
}

struct subscription *session_sub_of(struct session *s, const struct topic_filter *f)
{
    struct routes *t = s->shard->node->routes;
    routes_lock(t);
    struct route *r = routes_find(t, f->filter, f->group);
    routes_unlock(t);
    return r ? session_sub_find(s, r) : NULL;
}

struct subscription *session_sub_add(struct session *s, const struct topic_filter *f)
{
    struct subscription *sub = subs_add(&s->shard->subs, s, f);
    if (s->subs_n == s->subs_cap) {
        s->subs_cap = s->subs_cap ? s->subs_cap * 2 : 1;
        s->subs = mem_realloc(s->subs, sizeof(struct subscription *) * s->subs_cap);
    }
    sub->index = s->subs_n;
    s->subs[s->subs_n++] = sub;
    if (route_is_shared(sub->route)) {
        s->has_shared = 1;
        subs_member_set(&s->shard->subs, sub, s->conn ? SUBS_ONLINE : SUBS_OFFLINE);
        if (topic_group_is_exclusive(f->group))
            exclusive_on_add(s->shard, sub);
    }
    return sub;
}

void session_sub_del(struct session *s, struct subscription *sub)
{
    s->subs[sub->index] = s->subs[--s->subs_n];
    s->subs[sub->index]->index = sub->index;
    if (route_is_shared(sub->route) && topic_group_is_exclusive(route_group(sub->route)))
        exclusive_on_del(s->shard, sub);
    subs_del(&s->shard->subs, sub);
}

static void members_set(struct session *s, enum subs_member state)
{
    for (uint32_t i = 0; s->has_shared && i < s->subs_n; i++) {
        if (route_is_shared(s->subs[i]->route))
            subs_member_set(&s->shard->subs, s->subs[i], state);
    }
}

/* ---- the connection comes and goes ---------------------------------------------------------------- */

/* What was in flight on the old connection is sent again on the new one [MQTT-4.4.0-1]. */
static void sendq_rewind(struct sendq *q)
{
    for (uint64_t i = sendq_low(q); i < q->sent; i++) {
        struct slot *slot = ring_at(&q->win, i);
        if (slot->state == SLOT_SENT)
            slot->state = SLOT_RESEND;
    }
    q->sent = sendq_low(q);
    q->inflight = 0;
}

void session_attach(struct session *s, struct conn *c)
{
    struct shard *sh = s->shard;
    CHECK(s->conn == NULL);
    s->conn = c;
    c->session = s;
    s->since_ms = sh->wall_ms;
    sh->online_n++;
    COUNT(sh, CLIENT_CONNECTED);
    gate_on_attach(sh, s);
    members_set(s, SUBS_ONLINE);
    session_timer_start(s);
    if (s->q) {
        sendq_rewind(s->q);
        session_pump(s);
    }
}

void session_detach(struct session *s, const struct conn *c)
{
    struct shard *sh = s->shard;
    uint64_t connected_ms = s->since_ms;
    s->conn = NULL;
    s->since_ms = sh->wall_ms;
    sh->online_n--;
    members_set(s, SUBS_OFFLINE);
    client_event_disconnected(s, c, connected_ms);
    if (s->will && (s->will->delay_s == 0 || s->expiry_s == 0)) /* [MQTT-3.1.2-8] */
        will_publish(s);
    if (!session_is_persistent(s)) { /* [MQTT-4.1.0-2] */
        session_end(s);
        return;
    }
    persist_session(s);
    persist_hurry(sh);
    session_timer_start(s);
}

/* ---- time ----------------------------------------------------------------------------------------- */

static uint64_t session_end_ms(const struct session *s)
{
    if (s->expiry_s == SECONDS_FOREVER)
        return UINT64_MAX;
    return s->since_ms + (uint64_t)s->expiry_s * 1000;
}

bool session_is_over(const struct session *s)
{
    return !s->conn && !session_is_leaving(s) && s->shard->wall_ms >= session_end_ms(s);
}

void session_timer_start(struct session *s)
{
    struct shard *sh = s->shard;
    uint64_t wall = UINT64_MAX;
    wheel_stop(&s->timer);
    if (session_is_leaving(s))
        return;
    if (s->conn) {
        uint32_t rel_s = s->conn->settings->await_rel_timeout_s;
        if (s->rx2 && s->rx2->n && rel_s)
            wheel_set(&sh->session_wheel, &s->timer, sh->now_ms + (uint64_t)rel_s * 1000);
        return;
    }
    wall = session_end_ms(s);
    if (s->will && s->since_ms + (uint64_t)s->will->delay_s * 1000 < wall)
        wall = s->since_ms + (uint64_t)s->will->delay_s * 1000;
    if (wall == UINT64_MAX)
        return;
    wheel_set(&sh->session_wheel, &s->timer, sh->now_ms + (wall > sh->wall_ms ? wall - sh->wall_ms : 0));
}

/* QoS 2 messages whose PUBREL never came: their ids become free again. */
static void await_rel_expire(struct session *s)
{
    struct shard *sh = s->shard;
    uint32_t rel_s = s->conn->settings->await_rel_timeout_s;
    uint32_t now_s = (uint32_t)(sh->now_ms / 1000);
    uint16_t id;
    while (s->rx2 && rel_s && now_s > rel_s && (id = pidset_older(s->rx2, now_s - rel_s))) {
        pidset_del(s->rx2, id);
        COUNT(sh, DROPPED_AWAIT_REL);
        if (session_is_persistent(s))
            persist_touch(s);
    }
    session_timer_start(s);
}

void session_on_timer(struct session *s)
{
    struct shard *sh = s->shard;
    if (s->conn) {
        await_rel_expire(s);
        return;
    }
    if (sh->wall_ms >= session_end_ms(s)) {
        session_end(s);
        return;
    }
    if (s->will && sh->wall_ms >= s->since_ms + (uint64_t)s->will->delay_s * 1000) {
        will_publish(s);
        persist_session(s);
    }
    session_timer_start(s);
}

/* ---- wills ---------------------------------------------------------------------------------------- */

void will_drop(struct session *s)
{
    if (!s->will)
        return;
    msg_unref(s->will->msg);
    free(s->will);
    s->will = NULL;
}

void will_publish(struct session *s)
{
    struct shard *sh = s->shard;
    struct will *w = s->will;
    enum topic_verdict verdict;
    if (!w)
        return;
    s->will = NULL; /* [MQTT-3.1.2-10] */
    struct publication p = {.msg = w->msg, .client_hash = s->hash};
    p.m = msg_view(w->msg, w->msg->created_ms); /* its expiry starts now */
    p.origin = s->number;
    if (!gate_lets_will(sh, s, p.m.topic)) {
        msg_unref(w->msg);
        free(w);
        return;
    }
    const struct match *match = subs_match(&sh->subs, p.m.topic, &verdict);
    CHECK(match != NULL); /* checked at CONNECT */
    /* The counted copy carries the time of CONNECT; one with the time of publication is made when needed. */
    p.msg = NULL;
    COUNT(sh, WILL_PUBLISHED);
    if (match->special == TOPIC_DELAYED) {
        delayed_publish(sh, &p);
    } else {
        if (p.m.retain) /* [MQTT-3.1.2-15] */
            retained_publish(sh, &p);
        deliver_match(sh, &p, match);
    }
    publication_fini(sh, &p);
    msg_unref(w->msg);
    free(w);
}
