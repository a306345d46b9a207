/* SPDX-License-Identifier: Apache-2.0 */
/* Stored messages: what is taken as one is well formed, and written again it is the same bytes. */

#include <stdlib.h>

#include "proto/base/check.h"
#include "proto/mqtt/msg.h"
#include "proto/topic/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A stored message can be sent, and what is sent is in order. */
static void record_send(const struct msg *m)
{
    struct message_in view = msg_view(m, m->created_ms);
    struct publish_out o = {.topic = view.topic, .props = view.props, .payload = view.payload};
    uint32_t size = publish_size(MQTT_V5, &o);
    uint8_t *p = malloc(size);
    struct publish again;
    struct frame frame;
    struct fault f;

    CHECK(size && p);
    CHECK(bytes_put(encode_publish_head(p, MQTT_V5, &o), o.payload) == p + size);
    CHECK(frame_peek(p, size, &frame) == FRAME_OK);
    CHECK(decode_publish(frame.first, p + frame.header_n, frame.body_n, MQTT_V5, TOPIC_NOW, &again, &f));
    CHECK(again.props_verbatim && bytes_eq(again.m.props, view.props));
    CHECK(bytes_eq(again.m.topic, view.topic) && bytes_eq(again.m.payload, view.payload));
    free(p);
}

/* Read in place it is what was taken. */
static void record_view_check(struct bytes record, const struct msg *m)
{
    struct message_in view, want = msg_view(m, m->created_ms);
    struct bytes topic;
    uint64_t origin, expires_ms;

    CHECK(msg_record_view(record, m->created_ms, &view, &origin) && origin == m->origin);
    CHECK(bytes_eq(view.topic, want.topic) && bytes_eq(view.props, want.props));
    CHECK(bytes_eq(view.payload, want.payload) && view.qos == want.qos && view.retain == want.retain);
    CHECK(view.has_expiry == want.has_expiry && view.expiry_s == want.expiry_s);
    CHECK(msg_record_topic(record, &topic) && bytes_eq(topic, want.topic));
    CHECK(msg_record_expiry(record, &expires_ms) == m->has_expiry && expires_ms == m->expires_ms);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);

    CHECK(copy);
    if (n)
        memcpy(copy, data, n);
    struct cursor c = {copy, copy + n};
    for (;;) {
        const uint8_t *at = c.p;
        struct msg *m = msg_record_take(&c);
        if (!m) {
            CHECK(c.p == at);
            break;
        }
        size_t size = msg_record_size(m);
        uint8_t *again = malloc(size);
        CHECK(again && size == (size_t)(c.p - at));
        CHECK(msg_record_put(again, m) == again + size && memcmp(again, at, size) == 0);
        CHECK(m->qos <= 2 && topic_name_check(msg_topic(m), 0) == TOPIC_OK);
        CHECK(!m->has_expiry || m->expires_ms >= m->created_ms);
        record_view_check(bytes_of(at, size), m);
        record_send(m);
        free(again);
        msg_unref(m);
    }
    free(copy);
    return 0;
}
