/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/auto_subscribe.h"
#include "node/core/client_events.h"
#include "node/core/conn_i.h"
#include "node/core/enhanced.h"
#include "node/core/mount.h"
#include "node/core/note.h"
#include "node/core/pace.h"
#include "node/core/publish_out.h"
#include "node/core/refusals.h"
#include "node/core/retained.h"
#include "node/core/rewrite.h"
#include "node/core/shard_i.h"
#include "node/core/subscribe.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLIENT_ID_V31_MAX = 23, ASSIGNED_MAX = 48 };

static const char will_reserved[] = "The Will Topic is reserved for the server";

/* A CONNACK and, when it refuses, the end [MQTT-3.2.2-7]. */
static bool connack_send(struct conn *c, const struct connack *a)
{
    struct shard *sh = c->shard;
    size_t room = connack_size_max(a->assigned_client_id.n + a->response_info.n + a->auth_method.n +
                                   a->auth_data.n + (a->text ? strlen(a->text) : 0));
    uint8_t *b = outbuf_reserve(&c->out, &sh->outpool, (uint32_t)room);
    uint8_t *end = encode_connack(b, c->version, a, c->packet_size_max);
    outbuf_commit(&c->out, end);
    if (end > b)
        conn_sent(c, (uint32_t)(end - b));
    if (a->code == RC_SUCCESS)
        return true;
    LOG(sh->node->conf.log, LOG_INFO, "client refused peer=%s:%u code=0x%02x what=\"%s\"", c->peer.address,
        c->peer.port, (unsigned)a->code, a->text ? a->text : "");
    refusal_count(sh, REFUSAL_CONNECT, a->code);
    note_conn(c, JOURNAL_REFUSED, bytes_of(NULL, 0), a->code, a->text ? a->text : reason_name(a->code));
    sh->connecting = bytes_of(NULL, 0);
    conn_close(c, a->code, NULL, CONN_END_REFUSED);
    return false;
}

bool connect_refuse(struct conn *c, enum reason code, const char *text)
{
    struct connack a = {.code = code, .text = text, .qos_max = 2};
    return connack_send(c, &a);
}

bool connect_refuse_banned(struct conn *c)
{
    return connect_refuse(c, RC_BANNED, "This client is banned");
}

/* What a listener's settings and the standard say against this CONNECT; RC_SUCCESS: nothing. */
static enum reason connect_judge(const struct conn *c, const struct connect *k, const char **text)
{
    const struct settings *set = c->settings;
    if (k->client_id.n > set->client_id_bytes_max) {
        *text = "The Client Identifier is too long";
        return RC_CLIENT_ID_NOT_VALID;
    }
    if (k->client_id.n == 0 && (k->version == MQTT_V31 || (k->version == MQTT_V311 && !k->clean_start))) {
        *text = "An empty Client Identifier needs Clean Session"; /* [MQTT-3.1.3-8] of 3.1.1 */
        return RC_CLIENT_ID_NOT_VALID;
    }
    if (__atomic_load_n(&c->shard->node->peers.is_draining, __ATOMIC_RELAXED) &&
        peers_any(&c->shard->node->peers)) {
        *text = "This node is being drained: use another one";
        return RC_USE_ANOTHER_SERVER;
    }
    if (k->auth_method.p && !enhanced_is_offered(c, k->auth_method)) {
        *text = "This Authentication Method is not configured"; /* [MQTT-4.12.0-1] */
        return RC_BAD_AUTHENTICATION_METHOD;
    }
    if (!k->has_will)
        return RC_SUCCESS;
    if (k->will.qos > set->qos_max) {
        *text = "The Will QoS is above the Maximum QoS"; /* [MQTT-3.2.2-12] */
        return RC_QOS_NOT_SUPPORTED;
    }
    if (k->will.retain && !set->retain_available) {
        *text = "Retained messages are not available"; /* [MQTT-3.2.2-13] */
        return RC_RETAIN_NOT_SUPPORTED;
    }
    enum topic_verdict v = topic_name_check(k->will.topic, set->topic_levels_max);
    if (v != TOPIC_OK) {
        *text = topic_verdict_text(v);
        return RC_TOPIC_NAME_INVALID;
    }
    if (topic_special_of(k->will.topic) == TOPIC_RESERVED) {
        *text = will_reserved;
        return RC_TOPIC_NAME_INVALID;
    }
    return RC_SUCCESS;
}

