/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/conn.h"

#include "node/core/acl.h"
#include "node/core/conn_i.h"
#include "node/core/enhanced.h"
#include "node/core/note.h"
#include "node/core/pace.h"
#include "node/core/parked.h"
#include "node/core/publish_out.h"
#include "node/core/refusals.h"
#include "node/core/retained.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"

#include <stdlib.h>

enum { ACKQ_PAUSE = 4096, ACKQ_RESUME = 1024 };

const char *conn_end_name(enum conn_end e)
{
    static const char *const names[CONN_ENDS] = {
        "none",   "client",    "lost",     "keep_alive", "no_connect", "refused", "fault", "taken_over",
        "kicked", "transport", "shutdown", "moved",      "banned",     "expired", "store",
    };
    return names[e];
}

const char *conn_end_text(enum conn_end e)
{
    static const char *const texts[CONN_ENDS] = {
        "",
        "It said goodbye (DISCONNECT)",
        "The connection was closed or broke without DISCONNECT",
        "No packet came within the Keep Alive",
        "No CONNECT came in time",
        "It was refused",
        "It broke the protocol",
        "Another connection took over its client id",
        "It was kicked",
        "TLS or WebSocket fault, or it would not read what it was owed",
        "The node shut down",
        "It was sent to another node, or has connected there",
        "It was banned",
        "What it was let in with has expired",
        "The store could not keep a promise, and its version of MQTT has no code for that",
    };
    return texts[e];
}

void conn_init(struct conn *c, struct shard *sh, const struct settings *settings,
               const struct conn_peer *peer)
{
    *c =
        (struct conn){.shard = sh, .settings = settings, .state = CONN_NEW, .problem_info = 1, .peer = *peer};
    list_init(&c->dirty_link);
    list_init(&c->congested_link);
    list_push(&sh->conns, &c->all_link);
    sh->conns_n++;
    wheel_timer_init(&c->timer);
    c->rx_ms = sh->now_ms;
    wheel_set(&sh->wheel, &c->timer, sh->now_ms + settings->idle_timeout_ms);
}

void conn_fini(struct conn *c)
{
    if (c->state != CONN_CLOSING)
        conn_on_lost(c, CONN_END_LOST);
    list_del(&c->dirty_link);
    list_del(&c->all_link);
    c->shard->conns_n--;
    wheel_stop(&c->timer);
    outbuf_fini(&c->out, &c->shard->outpool);
    enhanced_end(c);
    free(c->username);
    free(c->identity);
    acl_unref(c->acl);
}

void conn_timer_set(struct conn *c, uint64_t at_ms)
{
    struct shard *sh = c->shard;
    if (c->until_ms) {
        uint64_t left = c->until_ms > sh->wall_ms ? c->until_ms - sh->wall_ms : 0;
        at_ms = at_ms && at_ms < sh->now_ms + left ? at_ms : sh->now_ms + left;
    }
    uint64_t again_ms = enhanced_until(c);
    if (again_ms && (!at_ms || again_ms < at_ms))
        at_ms = again_ms;
    wheel_stop(&c->timer);
    if (at_ms)
        wheel_set(&sh->wheel, &c->timer, at_ms);
}

void conn_mark_dirty(struct conn *c)
{
    if (list_is_empty(&c->dirty_link))
        list_push(&c->shard->dirty, &c->dirty_link);
}

void conn_sent(struct conn *c, uint32_t n)
{
    struct shard *sh = c->shard;
    c->send_packets++;
    c->send_bytes += n;
    sh->counters.v[C_BYTES_SENT] += n;
    COUNT(sh, PACKETS_SENT);
    if (unlikely(sh->tracer.on))
        trace_sent(c, n);
    conn_mark_dirty(c);
}

bool conn_receive_take(struct conn *c)
{
    if (c->receive_used >= c->settings->receive_max)
        return false;
    c->receive_used++;
    return true;
}

