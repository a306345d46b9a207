/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/conn_i.h"
#include "node/core/mount.h"
#include "node/core/parcel_i.h"

#include "node/core/note.h"
#include "node/core/queue_disk.h"
#include "node/core/subscribe.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "proto/record/record.h"

#include <stdlib.h>

/* The holder: a session on its way to another node. */

enum { PIECE_BYTES = 48 << 10, PIECE_MESSAGES = 512, FLUSH_PIECES = 8, STORED_MS = 10000, BACK_MS = 2000 };

static void piece_send(struct shard *sh, const struct node_id *to, const struct rpc_parcel *m)
{
    struct parcel_piece *piece = mem_zalloc(sizeof *piece);
    piece->to = *to;
    rpc_parcel_put(&piece->body, m);
    mail_push(sh, MAIL_TO_CLUSTER, &(struct mail){.kind = MAIL_PARCEL, .arg = piece});
}

static struct rpc_parcel piece_of(const struct parcel *p, enum rpc_parcel_kind kind)
{
    return (struct rpc_parcel){
        .number = p->number, .token = p->token, .kind = kind, .client_id = session_id(p->session)};
}

/* ---- there is nothing to hand over ---------------------------------------------------------------- */

static void none_send(struct shard *sh, const struct parcel_order *o)
{
    struct rpc_parcel m = {.token = o->token, .kind = RPC_PARCEL_NONE, .client_id = parcel_order_id(o)};
    piece_send(sh, &o->peer, &m);
}

static void none_when_stored(struct shard *sh, void *arg)
{
    none_send(sh, arg);
    free(arg);
}

/* ---- what it consists of -------------------------------------------------------------------------- */

static struct bytes sub_bytes(const struct subscription *sub)
{
    struct record_sub r = {
        .filter = route_filter(sub->route),
        .group = route_group(sub->route),
        .id = sub->id,
        .qos = sub->qos,
        .retain_handling = sub->retain_handling,
        .no_local = sub->no_local,
        .retain_as_published = sub->retain_as_published,
    };
    uint8_t *b = mem_alloc(record_sub_size(&r));
    record_sub_put(b, &r);
    return bytes_of(b, record_sub_size(&r));
}

/* Numbers of the queue, the ids of QoS 2 messages that wait for PUBREL, of a session that came from this peer
 * its number there and below which messages have their numbers of there, and the stamp of the claim. */
static struct bytes state_bytes(const struct session *s, const struct import *from, uint64_t stamp)
{
    uint32_t ids = s->rx2 ? s->rx2->n : 0;
    uint8_t *b = mem_alloc(8 + 8 + 4 + 2 * ids + 3 * 8), *p = b;
    p = be64_put(p, s->q ? sendq_low(s->q) : 1);
    p = be64_put(p, s->q ? s->q->next : 1);
    p = be32_put(p, ids);
    for (uint32_t i = 0; ids && i <= s->rx2->mask; i++) {
        if (s->rx2->v[i].id)
            p = be16_put(p, s->rx2->v[i].id);
    }
    p = be64_put(p, from ? from->number : 0);
    p = be64_put(p, from ? from->same_below : 0);
    p = be64_put(p, stamp);
    return bytes_of(b, (size_t)(p - b));
}

static struct bytes session_bytes(const struct session *s)
{
    struct record_session r = {
        .client_id = session_id(s),
        .username = s->username ? bytes_str(s->username) : bytes_of(NULL, 0),
        .expiry_s = s->expiry_s,
        .version = s->version,
        .created_ms = s->created_ms,
        .offline_since_ms = s->since_ms,
        .will = s->will ? s->will->msg : NULL,
        .will_delay_s = s->will ? s->will->delay_s : 0,
        .mountpoint = mount_prefix(s->mount),
    };
    uint8_t *b = mem_alloc(record_session_size(&r));
    record_session_put(b, &r);
    return bytes_of(b, record_session_size(&r));
}

