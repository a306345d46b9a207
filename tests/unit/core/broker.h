/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TEST_CORE_BROKER_H
#define COVEY_TEST_CORE_BROKER_H

/* A node of one shard over a store in memory, and clients that speak to it by bytes. Commits, faults, time
 * and the loss of power happen when a test says so. */

/* cmocka.h needs these before it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/core/inspect.h"
#include "node/core/node.h"
#include "storage/mem.h"

#include <sodium.h>
#include <stdlib.h>

/* Flags of a PUBLISH, and types of packets. */
enum { QOS1 = 2, QOS2 = 4, DUP = 8, RETAIN = 1, PUBACK = 4, PUBREC = 5, PUBREL = 6, PUBCOMP = 7 };
enum { CLIENT_OUT_MAX = 4 << 20, PACKET_MAX = 512, V311 = 4, V5 = 5 };

struct broker {
    struct settings settings;
    const struct settings *listener; /* where clients come from now on; NULL: settings */
    struct log_sink log;
    struct node_conf conf;
    struct store *store;
    struct node *node;
    struct shard *sh;
    uint64_t mono_ms;
    uint64_t wall_ms;
};

struct client {
    struct conn conn;
    struct broker *broker;
    uint8_t version;
    uint8_t *out; /* what came and was not yet looked at: at..n */
    size_t at;
    size_t n;
};

/* ---- the broker ----------------------------------------------------------------------------------- */

static inline void log_nothing(struct log_sink *s, enum log_level level, const char *line, size_t n)
{
    (void)s, (void)level, (void)line, (void)n;
}

static inline void broker_clock_set(struct broker *b)
{
    shard_set_time(b->sh, b->mono_ms, b->wall_ms);
}

static inline void broker_boot(struct broker *b)
{
    b->conf.store = b->store;
    b->conf.boot_wall_ms = b->wall_ms;
    b->mono_ms = 1000; /* the monotonic clock begins anew */
    assert_int_equal(node_new(&b->node, &b->conf), OK);
    assert_int_equal(node_load(b->node), OK);
    b->sh = node_shard(b->node, 0);
    broker_clock_set(b);
}

static inline struct broker *broker_new(void)
{
    struct broker *b = calloc(1, sizeof *b);
    assert_non_null(b);
    assert_true(sodium_init() >= 0);
    b->settings = (struct settings){
        .listener = "tcp:test",
        .anonymous_allowed = true,
        .packet_size_max = 1 << 20,
        .client_id_bytes_max = 65535,
        .topic_levels_max = 128,
        .qos_max = 2,
        .retain_available = true,
        .wildcard_available = true,
        .shared_available = true,
        .idle_timeout_ms = 15000,
        .inflight_max = 32,
        .receive_max = 100,
        .await_rel_timeout_s = 300,
        .session_expiry_default_s = 7200,
        .session_expiry_max_s = SECONDS_FOREVER,
        .queue_len_max = 1000,
        .queue_bytes_max = 1 << 26,
        .keep_alive_percent = 150,
        .outbuf_bytes_max = 1 << 20,
        .response_info = "",
    };
    b->log = (struct log_sink){.level = 0, .write = log_nothing};
    b->store = store_new_mem();
    b->wall_ms = 1700000000000;
    b->conf = (struct node_conf){
        .name = "n", .version = "0", .shards = 1, .seed = 7, .settings = &b->settings, .log = &b->log};
    broker_boot(b);
    return b;
}

static inline void broker_free(struct broker *b)
{
    node_free(b->node);
    store_close(b->store);
    free(b);
}

/* Commits all there is to commit. */
static inline enum err broker_commit(struct broker *b)
{
    struct store_batch batch;
    enum err e = OK;
    store_batch_init(&batch);
    while (shard_seal_state(b->sh) != SHARD_SEAL_NOTHING && shard_seal(b->sh, &batch)) {
        const struct store_batch *p = &batch;
        e = store_commit(b->store, &p, 1);
        store_batch_reset(&batch);
        shard_on_stored(b->sh, e);
    }
    store_batch_fini(&batch);
    return e;
}

static inline void broker_commit_fails(struct broker *b, enum err e)
{
    store_mem_fail_next(b->store, e, 1);
    assert_int_equal(broker_commit(b), e);
}

/* Time goes on, tick by tick. */
static inline void broker_wait(struct broker *b, uint64_t ms)
{
    for (uint64_t gone = 0; gone < ms; gone += WHEEL_TICK_MS) {
        uint64_t step = ms - gone < WHEEL_TICK_MS ? ms - gone : WHEEL_TICK_MS;
        b->mono_ms += step;
        b->wall_ms += step;
        broker_clock_set(b);
        shard_tick(b->sh);
    }
}

/* The machine loses power: what was committed is what the next start finds. Clients are gone before. */
static inline void broker_power_cycle(struct broker *b, struct store *committed)
{
    node_free(b->node);
    store_close(b->store);
    b->store = committed;
    broker_boot(b);
}