void conn_receive_give(struct conn *c)
{
    if (c->receive_used)
        c->receive_used--;
}

void conn_pace(struct conn *c)
{
    uint32_t n = c->ackq ? c->ackq->n : 0;
    bool pause = c->parked || gate_ask_waits(c) || !list_is_empty(&c->congested_link) ||
                 (c->pace && c->pace->until_ms) || (c->read_paused ? n > ACKQ_RESUME : n >= ACKQ_PAUSE);
    if (pause != c->read_paused) {
        c->read_paused = pause;
        conn_mark_dirty(c);
    }
}

/* ---- the end -------------------------------------------------------------------------------------- */

static void count_end(struct shard *sh, enum conn_end end)
{
    switch (end) {
    case CONN_END_LOST:
        COUNT(sh, CLIENT_LOST);
        break;
    case CONN_END_KEEP_ALIVE:
        COUNT(sh, CLIENT_KEEP_ALIVE);
        break;
    case CONN_END_NO_CONNECT:
        COUNT(sh, CLIENT_NO_CONNECT);
        break;
    case CONN_END_REFUSED:
        COUNT(sh, CLIENT_REFUSED);
        break;
    case CONN_END_BANNED:
        COUNT(sh, CLIENT_BANNED);
        break;
    case CONN_END_FAULT:
    case CONN_END_TRANSPORT:
        COUNT(sh, CLIENT_FAULTS);
        break;
    case CONN_END_NONE:
    case CONN_END_CLIENT:
    case CONN_END_TAKEN_OVER:
    case CONN_END_KICKED:
    case CONN_END_SHUTDOWN:
    case CONN_END_MOVED:
    case CONN_END_EXPIRED:
    case CONN_END_STORE:
    case CONN_ENDS:
        break;
    }
}

/* From any state to CLOSING: the session goes its own way, the I/O layer will flush and close. */
static void conn_end(struct conn *c, enum conn_end end)
{
    struct shard *sh = c->shard;
    char id[LOG_ESCAPED_MAX];
    if (c->state == CONN_CLOSING)
        return;
    if (unlikely(sh->tracer.on))
        trace_ended(c, end);
    if (c->session) {
        LOG(sh->node->conf.log, LOG_DEBUG, "client disconnected client_id=\"%s\" reason=%s",
            log_escape(id, session_id(c->session)), conn_end_name(end));
        COUNT(sh, CLIENT_DISCONNECTED);
        note_conn(c, JOURNAL_DISCONNECTED, bytes_of(NULL, 0), 0, conn_end_text(end));
        flapping_note(c);
    }
    c->state = CONN_CLOSING;
    parked_forget(c);
    gate_ask_forget(c);
    pace_free(c->pace);
    c->pace = NULL;
    list_del(&c->congested_link);
    c->out_held = 0;
    c->end = (uint8_t)end;
    c->read_paused = 1;
    count_end(sh, end);
    wheel_stop(&c->timer);
    ackq_drop(c);
    replay_free(c);
    alias_in_free(c->alias_in); /* [MQTT-3.3.2-7] */
    alias_out_free(c->alias_out);
    c->alias_in = NULL;
    c->alias_out = NULL;
    if (c->session) {
        struct session *s = c->session;
        c->session = NULL;
        session_detach(s, c);
    }
    conn_mark_dirty(c);
}

void conn_on_lost(struct conn *c, enum conn_end end)
{
    conn_end(c, end);
}

/* DISCONNECT, for those who understand it [MQTT-3.14.0-1]. */
static void disconnect_send(struct conn *c, enum reason code, const char *text, struct bytes reference)
{
    if (c->state != CONN_OPEN || c->version != MQTT_V5)
        return;
    uint8_t *b = outbuf_reserve(&c->out, &c->shard->outpool, ENCODE_SMALL_MAX + reference.n);
    uint8_t *e = encode_disconnect(b, code, text, reference, c->packet_size_max);
    outbuf_commit(&c->out, e);
    conn_sent(c, (uint32_t)(e - b));
    COUNT(c->shard, DISCONNECT_SENT);
}