/* An id of our own, whose home is this shard [MQTT-3.1.3-6]. */
static struct bytes id_assign(struct shard *sh, char buf[ASSIGNED_MAX])
{
    struct bytes id;
    do {
        int n = snprintf(buf, ASSIGNED_MAX, "covey-%016llx%04x", (unsigned long long)shard_random(sh),
                         (unsigned)(shard_random(sh) & 0xffff));
        id = bytes_of(buf, (size_t)n);
    } while (node_home(sh->node, id) != sh->number || session_find(sh, id));
    return id;
}

static uint32_t expiry_of(const struct settings *set, const struct connect *k)
{
    uint32_t e = k->session_expiry_s;
    if (k->version != MQTT_V5 && !k->clean_start)
        e = set->session_expiry_default_s;
    return e < set->session_expiry_max_s ? e : set->session_expiry_max_s;
}

static void conn_open(struct conn *c, const struct connect *k, const struct mount *mount)
{
    const struct settings *set = c->settings;
    bool by_server = set->server_keep_alive_s && k->version == MQTT_V5;     /* others could not be told */
    uint16_t keep = by_server ? set->server_keep_alive_s : k->keep_alive_s; /* [MQTT-3.2.2-21, -22] */
    c->state = CONN_OPEN;
    c->keep_alive_ms = (uint32_t)keep * 10u * set->keep_alive_percent;
    c->packet_size_max = k->packet_size_max;
    c->problem_info = k->request_problem_info;
    c->alias_out_max =
        k->topic_alias_max < set->topic_alias_out_max ? k->topic_alias_max : set->topic_alias_out_max;
    c->is_bridge = k->is_bridge;
    c->is_mounted = mount != NULL;
    c->own_form = c->is_mounted || c->alias_out_max;
    pace_init(c);
    if (k->has_username && !c->username) /* else whoever checked it has given it another one */
        c->username = mem_dup(k->username.p, k->username.n);
    conn_timer_set(c, c->keep_alive_ms ? c->shard->now_ms + c->keep_alive_ms : 0);
}

/* The will of this connection, in place of one whose delay was still running [MQTT-3.1.3-9]. */
static void will_set(struct session *s, const struct connect *k)
{
    will_drop(s);
    if (!k->has_will)
        return;
    struct msg *m = msg_new(&k->will, s->shard->wall_ms, s->number);
    CHECK(m != NULL); /* no larger than a packet may be */
    s->will = mem_alloc(sizeof *s->will);
    *s->will = (struct will){m, k->will_delay_s};
}

/* The session that the CONNECT asks for: the old one, taken over if need be, or a new one [MQTT-3.1.2-4, -5,
 * -6]. */
static struct session *session_get(struct conn *c, const struct connect *k, struct bytes id, bool *present)
{
    struct shard *sh = c->shard;
    struct session *s = session_find(sh, id);
    if (s && s->conn) {
        COUNT(sh, SESSION_TAKENOVER);
        conn_close(s->conn, RC_SESSION_TAKEN_OVER,
                   "Another connection uses this Client Identifier", /* [MQTT-3.1.4-3] */
                   CONN_END_TAKEN_OVER);
        s = session_find(sh, id); /* it may have ended with its connection */
    }
    if (s && session_is_leaving(s))
        parcel_stay(s);
    if (s && session_is_over(s)) {
        session_end(s);
        s = NULL;
    }
    if (s && k->clean_start) {
        COUNT(sh, SESSION_DISCARDED);
        session_end(s);
        s = NULL;
    }
    *present = s != NULL;
    if (s) {
        COUNT(sh, SESSION_RESUMED);
        pidset_age(s->rx2);
        return s;
    }
    /* After a failed commit an earlier one of this id may still be in the store. */
    c->out_held |= sh->persist.has_failed && expiry_of(c->settings, k) > 0;
    COUNT(sh, SESSION_CREATED);
    s = session_new(sh, id, 0);
    c->out_held |= persist_is_ending(s); /* by this CONNECT, or one that has only just moved away */
    return s;
}

/* Takes mount. */
static void session_take_settings(struct session *s, struct conn *c, const struct connect *k,
                                  struct mount *mount)
{
    const struct settings *set = c->settings;
    bool was_persistent = session_is_persistent(s);
    s->expiry_s = expiry_of(set, k);
    s->version = (uint8_t)k->version;
    s->clean_start = k->clean_start;
    s->inflight_max =
        k->receive_max < set->inflight_max ? k->receive_max : set->inflight_max; /* [MQTT-3.3.4-9] */
    free(s->username);
    s->username = c->username ? mem_text(c->username) : NULL;
    free(s->mount);
    s->mount = mount;
    if (session_is_persistent(s)) {
        will_set(s, k);
        persist_session(s);
        for (uint32_t i = 0; i < s->subs_n && !was_persistent; i++)
            persist_sub(s->subs[i]);
        return;
    }
    will_set(s, k);
    if (s->is_recorded) {
        c->out_held = 1;
        persist_session_end(s);
    }
}