static void begin_send(struct shard *sh, struct parcel *p, uint64_t stamp)
{
    struct session *s = p->session;
    struct rpc_parcel m = piece_of(p, RPC_PARCEL_BEGIN);
    struct bytes *subs = mem_alloc(s->subs_n * sizeof *subs + 1);
    for (uint32_t i = 0; i < s->subs_n; i++)
        subs[i] = sub_bytes(s->subs[i]);
    m.session = session_bytes(s);
    m.state = state_bytes(s, import_of(sh, &p->peer, s->number), stamp);
    m.subs = subs;
    m.subs_n = s->subs_n;
    piece_send(sh, &p->peer, &m);
    for (uint32_t i = 0; i < s->subs_n; i++)
        free((void *)(uintptr_t)subs[i].p);
    free(subs);
    free((void *)(uintptr_t)m.session.p);
    free((void *)(uintptr_t)m.state.p);
}

/* ---- messages ------------------------------------------------------------------------------------- */

static uint32_t message_size(const struct slot *slot)
{
    return (uint32_t)(8 + 1 + 8 + 2 + 4 * slot->ids_n + (slot->msg ? msg_record_size(slot->msg) : 0));
}

static uint8_t *message_put(uint8_t *p, uint64_t seq, const struct slot *slot)
{
    uint8_t state = slot->state == SLOT_SENT ? SLOT_RESEND : slot->state;
    p = be64_put(p, seq);
    *p++ = (uint8_t)(slot->qos | slot->retain << 2 | state << 3);
    p = be64_put(p, slot->msg ? slot->msg->uid : 0);
    p = be16_put(p, slot->ids_n);
    for (uint32_t i = 0; i < slot->ids_n; i++)
        p = be32_put(p, slot_ids(slot)[i]);
    return slot->msg ? msg_record_put(p, slot->msg) : p;
}

static bool is_worth(const struct slot *slot)
{
    return slot->state == SLOT_RELEASED || (slot->state != SLOT_DONE && slot->msg && slot->qos);
}

/* One piece of what is in the queue from p->at on; false: there is nothing more now. */
static bool messages_send(struct shard *sh, struct parcel *p)
{
    struct sendq *q = p->session->q;
    struct bytes v[PIECE_MESSAGES];
    struct rpc_parcel m = piece_of(p, p->is_cut ? RPC_PARCEL_MORE : RPC_PARCEL_QUEUE);
    uint32_t bytes = 0;
    m.messages = v;
    while (q && p->at < q->next && bytes < PIECE_BYTES && m.messages_n < PIECE_MESSAGES) {
        if (p->at < sendq_low(q))
            p->at = sendq_low(q);
        if (p->at == q->next || !queue_fetch(p->session, p->at))
            break;
        const struct slot *slot = ring_at(&q->win, p->at);
        if (is_worth(slot)) {
            uint8_t *b = mem_alloc(message_size(slot));
            uint8_t *end = message_put(b, p->at, slot);
            v[m.messages_n++] = bytes_of(b, (size_t)(end - b));
            bytes += (uint32_t)(end - b);
        }
        p->at++;
    }
    if (m.messages_n)
        piece_send(sh, &p->peer, &m);
    for (uint32_t i = 0; i < m.messages_n; i++)
        free((void *)(uintptr_t)v[i].p);
    return q && p->at < q->next;
}

static void cut_send(struct shard *sh, struct parcel *p)
{
    struct rpc_parcel m = piece_of(p, RPC_PARCEL_CUT);
    p->is_cut = true;
    p->until_ms = sh->now_ms + STORED_MS;
    piece_send(sh, &p->peer, &m);
}

static void leaving_flush(struct shard *sh, struct parcel *p)
{
    uint32_t peer = peers_find(&sh->node->peers, &p->peer);
    if (peer == PEERS_MAX || peers_get(&sh->node->peers.congested) & 1ull << peer)
        return; /* it goes on when there is room */
    bool more = true;
    for (unsigned i = 0; more && i < FLUSH_PIECES; i++)
        more = messages_send(sh, p);
    if (!more && !p->is_cut)
        cut_send(sh, p);
}

void parcels_flush(struct shard *sh)
{
    list_each(l, &sh->parcels.moving)
    {
        struct parcel *p = container_of(l, struct parcel, link);
        bool is_new = !p->is_cut || (p->session->q && p->at < p->session->q->next);
        if (p->state == PARCEL_LEAVING && is_new)
            leaving_flush(sh, p);
    }
}

/* ---- steps ---------------------------------------------------------------------------------------- */

