/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/conn_i.h"
#include "node/core/delayed.h"
#include "node/core/deliver.h"
#include "node/core/mount.h"
#include "node/core/note.h"
#include "node/core/retained.h"
#include "node/core/rewrite.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Topics that a client has numbered [MQTT-3.3.2-12]. Aliases are granted up to a number, and their topics up
 * to a total of bytes, so that a client cannot make the server remember 65,535 long topics. */
struct alias_in {
    uint32_t n;
    uint32_t bytes;
    struct bytes *v; /* by alias - 1; owned */
};

enum { ALIAS_BYTES_MAX = 256 << 10 };

void alias_in_free(struct alias_in *a)
{
    if (!a)
        return;
    for (uint32_t i = 0; i < a->n; i++)
        free((void *)(uintptr_t)a->v[i].p);
    free(a->v);
    free(a);
}

static bool alias_learn(struct conn *c, uint16_t alias, struct bytes topic)
{
    if (!c->alias_in)
        c->alias_in = mem_zalloc(sizeof *c->alias_in);
    struct alias_in *a = c->alias_in;
    if (alias > a->n) {
        uint32_t n = a->n ? a->n : 8;
        while (n < alias)
            n *= 2;
        a->v = mem_realloc(a->v, sizeof *a->v * n);
        memset(a->v + a->n, 0, sizeof *a->v * (n - a->n));
        a->n = n;
    }
    struct bytes *slot = &a->v[alias - 1];
    if (bytes_eq(*slot, topic))
        return true;
    if (a->bytes - slot->n + topic.n > ALIAS_BYTES_MAX)
        return conn_fail(c, RC_QUOTA_EXCEEDED, "The topics behind Topic Aliases take too much memory");
    a->bytes = a->bytes - slot->n + topic.n;
    free((void *)(uintptr_t)slot->p);
    *slot = bytes_of(mem_dup(topic.p, topic.n), topic.n);
    return true;
}

/* Puts the topic that an alias stands for in its place, or learns the pair. */
static bool alias_resolve(struct conn *c, struct publish *p)
{
    if (p->alias > c->settings->topic_alias_max) /* [MQTT-3.2.2-17, MQTT-3.3.2-9] */
        return conn_fail(c, RC_TOPIC_ALIAS_INVALID, "The Topic Alias is above the Topic Alias Maximum");
    if (p->m.topic.n)
        return alias_learn(c, p->alias, p->m.topic);
    if (!c->alias_in || p->alias > c->alias_in->n || !c->alias_in->v[p->alias - 1].p)
        return conn_fail(c, RC_PROTOCOL_ERROR, "The Topic Alias stands for no topic yet");
    p->m.topic = c->alias_in->v[p->alias - 1];
    return true;
}

/* What is wrong with publishing this, beyond its form; closes the connection where the standard says so. */
static bool publish_judge(struct conn *c, const struct publish *p, const struct match *match,
                          enum topic_verdict verdict)
{
    const struct settings *set = c->settings;
    if (!match)
        return conn_fail(c, verdict == TOPIC_BAD_UTF8 ? RC_MALFORMED_PACKET : RC_TOPIC_NAME_INVALID,
                         topic_verdict_text(verdict)); /* [MQTT-3.3.2-2] */
    if (set->topic_levels_max && match->levels > set->topic_levels_max)
        return conn_fail(c, RC_TOPIC_NAME_INVALID, topic_verdict_text(TOPIC_TOO_DEEP));
    if (p->m.qos > set->qos_max) /* [MQTT-3.2.2-11] */
        return conn_fail(c, RC_QOS_NOT_SUPPORTED, "The QoS is above the Maximum QoS");
    if (p->m.retain && !set->retain_available) /* [MQTT-3.2.2-14] */
        return conn_fail(c, RC_RETAIN_NOT_SUPPORTED, "Retained messages are not available");
    return true;
}

static void publication_of(struct publication *pub, struct conn *c, const struct publish *p, uint8_t *packet,
                           uint32_t packet_n)
{
    struct session *s = c->session;
    *pub = (struct publication){
        .m = p->m, .conn = c, .origin = s->number, .client_hash = s->hash, .packet_id = p->packet_id};
    pub->hold = p->m.qos == 2 && session_is_persistent(s);
    if (c->version != MQTT_V5 || (p->props_verbatim && !p->alias)) {
        pub->raw = bytes_of(packet, packet_n);
        pub->raw_form = (uint8_t)((c->version == MQTT_V5 ? FORM_V5 : 0) | (p->m.qos ? FORM_QOS : 0));
    }
}

