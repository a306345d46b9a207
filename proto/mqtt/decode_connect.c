/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/mqtt/packet.h"

#include "proto/mqtt/props.h"
#include "proto/topic/topic.h"
#include "proto/topic/utf8.h"

enum {
    CONNECT_RESERVED = 0x01,
    CONNECT_CLEAN = 0x02,
    CONNECT_WILL = 0x04,
    CONNECT_WILL_QOS = 0x18,
    CONNECT_WILL_RETAIN = 0x20,
    CONNECT_PASSWORD = 0x40,
    CONNECT_USERNAME = 0x80,
};
enum { LEVEL_BRIDGE = 0x80 };

static bool is_cut(struct fault *f)
{
    return fault_set(f, RC_MALFORMED_PACKET, "the CONNECT ends too early");
}

/* Protocol name and level [MQTT-3.1.2-1, MQTT-3.1.2-2]. On a level that is not spoken here c->version is the
 * nearest one, in which the refusal is written. */
static bool version_take(struct cursor *c, struct connect *con, struct fault *f)
{
    struct bytes name;
    uint8_t level;

    if (!cursor_lenbytes(c, &name))
        return is_cut(f);
    bool is_v31 = bytes_eq(name, bytes_str("MQIsdp"));
    if (!is_v31 && !bytes_eq(name, bytes_str("MQTT")))
        return fault_set(f, RC_UNSUPPORTED_PROTOCOL_VERSION, "the Protocol Name is not MQTT");
    if (!cursor_u8(c, &level))
        return is_cut(f);
    con->is_bridge = (level & LEVEL_BRIDGE) != 0;
    level &= (uint8_t)~LEVEL_BRIDGE;
    bool is_spoken = is_v31 ? level == MQTT_V31 : level == MQTT_V311 || (level == MQTT_V5 && !con->is_bridge);
    if (!is_spoken) {
        con->version = !is_v31 && level >= MQTT_V5 ? MQTT_V5 : MQTT_V311;
        return fault_set(f, RC_UNSUPPORTED_PROTOCOL_VERSION,
                         "the Protocol Version is none of 3.1, 3.1.1, 5.0");
    }
    con->version = (enum mqtt_version)level;
    return true;
}

static bool flags_check(uint8_t flags, enum mqtt_version v, struct fault *f)
{
    /* MQTT 3.1 leaves bit 0 without a meaning. */
    if ((flags & CONNECT_RESERVED) && v != MQTT_V31) /* [MQTT-3.1.2-3] */
        return fault_set(f, RC_MALFORMED_PACKET, "bit 0 of the Connect Flags must be 0");
    if (!(flags & CONNECT_WILL) && (flags & CONNECT_WILL_QOS)) /* [MQTT-3.1.2-11] */
        return fault_set(f, RC_MALFORMED_PACKET, "Will QoS must be 0 without a Will Flag");
    if (!(flags & CONNECT_WILL) && (flags & CONNECT_WILL_RETAIN)) /* [MQTT-3.1.2-13] */
        return fault_set(f, RC_MALFORMED_PACKET, "Will Retain must be 0 without a Will Flag");
    if ((flags & CONNECT_WILL_QOS) == CONNECT_WILL_QOS) /* [MQTT-3.1.2-12] */
        return fault_set(f, RC_MALFORMED_PACKET, "Will QoS must not be 3");
    if (v != MQTT_V5 && (flags & (CONNECT_PASSWORD | CONNECT_USERNAME)) == CONNECT_PASSWORD)
        /* [MQTT-3.1.2-22 of 3.1.1] */
        return fault_set(f, RC_MALFORMED_PACKET, "a Password needs a User Name before MQTT 5.0");
    return true;
}

static bool props_of_connect(struct cursor *c, struct connect *con, struct fault *f)
{
    struct props it;
    struct prop prop;

    if (!props_take(&it, c, PACKET_CONNECT, f))
        return false;
    while (props_more(&it)) {
        if (!props_next(&it, &prop, f))
            return false;
        if (prop.id == PROP_SESSION_EXPIRY)
            con->session_expiry_s = prop.number;
        else if (prop.id == PROP_RECEIVE_MAX)
            con->receive_max = (uint16_t)prop.number;
        else if (prop.id == PROP_PACKET_SIZE_MAX)
            con->packet_size_max = prop.number;
        else if (prop.id == PROP_TOPIC_ALIAS_MAX)
            con->topic_alias_max = (uint16_t)prop.number;
        else if (prop.id == PROP_REQUEST_RESPONSE_INFO)
            con->request_response_info = prop.number;
        else if (prop.id == PROP_REQUEST_PROBLEM_INFO)
            con->request_problem_info = prop.number;
        else if (prop.id == PROP_AUTH_METHOD)
            con->auth_method = prop.text;
        else if (prop.id == PROP_AUTH_DATA)
            con->auth_data = prop.text;
    }
    if (con->auth_data.p && !con->auth_method.p) /* MQTT 5.0 section 3.1.2.11.10 */
        return fault_set(f, RC_PROTOCOL_ERROR, "Authentication Data needs an Authentication Method");
    return true;
}

