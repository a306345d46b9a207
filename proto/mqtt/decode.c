/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/mqtt/packet.h"

#include "proto/base/check.h"
#include "proto/mqtt/props.h"
#include "proto/topic/topic.h"
#include "proto/topic/utf8.h"

const char *packet_type_name(unsigned type)
{
    static const char *const names[] = {
        "?",         "CONNECT", "CONNACK",     "PUBLISH",  "PUBACK",  "PUBREC",   "PUBREL",     "PUBCOMP",
        "SUBSCRIBE", "SUBACK",  "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
    };

    return type < array_len(names) ? names[type] : "?";
}

/* ---- fixed header ----------------------------------------------------------------------------------- */

static bool publish_flags_check(uint8_t first, struct fault *f)
{
    unsigned qos = first >> 1 & 3;

    if (qos == 3) /* [MQTT-3.3.1-4] */
        return fault_set(f, RC_MALFORMED_PACKET, "a PUBLISH must not have both QoS bits set");
    if (qos == 0 && (first & 0x08)) /* [MQTT-3.3.1-2] */
        return fault_set(f, RC_MALFORMED_PACKET, "a PUBLISH with QoS 0 must not have DUP set");
    return true;
}

bool frame_check(uint8_t first, enum mqtt_version v, struct fault *f)
{
    uint8_t flags = first & 0x0f;
    uint8_t wanted = 0;

    switch (first >> 4) {
    case PACKET_PUBLISH:
        return publish_flags_check(first, f);
    case PACKET_PUBREL:      /* [MQTT-3.6.1-1] */
    case PACKET_SUBSCRIBE:   /* [MQTT-3.8.1-1] */
    case PACKET_UNSUBSCRIBE: /* [MQTT-3.10.1-1] */
        wanted = 0x02;
        /* MQTT 3.1 has them sent again with DUP, as it does PUBLISH. */
        if (v == MQTT_V31)
            flags &= 0x07;
        break;
    case PACKET_AUTH: /* [MQTT-3.15.1-1] */
        if (v != MQTT_V5)
            return fault_set(f, RC_PROTOCOL_ERROR, "there is no AUTH packet before MQTT 5.0");
        break;
    case PACKET_CONNECT:
    case PACKET_PUBACK:
    case PACKET_PUBREC:
    case PACKET_PUBCOMP:
    case PACKET_PINGREQ:
    case PACKET_DISCONNECT: /* [MQTT-3.14.1-1] */
        break;
    case 0:
        return fault_set(f, RC_PROTOCOL_ERROR, "packet type 0 is reserved");
    default:
        return fault_set(f, RC_PROTOCOL_ERROR, "only a server may send a packet of this type");
    }
    if (flags != wanted) /* [MQTT-2.1.3-1] */
        return fault_set(f, RC_MALFORMED_PACKET, "the flags of the fixed header are not those of this type");
    return true;
}

/* ---- PUBLISH ---------------------------------------------------------------------------------------- */

/* The topic is not empty, and a two-byte length keeps it from being too long. */
static bool topic_check(struct bytes topic, struct fault *f)
{
    enum topic_verdict verdict = topic_name_check(topic, 0);

    if (likely(verdict == TOPIC_OK))
        return true;
    if (verdict == TOPIC_BAD_UTF8) /* [MQTT-3.3.2-1, MQTT-1.5.4-1, MQTT-4.7.3-2] */
        return fault_set(f, RC_MALFORMED_PACKET, "Topic Name must be valid UTF-8 without U+0000");
    /* [MQTT-3.3.2-2] */
    return fault_set(f, RC_TOPIC_NAME_INVALID, "Topic Name must not contain '+' or '#'");
}

static bool packet_id_take(struct cursor *c, uint16_t *id, struct fault *f)
{
    if (!cursor_u16(c, id))
        return fault_set(f, RC_MALFORMED_PACKET, "the packet ends before its Packet Identifier");
    if (*id == 0) /* [MQTT-2.2.1-3] */
        return fault_set(f, RC_PROTOCOL_ERROR, "Packet Identifier must not be 0");
    return true;
}

static bool publish_props_take(struct cursor *c, uint8_t *body, struct publish *p, struct fault *f)
{
    struct props_message m;

    /* Most messages have none. */
    if (cursor_left(c) && *c->p == 0) {
        c->p++;
        p->m.props = bytes_of(c->p, 0);
        p->props_verbatim = true;
        return true;
    }
    if (!props_take_message(c, body, PACKET_PUBLISH, &m, f))
        return false;
    p->m.props = m.kept;
    p->m.has_expiry = m.has_expiry;
    p->m.expiry_s = m.expiry_s;
    p->alias = m.alias;
    p->props_verbatim = m.is_verbatim;
    return true;
}

