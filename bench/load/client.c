/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load/client.h"

#include "bench/load/die.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS_OPENING_MAX 64

static void client_send_ack(struct client *c, enum wire_type type, uint16_t id)
{
    conn_commit(&c->conn, wire_ack(conn_reserve(&c->conn, 4), type, id));
}

static void client_on_publish(struct client *c, const struct wire_frame *f)
{
    struct wire_publish m;
    if (wire_publish_parse(f, c->version, &m)) {
        c->bench->verdict.malformed++;
        return;
    }
    if (m.qos == 1)
        client_send_ack(c, WIRE_PUBACK, m.id);
    else if (m.qos == 2)
        client_send_ack(c, WIRE_PUBREC, m.id);
    if (c->ops->on_publish)
        c->ops->on_publish(c, &m);
    else
        c->bench->verdict.misrouted++;
}

static void client_on_connack(struct client *c, const struct wire_frame *f)
{
    if (f->body_len < 2 || f->body[1]) {
        c->bench->verdict.refused++;
        return;
    }
    c->is_up = true;
    c->has_session = f->body[0] & 1;
    if (c->ops->on_up)
        c->ops->on_up(c);
}

static void client_on_suback(struct client *c, const struct wire_frame *f)
{
    if (f->body_len < 3 || f->body[f->body_len - 1] > 2)
        c->bench->verdict.refused++;
    if (!c->subacks_due)
        c->bench->verdict.malformed++;
    else
        c->subacks_due--;
}

/* Acknowledgements of both directions; MQTT 5 may append a reason code, of which only the good ones are fine.
 */
static void client_on_ack(struct client *c, const struct wire_frame *f, enum wire_type type)
{
    if (f->body_len < 2) {
        c->bench->verdict.malformed++;
        return;
    }
    uint16_t id = wire_get16(f->body);
    if (f->body_len > 2 && f->body[2] >= 0x80)
        c->bench->verdict.refused++;
    if (type == WIRE_PUBREC)
        client_send_ack(c, WIRE_PUBREL, id);
    else if (type == WIRE_PUBREL)
        client_send_ack(c, WIRE_PUBCOMP, id);
    else if (c->ops->on_acked)
        c->ops->on_acked(c, id);
    else
        c->bench->verdict.malformed++;
}

static void client_on_frame(struct client *c, const struct wire_frame *f)
{
    enum wire_type type = f->head >> 4;
    switch (f->head >> 4) {
    case WIRE_PUBLISH:
        client_on_publish(c, f);
        break;
    case WIRE_PUBACK:
    case WIRE_PUBREC:
    case WIRE_PUBREL:
    case WIRE_PUBCOMP:
        client_on_ack(c, f, type);
        break;
    case WIRE_CONNACK:
        client_on_connack(c, f);
        break;
    case WIRE_SUBACK:
        client_on_suback(c, f);
        break;
    case WIRE_PINGRESP:
        if (c->pongs_due)
            c->pongs_due--;
        break;
    default: /* a server's DISCONNECT of MQTT 5 is followed by the close, which is counted there */
        if (type != WIRE_DISCONNECT)
            c->bench->verdict.malformed++;
        break;
    }
}

static size_t client_on_bytes(struct conn *conn, const uint8_t *data, size_t len)
{
    struct client *c = (struct client *)(void *)conn;
    size_t used = 0;
    while (used < len) {
        struct wire_frame f;
        int whole = wire_frame_parse(data + used, len - used, &f);
        if (whole < 0)
            c->bench->verdict.malformed++;
        if (whole <= 0)
            break;
        client_on_frame(c, &f);
        if (conn->fd < 0)
            return len;
        used += f.total;
    }
    return used;
}

static void client_on_close(struct conn *conn, int error)
{
    struct client *c = (struct client *)(void *)conn;
    c->is_up = false;
    if (c->ops->on_down) {
        c->ops->on_down(c);
        return;
    }
    if (!c->bench->verdict.closed++)
        fprintf(stderr, "covey-bench: connection %u closed by the broker: %s\n", c->index,
                error ? strerror(error) : "end of file");
}

