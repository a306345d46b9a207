/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/deliver.h"

#include "node/core/handoff.h"
#include "node/core/note.h"
#include "node/core/publish_out.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* A session that a publish reaches by more than one filter gets one copy, with the highest QoS [MQTT-3.3.4-2]
 * and all Subscription Identifiers [MQTT-3.3.4-4]. */
struct collected {
    struct session *session;
    uint32_t ids_at; /* into the shard's list of ids */
    uint32_t ids_n;
    uint8_t qos;
    bool retain;
};

struct msg *publication_msg(struct shard *sh, struct publication *p)
{
    if (!p->msg) {
        p->msg = msg_new(&p->m, sh->wall_ms, p->origin);
        if (!p->msg) {
            p->failed = RC_QUOTA_EXCEEDED;
            return NULL;
        }
        if (!p->uid && sh->node->conf.is_clustered)
            p->uid = shard_uid(sh, p->hold);
        p->msg->uid = p->uid;
    }
    return p->msg;
}

struct pending *publication_wait(struct publication *p)
{
    if (p->pending)
        return pending_ref(p->pending);
    if (p->rx) {
        p->pending = pending_new_arrival(p->rx, p->rx_index);
        return pending_ref(p->pending);
    }
    if (!p->conn || p->m.qos == 0)
        return NULL;
    p->pending =
        pending_new(p->conn, p->m.qos == 1 ? PACKET_PUBACK : PACKET_PUBREC, p->packet_id, RC_SUCCESS);
    struct shard *sh = p->conn->shard;
    p->pending->sample_us = sh->sample_us;
    sh->sample_us = 0;
    return pending_ref(p->pending);
}

void publication_fini(struct shard *sh, struct publication *p)
{
    if (p->pending)
        pending_release(sh, p->pending, p->failed);
    msg_unref(p->msg);
    p->pending = NULL;
    p->msg = NULL;
}

/* ---- to one session ------------------------------------------------------------------------------- */

static void deliver_qos0(struct shard *sh, struct publication *p, struct session *s,
                         const struct publish_how *how)
{
    struct conn *c = s->conn;
    if (c && conn_has_room(c)) {
        conn_publish(sh, c, p, how);
        return;
    }
    if (c) {
        COUNT(sh, DROPPED_SLOW_READER);
        note_session(s, JOURNAL_SLOW_READER, p->m.topic, 0, NULL);
        s->dropped++;
        return;
    }
    COUNT(sh, DROPPED_OFFLINE_QOS0);
    note_session(s, JOURNAL_OFFLINE_QOS0, p->m.topic, 0, NULL);
}

static bool is_full(const struct session *s, const struct settings *set, size_t bytes)
{
    const struct sendq *q = s->q;
    return (set->queue_len_max && q->queued >= set->queue_len_max) ||
           (set->queue_bytes_max && q->queued_bytes + bytes > set->queue_bytes_max);
}

static bool can_send_now(const struct session *s, const struct publication *p)
{
    const struct sendq *q = s->q;
    return s->conn && q->sent == q->next && q->inflight < s->inflight_max &&
           (!p->hold || !session_is_persistent(s)) && q->next - sendq_low(q) < UINT16_MAX &&
           conn_has_room(s->conn);
}

/* QoS 1 and 2, and QoS 0 that is kept for a session which is offline. */
static bool deliver_queued(struct shard *sh, struct publication *p, struct session *s,
                           const struct publish_how *how)
{
    bool persistent = session_is_persistent(s);
    if (!s->q)
        s->q = sendq_new(1);
    struct sendq *q = s->q;
    bool now = how->qos && can_send_now(s, p) && (!persistent || persist_reserve(s));
    size_t bytes = sizeof(struct msg) + p->m.topic.n + p->m.props.n + p->m.payload.n;
    if (!now && is_full(s, sh->settings, bytes)) {
        COUNT(sh, DROPPED_QUEUE_FULL);
        note_session(s, JOURNAL_QUEUE_FULL, p->m.topic, 0, NULL);
        s->dropped++;
        return false;
    }
    bool keeps = persistent || sh->settings->slow_subs_ms;
    struct msg *m = now && !keeps ? NULL : publication_msg(sh, p);
    if (!m && (!now || persistent))
        return false;
    uint64_t seq = q->next;
    /* What is in flight has to be in the window, however long a client that withholds one acknowledgement
     * makes it. */
    struct slot *slot = sendq_push(q, persistent && !now ? 2u * s->inflight_max + 64 : UINT32_MAX);
    slot->msg = m ? msg_ref(m) : NULL;
    slot->qos = how->qos & 3;
    slot->retain = how->retain;
    slot_ids_set(slot, how->ids, how->ids_n);
    if (persistent && how->qos) {
        slot->hold = p->hold;
        slot->handoff = p->handoff;
        slot->pending = publication_wait(p);
        persist_touch_queue(s);
        if (slot->pending && (!now || p->hold))
            persist_hurry(sh);
    }
    if (!now) {
        q->queued++;
        q->queued_bytes += bytes;
        if (unlikely(sh->tracer.on & TRACER_WATCHED))
            journal_delivered(s, JOURNAL_QUEUED, p->m.topic, how->qos);
        return true;
    }
    slot->state = SLOT_SENT;
    q->sent++;
    q->inflight++;
    struct publish_how sent = *how;
    sent.packet_id = sendq_packet_id(seq);
    if (!conn_publish(sh, s->conn, p, &sent))
        session_acked(s, seq); /* too large for the client: as if delivered [MQTT-3.1.2-25] */
    return true;
}

