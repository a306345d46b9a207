/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load/traffic.h"

#include "bench/load/clock.h"
#include "bench/load/die.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define PAYLOAD_MAGIC 0x43564259u
#define TOPIC_MAX     512

struct payload {
    uint32_t stream, magic;
    uint64_t sequence, sent_ns;
};

static void publisher_mark_ready(struct publisher *p)
{
    if (p->is_ready)
        return;
    p->is_ready = true;
    p->ready_next = p->traffic->ready;
    p->traffic->ready = p;
}

/* One receiver has message `sequence`; it is received when all have it. Receivers see it in order. */
static void publisher_on_receipt(struct publisher *p, const struct stream *s, uint64_t sequence)
{
    const struct traffic *t = p->traffic;
    if (s->subscriber != TRAFFIC_EVERYBODY) {
        p->received++;
        publisher_mark_ready(p);
        return;
    }
    p->arrivals[sequence & t->arrivals_mask]++;
    while (p->received < p->sent && p->arrivals[p->received & t->arrivals_mask] == t->fan) {
        p->arrivals[p->received & t->arrivals_mask] = 0;
        p->received++;
        publisher_mark_ready(p);
    }
}

static void subscriber_on_publish(struct client *c, const struct wire_publish *m)
{
    struct subscriber *sub = (struct subscriber *)(void *)c;
    struct traffic *t = sub->traffic;
    struct verdict *v = &t->bench->verdict;
    struct payload got;
    if (m->payload_len != t->bench->opts.payload_bytes ||
        m->qos != (t->qos < t->sub_qos ? t->qos : t->sub_qos) || m->is_retain != t->is_retained) {
        v->corrupt++;
        return;
    }
    memcpy(&got, m->payload, sizeof(got));
    if (got.magic != PAYLOAD_MAGIC || got.stream >= t->stream_count) {
        v->corrupt++;
        return;
    }
    struct stream *s = &t->streams[got.stream];
    bool is_for_all = s->subscriber == TRAFFIC_EVERYBODY;
    if (!is_for_all && s->subscriber != c->index) {
        v->misrouted++;
        return;
    }
    uint64_t *expected = is_for_all ? &sub->expected[got.stream] : &s->expected;
    if (got.sequence != *expected) {
        if (got.sequence < *expected)
            v->repeats++;
        else
            v->gaps++;
    }
    if (got.sequence >= s->sent) {
        v->corrupt++;
        return;
    }
    *expected = got.sequence + 1;
    t->deliveries++;
    if (got.sent_ns && t->is_measuring)
        hist_add(&t->bench->latency, clock_now_ns() - got.sent_ns);
    publisher_on_receipt(&t->publishers[s->publisher], s, got.sequence);
}

static void publisher_on_acked(struct client *c, uint16_t id)
{
    struct publisher *p = (struct publisher *)(void *)c;
    if (p->acked == p->sent || id != p->acked % 65535 + 1)
        c->bench->verdict.ack_order++;
    p->acked++;
    publisher_mark_ready(p);
}

static const struct client_ops publisher_ops = {.on_acked = publisher_on_acked};
static const struct client_ops subscriber_ops = {.on_publish = subscriber_on_publish};

uint64_t publisher_outstanding(const struct publisher *p)
{
    const struct traffic *t = p->traffic;
    uint64_t done = p->received;
    if (t->is_storing)
        done = t->qos ? p->acked : p->sent;
    else if (t->qos && p->acked < done)
        done = p->acked;
    return p->sent > done ? p->sent - done : 0; /* repeats may make it more */
}

static struct stream *publisher_pick(struct publisher *p)
{
    struct traffic *t = p->traffic;
    if (p->stream_count == 1)
        return &t->streams[p->stream_first];
    if (t->is_in_order)
        return &t->streams[p->stream_first + p->sent % p->stream_count];
    t->random ^= t->random << 13;
    t->random ^= t->random >> 7;
    t->random ^= t->random << 17;
    return &t->streams[p->stream_first + (uint32_t)((t->random >> 32) % p->stream_count)];
}

void publisher_send(struct publisher *p, uint32_t count)
{
    struct conn *conn = &p->client.conn;
    uint32_t stamped = (uint32_t)(p->batches++ % count);
    uint64_t now_ns = clock_now_ns();
    if (conn->fd < 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        struct stream *s = publisher_pick(p);
        uint8_t *out = conn_reserve(conn, s->at.len);
        struct payload pay = {(uint32_t)(s - p->traffic->streams), PAYLOAD_MAGIC, s->sent++,
                              i == stamped ? now_ns : 0};
        memcpy(out, s->packet, s->at.len);
        memcpy(out + s->at.payload_at, &pay, sizeof(pay));
        if (p->traffic->qos)
            wire_put16(out + s->at.id_at, (uint16_t)(p->sent % 65535 + 1));
        p->sent++;
        conn_commit(conn, s->at.len);
    }
}

static void traffic_refill(struct traffic *t)
{
    struct publisher *p;
    while ((p = t->ready)) {
        t->ready = p->ready_next;
        p->is_ready = false;
        while (t->is_open && publisher_outstanding(p) + t->batch <= t->window && p->client.conn.fd >= 0)
            publisher_send(p, t->batch);
    }
}