static void leave(struct shard *sh, struct session *s, const struct parcel_order *o)
{
    struct parcel *old = s->parcel, *p = parcel_new(s, &o->peer, s->number, o->token, PARCEL_LEAVING);
    if (old) { /* it has only just come, or was leaving for another node: doubles may still come too */
        p->recent = old->recent;
        old->recent = (struct uidset){0};
        old->is_stored = true;
        parcel_drop(old);
    }
    p->at = s->q ? sendq_low(s->q) : 1;
    COUNT(sh, SESSION_HANDED_OVER);
    note_session(s, JOURNAL_SESSION_MOVED, bytes_of(NULL, 0), 0, NULL);
    begin_send(sh, p, o->stamp);
    leaving_flush(sh, p);
}

static struct session *disconnect(struct shard *sh, struct session *s, struct bytes id)
{
    if (!s->conn)
        return s;
    COUNT(sh, SESSION_TAKENOVER);
    conn_close(s->conn, RC_SESSION_TAKEN_OVER, "Another connection uses this Client Identifier",
               CONN_END_TAKEN_OVER); /* [MQTT-3.1.4-3] */
    return session_find(sh, id);     /* it may have ended with its connection */
}

static void end_and_say_none(struct shard *sh, struct session *s, struct parcel_order *o)
{
    bool is_recorded = s->is_recorded;
    COUNT(sh, SESSION_DISCARDED);
    session_end(s);
    if (!is_recorded) {
        none_send(sh, o);
        free(o);
        return;
    }
    persist_call(sh, none_when_stored, NULL, o);
}

void parcel_out_ends(struct shard *sh, struct parcel *p)
{
    if (p->deferred)
        persist_call(sh, none_when_stored, NULL, p->deferred);
    p->deferred = NULL;
}

/* The CONNECT may wait longer than for the first answer: an empty piece. */
static void wait_send(struct shard *sh, const struct parcel_order *o)
{
    struct rpc_parcel m = {.token = o->token, .kind = RPC_PARCEL_QUEUE, .client_id = parcel_order_id(o)};
    if (o->token)
        piece_send(sh, &o->peer, &m);
}

/* Said once more, without a claim that waits for an answer of its own. */
static bool is_known(const struct session *s, const struct parcel_order *o)
{
    const struct parcel *p = s->parcel;
    if (p && p->deferred && node_id_eq(&p->deferred->peer, &o->peer) && !o->token)
        return true;
    return p && p->state == PARCEL_LEAVING && node_id_eq(&p->peer, &o->peer) &&
           (!o->token || o->token == p->token);
}

/* It is only just coming, or is leaving for somebody else who may have it already: afterwards. */
static bool is_to_wait(const struct session *s, const struct parcel_order *o)
{
    const struct parcel *p = s->parcel;
    if (!p || p->is_stored)
        return false;
    return p->state != PARCEL_LEAVING || !node_id_eq(&p->peer, &o->peer);
}

/* The newest claim is the one that counts. */
static void defer(struct shard *sh, struct parcel *p, struct parcel_order *o)
{
    if (p->deferred && p->deferred->stamp > o->stamp) {
        free(o);
        return;
    }
    wait_send(sh, o);
    free(p->deferred);
    p->deferred = o;
}

static void on_settled(struct shard *sh, void *arg, enum reason code)
{
    (void)code;
    parcel_release(sh, arg);
}

/* The ids of QoS 2 messages go with the session. One whose message is not stored yet may still be refused:
 * first that is settled, else the client's next attempt would be taken for a double. */
static bool settle(struct shard *sh, const struct session *s, struct parcel_order *o)
{
    bool is_open = sh->persist.ops.ops > 0, is_sealed = sh->persist.in_flight;
    if (o->is_settled || !s->rx2 || !s->rx2->n || !(is_open || is_sealed))
        return false;
    struct pending *p = pending_new_call(on_settled, free, o);
    o->is_settled = true;
    if (is_open) {
        persist_wait(sh, p);
        persist_hurry(sh);
    } else {
        persist_wait_sealed(sh, pending_ref(p));
    }
    pending_release(sh, p, RC_SUCCESS);
    return true;
}

