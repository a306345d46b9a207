/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/subscribe.h"

#include "node/core/client_events.h"
#include "node/core/conn_i.h"
#include "node/core/exclusive.h"
#include "node/core/mount.h"
#include "node/core/refusals.h"
#include "node/core/retained.h"
#include "node/core/rewrite.h"
#include "node/core/note.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static struct suback *suback_new(uint32_t n)
{
    struct suback *b = mem_zalloc(sizeof *b + n);
    b->codes = (uint8_t *)(b + 1);
    return b;
}

void suback_free(struct suback *b)
{
    if (!b)
        return;
    free((void *)(uintptr_t)b->undo.p);
    free((void *)(uintptr_t)b->exclusive.p);
    free(b);
}

void suback_send(struct conn *c, enum packet_type type, uint16_t packet_id, const struct suback *b)
{
    uint8_t *p = outbuf_reserve(&c->out, &c->shard->outpool, 16u + b->n + REASON_TEXT_MAX);
    uint8_t *end = encode_suback(p, c->version, type, packet_id, b->codes, b->n,
                                 c->problem_info ? b->text : NULL, c->packet_size_max);
    outbuf_commit(&c->out, end);
    conn_sent(c, (uint32_t)(end - p));
}

void suback_undo(struct session *s, struct suback *b, enum reason code)
{
    struct cursor at = cursor_of(b->undo);
    struct bytes filter;
    const char *text;
    b->text = "The store could not write; nothing was changed for good";
    for (uint32_t i = 0; i < b->n; i++) {
        if (b->codes[i] < RC_UNSPECIFIED_ERROR)
            b->codes[i] = (uint8_t)code;
    }
    while (cursor_lenbytes(&at, &filter))
        session_unsubscribe(s, filter, &text);
}

/* Filters are kept for the undo as they stood in the packet. */
static void undo_add(struct suback *b, struct bytes filter)
{
    uint8_t *buf = mem_realloc((void *)(uintptr_t)b->undo.p, b->undo.n + 2 + filter.n);
    bytes_put(be16_put(buf + b->undo.n, (uint16_t)filter.n), filter);
    b->undo = bytes_of(buf, b->undo.n + 2 + filter.n);
}

/* ---- one filter ----------------------------------------------------------------------------------- */

static enum reason filter_judge(const struct session *s, struct bytes text, struct topic_filter *f,
                                const char **why)
{
    const struct settings *set = s->conn ? s->conn->settings : s->shard->settings;
    enum topic_verdict v = topic_filter_parse(text, set->topic_levels_max, f);
    if (v != TOPIC_OK) { /* [MQTT-4.7.1-1, MQTT-4.8.2-1] */
        *why = topic_verdict_text(v);
        return RC_TOPIC_FILTER_INVALID;
    }
    if (f->has_wildcard && !set->wildcard_available) {
        *why = "Wildcard subscriptions are not available";
        return RC_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED;
    }
    bool is_exclusive = topic_group_is_exclusive(f->group);
    if (is_exclusive && !set->exclusive_available) {
        *why = "Exclusive subscriptions are not available";
        return RC_TOPIC_FILTER_INVALID;
    }
    if (f->group.n && !is_exclusive && !set->shared_available) {
        *why = "Shared subscriptions are not available";
        return RC_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED;
    }
    return RC_SUCCESS;
}

static const char *const granted_text[] = {"Granted QoS 0", "Granted QoS 1", "Granted QoS 2", ""};

static enum reason exclusive_refuse(struct session *s, const char **text)
{
    COUNT(s->shard, EXCLUSIVE_REFUSED);
    *text = "Another client has this exclusive subscription";
    return RC_QUOTA_EXCEEDED;
}

void subscription_grant(struct subscription *sub, bool is_granted)
{
    sub->is_granted = is_granted;
    sub->pass = 0;
    sub->session->has_granted |= is_granted;
}