void connack_take_back(struct conn *c)
{
    struct connack a = {
        .code = RC_SERVER_UNAVAILABLE, .text = "The old session could not be deleted", .qos_max = 2};
    outbuf_fini(&c->out, &c->shard->outpool);
    c->state = CONN_NEW; /* as far as the client knows [MQTT-3.14.0-1] */
    connack_send(c, &a);
}

/* A stored session was discarded for this CONNECT: the CONNACK that says so leaves when the store has
 * forgotten it, and what else is written meanwhile leaves behind it. */
static void connack_hold(struct conn *c)
{
    struct pending *p = pending_new(c, PACKET_CONNACK, 0, RC_SUCCESS);
    persist_wait(c->shard, p);
    persist_hurry(c->shard);
    pending_release(c->shard, p, RC_SUCCESS);
}

static struct bytes username_of(const struct conn *c, const struct connect *k)
{
    if (c->username)
        return bytes_str(c->username);
    return k->has_username ? k->username : bytes_of(NULL, 0);
}

/* What the will's topic stands for takes its place: what becomes of the rules for it, and of the client's
 * names, until it is published does not matter. is_granted as of gate_will(). False: refused. */
static bool will_take(struct conn *c, struct connect *k, struct bytes id, const struct mount *mount,
                      bool *is_granted)
{
    struct shard *sh = c->shard;
    struct bytes username = username_of(c, k);
    if (sh->rewrite)
        k->will.topic = rewrite_topic(sh->rewrite, REWRITE_PUBLISH, k->will.topic, id, username);
    const char *denied = gate_will(c, id, username, k->will.topic, is_granted);
    if (denied)
        return connect_refuse(c, RC_NOT_AUTHORIZED, denied);
    if (!mount)
        return true;
    k->will.props = mount_props(sh, mount, k->will.props);
    struct bytes whole = mount_topic(sh, mount, k->will.topic);
    if (whole.p == k->will.topic.p)
        return connect_refuse(c, RC_TOPIC_NAME_INVALID, will_reserved);
    enum topic_verdict v = topic_name_check(whole, c->settings->topic_levels_max);
    k->will.topic = whole;
    return v == TOPIC_OK || connect_refuse(c, RC_TOPIC_NAME_INVALID, topic_verdict_text(v));
}

/* stamp: of the claim that was granted; 0: none was asked for. */
static bool connect_accept(struct conn *c, struct connect *k, uint64_t stamp)
{
    const struct settings *set = c->settings;
    char assigned[ASSIGNED_MAX];
    struct connack a = {.code = RC_SUCCESS};
    struct bytes id = k->client_id;
    if (id.n == 0) {
        id = id_assign(c->shard, assigned);
        a.assigned_client_id = id; /* [MQTT-3.1.3-7] */
    }
    const char *why;
    bool will_granted = false;
    struct mount *mount = mount_new(c->shard, set->mountpoint, c, id, username_of(c, k), &a.code, &why);
    if (a.code != RC_SUCCESS)
        return connect_refuse(c, a.code, why);
    if (k->has_will && !will_take(c, k, id, mount, &will_granted)) {
        free(mount);
        return false;
    }
    struct session *s = session_get(c, k, id, &a.session_present);
    conn_open(c, k, mount);
    session_take_settings(s, c, k, mount);
    s->will_granted = will_granted;
    if (stamp) {
        s->stamp = stamp;
        claim_tell_again(s); /* meanwhile it may have been granted to somebody else */
    } else {
        claim_tell_held(s);
    }
    a.session_present = a.session_present && k->version != MQTT_V31;
    a.has_session_expiry = k->version == MQTT_V5 && s->expiry_s != k->session_expiry_s;
    a.session_expiry_s = s->expiry_s;
    a.has_server_keep_alive = set->server_keep_alive_s && set->server_keep_alive_s != k->keep_alive_s;
    a.server_keep_alive_s = set->server_keep_alive_s;
    a.receive_max = set->receive_max;
    a.topic_alias_max = set->topic_alias_max;
    a.packet_size_max = set->packet_size_max;
    a.qos_max = set->qos_max; /* [MQTT-3.2.2-9] */
    a.retain_unavailable = !set->retain_available;
    a.wildcard_unavailable = !set->wildcard_available;
    a.shared_unavailable = !set->shared_available;
    if (k->request_response_info && set->response_info[0]) /* [MQTT-3.1.2-28] */
        a.response_info = bytes_str(set->response_info);
    enhanced_connack(c, &a);
    connack_send(c, &a); /* [MQTT-3.2.0-1] */
    session_attach(s, c);
    if (c->out_held)
        connack_hold(c);
    if (c->state == CONN_OPEN) {
        note_conn(c, JOURNAL_CONNECTED, bytes_of(NULL, 0), 0,
                  a.session_present ? "It has its session again" : "With a new session");
        client_event_connected(c);
    }
    const char *topics = c->shard->settings->auto_subscribe;
    if (topics && *topics && c->state == CONN_OPEN)
        auto_subscribe(c, topics);
    return c->state == CONN_OPEN;
}