static inline uint64_t broker_count(struct broker *b, enum counter c)
{
    struct inspect_totals t = {0};
    inspect_totals_add(b->sh, &t);
    return t.counters.v[c];
}

static inline uint64_t broker_sessions(struct broker *b)
{
    struct inspect_totals t = {0};
    inspect_totals_add(b->sh, &t);
    return t.sessions;
}

/* ---- packets of clients --------------------------------------------------------------------------- */

static inline uint8_t *put_text(uint8_t *p, const char *s)
{
    p = be16_put(p, (uint16_t)strlen(s));
    return bytes_put(p, bytes_str(s));
}

/* Adds what the client may see; what the broker holds back is not seen. */
static inline void client_pull(struct client *c)
{
    struct iovec v[16];
    int n;
    while (!c->conn.out_held && (n = outbuf_iov(&c->conn.out, v, 16)) > 0) {
        size_t total = 0;
        for (int i = 0; i < n; i++) {
            assert_true(c->n + v[i].iov_len <= CLIENT_OUT_MAX);
            memcpy(c->out + c->n, v[i].iov_base, v[i].iov_len);
            c->n += v[i].iov_len;
            total += v[i].iov_len;
        }
        outbuf_consume(&c->conn.out, shard_outpool(c->conn.shard), total);
        conn_on_writable(&c->conn);
    }
}

/* One packet with this first byte; the rest is copied, so that ASan sees reads beyond it. */
static inline void client_send(struct client *c, uint8_t first, const uint8_t *body, const uint8_t *end)
{
    size_t n = (size_t)(end - body);
    size_t header = n < 128 ? 2 : 3;
    uint8_t *p = malloc(header + n);
    assert_non_null(p);
    p[0] = first;
    p[1] = (uint8_t)(n < 128 ? n : (n & 127) | 128);
    if (header == 3)
        p[2] = (uint8_t)(n >> 7);
    bytes_put(p + header, bytes_of(body, n));
    assert_int_equal(conn_feed(&c->conn, p, header + n), header + n);
    free(p);
    client_pull(c);
}

struct connect_how {
    const char *id;
    uint8_t version;
    bool clean;
    uint32_t expiry_s; /* 5.0 only */
    const char *will_topic;
    uint32_t will_delay_s;
};

static inline void client_open(struct broker *b, struct client *c, const struct connect_how *how)
{
    struct conn_peer peer = {"127.0.0.1", 5};
    uint8_t buf[PACKET_MAX];
    *c = (struct client){.broker = b, .version = how->version};
    c->out = malloc(CLIENT_OUT_MAX);
    assert_non_null(c->out);
    conn_init(&c->conn, b->sh, b->listener ? b->listener : &b->settings, &peer);
    uint8_t *p = put_text(buf, "MQTT");
    *p++ = how->version;
    *p++ = (uint8_t)((how->clean ? 2 : 0) | (how->will_topic ? 4 | 1 << 3 : 0)); /* a will has QoS 1 */
    p = be16_put(p, 0);
    if (how->version == V5) {
        *p++ = 5;
        *p++ = 0x11;
        p = be32_put(p, how->expiry_s);
    }
    p = put_text(p, how->id);
    if (how->will_topic) {
        if (how->version == V5) {
            *p++ = 5;
            *p++ = 0x18;
            p = be32_put(p, how->will_delay_s);
        }
        p = put_text(put_text(p, how->will_topic), "bye");
    }
    client_send(c, 0x10, buf, p);
}

/* The connection breaks without DISCONNECT; nothing of it is left. */
static inline void client_lose(struct client *c)
{
    conn_on_lost(&c->conn, CONN_END_LOST);
    conn_fini(&c->conn);
    free(c->out);
    c->out = NULL;
}

static inline void client_disconnect(struct client *c)
{
    client_send(c, 0xe0, NULL, NULL);
    assert_int_equal(c->conn.end, CONN_END_CLIENT);
    client_lose(c);
}

static inline void client_publish(struct client *c, uint8_t flags, uint16_t id, const char *topic,
                                  const char *payload)
{
    uint8_t buf[PACKET_MAX];
    uint8_t *p = put_text(buf, topic);
    if (flags & 6)
        p = be16_put(p, id);
    if (c->version == V5)
        *p++ = 0;
    client_send(c, 0x30 | flags, buf, bytes_put(p, bytes_str(payload)));
}

static inline void client_subscribe(struct client *c, uint16_t id, const char *filter, uint8_t options)
{
    uint8_t buf[PACKET_MAX];
    uint8_t *p = be16_put(buf, id);
    if (c->version == V5)
        *p++ = 0;
    p = put_text(p, filter);
    *p++ = options;
    client_send(c, 0x82, buf, p);
}

static inline void client_ack(struct client *c, uint8_t first, uint16_t id)
{
    uint8_t buf[2];
    client_send(c, first, buf, be16_put(buf, id));
}