bool decode_publish(uint8_t first, uint8_t *body, uint32_t n, enum mqtt_version v,
                    enum topic_check check_topic, struct publish *p, struct fault *f)
{
    struct cursor c = {body, body + n};

    if (!publish_flags_check(first, f))
        return false;
    *p = (struct publish){
        .m = {.qos = first >> 1 & 3, .retain = first & 0x01},
        .dup = (first & 0x08) != 0,
    };
    if (!cursor_lenbytes(&c, &p->m.topic))
        return fault_set(f, RC_MALFORMED_PACKET, "the packet ends inside its Topic Name");
    if (p->m.qos && !packet_id_take(&c, &p->packet_id, f))
        return false;
    if (v == MQTT_V5 && !publish_props_take(&c, body, p, f))
        return false;
    p->m.payload = bytes_of(c.p, cursor_left(&c));
    if (p->m.topic.n == 0) { /* [MQTT-4.7.3-1]; 5.0 section 3.3.2.1 */
        if (p->alias == 0)
            return fault_set(f, RC_PROTOCOL_ERROR, "Topic Name must not be empty without a Topic Alias");
        return true;
    }
    return check_topic == TOPIC_LATER || topic_check(p->m.topic, f);
}

/* ---- acknowledgements ------------------------------------------------------------------------------- */

static bool code_is_of_puback(uint8_t code)
{
    switch (code) {
    case RC_SUCCESS:
    case RC_NO_MATCHING_SUBSCRIBERS:
    case RC_UNSPECIFIED_ERROR:
    case RC_IMPLEMENTATION_SPECIFIC:
    case RC_NOT_AUTHORIZED:
    case RC_TOPIC_NAME_INVALID:
    case RC_PACKET_ID_IN_USE:
    case RC_QUOTA_EXCEEDED:
    case RC_PAYLOAD_FORMAT_INVALID:
        return true;
    default:
        return false;
    }
}

/* [MQTT-3.4.2-1, MQTT-3.5.2-1, MQTT-3.6.2-1, MQTT-3.7.2-1] */
static bool code_is_of_ack(enum packet_type type, uint8_t code)
{
    if (type == PACKET_PUBACK || type == PACKET_PUBREC)
        return code_is_of_puback(code);
    return code == RC_SUCCESS || code == RC_PACKET_ID_NOT_FOUND;
}

bool decode_ack(enum packet_type type, const uint8_t *body, uint32_t n, enum mqtt_version v, struct ack *a,
                struct fault *f)
{
    struct cursor c = {body, body + n};
    uint8_t code = RC_SUCCESS;

    *a = (struct ack){.code = RC_SUCCESS};
    if (!packet_id_take(&c, &a->packet_id, f))
        return false;
    if (cursor_left(&c) == 0)
        return true;
    if (v != MQTT_V5)
        return fault_set(f, RC_MALFORMED_PACKET, "there are bytes behind the Packet Identifier");
    if (cursor_u8(&c, &code) && !code_is_of_ack(type, code))
        return fault_set(f, RC_MALFORMED_PACKET, "this Reason Code does not belong to this packet");
    a->code = (enum reason)code;
    if (cursor_left(&c) == 0)
        return true;
    if (!props_skip(&c, type, f))
        return false;
    if (cursor_left(&c))
        return fault_set(f, RC_MALFORMED_PACKET, "there are bytes behind the properties");
    return true;
}

bool decode_pingreq(uint32_t n, struct fault *f)
{
    return n == 0 ? true : fault_set(f, RC_MALFORMED_PACKET, "a PINGREQ has no body");
}

/* ---- DISCONNECT ------------------------------------------------------------------------------------- */

