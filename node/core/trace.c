/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/trace.h"

#include "node/core/deliver.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/log.h"
#include "proto/mqtt/packet.h"

#include <stdarg.h>
#include <stdio.h>

enum { PAYLOAD_SHOWN_MAX = 1024 };

/* ---- who is meant --------------------------------------------------------------------------------- */

static uint32_t mask_by(const struct tracer *t, enum trace_by by, struct bytes value)
{
    uint32_t mask = 0;
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        const struct trace_rule *r = t->rules[i];
        if (!r || r->by != by)
            continue;
        bool fits = by == TRACE_TOPIC ? topic_match(r->value, value) || bytes_eq(r->value, value)
                                      : bytes_eq(r->value, value);
        mask |= fits ? 1u << i : 0;
    }
    return mask;
}

static uint32_t mask_with_topic(const struct shard *sh, uint32_t mask, struct bytes topic)
{
    if (sh->tracer.by_topic && topic.n)
        mask |= mask_by(&sh->tracer, TRACE_TOPIC, topic);
    return mask;
}

static uint32_t mask_of_client(const struct shard *sh, const struct conn *c, struct bytes client_id)
{
    return mask_by(&sh->tracer, TRACE_CLIENT, client_id) |
           mask_by(&sh->tracer, TRACE_ADDRESS, bytes_str(c->peer.address));
}

void trace_set(struct shard *sh, uint32_t i, const struct trace_rule *rule)
{
    struct tracer *t = &sh->tracer;
    uint32_t bit = 1u << i;
    t->on &= ~bit;
    t->by_topic &= ~bit;
    for (int k = 0; k < TRACE_PAYLOADS; k++)
        t->by_payload[k] &= ~bit;
    t->rules[i] = rule;
    if (rule) {
        t->on |= bit;
        t->by_payload[rule->payload] |= bit;
        t->by_topic |= rule->by == TRACE_TOPIC ? bit : 0;
    }
    list_each_safe(l, &sh->conns)
    {
        struct conn *c = container_of(l, struct conn, all_link);
        c->traced = c->session ? mask_of_client(sh, c, session_id(c->session)) : c->traced & ~bit;
    }
}

/* ---- lines ---------------------------------------------------------------------------------------- */

struct line {
    size_t n;
    char text[TRACE_LINE_MAX];
};

static void add(struct line *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct line *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(l->text + l->n, sizeof l->text - l->n, fmt, ap);
    va_end(ap);
    size_t room = sizeof l->text - l->n - 1;
    l->n += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room;
}

static void add_text(struct line *l, const char *name, struct bytes value)
{
    char escaped[LOG_ESCAPED_MAX];
    add(l, " %s=\"%s\"", name, log_escape(escaped, value));
}

static void begin(struct line *l, const struct conn *c, const struct session *s)
{
    char id[LOG_ESCAPED_MAX];
    l->n = 0;
    add(l, "%s@", s ? log_escape(id, session_id(s)) : "");
    if (c)
        add(l, "%s:%u", c->peer.address, c->peer.port);
}

static void put(struct shard *sh, uint32_t mask, const struct line *l)
{
    const struct trace_sink *sink = sh->node->conf.trace;
    if (mask && sink)
        sink->put(sink->ctx, sh->number, mask, sh->wall_ms, l->text, l->n);
}

/* The line once for each way in which payloads are shown. */
static void put_payload(struct shard *sh, uint32_t mask, const struct line *l, struct bytes payload)
{
    for (int k = 0; k < TRACE_PAYLOADS; k++) {
        struct line with;
        if (!(mask & sh->tracer.by_payload[k]))
            continue;
        with.n = l->n;
        memcpy(with.text, l->text, l->n + 1);
        size_t n = payload.n < PAYLOAD_SHOWN_MAX ? payload.n : PAYLOAD_SHOWN_MAX;
        if (k == TRACE_PAYLOAD_HEX) {
            add(&with, " payload=");
            for (size_t i = 0; i < n; i++)
                add(&with, "%02x", payload.p[i]);
        } else if (k == TRACE_PAYLOAD_TEXT) {
            add_text(&with, "payload", payload);
        }
        put(sh, mask & sh->tracer.by_payload[k], &with);
    }
}

/* ---- packets -------------------------------------------------------------------------------------- */

static const char *type_name(unsigned type)
{
    static const char *const names[16] = {
        "?",         "CONNECT", "CONNACK",     "PUBLISH",  "PUBACK",  "PUBREC",   "PUBREL",     "PUBCOMP",
        "SUBSCRIBE", "SUBACK",  "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH"};
    return names[type & 15];
}

/* The properties of a 5.0 packet are of no interest here. */
static bool skip_props(struct bytes *b)
{
    uint32_t n = 0, shift = 0;
    for (uint8_t byte = 0x80; byte & 0x80; shift += 7) {
        if (!b->n || shift > 21)
            return false;
        byte = b->p[0];
        *b = bytes_of(b->p + 1, b->n - 1);
        n |= (uint32_t)(byte & 0x7f) << shift;
    }
    if (n > b->n)
        return false;
    *b = bytes_of(b->p + n, b->n - n);
    return true;
}

/* The filters of SUBSCRIBE and UNSUBSCRIBE; answers the traces that one of them is about. */
static uint32_t add_filters(struct shard *sh, struct line *l, struct bytes b, unsigned options_n)
{
    uint32_t mask = 0;
    while (b.n >= 2 && b.n - 2 >= be16_get(b.p) + options_n) {
        struct bytes filter = bytes_of(b.p + 2, be16_get(b.p));
        add_text(l, "topic", filter);
        if (options_n)
            add(l, " qos=%u", filter.p[filter.n] & 3u);
        mask |= mask_with_topic(sh, 0, filter);
        b = bytes_of(filter.p + filter.n + options_n, b.n - 2 - filter.n - options_n);
    }
    return mask;
}