/* ---- what clients are told ------------------------------------------------------------------------ */

static inline bool take_varint(struct cursor *c, uint32_t *v)
{
    uint8_t b = 0x80;
    *v = 0;
    for (unsigned shift = 0; b & 0x80; shift += 7) {
        if (!cursor_u8(c, &b))
            return false;
        *v |= (uint32_t)(b & 0x7f) << shift;
    }
    return true;
}

static inline bool client_has_packet(struct client *c)
{
    client_pull(c);
    return c->at < c->n;
}

#define expect_nothing(c) assert_false(client_has_packet(c))

/* The next packet has this type; its body. */
static inline struct cursor expect_packet(struct client *c, uint8_t type, uint8_t *flags)
{
    assert_true(client_has_packet(c));
    struct cursor all = {c->out + c->at, c->out + c->n};
    uint8_t first = 0;
    uint32_t n = 0;
    struct bytes body = {0};
    assert_true(cursor_u8(&all, &first) && take_varint(&all, &n) && cursor_bytes(&all, n, &body));
    if (first >> 4 != type)
        fail_msg("packet 0x%02x instead of type %u", first, type);
    if (flags)
        *flags = first & 15;
    c->at = (size_t)(all.p - c->out);
    return cursor_of(body);
}

static inline void skip_props(const struct client *c, struct cursor *body)
{
    uint32_t n;
    struct bytes props;
    if (c->version == V5)
        assert_true(take_varint(body, &n) && cursor_bytes(body, n, &props));
}

enum { SESSION_NEW, SESSION_PRESENT };

static inline void expect_connack(struct client *c, uint8_t present)
{
    struct cursor body = expect_packet(c, 2, NULL);
    uint8_t got = 9, code = 9;
    assert_true(cursor_u8(&body, &got) && cursor_u8(&body, &code));
    assert_int_equal(code, 0);
    assert_int_equal(got, present);
}

static inline void expect_ack(struct client *c, uint8_t type, uint16_t id, uint8_t code)
{
    struct cursor body = expect_packet(c, type, NULL);
    uint16_t got_id = 0;
    uint8_t got = 0;
    assert_true(cursor_u16(&body, &got_id));
    (void)cursor_u8(&body, &got); /* left out when it is success */
    assert_int_equal(got_id, id);
    assert_int_equal(got, code);
}

static inline void expect_suback(struct client *c, uint16_t id, uint8_t code)
{
    struct cursor body = expect_packet(c, 9, NULL);
    uint16_t got_id = 0;
    uint8_t got = 0;
    assert_true(cursor_u16(&body, &got_id));
    skip_props(c, &body);
    assert_true(cursor_u8(&body, &got));
    assert_int_equal(got_id, id);
    assert_int_equal(got, code);
    assert_int_equal(cursor_left(&body), 0);
}

/* Answers the packet id (0: QoS 0). flags: DUP 8, QoS << 1, RETAIN 1. */
static inline uint16_t expect_publish(struct client *c, uint8_t flags, const char *topic, const char *payload)
{
    uint8_t got = 0;
    uint16_t id = 0;
    struct bytes t;
    struct cursor body = expect_packet(c, 3, &got);
    assert_int_equal(got, flags);
    assert_true(cursor_lenbytes(&body, &t));
    if (flags & 6)
        assert_true(cursor_u16(&body, &id) && id);
    skip_props(c, &body);
    assert_true(bytes_eq(t, bytes_str(topic)));
    assert_true(bytes_eq(bytes_of(body.p, cursor_left(&body)), bytes_str(payload)));
    return id;
}

static inline void expect_disconnect(struct client *c, uint8_t code)
{
    struct cursor body = expect_packet(c, 14, NULL);
    uint8_t got = 0;
    assert_true(cursor_u8(&body, &got));
    assert_int_equal(got, code);
}

/* ---- who is who in the scenarios ------------------------------------------------------------------ */

#define UNUSED __attribute__((unused))
static const struct connect_how keeper UNUSED = {.id = "keeper", .version = V311};
static const struct connect_how keeper5 UNUSED = {.id = "keeper", .version = V5, .expiry_s = 100};
static const struct connect_how sender UNUSED = {.id = "sender", .version = V311, .clean = true};
static const struct connect_how sender5 UNUSED = {.id = "sender", .version = V5, .clean = true};

/* A persistent subscriber of t/# with QoS 2, online. */
static inline void open_subscribed(struct broker *b, struct client *c, const struct connect_how *how)
{
    client_open(b, c, how);
    expect_connack(c, SESSION_NEW);
    broker_commit(b);
    client_subscribe(c, 1, "t/#", 2);
    expect_nothing(c); /* not before it is stored */
    broker_commit(b);
    expect_suback(c, 1, 2);
}

static inline void open_sender(struct broker *b, struct client *c, const struct connect_how *how)
{
    client_open(b, c, how);
    expect_connack(c, SESSION_NEW);
}

#endif