void conn_close(struct conn *c, enum reason code, const char *text, enum conn_end end)
{
    if (c->state == CONN_CLOSING)
        return;
    disconnect_send(c, code, text, bytes_of(NULL, 0));
    conn_end(c, end);
}

void conn_redirect(struct conn *c, const char *reference)
{
    if (c->state == CONN_CLOSING)
        return;
    disconnect_send(c, RC_USE_ANOTHER_SERVER, "This node is being drained", bytes_str(reference));
    conn_end(c, CONN_END_MOVED);
}

bool conn_fail(struct conn *c, enum reason code, const char *text)
{
    LOG(c->shard->node->conf.log, LOG_INFO, "client fault peer=%s:%u code=0x%02x what=\"%s\"",
        c->peer.address, c->peer.port, (unsigned)code, text ? text : "");
    refusal_count(c->shard, REFUSAL_PACKET, code);
    note_conn(c, JOURNAL_FAULT, bytes_of(NULL, 0), code, text);
    conn_close(c, code, text, CONN_END_FAULT);
    return false;
}

bool conn_fault(struct conn *c, const struct fault *f)
{
    return conn_fail(c, f->code, f->text);
}

/* ---- bytes ---------------------------------------------------------------------------------------- */

static bool dispatch(struct conn *c, uint8_t *p, const struct frame *f)
{
    struct shard *sh = c->shard;
    uint8_t *body = p + f->header_n;
    struct fault fault;
    if (likely(f->first >> 4 == PACKET_PUBLISH && c->state == CONN_OPEN))
        return on_publish(c, p, f);
    if (unlikely(sh->tracer.on))
        trace_received(c, f->first, bytes_of(body, f->body_n));
    if (c->state == CONN_NEW)
        sh->connecting = bytes_of(NULL, 0); /* that of another connection is of no use any more */
    if (c->state == CONN_NEW && c->enhanced)
        return enhanced_on_packet(c, f, body);
    if (c->state == CONN_NEW) {
        if (f->first != PACKET_CONNECT << 4)
            return conn_fail(c, RC_PROTOCOL_ERROR, "The first packet must be CONNECT"); /* [MQTT-3.1.0-1] */
        return on_connect(c, body, f->body_n);
    }
    if (!frame_check(f->first, c->version, &fault))
        return conn_fault(c, &fault);
    switch ((enum packet_type)(f->first >> 4)) {
    case PACKET_PUBACK:
        return on_puback(c, body, f->body_n);
    case PACKET_PUBREC:
        return on_pubrec(c, body, f->body_n);
    case PACKET_PUBREL:
        return on_pubrel(c, body, f->body_n);
    case PACKET_PUBCOMP:
        return on_pubcomp(c, body, f->body_n);
    case PACKET_SUBSCRIBE:
        COUNT(sh, SUBSCRIBE_RECEIVED);
        return on_subscribe(c, body, f->body_n);
    case PACKET_UNSUBSCRIBE:
        COUNT(sh, UNSUBSCRIBE_RECEIVED);
        return on_unsubscribe(c, body, f->body_n);
    case PACKET_PINGREQ:
        COUNT(sh, PINGREQ_RECEIVED);
        if (f->body_n)
            return conn_fail(c, RC_MALFORMED_PACKET, "PINGREQ has no body");
        outbuf_commit(&c->out, encode_pingresp(outbuf_reserve(&c->out, &sh->outpool, 2)));
        conn_sent(c, 2); /* [MQTT-3.12.4-1] */
        return true;
    case PACKET_DISCONNECT:
        COUNT(sh, DISCONNECT_RECEIVED);
        return on_disconnect(c, body, f->body_n);
    case PACKET_AUTH:
        COUNT(sh, AUTH_RECEIVED);
        return on_auth(c, body, f->body_n);
    case PACKET_CONNECT:
        return conn_fail(c, RC_PROTOCOL_ERROR, "A second CONNECT on one connection"); /* [MQTT-3.1.0-2] */
    case PACKET_CONNACK:
    case PACKET_PUBLISH:
    case PACKET_SUBACK:
    case PACKET_UNSUBACK:
    case PACKET_PINGRESP:
        break;
    }
    return conn_fail(c, RC_PROTOCOL_ERROR, "A packet that only a server sends");
}