enum reason session_subscribe(struct session *s, const struct subscribe_item *item, uint32_t id,
                              enum granted_by by, const char **text)
{
    struct topic_filter f;
    const struct settings *set = s->conn ? s->conn->settings : s->shard->settings;
    enum reason code = filter_judge(s, item->filter, &f, text);
    if (code != RC_SUCCESS)
        return code;
    struct subscription *sub = session_sub_of(s, &f);
    bool existed = sub != NULL;
    bool is_exclusive = topic_group_is_exclusive(f.group);
    if (!sub) {
        if (set->subscriptions_max && s->subs_n >= set->subscriptions_max) {
            *text = "The session has as many subscriptions as are allowed";
            return RC_QUOTA_EXCEEDED;
        }
        if (is_exclusive && exclusive_is_taken(s, &f, NULL))
            return exclusive_refuse(s, text);
        sub = session_sub_add(s, &f);
        sub->is_newer = s->parcel != NULL;
        if (is_exclusive && exclusive_is_taken(s, &f, sub)) { /* another shard was at it as well */
            session_sub_del(s, sub);
            return exclusive_refuse(s, text);
        }
    }
    subscription_grant(sub, by == GRANTED_BY_OTHERS);
    sub->id = id; /* an existing subscription takes the new options [MQTT-3.8.4-3] */
    sub->qos = item->qos < set->qos_max ? item->qos : set->qos_max; /* [MQTT-3.2.2-10] */
    sub->retain_handling = item->retain_handling;
    /* A bridge has both sides publish to each other what the other side published. */
    bool is_bridge = s->conn && s->conn->is_bridge;
    sub->no_local = item->no_local || (is_bridge && !f.group.n); /* [MQTT-3.8.3-4] */
    sub->retain_as_published = item->retain_as_published || is_bridge;
    if (session_is_persistent(s))
        persist_sub(sub);
    bool replay =
        item->retain_handling == 0 || (item->retain_handling == 1 && !existed); /* [MQTT-3.3.1-9, -10, -11] */
    if (replay && (!f.group.n || is_exclusive) && s->conn && set->retain_available)
        replay_add(s->conn, sub);
    enum reason granted = (enum reason)sub->qos;
    note_session(s, JOURNAL_SUBSCRIBED, item->filter, granted, granted_text[granted & 3]);
    client_event_subscribed(s, sub, item->filter, !existed);
    return granted;
}

void subscription_end(struct session *s, struct subscription *sub)
{
    if (s->conn)
        replay_del(s->conn, sub);
    if (session_is_persistent(s))
        persist_sub_end(sub);
    session_sub_del(s, sub);
}

enum reason session_unsubscribe(struct session *s, struct bytes filter, const char **text)
{
    struct topic_filter f;
    enum topic_verdict v = topic_filter_parse(filter, 0, &f);
    if (v != TOPIC_OK) {
        *text = topic_verdict_text(v);
        return RC_TOPIC_FILTER_INVALID;
    }
    struct subscription *sub = session_sub_of(s, &f);
    if (!sub)
        return RC_NO_SUBSCRIPTION_EXISTED;
    subscription_end(s, sub);
    note_session(s, JOURNAL_UNSUBSCRIBED, filter, 0, NULL);
    client_event_unsubscribed(s, filter);
    return RC_SUCCESS;
}

/* Do the other nodes not yet know that there is somebody here for this filter? Then the SUBACK waits for
 * them, so that whoever has it misses nothing that is published anywhere. */
static bool barrier_is_due(struct session *s, struct bytes text)
{
    struct node *n = s->shard->node;
    struct topic_filter f;
    if (likely(!n->conf.is_clustered || !peers_any(&n->peers)) || topic_filter_parse(text, 0, &f) != TOPIC_OK)
        return false;
    const struct subscription *sub = session_sub_of(s, &f);
    uint64_t seq = sub ? __atomic_load_n(&sub->route->announced, __ATOMIC_ACQUIRE) : 1;
    return seq == 0 || seq > peers_get(&n->peers.routes_acked);
}

/* ---- the packets ---------------------------------------------------------------------------------- */

/* Answers now, or after the commit when the session is persistent. */
static void suback_answer(struct conn *c, enum packet_type type, uint16_t packet_id, struct suback *b,
                          bool stored, bool barrier)
{
    struct shard *sh = c->shard;
    bool waits = type == PACKET_SUBACK && replay_is_waiting(c);
    if (!stored && !waits && !barrier && !(c->ackq && c->ackq->first)) {
        suback_send(c, type, packet_id, b);
        suback_free(b);
        return;
    }
    struct pending *p = pending_new(c, type, packet_id, RC_SUCCESS);
    p->suback = b;
    if (stored) {
        persist_wait(sh, p);
        persist_hurry(sh);
    }
    if (waits)
        replay_hold(c, p);
    if (barrier)
        mail_push(
            sh, MAIL_TO_CLUSTER,
            &(struct mail){.kind = MAIL_BARRIER, .pending = pending_ref(p), .pick = b->exclusive.n > 0});
    pending_release(sh, p, RC_SUCCESS);
}

