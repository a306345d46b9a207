/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/mount.h"
#include "node/core/parcel_i.h"
#include "node/core/publish_out.h"
#include "node/core/queue_disk.h"
#include "node/core/subscribe.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "proto/record/record.h"

#include <stdlib.h>

/* The claimant: a session that comes from another node. */

enum { END_MS = 2000, LATE_MS = 5000, STATE_SHIFT = 3, IDS_MAX = 256, GAP_MAX = 1 << 20 };

/* ---- messages ------------------------------------------------------------------------------------- */

bool parcel_message_read(struct parcel_message *m, struct bytes b)
{
    struct cursor c = cursor_of(b);
    uint8_t bits;
    uint16_t ids_n;
    *m = (struct parcel_message){0};
    if (!cursor_u64(&c, &m->seq) || !cursor_u8(&c, &bits) || !cursor_u64(&c, &m->uid) ||
        !cursor_u16(&c, &ids_n) || !cursor_bytes(&c, 4u * ids_n, &m->ids))
        return false;
    m->qos = bits & 3;
    m->retain = bits >> 2 & 1;
    m->state = (uint8_t)(bits >> STATE_SHIFT);
    if (m->qos == 3 || m->state > SLOT_DONE || m->seq == 0)
        return false;
    if (!cursor_left(&c))
        return m->state == SLOT_RELEASED;
    m->msg = msg_record_take(&c);
    if (m->msg)
        m->msg->uid = m->uid;
    return m->msg != NULL && m->state != SLOT_SENT;
}

static void slot_fill(struct session *s, struct slot *slot, const struct parcel_message *m)
{
    uint32_t ids[IDS_MAX], n = m->ids.n / 4 < IDS_MAX ? m->ids.n / 4 : IDS_MAX;
    for (uint32_t i = 0; i < n; i++)
        ids[i] = be32_get(m->ids.p + 4 * i);
    slot->msg = m->msg ? msg_ref(m->msg) : NULL;
    slot->qos = m->qos & 3;
    slot->retain = m->retain;
    slot->state = m->state;
    slot->hold = m->qos == 2 && m->state == SLOT_READY && session_is_persistent(s);
    slot->handoff = 1; /* the holder has it until it is stored here: a failed commit does not drop it */
    slot_ids_set(slot, ids, n);
    if (m->msg && m->state == SLOT_READY) {
        s->q->queued++;
        s->q->queued_bytes += msg_size(m->msg);
    }
}

/* Under its own sequence number, so that it keeps its packet id [MQTT-4.4.0-1]. False: it cannot be its. */
static bool append_same(struct session *s, const struct parcel_message *m)
{
    uint32_t window = 2u * s->inflight_max + 64;
    struct sendq *q = s->q;
    if (!q)
        q = s->q = sendq_new(m->seq);
    if (m->seq < q->next || m->seq - q->next > GAP_MAX)
        return false;
    while (q->next < m->seq)
        sendq_push(q, UINT32_MAX)->state = SLOT_DONE;
    slot_fill(s, sendq_push(q, m->state == SLOT_READY ? window : UINT32_MAX), m);
    return true;
}

/* Behind what is here. What was in flight there, or is released, keeps its packet id when none here has had
 * it: the client may be in the middle of it. Otherwise it goes out again as new: with QoS 1 that is allowed;
 * with QoS 2 the client may have it, and twice is worse than not at all. */
static void append_merged(struct session *s, struct parcel_message *m)
{
    if (m->state != SLOT_READY && append_same(s, m))
        return;
    if (!m->msg || (m->qos == 2 && m->state != SLOT_READY))
        return;
    if (!s->q)
        s->q = sendq_new(1);
    m->state = SLOT_READY;
    slot_fill(s, sendq_push(s->q, 2u * s->inflight_max + 64), m);
}

/* The client may have unsubscribed here while the holder still thinks otherwise [MQTT-3.10.4-2]. What it
 * subscribed to since, perhaps the same again, is none of the holder's: that comes here on its own. */
static bool is_asked_for(const struct session *s, const struct msg *m)
{
    for (uint32_t i = 0; i < s->subs_n; i++) {
        if (!s->subs[i]->is_newer && topic_match(route_filter(s->subs[i]->route), msg_topic(m)))
            return true;
    }
    return false;
}

