/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/message.h"

#include "proto/mqtt/props.h"
#include "proto/topic/topic.h"
#include "proto/topic/utf8.h"

#include <sodium.h>
#include <stdlib.h>

#define QOS_FIELD                                                      \
    {                                                                  \
        "qos", API_INT, 0, 0, 2, NULL, NULL, "0, 1 or 2; 0 by default" \
    }

static const struct api_shape properties_shape = {
    "message_properties",
    (const struct api_field[]){
        {"payload_format_indicator", API_INT, 0, 0, 1, NULL, NULL, "1: the payload is UTF-8"},
        {"message_expiry_interval", API_INT, 0, 0, UINT32_MAX, NULL, NULL, "Seconds"},
        {"response_topic", API_STRING, 0, 1, 65535, NULL, NULL, "Response Topic"},
        {"correlation_data", API_STRING, 0, 0, 65535, NULL, NULL, "Correlation Data"},
        {"content_type", API_STRING, 0, 0, 65535, NULL, NULL, "Content Type"},
        {.name = "user_properties", .type = API_OBJECT, .help = "Names and values, which are strings"},
        {0},
    },
    API_CLOSED,
    API_ANY,
};

const struct api_shape message_shape = {
    "message",
    (const struct api_field[]){
        {"topic", API_STRING, API_REQUIRED, 1, 65535, NULL, NULL, "Topic, without wildcards"},
        API_HAS("payload", STRING, "Payload, as payload_encoding says"),
        {"payload_encoding", API_STRING, 0, 0, 0, "plain|base64", NULL, "plain by default"},
        QOS_FIELD,
        API_MAY("retain", BOOL, "false by default"),
        {"clientid", API_STRING, 0, 0, 65535, NULL, NULL,
         "For whom it is published; for the order among them"},
        {.name = "properties", .type = API_OBJECT, .of = &properties_shape, .help = "Of MQTT 5.0"},
        {0},
    },
    API_CLOSED,
    API_ANY,
};

static void bytes_add(struct text *t, const void *p, size_t n)
{
    text_append(t, bytes_of(p, n));
}

static void lenbytes_add(struct text *t, struct bytes b)
{
    uint8_t n[2];
    be16_put(n, (uint16_t)b.n);
    bytes_add(t, n, sizeof n);
    bytes_add(t, b.p, b.n);
}

static bool refuse(struct text *why, const char *what)
{
    text_add(why, what);
    return false;
}

static void text_prop(struct text *t, const json_t *props, const char *name, uint8_t id)
{
    const json_t *v = json_object_get(props, name);
    if (!v)
        return;
    bytes_add(t, &id, 1);
    lenbytes_add(t, json_bytes(props, name));
}

static bool user_props(struct text *t, const json_t *users, struct text *why)
{
    static const uint8_t id = PROP_USER;
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)users, name, v)
    {
        if (!json_is_string(v))
            return refuse(why, "properties.user_properties: the values must be strings");
        if (strlen(name) > UINT16_MAX || json_string_length(v) > UINT16_MAX)
            return refuse(why, "properties.user_properties: is too long");
        bytes_add(t, &id, 1);
        lenbytes_add(t, bytes_str(name));
        lenbytes_add(t, bytes_of(json_string_value(v), json_string_length(v)));
    }
    return true;
}

/* MQTT has fewer characters than JSON, and a response topic no wildcards; the block is judged as a client's.
 */
static bool props_read(struct message *m, const json_t *props, struct text *why)
{
    int64_t format = json_int(props, "payload_format_indicator", -1);
    int64_t expiry = json_int(props, "message_expiry_interval", -1);
    uint8_t head[2] = {PROP_PAYLOAD_FORMAT, (uint8_t)format};
    if (format >= 0)
        bytes_add(&m->props, head, sizeof head);
    if (expiry >= 0) {
        m->has_expiry = true;
        m->expiry_s = (uint32_t)expiry;
    }
    text_prop(&m->props, props, "content_type", PROP_CONTENT_TYPE);
    text_prop(&m->props, props, "response_topic", PROP_RESPONSE_TOPIC);
    text_prop(&m->props, props, "correlation_data", PROP_CORRELATION_DATA);
    if (!user_props(&m->props, json_object_get(props, "user_properties"), why))
        return false;
    return m->props.n == 0 || props_is_message(bytes_of(m->props.p, m->props.n)) ||
           refuse(why, "properties: has what MQTT does not allow");
}

static bool payload_read(struct message *m, const json_t *object, struct text *why)
{
    struct bytes plain = json_bytes(object, "payload");
    const char *encoding = json_str(object, "payload_encoding");
    if (!encoding || strcmp(encoding, "base64") != 0) {
        text_append(&m->payload, plain);
        return true;
    }
    text_append(&m->payload, plain); /* room for what is shorter */
    size_t n = 0;
    if (plain.n && sodium_base642bin((uint8_t *)m->payload.p, m->payload.cap, (const char *)plain.p, plain.n,
                                     NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return refuse(why, "payload: is no base64");
    m->payload.n = n;
    return true;
}

bool message_read(struct message *m, const json_t *object, const struct admin_env *env, struct text *why)
{
    struct bytes topic = json_bytes(object, "topic");
    uint32_t packet_max = node_settings(env->conf.node)->packet_size_max;
    *m = (struct message){.qos = (uint8_t)json_int(object, "qos", 0),
                          .retain = json_bool(object, "retain", false)};
    enum topic_verdict verdict = topic_name_check(topic, 0);
    if (verdict != TOPIC_OK) {
        text_printf(why, "topic: %s", topic_verdict_text(verdict));
        return false;
    }
    text_append(&m->topic, topic);
    if (!payload_read(m, object, why) || !props_read(m, json_object_get(object, "properties"), why))
        return false;
    if (m->topic.n + m->props.n + m->payload.n + 16 > packet_max)
        return refuse(why, "payload: the message is larger than mqtt.max_packet_size");
    return true;
}

void message_fini(struct message *m)
{
    text_fini(&m->topic);
    text_fini(&m->payload);
    text_fini(&m->props);
}

struct message_in message_view(const struct message *m)
{
    return (struct message_in){.topic = bytes_of(m->topic.p, m->topic.n),
                               .payload = bytes_of(m->payload.p, m->payload.n),
                               .props = bytes_of(m->props.p, m->props.n),
                               .has_expiry = m->has_expiry,
                               .expiry_s = m->expiry_s,
                               .retain = m->retain,
                               .qos = m->qos};
}

void message_id_make(uint8_t id[16])
{
    randombytes_buf(id, 16);
}