void traffic_turn(struct traffic *t, uint64_t timeout_ns)
{
    net_wait(&t->bench->net, t->bench->opts.spin ? 0 : timeout_ns);
    traffic_refill(t);
    net_flush(&t->bench->net);
}

static void stream_init(struct traffic *t, uint32_t index, const struct traffic_spec *spec)
{
    struct stream *s = &t->streams[index];
    uint32_t payload_bytes = (uint32_t)t->bench->opts.payload_bytes;
    char topic[TOPIC_MAX];
    uint32_t to = spec->topic(index, topic, sizeof(topic), spec->arg);
    s->subscriber = spec->fan_is_everybody ? TRAFFIC_EVERYBODY : to;
    s->publisher = index / (spec->streams / spec->publishers);
    s->packet = die_calloc(1, WIRE_OVERHEAD + strlen(topic) + payload_bytes);
    s->at = wire_publish(s->packet, (uint8_t)t->bench->opts.version,
                         (uint8_t)(spec->qos << 1 | spec->is_retained), topic, payload_bytes);
    for (uint32_t i = sizeof(struct payload); i < payload_bytes; i++)
        s->packet[s->at.payload_at + i] = (uint8_t)('a' + i % 26);
}

void traffic_init(struct traffic *t, struct bench *b, const struct traffic_spec *spec)
{
    memset(t, 0, sizeof(*t));
    t->bench = b;
    t->publisher_count = spec->publishers;
    t->subscriber_count = spec->subscribers;
    t->stream_count = spec->streams;
    t->batch = spec->batch;
    t->window = spec->window < spec->batch ? spec->batch : spec->window;
    t->qos = spec->qos;
    t->sub_qos = spec->sub_qos;
    t->is_retained = t->is_in_order = spec->is_retained;
    t->fan = spec->fan_is_everybody ? spec->subscribers : 1;
    t->random = (uint64_t)b->opts.seed * 0x9e3779b97f4a7c15u | 1;
    t->publishers = die_calloc(spec->publishers, sizeof(*t->publishers));
    t->subscribers = die_calloc(spec->subscribers, sizeof(*t->subscribers));
    t->streams = die_calloc(spec->streams, sizeof(*t->streams));
    t->arrivals_mask = 1;
    while (t->arrivals_mask < t->window)
        t->arrivals_mask *= 2;
    for (uint32_t i = 0; i < spec->publishers; i++) {
        struct publisher *p = &t->publishers[i];
        p->traffic = t;
        p->client.conn.fd = -1;
        p->stream_count = spec->streams / spec->publishers;
        p->stream_first = i * p->stream_count;
        p->arrivals = spec->fan_is_everybody ? die_calloc(t->arrivals_mask, sizeof(*p->arrivals)) : NULL;
    }
    t->arrivals_mask--;
    for (uint32_t i = 0; i < spec->subscribers; i++) {
        t->subscribers[i].traffic = t;
        t->subscribers[i].client.conn.fd = -1;
        if (spec->fan_is_everybody)
            t->subscribers[i].expected = die_calloc(spec->streams, sizeof(uint64_t));
    }
    for (uint32_t i = 0; i < spec->streams; i++)
        stream_init(t, i, spec);
}

void traffic_fini(struct traffic *t)
{
    for (uint32_t i = 0; i < t->publisher_count; i++) {
        client_close(&t->publishers[i].client);
        free(t->publishers[i].arrivals);
    }
    for (uint32_t i = 0; i < t->subscriber_count; i++) {
        client_close(&t->subscribers[i].client);
        free(t->subscribers[i].expected);
    }
    for (uint32_t i = 0; i < t->stream_count; i++)
        free(t->streams[i].packet);
    free(t->publishers);
    free(t->subscribers);
    free(t->streams);
}

void traffic_open_publishers(struct traffic *t)
{
    struct client **all = die_calloc(t->publisher_count, sizeof(struct client *));
    for (uint32_t i = 0; i < t->publisher_count; i++)
        all[i] = &t->publishers[i].client;
    clients_open(t->bench, all, t->publisher_count, &publisher_ops, "pub", 1);
    free(all);
}

static struct client **traffic_list_subscribers(struct traffic *t)
{
    struct client **all = die_calloc(t->subscriber_count, sizeof(struct client *));
    for (uint32_t i = 0; i < t->subscriber_count; i++)
        all[i] = &t->subscribers[i].client;
    return all;
}

void traffic_open_subscribers(struct traffic *t, int clean)
{
    struct client **all = traffic_list_subscribers(t);
    struct net *n = &t->bench->net;
    uint16_t port = n->addr.sin_port;
    if (t->bench->opts.sub_port)
        n->addr.sin_port = htons((uint16_t)t->bench->opts.sub_port);
    clients_open(t->bench, all, t->subscriber_count, &subscriber_ops, "sub", clean);
    n->addr.sin_port = port;
    free(all);
}

void traffic_settle_subscribers(struct traffic *t)
{
    struct client **all = traffic_list_subscribers(t);
    net_flush(&t->bench->net);
    clients_settle(t->bench, all, t->subscriber_count);
    free(all);
}