/* False: it cannot be right. */
static bool message_take(struct parcel *p, struct parcel_message *m)
{
    struct session *s = p->session;
    bool is_double = m->uid != p->uid_relayed && uidset_has(&p->recent, m->uid);
    if (m->seq < p->at)
        return false;
    p->at = m->seq + 1;
    if (p->is_moot) /* what comes here directly is no double of it */
        return true;
    if (p->is_cut && m->msg && m->state == SLOT_READY && !is_asked_for(s, m->msg))
        return true;
    uidset_add(&p->recent, m->uid);
    if (p->held_n)
        parcel_held_relayed(s->shard, p, m->uid);
    p->uid_relayed = m->uid;
    if (m->msg && p->state == PARCEL_ARRIVING)
        uidmax_note(&p->newest, msg_topic(m->msg), m->uid);
    if (p->is_merging && m->seq < p->back_below) {
        parcel_back_until(p, m->seq);
        parcel_back_one(p, m);
        return true;
    }
    if (is_double || m->seq < p->skip_below) /* came here directly, or with an earlier attempt */
        return true;
    if (parcel_is_same(p))
        return append_same(s, m);
    parcel_back_until(p, p->back_below);
    append_merged(s, m);
    return true;
}

static bool messages_take(struct shard *sh, struct parcel *p, const struct rpc_parcel *in)
{
    struct session *s = p->session;
    bool good = true;
    for (uint32_t i = 0; good && i < in->messages_n; i++) {
        struct parcel_message m;
        good = parcel_message_read(&m, in->messages[i]) && message_take(p, &m);
        msg_unref(m.msg);
    }
    if (p->until_ms)
        p->until_ms = sh->now_ms + (p->state == PARCEL_ARRIVING ? END_MS : LATE_MS);
    import_note(sh, p);
    if (session_is_persistent(s))
        persist_touch_queue(s);
    if (s->conn)
        session_pump(s);
    return good;
}

/* ---- the session ---------------------------------------------------------------------------------- */

static void subs_take(struct session *s, const struct rpc_parcel *in)
{
    for (uint32_t i = 0; i < in->subs_n; i++) {
        struct record_sub r;
        if (!record_sub_read(&r, in->subs[i]))
            continue;
        struct topic_filter f = {.group = r.group, .filter = r.filter};
        struct subscription *sub = session_sub_of(s, &f);
        if (sub) {
            sub->qos =
                r.qos > sub->qos ? r.qos : sub->qos; /* of two that are merged: what either was promised */
            sub->is_newer = false;
            subscription_grant(sub, sub->is_granted || r.is_granted);
        } else {
            sub = session_sub_add(s, &f);
            sub->id = r.id;
            sub->qos = r.qos;
            sub->retain_handling = r.retain_handling;
            sub->no_local = r.no_local;
            sub->retain_as_published = r.retain_as_published;
            subscription_grant(sub, r.is_granted);
        }
        record_sub_fini(&r);
    }
}

/* Numbers and ids of the queue; is it ours that comes back, and up to which message? */
static bool state_take(struct parcel *p, struct bytes state)
{
    struct session *s = p->session;
    struct cursor c = cursor_of(state);
    uint64_t low, next, number, same_below, stamp;
    uint32_t ids_n;
    struct bytes ids;
    if (!cursor_u64(&c, &low) || !cursor_u64(&c, &next) || !cursor_u32(&c, &ids_n) || ids_n > UINT16_MAX ||
        !cursor_bytes(&c, 2 * ids_n, &ids) || low == 0 || next < low || !cursor_u64(&c, &number) ||
        !cursor_u64(&c, &same_below) || !cursor_u64(&c, &stamp))
        return false;
    s->stamp = stamp > s->stamp ? stamp : s->stamp;
    if (p->is_merging) { /* the ids are of a connection that is over: this client has begun anew */
        p->back_below = number == s->number ? same_below : 0;
        return true;
    }
    s->q = sendq_new(low);
    if (ids_n)
        s->rx2 = pidset_new();
    for (uint32_t i = 0; i < ids_n; i++)
        pidset_add(s->rx2, be16_get(ids.p + 2 * i), (uint32_t)(s->shard->now_ms / 1000));
    return true;
}

