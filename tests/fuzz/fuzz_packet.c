/* SPDX-License-Identifier: Apache-2.0 */
/* A byte stream from a client: the first byte picks the version, then frames are taken off and decoded by
 * their type, as a server does. Beside what the sanitizers see it is checked that faults have a code and a
 * text, that views lie inside the body, that the two ways to decode a CONNECT or a PUBLISH agree, and that a
 * PUBLISH encoded again is the same message. */

#include <stdlib.h>

#include "proto/base/check.h"
#include "proto/mqtt/packet.h"
#include "proto/topic/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A body in memory of just its size. */
struct body {
    uint8_t *p;
    uint32_t n;
};

static struct body body_new(const uint8_t *p, uint32_t n)
{
    struct body b = {malloc(n ? n : 1), n};

    CHECK(b.p);
    if (n)
        memcpy(b.p, p, n);
    return b;
}

static void check_view(const struct body *b, struct bytes view)
{
    CHECK(view.n == 0 || (view.p >= b->p && view.p + view.n <= b->p + b->n));
}

static void check_fault(const struct fault *f)
{
    CHECK(f->code >= 0x80 && f->text && f->text[0]);
    CHECK(reason_name(f->code)[0] != 'U' || f->code == RC_UNSUPPORTED_PROTOCOL_VERSION);
}

static void check_message(const struct body *b, const struct message_in *m)
{
    check_view(b, m->topic);
    check_view(b, m->payload);
    check_view(b, m->props);
    CHECK(m->qos <= 2);
}

static void fuzz_connect(const uint8_t *p, uint32_t n)
{
    struct body b = body_new(p, n);
    struct bytes id = {0};
    struct connect c;
    struct fault f = {RC_SUCCESS, NULL};
    bool has_id = decode_connect_client_id(b.p, b.n, &id);

    if (decode_connect(b.p, b.n, &c, &f)) {
        CHECK(has_id && bytes_eq(id, c.client_id) && id.p == c.client_id.p);
        CHECK(c.version >= MQTT_V31 && c.version <= MQTT_V5 && c.receive_max > 0);
        check_view(&b, c.client_id);
        check_view(&b, c.username);
        check_view(&b, c.password);
        check_view(&b, c.auth_method);
        check_view(&b, c.auth_data);
        check_message(&b, &c.will);
        CHECK(!c.has_will || topic_name_check(c.will.topic, 0) == TOPIC_OK);
        CHECK(c.has_username || !c.has_password || c.version == MQTT_V5);
    } else {
        check_fault(&f);
        CHECK(c.version == 0 || (c.version >= MQTT_V31 && c.version <= MQTT_V5));
    }
    free(b.p);
}

static void check_same_message(const struct message_in *a, const struct message_in *b)
{
    CHECK(bytes_eq(a->topic, b->topic) && bytes_eq(a->payload, b->payload) && bytes_eq(a->props, b->props));
    CHECK(a->qos == b->qos && a->retain == b->retain);
    CHECK(a->has_expiry == b->has_expiry && a->expiry_s == b->expiry_s);
}

/* Sends p on in version v and reads it back. */
static void publish_again(const struct publish *p, enum mqtt_version v)
{
    static const uint32_t id = 1;
    struct publish_out o = {
        .topic = p->m.topic.n || v == MQTT_V5 ? p->m.topic : bytes_str("t"),
        .props = p->m.props,
        .payload = p->m.payload,
        .expiry_s = p->m.expiry_s,
        .has_expiry = p->m.has_expiry,
        .packet_id = p->packet_id,
        .alias = p->alias,
        .qos = p->m.qos,
        .dup = p->dup,
        .retain = p->m.retain,
    };
    uint32_t size = publish_size(v, &o);
    struct body b = {malloc(size), size};
    struct publish again;
    struct frame frame;
    struct fault f;

    CHECK(size && b.p);
    uint8_t *end = bytes_put(encode_publish_head(b.p, v, &o), o.payload);
    CHECK(end == b.p + size);
    CHECK(frame_peek(b.p, size, &frame) == FRAME_OK && frame.header_n + frame.body_n == size);
    CHECK(frame_check(frame.first, v, &f));
    CHECK(decode_publish(frame.first, b.p + frame.header_n, frame.body_n, v, TOPIC_NOW, &again, &f));
    struct message_in want = p->m;
    want.topic = o.topic;
    if (v != MQTT_V5) {
        want.props = (struct bytes){0};
        want.has_expiry = false;
        want.expiry_s = 0;
    }
    check_same_message(&again.m, &want);
    CHECK(again.packet_id == p->packet_id && again.dup == p->dup);
    CHECK(again.alias == (v == MQTT_V5 ? p->alias : 0));
    free(b.p);

    /* What a subscriber is told beside the message takes its place too. */
    o.subscription_ids = &id;
    o.subscription_ids_n = 1;
    CHECK(publish_size(v, &o) >= size);
}