void deliver_kept(struct shard *sh, struct publication *p, struct session *s, unsigned qos, bool retain,
                  const uint32_t *ids, uint32_t ids_n)
{
    struct publish_how how = {.qos = (uint8_t)qos, .retain = retain, .ids = ids, .ids_n = ids_n};
    bool keep_qos0 = !s->conn && session_is_persistent(s) && sh->settings->queue_qos0;
    if (qos == 0 && !keep_qos0)
        deliver_qos0(sh, p, s, &how);
    else if (!deliver_queued(sh, p, s, &how)) {
        p->refused++;
        return;
    }
    p->receivers++;
}

static void deliver_session(struct shard *sh, struct publication *p, struct session *s, unsigned qos,
                            bool retain, const uint32_t *ids, uint32_t ids_n)
{
    if (unlikely(p->seen_by_some) && seen_by_session(sh, p->uid, session_id(s)))
        return;
    if (likely(!s->parcel) || !qos || !parcel_hold(sh, p, s, qos, retain, ids, ids_n))
        deliver_kept(sh, p, s, qos, retain, ids, ids_n);
}

void deliver_to(struct shard *sh, struct publication *p, struct session *s, unsigned qos)
{
    if (!gate_lets_reach(sh, s, p->m.topic))
        return;
    deliver_session(sh, p, s, p->m.qos < qos ? p->m.qos : qos, false, NULL, 0);
}

/* Is this subscription out of the question for this message? */
static inline bool is_out(struct shard *sh, const struct publication *p, struct subscription *sub)
{
    if (unlikely(sub->pass != sh->gate.pass) && !gate_lets_pass(sh, p, sub))
        return true;
    if (p->origin != sub->session->number || !p->origin)
        return false;
    if (!sub->no_local && !sh->settings->ignore_loop_deliver) /* [MQTT-3.8.3-3] */
        return false;
    COUNT(sh, DROPPED_NO_LOCAL);
    note_session(sub->session, JOURNAL_NO_LOCAL, p->m.topic, 0, NULL);
    return true;
}

static inline unsigned sub_qos(const struct shard *sh, const struct publication *p,
                               const struct subscription *sub)
{
    if (sh->settings->upgrade_qos)
        return sub->qos;
    return p->m.qos < sub->qos ? p->m.qos : sub->qos; /* [MQTT-3.8.4-8] */
}

static void deliver_one(struct shard *sh, struct publication *p, struct subscription *sub, bool retain)
{
    deliver_session(sh, p, sub->session, sub_qos(sh, p, sub), retain, sub->id ? &sub->id : NULL,
                    sub->id != 0);
}

void deliver_sub(struct shard *sh, struct publication *p, struct subscription *sub, bool retain)
{
    if (unlikely(sub->pass != sh->gate.pass) && !gate_lets_pass(sh, p, sub))
        return;
    p->alone = 1;
    deliver_one(sh, p, sub, retain);
    p->alone = 0;
}

static void deliver_list(struct shard *sh, struct publication *p, const struct sublist *l)
{
    struct subscription *const *v = sublist_items(l);
    for (uint32_t i = 0; i < l->n; i++) {
        if (!is_out(sh, p, v[i]))
            deliver_one(sh, p, v[i], v[i]->retain_as_published && p->m.retain);
    }
}

/* ---- overlapping filters -------------------------------------------------------------------------- */

static void collect_id(struct shard *sh, struct collected *c, uint32_t *ids_total, uint32_t id)
{
    /* The ids of one session have to be adjacent: when others came between, its own move to the end. */
    uint32_t need = *ids_total + c->ids_n + 1;
    if (need > sh->collected_ids_cap) {
        sh->collected_ids_cap = need * 2;
        sh->collected_ids = mem_realloc(sh->collected_ids, sizeof(uint32_t) * sh->collected_ids_cap);
    }
    if (c->ids_at + c->ids_n != *ids_total) {
        memcpy(sh->collected_ids + *ids_total, sh->collected_ids + c->ids_at, sizeof(uint32_t) * c->ids_n);
        c->ids_at = *ids_total;
        *ids_total += c->ids_n;
    }
    sh->collected_ids[(*ids_total)++] = id;
    c->ids_n++;
}