bool on_connect(struct conn *c, uint8_t *body, uint32_t n)
{
    struct connect k;
    struct fault f;
    const char *text = NULL;
    COUNT(c->shard, CONNECT_RECEIVED);
    if (!decode_connect(body, n, &k, &f)) {
        c->version = (uint8_t)k.version;
        if (f.code == RC_UNSUPPORTED_PROTOCOL_VERSION && k.version)
            return connect_refuse(c, f.code, f.text); /* [MQTT-3.1.2-2] */
        if (k.version == MQTT_V5)
            return connect_refuse(c, f.code, f.text);
        return conn_fault(c, &f);
    }
    c->version = (uint8_t)k.version;
    c->packet_size_max = k.packet_size_max;
    c->shard->connecting = k.client_id;
    if (unlikely(c->shard->tracer.on))
        trace_connect(c, &k);
    if (ban_stops(c, &k))
        return connect_refuse_banned(c);
    if (unlikely(c->shard->overload.level != LOAD_NORMAL))
        return connect_refuse(c, RC_SERVER_BUSY,
                              "This node has more to do than it can: try again later, or another one");
    enum reason code = connect_judge(c, &k, &text);
    if (code != RC_SUCCESS)
        return connect_refuse(c, code, text);
    if (k.auth_method.p)
        return enhanced_begin(c, &k, body, n);
    return vet_begin(c, &k, body, n);
}

struct bytes connect_client(uint8_t *body, uint32_t n)
{
    struct connect k;
    struct fault f;
    CHECK(decode_connect(body, n, &k, &f));
    return k.client_id;
}

bool connect_vetted(struct conn *c, struct connect *k, const uint8_t *body, uint32_t n)
{
    if (k->has_will && c->shard->gate.asks.ops && gate_ask_will(c, k, username_of(c, k), body, n))
        return true;
    return connect_asked(c, k, body, n);
}

bool connect_asked(struct conn *c, struct connect *k, const uint8_t *body, uint32_t n)
{
    if (k->client_id.n && claim_is_needed(c->shard, k->client_id)) {
        claim_begin(c, k, body, n);
        return true;
    }
    return connect_accept(c, k, 0);
}

void connect_resume(struct conn *c, uint8_t *body, uint32_t n, uint64_t stamp)
{
    struct connect k;
    struct fault f;
    CHECK(decode_connect(body, n, &k, &f)); /* it was good before */
    c->shard->connecting = k.client_id;
    if (ban_stops(c, &k)) {
        connect_refuse_banned(c);
        return;
    }
    connect_accept(c, &k, stamp);
    enhanced_end(c);
}

bool on_disconnect(struct conn *c, const uint8_t *body, uint32_t n)
{
    struct disconnect d;
    struct fault f;
    struct session *s = c->session;
    if (!decode_disconnect(body, n, c->version, &d, &f))
        return conn_fault(c, &f);
    if (d.has_session_expiry && d.session_expiry_s != s->expiry_s) {
        if (s->expiry_s == 0)
            return conn_fail(c, RC_PROTOCOL_ERROR, "Session Expiry Interval was 0 in CONNECT and stays so");
        uint32_t max = c->settings->session_expiry_max_s;
        s->expiry_s = d.session_expiry_s < max ? d.session_expiry_s : max;
        if (s->expiry_s)
            persist_session(s);
    }
    if (d.code == RC_SUCCESS)
        will_drop(s); /* [MQTT-3.14.4-3] */
    conn_on_lost(c, CONN_END_CLIENT);
    return false;
}