static const struct conn_ops client_conn_ops = {.on_bytes = client_on_bytes, .on_close = client_on_close};

/* The pattern with the number in place of its %. */
static void client_name(char *out, size_t n, const char *pattern, uint32_t index)
{
    const char *at = strchr(pattern, '%');
    if (at)
        snprintf(out, n, "%.*s%u%s", (int)(at - pattern), pattern, index, at + 1);
    else
        snprintf(out, n, "%s", pattern);
}

void client_open(struct client *c, struct bench *b, const struct client_ops *ops, const char *role,
                 uint32_t index, int clean)
{
    char id[64], name[256];
    snprintf(id, sizeof(id), "%s-%u", role, index);
    conn_open(&c->conn, &b->net, &client_conn_ops);
    c->bench = b;
    c->ops = ops;
    c->index = index;
    c->version = (uint8_t)b->opts.version;
    c->is_up = c->has_session = false;
    c->subscribe_id = 0;
    c->subacks_due = c->pongs_due = 0;
    struct wire_who who = {.id = id};
    if (b->opts.username) {
        client_name(name, sizeof(name), b->opts.username, index);
        who.username = name;
        who.password = b->opts.password ? b->opts.password : "";
    }
    size_t login = who.username ? strlen(who.username) + strlen(who.password) : 0;
    uint8_t *out = conn_reserve(&c->conn, WIRE_OVERHEAD + sizeof(id) + login);
    conn_commit(&c->conn, wire_connect(out, c->version, &who, clean, (uint16_t)b->opts.keepalive_s));
}

void client_subscribe(struct client *c, const char *filter, uint8_t qos)
{
    uint8_t *out = conn_reserve(&c->conn, WIRE_OVERHEAD + strlen(filter));
    c->subscribe_id = (uint16_t)(c->subscribe_id % 65535 + 1);
    conn_commit(&c->conn, wire_subscribe(out, c->version, c->subscribe_id, filter, qos));
    c->subacks_due++;
}

void client_ping(struct client *c)
{
    conn_commit(&c->conn, wire_empty(conn_reserve(&c->conn, 2), WIRE_PINGREQ));
    c->pongs_due++;
}

void client_close(struct client *c)
{
    if (c->conn.fd < 0)
        return;
    conn_commit(&c->conn, wire_empty(conn_reserve(&c->conn, 2), WIRE_DISCONNECT));
    conn_close(&c->conn);
    c->is_up = false;
}

struct clients_wait {
    struct client **clients;
    uint32_t count, settled;
};

static int clients_are_settled(void *arg)
{
    struct clients_wait *w = arg;
    while (w->settled < w->count) {
        const struct client *c = w->clients[w->settled];
        if (c->conn.fd >= 0 && (!c->is_up || c->subacks_due || c->pongs_due))
            return 0;
        w->settled++;
    }
    return 1;
}

void clients_settle(struct bench *b, struct client **clients, uint32_t count)
{
    struct clients_wait w = {.clients = clients, .count = count};
    uint64_t timeout_ns = (uint64_t)b->opts.timeout_ms * 1000000u;
    if (!bench_until(b, clients_are_settled, &w, timeout_ns))
        die("client %u of %u had no answer in time", w.settled, count);
    if (b->verdict.refused || b->verdict.closed)
        die("the broker refused or closed a connection during the set-up");
}

void clients_open(struct bench *b, struct client **clients, uint32_t count, const struct client_ops *ops,
                  const char *role, int clean)
{
    for (uint32_t i = 0; i < count; i += CLIENTS_OPENING_MAX) {
        uint32_t n = count - i < CLIENTS_OPENING_MAX ? count - i : CLIENTS_OPENING_MAX;
        for (uint32_t k = i; k < i + n; k++)
            client_open(clients[k], b, ops, role, k, clean);
        clients_settle(b, clients + i, n);
    }
}

void clients_close(struct client **clients, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        client_close(clients[i]);
}