/* The frame at p, if its header is good. */
static enum frame_status next_frame(struct conn *c, const uint8_t *p, size_t n, struct frame *f)
{
    enum frame_status st = frame_peek(p, n, f);
    if (st == FRAME_MALFORMED) {
        conn_fail(c, RC_MALFORMED_PACKET,
                  "Remaining Length is not in its shortest form of at most four bytes");
    } else if (st == FRAME_OK && (uint64_t)f->header_n + f->body_n > c->settings->packet_size_max) {
        conn_fail(c, RC_PACKET_TOO_LARGE,
                  "The packet is larger than the Maximum Packet Size"); /* [MQTT-3.2.2-15] */
        st = FRAME_MALFORMED;
    }
    return st;
}

size_t conn_feed(struct conn *c, uint8_t *buf, size_t n)
{
    struct shard *sh = c->shard;
    size_t at = 0;
    struct frame f;
    uint32_t packets = 0;
    c->rx_ms = sh->now_ms;
    while (at < n && c->state != CONN_CLOSING && !c->read_paused) {
        if (next_frame(c, buf + at, n - at, &f) != FRAME_OK || n - at < (size_t)f.header_n + f.body_n)
            break;
        packets++;
        size_t size = (size_t)f.header_n + f.body_n;
        bool go_on = dispatch(c, buf + at, &f);
        if (unlikely(!go_on) && c->asked) { /* it waits, and is fed again */
            packets--;
            break;
        }
        at += size;
        if (!go_on)
            break;
        if (unlikely(c->pace != NULL) && f.first >> 4 != PACKET_CONNECT)
            pace_take(c, size, f.first >> 4 == PACKET_PUBLISH);
    }
    c->recv_packets += packets;
    c->recv_bytes += at;
    sh->counters.v[C_PACKETS_RECEIVED] += packets;
    sh->counters.v[C_BYTES_RECEIVED] += at;
    return at;
}

size_t conn_need(const struct conn *c, const uint8_t *p, size_t n)
{
    struct frame f;
    (void)c;
    if (frame_peek(p, n, &f) != FRAME_OK)
        return n + 1;
    size_t size = (size_t)f.header_n + f.body_n;
    return size > n ? size : n + 1;
}

enum conn_peek conn_peek(const uint8_t *p, size_t n, const struct settings *settings, struct bytes *client_id)
{
    struct frame f;
    enum frame_status st = frame_peek(p, n, &f);
    if (n && p[0] != PACKET_CONNECT << 4)
        return CONN_PEEK_HERE;
    if (st == FRAME_INCOMPLETE)
        return CONN_PEEK_MORE;
    if (st == FRAME_MALFORMED || (uint64_t)f.header_n + f.body_n > settings->packet_size_max)
        return CONN_PEEK_HERE;
    if (n < (size_t)f.header_n + f.body_n)
        return CONN_PEEK_MORE;
    if (!decode_connect_client_id(p + f.header_n, f.body_n, client_id) || client_id->n == 0)
        return CONN_PEEK_HERE;
    return CONN_PEEK_ID;
}

void conn_on_writable(struct conn *c)
{
    if (c->state != CONN_OPEN)
        return;
    c->out_waits = 0;
    session_pump(c->session);
    if (c->state == CONN_OPEN && c->replay)
        replay_run(c);
}