static inline enum reason plain_route(struct conn *c, struct publication *pub, const struct match *match)
{
    struct shard *sh = c->shard;
    if (unlikely(sh->gate.acl != NULL) &&
        (pub->denied = gate_publish(sh, c->session, match, pub->m.qos, pub->m.retain))) {
        pub->failed = RC_NOT_AUTHORIZED;
        note_conn(c, JOURNAL_PUBLISH_DENIED, pub->m.topic, RC_NOT_AUTHORIZED, pub->denied);
        return RC_NOT_AUTHORIZED;
    }
    if (pub->m.retain)
        retained_publish(sh, pub);
    deliver_match(sh, pub, match);
    if (pub->failed)
        return pub->failed;
    return pub->receivers ? RC_SUCCESS : RC_NO_MATCHING_SUBSCRIBERS;
}

static enum reason special_route(struct conn *c, struct publication *pub, const struct match *match)
{
    if (match->special == TOPIC_DELAYED)
        return delayed_publish(c->shard, pub);
    if (!match_is_reserved(match, c))
        return plain_route(c, pub, match);
    COUNT(c->shard, REFUSED_TOPIC);
    note_conn(c, JOURNAL_PUBLISH_REFUSED, pub->m.topic, RC_TOPIC_NAME_INVALID,
              "This topic is reserved for the server");
    pub->failed = RC_TOPIC_NAME_INVALID;
    return RC_TOPIC_NAME_INVALID;
}

/* Routes and stores; answers the code for the acknowledgement. */
static enum reason publish_route(struct conn *c, struct publication *pub, const struct match *match)
{
    return unlikely(match->special) ? special_route(c, pub, match) : plain_route(c, pub, match);
}

static const char *refusal_text(const struct publication *pub, enum reason code)
{
    switch ((unsigned)code) {
    case RC_TOPIC_NAME_INVALID:
        return "This topic is reserved for the server, or not as $delayed/SECONDS/TOPIC";
    case RC_NOT_AUTHORIZED:
        return pub->denied;
    case RC_QUOTA_EXCEEDED:
        return "Not kept: a queue or the retained messages are at their limit";
    case RC_NO_MATCHING_SUBSCRIBERS:
        return NULL;
    default:
        return NULL;
    }
}

/* Acknowledges now, or when everybody who has to store it has done so. */
static void publish_answer(struct conn *c, struct publication *pub, enum packet_type type, enum reason code)
{
    struct shard *sh = c->shard;
    if (pub->denied && sh->settings->acl_disconnects)
        return; /* DISCONNECT says it */
    if (!pub->pending) {
        bool is_quiet = code == RC_TOPIC_NAME_INVALID || code == RC_NOT_AUTHORIZED; /* [MQTT3-3.3.5-2] */
        if (code >= RC_UNSPECIFIED_ERROR && c->version != MQTT_V5 && !is_quiet) {
            conn_close(c, code, NULL, CONN_END_STORE); /* 3.x has no word for it but the end */
            return;
        }
        ack_send(c, type, pub->packet_id, code, refusal_text(pub, code));
        return;
    }
    struct pending *p = pub->pending;
    if (code < RC_UNSPECIFIED_ERROR)
        p->code = (uint8_t)code;
    if (type == PACKET_PUBACK) { /* a QoS 2 message counts by its id until PUBCOMP */
        p->counted = 1;
        c->receive_used++;
    }
    pub->pending = NULL;
    pending_release(sh, p, code);
}

static void qos2_remember(struct conn *c, uint16_t packet_id)
{
    struct session *s = c->session;
    if (!s->rx2)
        s->rx2 = pidset_new();
    pidset_add(s->rx2, packet_id, (uint32_t)(c->shard->now_ms / 1000));
    if (!wheel_timer_is_set(&s->timer))
        session_timer_start(s);
}

/* The QoS 2 message counts against the Receive Maximum until its PUBCOMP. */
static bool receive_is_full(const struct conn *c)
{
    const struct session *s = c->session;
    if (c->version != MQTT_V5)
        return false; /* 3.x has no such limit; ids are its bound */
    return c->receive_used + pidset_fresh(s->rx2) >= c->settings->receive_max;
}

/* The id is remembered durably before PUBREC says so. */
static void publication_store_id(struct conn *c, struct publication *pub)
{
    struct pending *p = publication_wait(pub);
    persist_touch(c->session);
    persist_wait(c->shard, p);
    persist_hurry(c->shard);
    pending_release(c->shard, p, RC_SUCCESS);
}

