/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/mqtt/packet.h"

#include "proto/base/check.h"
#include "proto/mqtt/props.h"

static uint8_t *u8_put(uint8_t *p, unsigned v)
{
    *p = (uint8_t)v;
    return p + 1;
}

static uint8_t *lenbytes_put(uint8_t *p, struct bytes b)
{
    CHECK(b.n <= UINT16_MAX);
    return bytes_put(be16_put(p, (uint16_t)b.n), b);
}

static uint8_t *flag_prop_put(uint8_t *p, enum prop_id id, unsigned v)
{
    return u8_put(u8_put(p, id), v);
}

static uint8_t *u16_prop_put(uint8_t *p, enum prop_id id, uint16_t v)
{
    return be16_put(u8_put(p, id), v);
}

static uint8_t *u32_prop_put(uint8_t *p, enum prop_id id, uint32_t v)
{
    return be32_put(u8_put(p, id), v);
}

static uint8_t *lenbytes_prop_put(uint8_t *p, enum prop_id id, struct bytes b)
{
    return lenbytes_put(u8_put(p, id), b);
}

/* What a Reason String made of `text` holds: at most REASON_TEXT_MAX bytes, cut between characters. */
static struct bytes reason_text(const char *text)
{
    size_t n = text ? strnlen(text, REASON_TEXT_MAX + 1) : 0;

    if (n > REASON_TEXT_MAX) {
        n = REASON_TEXT_MAX;
        while (n && ((uint8_t)text[n] & 0xc0) == 0x80)
            n--;
    }
    return bytes_of(text, n);
}

/* Size of a packet with a fixed header in front of body_n bytes. */
static uint64_t packet_size(uint64_t body_n)
{
    return body_n > PACKET_BODY_MAX ? UINT64_MAX : 1 + varint_size((uint32_t)body_n) + body_n;
}

static bool packet_fits(uint64_t body_n, uint32_t client_packet_max)
{
    return client_packet_max == 0 || packet_size(body_n) <= client_packet_max;
}

/* Size of a block with its length in front. */
static uint32_t block_size(uint32_t props_n)
{
    return varint_size(props_n) + props_n;
}

/* How many bytes of properties the text takes in a packet that has head_n bytes before its properties,
 * props_n bytes of other properties and tail_n bytes behind them; 0 when it is to be left out
 * [MQTT-3.2.2-19, MQTT-3.4.2-2, MQTT-3.5.2-2, MQTT-3.6.2-2, MQTT-3.7.2-2, MQTT-3.9.2-1, MQTT-3.11.2-1,
 * MQTT-3.14.2-3, MQTT-3.15.2-2]. */
static uint32_t text_prop_size(struct bytes text, uint32_t head_n, uint32_t props_n, uint32_t tail_n,
                               uint32_t client_packet_max)
{
    uint32_t n = 3 + text.n;

    if (text.n == 0)
        return 0;
    return packet_fits((uint64_t)head_n + block_size(props_n + n) + tail_n, client_packet_max) ? n : 0;
}

static uint8_t *text_prop_put(uint8_t *p, struct bytes text, uint32_t text_n)
{
    return text_n ? lenbytes_prop_put(p, PROP_REASON_STRING, text) : p;
}

static uint8_t *header_put(uint8_t *p, unsigned first, uint32_t body_n)
{
    return varint_put(u8_put(p, first), body_n);
}

/* ---- CONNACK ---------------------------------------------------------------------------------------- */

/* Everything but the Reason String, which has to know the size of the rest. */
static uint32_t connack_props_size(const struct connack *c)
{
    uint32_t n = 0;

    n += c->has_session_expiry ? 5 : 0;
    n += c->receive_max && c->receive_max != UINT16_MAX ? 3 : 0;
    n += c->qos_max < 2 ? 2 : 0;
    n += c->retain_unavailable ? 2 : 0;
    n += c->packet_size_max ? 5 : 0;
    n += c->assigned_client_id.n ? 3 + c->assigned_client_id.n : 0;
    n += c->topic_alias_max ? 3 : 0;
    n += c->wildcard_unavailable ? 2 : 0;
    n += c->subscription_id_unavailable ? 2 : 0;
    n += c->shared_unavailable ? 2 : 0;
    n += c->has_server_keep_alive ? 3 : 0;
    n += c->response_info.p ? 3 + c->response_info.n : 0;
    n += c->server_reference.n ? 3 + c->server_reference.n : 0;
    n += c->auth_method.n ? 3 + c->auth_method.n : 0;
    n += c->auth_data.p ? 3 + c->auth_data.n : 0;
    return n;
}