static struct collected *collected_get(struct shard *sh, struct session *s, uint32_t *n, uint32_t ids_total)
{
    if (s->mark == sh->mark)
        return &sh->collected[s->mark_at];
    if (*n == sh->collected_cap) {
        sh->collected_cap = *n ? *n * 2 : 64;
        sh->collected = mem_realloc(sh->collected, sizeof *sh->collected * sh->collected_cap);
    }
    s->mark = sh->mark;
    s->mark_at = *n;
    sh->collected[*n] = (struct collected){.session = s, .ids_at = ids_total};
    return &sh->collected[(*n)++];
}

static void deliver_overlapping(struct shard *sh, struct publication *p, const struct match *match)
{
    uint32_t n = 0, ids_total = 0;
    if (++sh->mark == 0)
        sh->mark = 1;
    for (uint32_t k = 0; k < match->local_n; k++) {
        const struct sublist *l = subs_list(&sh->subs, match->local[k]);
        struct subscription *const *v = sublist_items(l);
        for (uint32_t i = 0; i < l->n; i++) {
            if (is_out(sh, p, v[i]))
                continue;
            struct collected *c = collected_get(sh, v[i]->session, &n, ids_total);
            unsigned qos = sub_qos(sh, p, v[i]);
            c->qos = (uint8_t)(qos > c->qos ? qos : c->qos);
            c->retain |= v[i]->retain_as_published && p->m.retain;
            if (v[i]->id)
                collect_id(sh, c, &ids_total, v[i]->id);
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        struct collected *c = &sh->collected[i];
        deliver_session(sh, p, c->session, c->qos, c->retain, sh->collected_ids + c->ids_at, c->ids_n);
    }
}

/* ---- to all --------------------------------------------------------------------------------------- */

void deliver_local(struct shard *sh, struct publication *p, const struct match *match)
{
    if (match->local_n == 1)
        deliver_list(sh, p, subs_list(&sh->subs, match->local[0]));
    else if (match->local_n > 1)
        deliver_overlapping(sh, p, match);
}

static void deliver_remote(struct shard *sh, struct publication *p, uint64_t shards)
{
    struct msg *m = publication_msg(sh, p);
    if (!m)
        return;
    for (; shards; shards &= shards - 1) {
        struct mail mail = {.kind = MAIL_PUBLISH, .msg = msg_ref(m), .pending = publication_wait(p)};

        mail_push(sh, (uint32_t)__builtin_ctzll(shards), &mail);
        p->receivers++;
    }
}

/* Who publishes what nobody has subscribed to may do so as fast as it can. */
static void nobody_note(struct shard *sh, const struct publication *p, uint64_t topic_hash)
{
    uint64_t hash = hash_u64(topic_hash, p->origin);
    if (!sh->tracer.on && journal_again(sh, hash))
        return;
    note_message(sh, p, JOURNAL_NO_SUBSCRIBERS, NULL);
    if (p->conn)
        journal_remember(sh, hash);
}

static void __attribute__((cold, noinline))
nobody_got(struct shard *sh, struct publication *p, const struct match *match)
{
    if (sh->topic_metrics.all.n)
        topic_metrics_dropped(sh, p->m.topic);
    if (!p->refused) {
        COUNT(sh, DROPPED_NO_SUBSCRIBERS);
        nobody_note(sh, p, match->hash);
    } else if (!p->failed) {
        p->failed = RC_QUOTA_EXCEEDED; /* nobody kept it, so the publisher must not believe so */
    }
}

void deliver_match(struct shard *sh, struct publication *p, const struct match *match)
{
    uint64_t remote = match->remote;
    uint64_t peers = match->peers ? peers_of_slots(&sh->node->peers, match->peers) : 0;
    uint32_t shared_n = match->shared_n;
    /* Nothing that is delivered changes subscriptions, so the match stays valid. */
    deliver_local(sh, p, match);
    for (uint32_t i = 0; i < shared_n; i++)
        share_deliver(sh, p, match->shared[i]);
    if ((remote | peers) && p->hold) {
        handoff_give(sh, p, remote, peers);
    } else {
        if (remote)
            deliver_remote(sh, p, remote);
        if (unlikely(peers))
            forward_publish(sh, p, peers);
    }
    if (unlikely(!p->receivers))
        nobody_got(sh, p, match);
    if (unlikely(sh->tracer.on & TRACER_WATCHED))
        journal_routed(sh, p, match);
}