static void fuzz_publish(uint8_t first, const uint8_t *p, uint32_t n, enum mqtt_version v)
{
    struct body b = body_new(p, n), b2 = body_new(p, n);
    struct publish now, later;
    struct fault f = {RC_SUCCESS, NULL}, f2 = {RC_SUCCESS, NULL};
    bool is_now = decode_publish(first, b.p, b.n, v, TOPIC_NOW, &now, &f);
    bool is_later = decode_publish(first, b2.p, b2.n, v, TOPIC_LATER, &later, &f2);

    if (is_later) {
        check_message(&b2, &later.m);
        bool has_good_topic = later.m.topic.n == 0 || topic_name_check(later.m.topic, 0) == TOPIC_OK;
        CHECK(is_now == has_good_topic);
    } else {
        check_fault(&f2);
    }
    if (is_now) {
        check_message(&b, &now.m);
        CHECK(is_later);
        check_same_message(&now.m, &later.m);
        CHECK(!now.props_verbatim || memcmp(b.p, p, n) == 0);
        publish_again(&now, MQTT_V311);
        publish_again(&now, MQTT_V5);
    } else {
        check_fault(&f);
    }
    free(b.p);
    free(b2.p);
}

static void fuzz_subscribe(const struct body *b, enum mqtt_version v)
{
    struct subscribe s;
    struct subscribe_item item;
    struct fault f = {RC_SUCCESS, NULL};
    uint32_t n = 0;

    if (!decode_subscribe(b->p, b->n, v, &s, &f)) {
        check_fault(&f);
        return;
    }
    CHECK(s.packet_id && s.count);
    while (subscribe_next(&s, v, &item)) {
        check_view(b, item.filter);
        CHECK(item.qos <= 2 && item.retain_handling <= 2);
        n++;
    }
    CHECK(n == s.count && cursor_left(&s.filters) == 0);
}

static void fuzz_unsubscribe(const struct body *b, enum mqtt_version v)
{
    struct subscribe s;
    struct bytes filter;
    struct fault f = {RC_SUCCESS, NULL};
    uint32_t n = 0;

    if (!decode_unsubscribe(b->p, b->n, v, &s, &f)) {
        check_fault(&f);
        return;
    }
    CHECK(s.packet_id && s.count);
    while (unsubscribe_next(&s, &filter)) {
        check_view(b, filter);
        n++;
    }
    CHECK(n == s.count && cursor_left(&s.filters) == 0);
}

/* An acknowledgement that was read can be written, and is the same. */
static void fuzz_ack(enum packet_type type, const struct body *b, enum mqtt_version v)
{
    struct ack a, again;
    struct fault f = {RC_SUCCESS, NULL};
    uint8_t out[ENCODE_SMALL_MAX];

    if (!decode_ack(type, b->p, b->n, v, &a, &f)) {
        check_fault(&f);
        return;
    }
    uint8_t *end = encode_ack(out, v, type, a.packet_id, a.code, "text", 0);
    CHECK(decode_ack(type, out + 2, (uint32_t)(end - out) - 2, v, &again, &f));
    CHECK(again.packet_id == a.packet_id && again.code == a.code);
}

static void fuzz_rest(unsigned type, const struct body *b, enum mqtt_version v)
{
    struct disconnect d;
    struct auth a;
    struct fault f = {RC_SUCCESS, NULL};

    if (type == PACKET_PINGREQ) {
        if (!decode_pingreq(b->n, &f))
            check_fault(&f);
    } else if (type == PACKET_DISCONNECT) {
        if (decode_disconnect(b->p, b->n, v, &d, &f))
            check_view(b, d.reason_string);
        else
            check_fault(&f);
    } else if (decode_auth(b->p, b->n, &a, &f)) {
        CHECK(a.method.p);
        check_view(b, a.method);
        check_view(b, a.data);
    } else {
        check_fault(&f);
    }
}

static void fuzz_frame(const struct frame *frame, const uint8_t *body, enum mqtt_version v)
{
    struct fault f = {RC_SUCCESS, NULL};
    unsigned type = frame->first >> 4;

    if (!frame_check(frame->first, v, &f)) {
        check_fault(&f);
        return;
    }
    if (type == PACKET_CONNECT) {
        fuzz_connect(body, frame->body_n);
        return;
    }
    if (type == PACKET_PUBLISH) {
        fuzz_publish(frame->first, body, frame->body_n, v);
        return;
    }
    struct body b = body_new(body, frame->body_n);
    if (type == PACKET_SUBSCRIBE)
        fuzz_subscribe(&b, v);
    else if (type == PACKET_UNSUBSCRIBE)
        fuzz_unsubscribe(&b, v);
    else if (type >= PACKET_PUBACK && type <= PACKET_PUBCOMP)
        fuzz_ack((enum packet_type)type, &b, v);
    else
        fuzz_rest(type, &b, v);
    free(b.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    enum mqtt_version v = (enum mqtt_version)(MQTT_V31 + data[0] % 3);
    data++;
    n--;
    struct frame frame;
    while (frame_peek(data, n, &frame) == FRAME_OK && n - frame.header_n >= frame.body_n) {
        fuzz_frame(&frame, data + frame.header_n, v);
        data += frame.header_n + frame.body_n;
        n -= frame.header_n + frame.body_n;
    }
    return 0;
}