static uint8_t *connack_props_put(uint8_t *p, const struct connack *c)
{
    if (c->has_session_expiry)
        p = u32_prop_put(p, PROP_SESSION_EXPIRY, c->session_expiry_s);
    if (c->receive_max && c->receive_max != UINT16_MAX)
        p = u16_prop_put(p, PROP_RECEIVE_MAX, c->receive_max);
    if (c->qos_max < 2) /* [MQTT-3.2.2-9] */
        p = flag_prop_put(p, PROP_QOS_MAX, c->qos_max);
    if (c->retain_unavailable)
        p = flag_prop_put(p, PROP_RETAIN_AVAILABLE, 0);
    if (c->packet_size_max)
        p = u32_prop_put(p, PROP_PACKET_SIZE_MAX, c->packet_size_max);
    if (c->assigned_client_id.n) /* [MQTT-3.2.2-16] */
        p = lenbytes_prop_put(p, PROP_ASSIGNED_CLIENT_ID, c->assigned_client_id);
    if (c->topic_alias_max)
        p = u16_prop_put(p, PROP_TOPIC_ALIAS_MAX, c->topic_alias_max);
    if (c->wildcard_unavailable)
        p = flag_prop_put(p, PROP_WILDCARD_AVAILABLE, 0);
    if (c->subscription_id_unavailable)
        p = flag_prop_put(p, PROP_SUBSCRIPTION_ID_AVAILABLE, 0);
    if (c->shared_unavailable)
        p = flag_prop_put(p, PROP_SHARED_AVAILABLE, 0);
    if (c->has_server_keep_alive)
        p = u16_prop_put(p, PROP_SERVER_KEEP_ALIVE, c->server_keep_alive_s);
    if (c->response_info.p)
        p = lenbytes_prop_put(p, PROP_RESPONSE_INFO, c->response_info);
    if (c->server_reference.n)
        p = lenbytes_prop_put(p, PROP_SERVER_REFERENCE, c->server_reference);
    if (c->auth_method.n)
        p = lenbytes_prop_put(p, PROP_AUTH_METHOD, c->auth_method);
    if (c->auth_data.p)
        p = lenbytes_prop_put(p, PROP_AUTH_DATA, c->auth_data);
    return p;
}

uint8_t *encode_connack(uint8_t *p, enum mqtt_version v, const struct connack *c, uint32_t client_packet_max)
{
    /* Session present is 0 with an error [MQTT-3.2.2-6], and unknown to MQTT 3.1. */
    unsigned present = c->session_present && c->code == RC_SUCCESS && v != MQTT_V31;

    if (v != MQTT_V5) {
        int code = reason_to_connack3(c->code);
        if (code < 0)
            return p;
        return u8_put(u8_put(header_put(p, PACKET_CONNACK << 4, 2), present), (unsigned)code);
    }
    struct bytes text = reason_text(c->text);
    uint32_t props_n = connack_props_size(c);
    uint32_t text_n = text_prop_size(text, 2, props_n, 0, client_packet_max);
    props_n += text_n;
    uint32_t body_n = 2 + block_size(props_n);
    if (!packet_fits(body_n, client_packet_max)) /* [MQTT-3.1.2-24] */
        return p;
    p = header_put(p, PACKET_CONNACK << 4, body_n);
    p = u8_put(u8_put(p, present), c->code);
    p = connack_props_put(varint_put(p, props_n), c);
    return text_prop_put(p, text, text_n);
}

/* ---- acknowledgements ------------------------------------------------------------------------------- */

uint8_t *encode_ack(uint8_t *p, enum mqtt_version v, enum packet_type type, uint16_t packet_id,
                    enum reason code, const char *text, uint32_t client_packet_max)
{
    unsigned first = (unsigned)type << 4 | (type == PACKET_PUBREL ? 0x02 : 0);
    struct bytes said = reason_text(v == MQTT_V5 ? text : NULL);
    uint32_t text_n = text_prop_size(said, 3, 0, 0, client_packet_max);
    uint32_t body_n = text_n ? 3 + block_size(text_n) : v == MQTT_V5 && code != RC_SUCCESS ? 3 : 2;

    if (!packet_fits(body_n, client_packet_max))
        return p;
    p = be16_put(header_put(p, first, body_n), packet_id);
    if (body_n == 2)
        return p;
    p = u8_put(p, code);
    return text_n ? text_prop_put(varint_put(p, text_n), said, text_n) : p;
}

uint8_t *encode_suback(uint8_t *p, enum mqtt_version v, enum packet_type type, uint16_t packet_id,
                       const uint8_t *codes, uint32_t count, const char *text, uint32_t client_packet_max)
{
    unsigned first = (unsigned)type << 4;

    if (v != MQTT_V5) {
        uint32_t codes_n = type == PACKET_SUBACK ? count : 0;
        p = be16_put(header_put(p, first, 2 + codes_n), packet_id);
        for (uint32_t i = 0; i < codes_n; i++)
            p = u8_put(p, codes[i] < 0x80 ? codes[i] : 0x80);
        return p;
    }
    struct bytes said = reason_text(text);
    uint32_t text_n = text_prop_size(said, 2, 0, count, client_packet_max);
    uint32_t body_n = 2 + block_size(text_n) + count;
    if (!packet_fits(body_n, client_packet_max))
        return p;
    p = varint_put(be16_put(header_put(p, first, body_n), packet_id), text_n);
    return bytes_put(text_prop_put(p, said, text_n), bytes_of(codes, count));
}

