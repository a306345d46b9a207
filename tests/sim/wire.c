/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void wbuf_free(struct wbuf *b)
{
    free(b->p);
    *b = (struct wbuf){0};
}

void wbuf_add(struct wbuf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    if (b->n + n > b->cap) {
        b->cap = (b->n + n) * 2;
        b->p = realloc(b->p, b->cap);
    }
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

void wbuf_drop(struct wbuf *b, size_t n)
{
    if (n == 0)
        return;
    memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

static void put8(struct wbuf *b, unsigned v)
{
    uint8_t x = (uint8_t)v;
    wbuf_add(b, &x, 1);
}

static void put16(struct wbuf *b, unsigned v)
{
    put8(b, v >> 8);
    put8(b, v);
}

static void put32(struct wbuf *b, uint32_t v)
{
    put16(b, v >> 16);
    put16(b, v & 0xffff);
}

static void put_text(struct wbuf *b, const char *s)
{
    put16(b, (unsigned)strlen(s));
    wbuf_add(b, s, strlen(s));
}

static void put_packet(struct wbuf *b, unsigned first, const struct wbuf *body)
{
    size_t n = body->n;
    put8(b, first);
    do {
        put8(b, (unsigned)(n & 0x7f) | (n > 0x7f ? 0x80 : 0));
        n >>= 7;
    } while (n);
    wbuf_add(b, body->p, body->n);
}

void wire_connect(struct wbuf *b, const struct wire_connect *c)
{
    struct wbuf x = {0};
    put_text(&x, "MQTT");
    put8(&x, (unsigned)c->version);
    put8(&x, (c->clean ? 2u : 0) | (c->will_topic ? 0x0cu : 0)); /* a will with QoS 1 */
    put16(&x, 0);
    if (c->version == 5) {
        put8(&x, c->receive_max ? 8 : 5);
        put8(&x, 17);
        put32(&x, c->expiry_s);
        if (c->receive_max) {
            put8(&x, 33);
            put16(&x, c->receive_max);
        }
    }
    put_text(&x, c->id);
    if (c->will_topic) {
        if (c->version == 5)
            put8(&x, 0);
        put_text(&x, c->will_topic);
        put_text(&x, c->will_payload);
    }
    put_packet(b, 0x10, &x);
    wbuf_free(&x);
}

void wire_publish(struct wbuf *b, int version, const char *topic, const char *payload, unsigned qos,
                  bool retain, bool dup, uint16_t id)
{
    struct wbuf x = {0};
    put_text(&x, topic);
    if (qos)
        put16(&x, id);
    if (version == 5)
        put8(&x, 0);
    wbuf_add(&x, payload, strlen(payload));
    put_packet(b, 0x30u | (unsigned)dup << 3 | qos << 1 | (unsigned)retain, &x);
    wbuf_free(&x);
}

void wire_ack(struct wbuf *b, unsigned type, uint16_t id)
{
    struct wbuf x = {0};
    put16(&x, id);
    put_packet(b, type << 4 | (type == 6 ? 2 : 0), &x);
    wbuf_free(&x);
}

void wire_subscribe(struct wbuf *b, int version, uint16_t id, const char *filter, unsigned qos)
{
    struct wbuf x = {0};
    put16(&x, id);
    if (version == 5)
        put8(&x, 0);
    put_text(&x, filter);
    put8(&x, qos);
    put_packet(b, 0x82, &x);
    wbuf_free(&x);
}

void wire_unsubscribe(struct wbuf *b, int version, uint16_t id, const char *filter)
{
    struct wbuf x = {0};
    put16(&x, id);
    if (version == 5)
        put8(&x, 0);
    put_text(&x, filter);
    put_packet(b, 0xa2, &x);
    wbuf_free(&x);
}

void wire_disconnect(struct wbuf *b)
{
    wbuf_add(b, "\xe0\0", 2);
}

static void die(const char *what)
{
    fprintf(stderr, "sim: the broker sent what is not MQTT: %s\n", what);
    abort();
}

static size_t get_varint(const uint8_t *p, size_t n, size_t *v)
{
    *v = 0;
    for (size_t i = 0; i < n && i < 4; i++) {
        *v |= (size_t)(p[i] & 0x7f) << (7 * i);
        if (p[i] < 0x80)
            return i + 1;
    }
    return 0;
}

static void copy_text(char *to, size_t size, const uint8_t *p, size_t n)
{
    if (n >= size)
        die("a text that no client sent");
    memcpy(to, p, n);
    to[n] = 0;
}

static void take_publish(struct wire_packet *k, int version, const uint8_t *p, size_t n)
{
    size_t topic_n = n < 2 ? 0 : (size_t)p[0] << 8 | p[1], at = 2 + topic_n, props = 0;
    if (n < 2 || at + (k->qos ? 2 : 0) > n)
        die("a short PUBLISH");
    copy_text(k->topic, sizeof k->topic, p + 2, topic_n);
    if (k->qos) {
        k->id = (uint16_t)(p[at] << 8 | p[at + 1]);
        at += 2;
    }
    if (version == 5) {
        size_t used = get_varint(p + at, n - at, &props);
        if (!used || at + used + props > n)
            die("bad PUBLISH properties");
        at += used + props;
    }
    copy_text(k->payload, sizeof k->payload, p + at, n - at);
}

bool wire_take(struct wbuf *b, int version, struct wire_packet *k)
{
    size_t body_n, used = b->n ? get_varint(b->p + 1, b->n - 1, &body_n) : 0;
    if (!used || b->n < 1 + used + body_n)
        return false;
    const uint8_t *p = b->p + 1 + used;
    *k = (struct wire_packet){.type = b->p[0] >> 4};
    if (k->type == 3) {
        k->dup = b->p[0] >> 3 & 1;
        k->qos = b->p[0] >> 1 & 3;
        k->retain = b->p[0] & 1;
        take_publish(k, version, p, body_n);
    } else if (k->type == 2) {
        if (body_n < 2)
            die("a short CONNACK");
        k->session_present = p[0] & 1;
        k->code = p[1];
    } else if (k->type >= 4 && k->type <= 11) {
        if (body_n < 2)
            die("a short acknowledgement");
        k->id = (uint16_t)(p[0] << 8 | p[1]);
        if (k->type >= 9)
            k->code = k->type == 9 || version == 5 ? p[body_n - 1] : 0;
        else
            k->code = body_n > 2 ? p[2] : 0;
    } else if (k->type == 14) {
        k->code = body_n ? p[0] : 0;
    }
    wbuf_drop(b, 1 + used + body_n);
    return true;
}