static bool will_topic_check(struct bytes topic, struct fault *f)
{
    switch (topic_name_check(topic, 0)) {
    case TOPIC_OK:
        return true;
    case TOPIC_BAD_UTF8: /* [MQTT-3.1.3-11] */
        return fault_set(f, RC_MALFORMED_PACKET, "Will Topic must be valid UTF-8 without U+0000");
    case TOPIC_EMPTY: /* [MQTT-4.7.3-1] */
        return fault_set(f, RC_PROTOCOL_ERROR, "Will Topic must not be empty");
    case TOPIC_WILDCARD: /* [MQTT-4.7.0-1] */
    case TOPIC_TOO_LONG:
    case TOPIC_BAD_HASH:
    case TOPIC_BAD_PLUS:
    case TOPIC_BAD_SHARE:
    case TOPIC_BAD_EXCLUSIVE:
    case TOPIC_TOO_DEEP:
        break;
    }
    return fault_set(f, RC_TOPIC_NAME_INVALID, "Will Topic must not contain '+' or '#'");
}

/* Will properties, topic and payload [MQTT-3.1.2-9]. */
static bool will_take(struct cursor *c, uint8_t *body, uint8_t flags, struct connect *con, struct fault *f)
{
    struct message_in *will = &con->will;

    con->has_will = true;
    will->qos = (flags & CONNECT_WILL_QOS) >> 3;
    will->retain = (flags & CONNECT_WILL_RETAIN) != 0;
    if (con->version == MQTT_V5) {
        struct props_message m;
        if (!props_take_message(c, body, PROPS_OF_WILL, &m, f))
            return false;
        will->props = m.kept;
        will->has_expiry = m.has_expiry;
        will->expiry_s = m.expiry_s;
        con->will_delay_s = m.will_delay_s;
    }
    if (!cursor_lenbytes(c, &will->topic) || !cursor_lenbytes(c, &will->payload))
        return is_cut(f);
    return will_topic_check(will->topic, f);
}

/* User name and password [MQTT-3.1.2-17, MQTT-3.1.2-19]. MQTT 3.1 lets the Remaining Length win over both
 * flags: a client may set one and send no field, as clients of its forerunners did. */
static bool credentials_take(struct cursor *c, uint8_t flags, struct connect *con, struct fault *f)
{
    con->has_username = flags & CONNECT_USERNAME;
    con->has_password = flags & CONNECT_PASSWORD;
    if (con->version == MQTT_V31 && cursor_left(c) == 0)
        con->has_username = con->has_password = false;
    if (con->has_username) {
        if (!cursor_lenbytes(c, &con->username))
            return is_cut(f);
        if (!utf8_is_valid(con->username)) /* [MQTT-3.1.3-12] */
            return fault_set(f, RC_MALFORMED_PACKET, "User Name must be valid UTF-8 without U+0000");
    }
    if (con->version == MQTT_V31 && cursor_left(c) == 0)
        con->has_password = false;
    if (con->has_password && !cursor_lenbytes(c, &con->password))
        return is_cut(f);
    return true;
}

bool decode_connect(uint8_t *body, uint32_t n, struct connect *con, struct fault *f)
{
    struct cursor c = {body, body + n};
    uint8_t flags;

    *con = (struct connect){.receive_max = UINT16_MAX, .request_problem_info = true};
    if (!version_take(&c, con, f))
        return false;
    if (!cursor_u8(&c, &flags))
        return is_cut(f);
    if (!flags_check(flags, con->version, f))
        return false;
    if (!cursor_u16(&c, &con->keep_alive_s))
        return is_cut(f);
    con->clean_start = flags & CONNECT_CLEAN;
    if (con->version != MQTT_V5)
        con->session_expiry_s = con->clean_start ? 0 : UINT32_MAX;
    else if (!props_of_connect(&c, con, f))
        return false;
    if (!cursor_lenbytes(&c, &con->client_id)) /* [MQTT-3.1.3-1, MQTT-3.1.3-3] */
        return is_cut(f);
    if (!utf8_is_valid(con->client_id)) /* [MQTT-3.1.3-4] */
        return fault_set(f, RC_MALFORMED_PACKET, "Client Identifier must be valid UTF-8 without U+0000");
    if ((flags & CONNECT_WILL) && !will_take(&c, body, flags, con, f))
        return false;
    if (!credentials_take(&c, flags, con, f))
        return false;
    if (cursor_left(&c)) /* [MQTT-3.1.2-16, MQTT-3.1.2-18] */
        return fault_set(f, RC_MALFORMED_PACKET, "there are bytes behind the last field of the CONNECT");
    return true;
}

bool decode_connect_client_id(const uint8_t *body, uint32_t n, struct bytes *client_id)
{
    struct cursor c = {body, body + n};
    struct connect con = {0};
    struct fault f;
    struct bytes skipped;
    uint32_t props_n;

    if (!version_take(&c, &con, &f) || !cursor_bytes(&c, 3, &skipped)) /* flags and keep alive */
        return false;
    if (con.version == MQTT_V5 && (!cursor_varint(&c, &props_n) || !cursor_bytes(&c, props_n, &skipped)))
        return false;
    return cursor_lenbytes(&c, client_id);
}