uint8_t *encode_pingresp(uint8_t *p)
{
    return header_put(p, PACKET_PINGRESP << 4, 0);
}

/* ---- DISCONNECT, AUTH ------------------------------------------------------------------------------- */

uint8_t *encode_disconnect(uint8_t *p, enum reason code, const char *text, struct bytes server_reference,
                           uint32_t client_packet_max)
{
    struct bytes said = reason_text(text);
    uint32_t props_n = server_reference.n ? 3 + server_reference.n : 0;
    uint32_t text_n = text_prop_size(said, 1, props_n, 0, client_packet_max);

    /* Without properties their length is left out, and with Success the code too. */
    uint32_t all_n = props_n + text_n;
    uint32_t body_n = all_n ? 1 + block_size(all_n) : code != RC_SUCCESS;
    if (!packet_fits(body_n, client_packet_max))
        return p;
    p = header_put(p, PACKET_DISCONNECT << 4, body_n);
    if (body_n)
        p = u8_put(p, code);
    if (all_n == 0)
        return p;
    p = varint_put(p, all_n);
    if (props_n)
        p = lenbytes_prop_put(p, PROP_SERVER_REFERENCE, server_reference);
    return text_prop_put(p, said, text_n);
}

uint8_t *encode_auth(uint8_t *p, enum reason code, struct bytes method, struct bytes data, const char *text,
                     uint32_t client_packet_max)
{
    struct bytes said = reason_text(text);
    uint32_t props_n = 3 + method.n + (data.p ? 3 + data.n : 0);
    uint32_t text_n = text_prop_size(said, 1, props_n, 0, client_packet_max);
    uint32_t body_n = 1 + block_size(props_n + text_n);

    if (!packet_fits(body_n, client_packet_max))
        return p;
    p = u8_put(header_put(p, PACKET_AUTH << 4, body_n), code);
    p = varint_put(p, props_n + text_n);
    p = lenbytes_prop_put(p, PROP_AUTH_METHOD, method);
    if (data.p)
        p = lenbytes_prop_put(p, PROP_AUTH_DATA, data);
    return text_prop_put(p, said, text_n);
}

/* ---- PUBLISH ---------------------------------------------------------------------------------------- */

static uint64_t publish_props_size(const struct publish_out *o)
{
    uint64_t n = o->props.n;

    n += o->alias ? 3 : 0;
    n += o->has_expiry ? 5 : 0;
    for (uint32_t i = 0; i < o->subscription_ids_n; i++)
        n += 1 + varint_size(o->subscription_ids[i]);
    return n;
}

/* Size of all that the Remaining Length counts; PACKET_BODY_MAX + 1 when there is no room for the
 * properties alone. */
static uint64_t publish_body_size(enum mqtt_version v, const struct publish_out *o)
{
    uint64_t n = 2 + (uint64_t)o->topic.n + (o->qos ? 2 : 0) + o->payload.n;

    if (v == MQTT_V5) {
        uint64_t props_n = publish_props_size(o);
        if (props_n > PACKET_BODY_MAX)
            return (uint64_t)PACKET_BODY_MAX + 1;
        n += block_size((uint32_t)props_n);
    }
    return n;
}

uint32_t publish_size(enum mqtt_version v, const struct publish_out *o)
{
    uint64_t body_n = publish_body_size(v, o);

    return body_n > PACKET_BODY_MAX ? 0 : (uint32_t)packet_size(body_n);
}

uint8_t *encode_publish_head(uint8_t *p, enum mqtt_version v, const struct publish_out *o)
{
    uint64_t body_n = publish_body_size(v, o);
    /* [MQTT-3.3.1-2, MQTT-3.3.1-4, MQTT-2.2.1-2, MQTT-2.2.1-4] */
    CHECK(body_n <= PACKET_BODY_MAX && o->qos <= 2 && (o->qos == 0) == (o->packet_id == 0));
    unsigned dup = o->dup && o->qos;

    p = header_put(p, PACKET_PUBLISH << 4 | dup << 3 | (unsigned)o->qos << 1 | o->retain, (uint32_t)body_n);
    p = lenbytes_put(p, o->topic);
    if (o->qos)
        p = be16_put(p, o->packet_id);
    if (v != MQTT_V5)
        return p;
    p = varint_put(p, (uint32_t)publish_props_size(o));
    if (o->has_expiry)
        p = u32_prop_put(p, PROP_MESSAGE_EXPIRY, o->expiry_s);
    if (o->alias)
        p = u16_prop_put(p, PROP_TOPIC_ALIAS, o->alias);
    for (uint32_t i = 0; i < o->subscription_ids_n; i++) /* [MQTT-3.3.4-3] */
        p = varint_put(u8_put(p, PROP_SUBSCRIPTION_ID), o->subscription_ids[i]);
    return bytes_put(p, o->props); /* [MQTT-3.3.2-17, MQTT-3.3.2-18] */
}