static bool publish_acked(struct conn *c, struct publication *pub, const struct match *match)
{
    struct session *s = c->session;
    if (pub->m.qos == 1) {
        if (receive_is_full(c)) /* [MQTT-3.3.4-7] */
            return conn_fail(c, RC_RECEIVE_MAXIMUM_EXCEEDED,
                             "More unacknowledged PUBLISH than Receive Maximum");
        publish_answer(c, pub, PACKET_PUBACK, publish_route(c, pub, match));
        return true;
    }
    if (pidset_has(s->rx2, pub->packet_id)) { /* [MQTT-4.3.3-10] */
        pidset_renew(s->rx2, pub->packet_id);
        if (session_is_persistent(s)) {
            publication_store_id(c, pub);
            pub->pending->keeps_id = 1;
        }
        publish_answer(c, pub, PACKET_PUBREC, RC_SUCCESS);
        return true;
    }
    if (receive_is_full(c))
        return conn_fail(c, RC_RECEIVE_MAXIMUM_EXCEEDED, "More unacknowledged PUBLISH than Receive Maximum");
    uint32_t rel_max = c->settings->awaiting_rel_max;
    if (rel_max && c->version == MQTT_V5 && s->rx2 && s->rx2->n >= rel_max) {
        COUNT(c->shard, REFUSED_AWAIT_REL);
        ack_send(c, PACKET_PUBREC, pub->packet_id, RC_QUOTA_EXCEEDED,
                 "Too many QoS 2 messages wait for their PUBREL");
        return true;
    }
    qos2_remember(c, pub->packet_id);
    enum reason code = publish_route(c, pub, match);
    if (code >= RC_UNSPECIFIED_ERROR) {
        pidset_del(s->rx2, pub->packet_id); /* [MQTT-4.3.3-9] */
    } else if (session_is_persistent(s)) {
        publication_store_id(c, pub);
    }
    publish_answer(c, pub, PACKET_PUBREC, code);
    return true;
}

/* The topic that counts. True: it is not the one in the packet. */
static bool topic_rewrite(struct conn *c, struct publish *p)
{
    struct bytes topic = rewrite_of(c->session, REWRITE_PUBLISH, p->m.topic);
    if (topic.p == p->m.topic.p)
        return false;
    COUNT(c->shard, TOPICS_REWRITTEN);
    p->m.topic = topic;
    return true;
}

/* It waits for a verdict, and is counted when it comes again. */
static bool publish_hold(struct shard *sh, const struct publish *p, bool is_rewritten)
{
    sh->counters.v[C_PUBLISH_RECEIVED]--;
    sh->counters.v[C_MESSAGES_RECEIVED]--;
    sh->counters.v[C_MESSAGES_QOS0_RECEIVED + p->m.qos]--;
    sh->counters.v[C_TOPICS_REWRITTEN] -= is_rewritten;
    return false;
}

static void publish_mount(struct conn *c, struct publish *p)
{
    const struct mount *m = c->session->mount;
    p->m.props = mount_props(c->shard, m, p->m.props);
    p->m.topic = mount_topic(c->shard, m, p->m.topic);
}

bool on_publish(struct conn *c, uint8_t *packet, const struct frame *f)
{
    struct shard *sh = c->shard;
    struct publish p;
    struct fault fault;
    enum topic_verdict verdict = TOPIC_OK;
    uint32_t packet_n = f->header_n + f->body_n;
    if (!decode_publish(f->first, packet + f->header_n, f->body_n, c->version, TOPIC_LATER, &p, &fault))
        return conn_fault(c, &fault);
    COUNT(sh, PUBLISH_RECEIVED);
    COUNT(sh, MESSAGES_RECEIVED);
    sh->counters.v[C_MESSAGES_QOS0_RECEIVED + p.m.qos]++;
    if (unlikely(p.alias) && !alias_resolve(c, &p))
        return false;
    bool is_rewritten = unlikely(sh->rewrite != NULL) && topic_rewrite(c, &p);
    if (unlikely(c->is_mounted))
        publish_mount(c, &p);
    if (unlikely(sh->tracer.on) && !c->asked) /* else it was seen before it waited */
        trace_publish_received(c, &p);
    const struct match *match = subs_match(&sh->subs, p.m.topic, &verdict);
    if (!publish_judge(c, &p, match, verdict))
        return false;
    if (unlikely(sh->gate.asks.ops != NULL) && gate_ask_publish(c, &p, &match))
        return publish_hold(sh, &p, is_rewritten);
    if (unlikely(sh->topic_metrics.all.n))
        topic_metrics_in(sh, p.m.topic, p.m.qos);
    struct publication pub;
    publication_of(&pub, c, &p, packet, packet_n);
    if (unlikely(is_rewritten | c->is_mounted))
        pub.raw = bytes_of(NULL, 0);
    bool go_on = true;
    if (p.m.qos == 0 && unlikely(sh->overload.level == LOAD_CRITICAL)) {
        COUNT(sh, DROPPED_OVERLOAD);
        note_conn(c, JOURNAL_OVERLOAD, p.m.topic, 0, NULL);
    } else if (p.m.qos == 0) {
        publish_route(c, &pub, match);
    } else {
        go_on = publish_acked(c, &pub, match);
    }
    publication_fini(sh, &pub);
    if (unlikely(pub.denied != NULL) && sh->settings->acl_disconnects && c->state == CONN_OPEN)
        return conn_fail(c, RC_NOT_AUTHORIZED, pub.denied);
    return go_on && c->state == CONN_OPEN;
}