/* [MQTT-3.14.2-1]; which of them a client may send is the column "Sent by" of MQTT 5.0 table 3-10. */
static bool disconnect_code_check(uint8_t code, struct fault *f)
{
    switch (code) {
    case RC_SUCCESS:
    case RC_DISCONNECT_WITH_WILL:
    case RC_UNSPECIFIED_ERROR:
    case RC_MALFORMED_PACKET:
    case RC_PROTOCOL_ERROR:
    case RC_IMPLEMENTATION_SPECIFIC:
    case RC_TOPIC_NAME_INVALID:
    case RC_RECEIVE_MAXIMUM_EXCEEDED:
    case RC_TOPIC_ALIAS_INVALID:
    case RC_PACKET_TOO_LARGE:
    case RC_MESSAGE_RATE_TOO_HIGH:
    case RC_QUOTA_EXCEEDED:
    case RC_ADMINISTRATIVE_ACTION:
    case RC_PAYLOAD_FORMAT_INVALID:
        return true;
    case RC_NOT_AUTHORIZED:
    case RC_SERVER_BUSY:
    case RC_SERVER_SHUTTING_DOWN:
    case RC_KEEP_ALIVE_TIMEOUT:
    case RC_SESSION_TAKEN_OVER:
    case RC_TOPIC_FILTER_INVALID:
    case RC_RETAIN_NOT_SUPPORTED:
    case RC_QOS_NOT_SUPPORTED:
    case RC_USE_ANOTHER_SERVER:
    case RC_SERVER_MOVED:
    case RC_SHARED_SUBSCRIPTIONS_NOT_SUPPORTED:
    case RC_CONNECTION_RATE_EXCEEDED:
    case RC_MAXIMUM_CONNECT_TIME:
    case RC_SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED:
    case RC_WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED:
        return fault_set(f, RC_PROTOCOL_ERROR, "only a server may send this Reason Code in a DISCONNECT");
    default:
        return fault_set(f, RC_MALFORMED_PACKET, "this Reason Code does not belong to a DISCONNECT");
    }
}

bool decode_disconnect(const uint8_t *body, uint32_t n, enum mqtt_version v, struct disconnect *d,
                       struct fault *f)
{
    struct cursor c = {body, body + n};
    struct props it;
    struct prop prop;
    uint8_t code;

    *d = (struct disconnect){.code = RC_SUCCESS};
    if (!cursor_u8(&c, &code))
        return true;
    if (v != MQTT_V5)
        return fault_set(f, RC_MALFORMED_PACKET, "a DISCONNECT before MQTT 5.0 has no body");
    if (!disconnect_code_check(code, f))
        return false;
    d->code = (enum reason)code;
    if (cursor_left(&c) == 0)
        return true;
    if (!props_take(&it, &c, PACKET_DISCONNECT, f))
        return false;
    while (props_more(&it)) {
        if (!props_next(&it, &prop, f))
            return false;
        if (prop.id == PROP_SESSION_EXPIRY) {
            d->has_session_expiry = true;
            d->session_expiry_s = prop.number;
        } else if (prop.id == PROP_REASON_STRING) {
            d->reason_string = prop.text;
        }
    }
    if (cursor_left(&c))
        return fault_set(f, RC_MALFORMED_PACKET, "there are bytes behind the properties");
    return true;
}

/* ---- AUTH ------------------------------------------------------------------------------------------- */

/* [MQTT-3.15.2-1] */
static bool auth_code_check(uint8_t code, struct fault *f)
{
    if (code == RC_CONTINUE_AUTHENTICATION || code == RC_REAUTHENTICATE)
        return true;
    if (code == RC_SUCCESS)
        return fault_set(f, RC_PROTOCOL_ERROR, "only a server may send an AUTH with Success");
    return fault_set(f, RC_MALFORMED_PACKET, "this Reason Code does not belong to an AUTH");
}

bool decode_auth(const uint8_t *body, uint32_t n, struct auth *a, struct fault *f)
{
    struct cursor c = {body, body + n};
    struct props it;
    struct prop prop;
    uint8_t code = RC_SUCCESS; /* what an empty body stands for */

    *a = (struct auth){.code = RC_SUCCESS};
    cursor_u8(&c, &code);
    if (!auth_code_check(code, f))
        return false;
    a->code = (enum reason)code;
    if (!props_take(&it, &c, PACKET_AUTH, f))
        return false;
    while (props_more(&it)) {
        if (!props_next(&it, &prop, f))
            return false;
        if (prop.id == PROP_AUTH_METHOD)
            a->method = prop.text;
        else if (prop.id == PROP_AUTH_DATA)
            a->data = prop.text;
    }
    if (cursor_left(&c))
        return fault_set(f, RC_MALFORMED_PACKET, "there are bytes behind the properties");
    if (!a->method.p) /* MQTT 5.0 section 3.15.2.2.2 */
        return fault_set(f, RC_PROTOCOL_ERROR, "an AUTH must name its Authentication Method");
    return true;
}