static struct session *session_make(struct shard *sh, const struct record_session *r)
{
    struct session *s = session_new(sh, r->client_id, 0);
    s->expiry_s = r->expiry_s ? r->expiry_s : 1;
    s->version = (uint8_t)r->version;
    s->created_ms = r->created_ms;
    s->since_ms = r->offline_since_ms ? r->offline_since_ms : sh->wall_ms;
    if (r->username.n)
        s->username = mem_dup(r->username.p, r->username.n);
    s->mount = mount_of(r->mountpoint);
    if (r->will) {
        s->will = mem_alloc(sizeof *s->will);
        *s->will = (struct will){msg_ref(r->will), r->will_delay_s};
    }
    COUNT(sh, SESSION_TAKEN_IN);
    return s;
}

/* All that is in the queue, on disk as well: it may come once more through the holder. */
static void uids_add(struct parcel *p)
{
    struct session *s = p->session;
    struct sendq *q = s->q;
    for (uint64_t seq = q ? sendq_low(q) : 0; q && seq < q->next; seq++) {
        const struct slot *slot = queue_fetch(s, seq) ? ring_at(&q->win, seq) : NULL;
        if (slot && slot->msg)
            uidset_add(&p->recent, slot->msg->uid);
    }
}

/* What is known of messages that are here goes on with the new parcel. */
static void succeed(struct parcel *p, struct parcel *old)
{
    if (old && old->state != PARCEL_ARRIVING) {
        p->recent = old->recent;
        old->recent = (struct uidset){0};
        p->deferred = old->deferred;
        old->deferred = NULL;
        old->is_stored = true;
        parcel_drop(old);
    }
    if (p->is_merging)
        uids_add(p);
}

/* Whoever connected here asked for a new session, and did so later than that one was used. */
static bool is_moot(const struct session *s, const struct record_session *r)
{
    return !session_is_leaving(s) && s->clean_start && (s->conn || s->created_ms > r->offline_since_ms);
}

static void begin_take(struct shard *sh, const struct parcel_in *in, const struct rpc_parcel *m)
{
    struct record_session r;
    if (!record_session_read(&r, m->session))
        return;
    struct session *s = bytes_eq(r.client_id, m->client_id) ? session_find(sh, m->client_id) : NULL;
    if (s && session_is_leaving(s) && !node_id_eq(&s->parcel->peer, &in->from)) {
        msg_unref(r.will); /* ours is wanted elsewhere, and so will that one be */
        record_session_fini(&r);
        return;
    }
    bool is_merging = s != NULL, moot = is_merging && is_moot(s, &r);
    if (!s)
        s = session_make(sh, &r);
    else
        COUNT(sh, SESSION_MERGED);
    struct parcel *again = parcel_find(sh, m->client_id, &in->from, m->number, PARCEL_ARRIVING);
    struct parcel *old = s->parcel, *p = parcel_new(s, &in->from, m->number, m->token, PARCEL_ARRIVING);
    const struct import *known = import_find(sh, &in->from, m->number);
    p->is_merging = is_merging;
    p->skip_below = known ? known->next : 0;
    s->stamp = in->stamp > s->stamp ? in->stamp : s->stamp;
    p->is_moot = moot;
    if (!p->is_moot)
        subs_take(s, m);
    if (!p->is_moot && !state_take(p, m->state))
        LOG(sh->node->conf.log, LOG_ERROR, "cluster malformed state of a session taken over");
    if (again)
        parcel_restart(p, again);
    else
        succeed(p, old);
    if (!p->deferred)
        p->deferred = parcel_late_take(sh, m->client_id);
    if (session_is_persistent(s))
        persist_session(s); /* so that nothing else of it is stored without */
    import_note(sh, p);
    if (!s->conn)
        session_timer_start(s);
    msg_unref(r.will);
    record_session_fini(&r);
}

/* The batch was lost: all of the session goes into the next one. */
static void store_again(struct shard *sh, void *arg)
{
    const struct parcel_news *n = arg;
    struct session *s = session_find(sh, parcel_order_id(&n->order));
    if (!s || !session_is_persistent(s))
        return;
    persist_session(s);
    for (uint32_t i = 0; i < s->subs_n; i++)
        persist_sub(s->subs[i]);
    persist_touch(s);
}