/* What stands in the body behind the packet id. */
static uint32_t add_rest(const struct conn *c, struct line *l, unsigned type, struct bytes b)
{
    bool v5 = c->version == MQTT_V5;
    switch (type) {
    case PACKET_SUBSCRIBE:
    case PACKET_UNSUBSCRIBE:
        if (!v5 || skip_props(&b))
            return add_filters(c->shard, l, b, type == PACKET_SUBSCRIBE);
        return 0;
    case PACKET_SUBACK:
    case PACKET_UNSUBACK:
        if (!v5 || skip_props(&b))
            for (size_t i = 0; i < b.n && i < 64; i++)
                add(l, " code=0x%02x", b.p[i]);
        return 0;
    default:
        add(l, " code=0x%02x", b.n ? b.p[0] : 0);
        return 0;
    }
}

static void packet(struct conn *c, const char *way, uint8_t first, struct bytes b)
{
    struct shard *sh = c->shard;
    struct line l;
    unsigned type = first >> 4;
    uint32_t mask = c->traced;
    begin(&l, c, c->session);
    add(&l, " %s %s", way, type_name(type));
    if (type == PACKET_CONNACK && b.n >= 2)
        add(&l, " session_present=%u code=0x%02x", b.p[0] & 1u, b.p[1]);
    else if (type == PACKET_DISCONNECT || type == PACKET_AUTH)
        add(&l, " code=0x%02x", b.n ? b.p[0] : 0);
    else if (b.n >= 2) {
        add(&l, " id=%u", be16_get(b.p));
        mask |= add_rest(c, &l, type, bytes_of(b.p + 2, b.n - 2));
    }
    put(sh, mask, &l);
}

void trace_received(struct conn *c, uint8_t first, struct bytes body)
{
    if (first >> 4 != PACKET_PUBLISH && first >> 4 != PACKET_CONNECT)
        packet(c, "received", first, body);
}

void trace_sent(struct conn *c, uint32_t n)
{
    struct frame f;
    const uint8_t *p = c->out.buf + c->out.len - n;
    if (c->traced && c->out.len >= n && frame_peek(p, n, &f) == FRAME_OK && f.header_n + f.body_n <= n)
        packet(c, "sent", f.first, bytes_of(p + f.header_n, f.body_n));
}

void trace_connect(struct conn *c, const struct connect *k)
{
    struct line l;
    c->traced = mask_of_client(c->shard, c, k->client_id);
    begin(&l, c, NULL);
    add(&l, " received CONNECT version=%u", (unsigned)k->version);
    add_text(&l, "client_id", k->client_id);
    if (k->has_username)
        add_text(&l, "username", k->username);
    add(&l, " has_password=%d clean_start=%d keep_alive=%u", k->has_password, k->clean_start,
        k->keep_alive_s);
    if (k->has_will)
        add_text(&l, "will_topic", k->will.topic);
    put(c->shard, c->traced, &l);
}

void trace_publish_received(struct conn *c, const struct publish *p)
{
    struct line l;
    uint32_t mask = mask_with_topic(c->shard, c->traced, p->m.topic);
    if (!mask)
        return;
    begin(&l, c, c->session);
    add(&l, " received PUBLISH");
    add_text(&l, "topic", p->m.topic);
    add(&l, " qos=%u id=%u retain=%d bytes=%zu", p->m.qos, p->packet_id, p->m.retain, (size_t)p->m.payload.n);
    put_payload(c->shard, mask, &l, p->m.payload);
}

void trace_publish_sent(struct conn *c, const struct publication *p, unsigned qos, uint16_t packet_id)
{
    struct line l;
    uint32_t mask = mask_with_topic(c->shard, c->traced, p->m.topic);
    if (c->shard->tracer.on & TRACER_WATCHED && c->session)
        journal_delivered(c->session, JOURNAL_SENT, p->m.topic, qos);
    if (!mask)
        return;
    begin(&l, c, c->session);
    add(&l, " sent PUBLISH");
    add_text(&l, "topic", p->m.topic);
    add(&l, " qos=%u id=%u bytes=%zu", qos, packet_id, (size_t)p->m.payload.n);
    put_payload(c->shard, mask, &l, p->m.payload);
}

/* ---- other events --------------------------------------------------------------------------------- */

static void note(struct shard *sh, uint32_t mask, const struct conn *c, const struct session *s,
                 const char *what, struct bytes topic, const char *text)
{
    struct line l;
    if (!mask)
        return;
    begin(&l, c, s);
    add(&l, " %s", what);
    if (topic.n)
        add_text(&l, "topic", topic);
    if (text)
        add_text(&l, "why", bytes_str(text));
    put(sh, mask, &l);
}

void trace_ended(struct conn *c, enum conn_end end)
{
    note(c->shard, c->traced, c, c->session, "ended", bytes_of(NULL, 0), conn_end_name(end));
}

void trace_note(struct conn *c, const char *what, struct bytes topic, const char *text)
{
    note(c->shard, mask_with_topic(c->shard, c->traced, topic), c, c->session, what, topic, text);
}

void trace_session_note(struct session *s, const char *what, struct bytes topic, const char *text)
{
    struct shard *sh = s->shard;
    uint32_t mask = s->conn ? s->conn->traced : mask_by(&sh->tracer, TRACE_CLIENT, session_id(s));
    note(sh, mask_with_topic(sh, mask, topic), s->conn, s, what, topic, text);
}