/* An exclusive filter that the session does not have yet. */
static bool is_fresh_exclusive(struct session *s, struct bytes filter)
{
    struct topic_filter f;
    return bytes_starts(filter, bytes_of("$exclusive/", 11)) && s->shard->node->conf.is_clustered &&
           topic_filter_parse(filter, 0, &f) == TOPIC_OK && !session_sub_of(s, &f);
}

bool on_subscribe(struct conn *c, const uint8_t *body, uint32_t n)
{
    struct subscribe sub;
    struct subscribe_item item;
    struct fault f;
    struct session *s = c->session;
    if (!decode_subscribe(body, n, c->version, &sub, &f))
        return conn_fault(c, &f);
    if (unlikely(c->shard->gate.asks.ops != NULL) && gate_ask_subscribe(c, &sub))
        return false;
    struct suback *b = suback_new(sub.count);
    bool stored = false, barrier = false;
    while (subscribe_next(&sub, c->version, &item)) {
        if (item.no_local && bytes_starts(item.filter, bytes_of("$share/", 7))) { /* [MQTT-3.8.3-4] */
            suback_free(b);
            return conn_fail(c, RC_PROTOCOL_ERROR, "No Local on a shared subscription");
        }
        if (unlikely(c->shard->rewrite != NULL))
            item.filter = rewrite_of(s, REWRITE_SUBSCRIBE, item.filter);
        bool is_granted = false;
        const char *denied = unlikely(c->shard->gate.acl != NULL)
                                 ? gate_subscribe(c->shard, s, item.filter, item.qos, &is_granted)
                                 : NULL;
        if (unlikely(c->is_mounted))
            item.filter = mount_filter(c->shard, s->mount, item.filter);
        bool is_open =
            unlikely(item.filter.n && item.filter.p[0] == '$') && is_fresh_exclusive(s, item.filter);
        if (denied) {
            snprintf(b->why, sizeof b->why, "%s", denied);
            b->text = b->why;
        }
        enum reason code =
            denied ? RC_NOT_AUTHORIZED
                   : session_subscribe(s, &item, sub.subscription_id,
                                       is_granted ? GRANTED_BY_OTHERS : GRANTED_BY_RULES, &b->text);
        if (code >= RC_UNSPECIFIED_ERROR)
            refusal_count(c->shard, REFUSAL_SUBSCRIBE, code);
        if (code >= RC_UNSPECIFIED_ERROR)
            note_conn(c, denied ? JOURNAL_SUBSCRIBE_DENIED : JOURNAL_SUBSCRIBE_REFUSED, item.filter, code,
                      b->text);
        if (code >= RC_UNSPECIFIED_ERROR &&
            c->version == MQTT_V31) { /* its SUBACK has no code for a failure */
            conn_fail(c, code, b->text);
            suback_free(b);
            return false;
        }
        if (is_open && code < RC_UNSPECIFIED_ERROR)
            exclusive_add_open(b, b->n, item.filter);
        b->codes[b->n++] = (uint8_t)code;
        barrier |= code < RC_UNSPECIFIED_ERROR && barrier_is_due(s, item.filter);
        if (code < RC_UNSPECIFIED_ERROR && session_is_persistent(s)) {
            undo_add(b, item.filter);
            stored = true;
        }
    }
    suback_answer(c, PACKET_SUBACK, sub.packet_id, b, stored, barrier);
    if (c->state == CONN_OPEN && c->replay)
        replay_run(c);
    return c->state == CONN_OPEN;
}

bool on_unsubscribe(struct conn *c, const uint8_t *body, uint32_t n)
{
    struct subscribe sub;
    struct bytes filter;
    struct fault f;
    struct session *s = c->session;
    if (!decode_unsubscribe(body, n, c->version, &sub, &f))
        return conn_fault(c, &f);
    struct suback *b = suback_new(sub.count);
    bool stored = false;
    while (unsubscribe_next(&sub, &filter)) {
        if (unlikely(c->shard->rewrite != NULL))
            filter = rewrite_of(s, REWRITE_SUBSCRIBE, filter);
        if (unlikely(c->is_mounted))
            filter = mount_filter(c->shard, s->mount, filter);
        enum reason code = session_unsubscribe(s, filter, &b->text);
        b->codes[b->n++] = (uint8_t)code;
        stored |= code == RC_SUCCESS && session_is_persistent(s);
    }
    suback_answer(c, PACKET_UNSUBACK, sub.packet_id, b, stored, false);
    return c->state == CONN_OPEN;
}