static void ready_when_stored(struct shard *sh, void *arg)
{
    struct parcel_news *n = arg;
    struct parcel *p = n->what == PARCEL_STORED ? parcel_of(sh, &n->order, PARCEL_ARRIVED) : NULL;
    mail_push(sh, MAIL_TO_CLUSTER, &(struct mail){.kind = MAIL_PARCEL_TOLD, .arg = n});
    if (!p)
        return;
    p->is_stored = true;
    if (p->deferred) {
        struct parcel_order *o = p->deferred;
        p->deferred = NULL;
        parcel_release(sh, o);
    }
}

static void tell_when_stored(struct shard *sh, const struct parcel *p, enum parcel_told what)
{
    const struct session *s = p->session;
    struct parcel_news *n = mem_zalloc(sizeof *n + s->id_n);
    n->what = what;
    n->order = (struct parcel_order){.peer = p->peer, .number = p->number, .token = p->token};
    n->order.client_id_n = s->id_n;
    memcpy(n->order.client_id, s->id, s->id_n);
    persist_call(sh, ready_when_stored, store_again, n);
}

void parcel_in_ends(struct shard *sh, const struct parcel *p)
{
    if (p->state == PARCEL_ARRIVING || (p->state == PARCEL_ARRIVED && !p->is_stored))
        tell_when_stored(sh, p, PARCEL_STORED);
}

static void cut_take(struct shard *sh, struct parcel *p)
{
    struct session *s = p->session;
    if (p->is_cut)
        return;
    p->is_cut = true;
    p->until_ms = sh->now_ms + END_MS;
    parcel_back_until(p, p->back_below);
    for (uint32_t i = 0; i < s->subs_n && session_is_persistent(s); i++)
        persist_sub(s->subs[i]);
    if (session_is_persistent(s))
        persist_touch(s);
    import_note(sh, p);
    tell_when_stored(sh, p, PARCEL_READY);
}

static void all_told(struct shard *sh, struct parcel *p)
{
    p->is_stored = false;
    import_note(sh, p);
    tell_when_stored(sh, p, PARCEL_STORED);
}

/* With END the holder waits to hear that all of it is stored. */
static void arrive(struct shard *sh, struct parcel *p, bool has_end)
{
    p->state = PARCEL_ARRIVED;
    p->is_stored = true;
    p->until_ms = sh->now_ms + LATE_MS;
    struct held_messages held = parcel_held_append(sh, p);
    if (has_end)
        all_told(sh, p);
    claim_tell_again(p->session); /* whoever claimed it may not have waited */
    if (p->session->conn)
        session_pump(p->session);
    parcel_held_answer(sh, held);
}

void parcel_arrived(struct shard *sh, struct parcel *p)
{
    arrive(sh, p, false);
}

static void end_take(struct shard *sh, struct parcel *p)
{
    if (p->state == PARCEL_ARRIVING)
        arrive(sh, p, true);
    else
        all_told(sh, p);
}

/* ---- pieces --------------------------------------------------------------------------------------- */

static void piece_take(struct shard *sh, const struct parcel_in *in, const struct rpc_parcel *m)
{
    struct parcel *p = parcel_find(sh, m->client_id, &in->from, m->number, PARCEL_ARRIVING);
    if (!p) /* it took too long, or more has come to the holder since the end */
        p = parcel_find(sh, m->client_id, &in->from, m->number, PARCEL_ARRIVED);
    switch (m->kind) {
    case RPC_PARCEL_BEGIN:
        begin_take(sh, in, m);
        break;
    case RPC_PARCEL_QUEUE:
    case RPC_PARCEL_MORE:
        if (p && !messages_take(sh, p, m))
            LOG(sh->node->conf.log, LOG_ERROR, "cluster malformed message of a session taken over");
        break;
    case RPC_PARCEL_CUT:
        if (p)
            cut_take(sh, p);
        break;
    case RPC_PARCEL_END:
        if (p)
            end_take(sh, p);
        break;
    case RPC_PARCEL_NONE:
    case RPC_PARCEL_KINDS:
        break;
    }
}

void parcel_take(struct shard *sh, void *arg)
{
    struct parcel_in *in = arg;
    struct rpc_parcel m;
    if (!sh->parcels.arena)
        sh->parcels.arena = rpc_arena_new();
    rpc_arena_reset(sh->parcels.arena);
    if (rpc_parcel_read(&m, bytes_of(in->body, in->n), sh->parcels.arena))
        piece_take(sh, in, &m);
    free(in);
}