void parcel_release(struct shard *sh, void *arg)
{
    struct parcel_order *o = arg;
    struct bytes id = parcel_order_id(o);
    struct session *s = session_find(sh, id);
    if (s && is_known(s, o)) {
        free(o);
        return;
    }
    if (s && is_to_wait(s, o)) {
        defer(sh, s->parcel, o);
        disconnect(sh, s, id);
        return;
    }
    if (s)
        s = disconnect(sh, s, id);
    if (s && settle(sh, s, o))
        return;
    if (s && (o->clean_start || !session_is_persistent(s))) {
        end_and_say_none(sh, s, o);
        return;
    }
    if (s)
        leave(sh, s, o);
    else
        none_send(sh, o);
    free(o);
}

/* ---- orders for a session that may come back ------------------------------------------------------ */

struct late_order {
    struct list link;
    uint64_t until_ms;
    struct parcel_order *order;
};

static void late_add(struct shard *sh, struct parcel_order *o)
{
    struct late_order *l = mem_zalloc(sizeof *l);
    l->order = o;
    l->until_ms = sh->now_ms + BACK_MS;
    list_push(&sh->parcels.late, &l->link);
}

static struct parcel_order *late_end(struct late_order *l)
{
    struct parcel_order *o = l->order;
    list_del(&l->link);
    free(l);
    return o;
}

struct parcel_order *parcel_late_take(struct shard *sh, struct bytes client_id)
{
    list_each(l, &sh->parcels.late)
    {
        struct late_order *late = container_of(l, struct late_order, link);
        if (bytes_eq(parcel_order_id(late->order), client_id))
            return late_end(late);
    }
    return NULL;
}

void parcel_late_tick(struct shard *sh, uint64_t now_ms)
{
    list_each_safe(l, &sh->parcels.late)
    {
        struct late_order *late = container_of(l, struct late_order, link);
        if (now_ms >= late->until_ms)
            parcel_release(sh, late_end(late));
    }
}

void parcel_late_free(struct parcels *p)
{
    list_each_safe(l, &p->late) free(late_end(container_of(l, struct late_order, link)));
}

/* ---- the end -------------------------------------------------------------------------------------- */

void parcel_stay(struct session *s)
{
    parcel_drop(s->parcel);
}

void parcel_end(struct shard *sh, void *arg)
{
    struct parcel_order *o = arg;
    struct parcel *p = parcel_of(sh, o, PARCEL_LEAVING);
    if (p && !p->is_ended) {
        struct rpc_parcel m = piece_of(p, RPC_PARCEL_END);
        while (messages_send(sh, p))
            ;
        p->is_ended = true;
        piece_send(sh, &p->peer, &m);
    }
    free(o);
}

static void gone_when_stored(struct shard *sh, void *arg)
{
    struct parcel_news *n = arg;
    mail_push(sh, MAIL_TO_CLUSTER, &(struct mail){.kind = MAIL_PARCEL_TOLD, .arg = n});
}

/* The claimant has everything: here it ends, and what it still gets goes there first. The link is reliable;
 * who published that late waits for nobody's store but ours, which it may have passed. */
static void leave_for_good(struct shard *sh, struct parcel *p)
{
    struct session *s = p->session;
    const struct import *from = import_of(sh, &p->peer, s->number);
    while (messages_send(sh, p))
        ;
    if (from) /* it went back where it came from */
        import_forget(sh, &p->peer, from->number);
    if (p->deferred) /* it was claimed back and then by somebody else: when it has come back */
        late_add(sh, p->deferred);
    p->deferred = NULL;
    p->is_stored = true;
    parcel_drop(p);
    will_drop(s); /* it went with the session */
    session_end(s);
}

void parcel_stored(struct shard *sh, void *arg)
{
    struct parcel_order *o = arg;
    struct parcel *p = parcel_of(sh, o, PARCEL_LEAVING);
    const struct session *s = session_find(sh, parcel_order_id(o));
    if (p) {
        leave_for_good(sh, p);
    } else if (s && s->number == o->number) { /* it has stayed after all: the claimant has to know it again */
        free(o);
        return;
    }
    /* Also when there was none any more: the claimant waits for it. */
    struct parcel_news *n = mem_zalloc(sizeof *n + o->client_id_n);
    n->what = PARCEL_GONE;
    n->order = *o;
    memcpy(n->order.client_id, o->client_id, o->client_id_n);
    persist_call(sh, gone_when_stored, NULL, n);
    free(o);
}
