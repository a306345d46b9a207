/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_MQTT_PACKET_H
#define COVEY_MQTT_PACKET_H

/* MQTT control packets of 3.1, 3.1.1 and 5.0 as a server sees them.
 *
 * Decoding: frame_peek() finds a packet's bounds in a byte stream; a decode_*() takes the body (what follows
 * the fixed header) and fills a struct whose views point into that body. Nothing is allocated; views live as
 * long as the body's bytes. A decoder answers false and fills *f when the packet is malformed or breaks the
 * protocol: f->code is what the standard names. Decoders never read outside the body and are linear in it.
 *
 * Encoding: encode_*() writes one whole packet to p, which has room for *_SIZE_MAX bytes or for what the
 * matching *_size() says, and returns the end. A Reason String longer than REASON_TEXT_MAX is cut between
 * characters. Where client_packet_max is given and even the packet without its Reason String is longer,
 * nothing is written and p is returned [MQTT-3.1.2-24]. */

#include "proto/base/bytes.h"
#include "proto/mqtt/reason.h"

enum mqtt_version { MQTT_V31 = 3, MQTT_V311 = 4, MQTT_V5 = 5 };

enum packet_type {
    PACKET_CONNECT = 1,
    PACKET_CONNACK = 2,
    PACKET_PUBLISH = 3,
    PACKET_PUBACK = 4,
    PACKET_PUBREC = 5,
    PACKET_PUBREL = 6,
    PACKET_PUBCOMP = 7,
    PACKET_SUBSCRIBE = 8,
    PACKET_SUBACK = 9,
    PACKET_UNSUBSCRIBE = 10,
    PACKET_UNSUBACK = 11,
    PACKET_PINGREQ = 12,
    PACKET_PINGRESP = 13,
    PACKET_DISCONNECT = 14,
    PACKET_AUTH = 15,
};

/* "CONNECT".. ; "?" for anything else. */
const char *packet_type_name(unsigned type);

enum { PACKET_BODY_MAX = 268435455 /* four bytes of remaining length */ };

/* ---- framing -------------------------------------------------------------------------------------- */

enum frame_status { FRAME_OK, FRAME_INCOMPLETE, FRAME_MALFORMED };

struct frame {
    uint8_t first;    /* type and flags */
    uint8_t header_n; /* 2..5 */
    uint32_t body_n;  /* Remaining Length */
};

/* Looks at the fixed header only: FRAME_OK says nothing about whether the body is there yet.
 * FRAME_MALFORMED: a fifth length byte, or an over-long encoding [MQTT-1.5.5-1]. */
static inline enum frame_status frame_peek(const uint8_t *p, size_t n, struct frame *f)
{
    if (n < 2)
        return FRAME_INCOMPLETE;
    f->first = p[0];
    if (p[1] < 0x80) {
        f->header_n = 2;
        f->body_n = p[1];
        return FRAME_OK;
    }
    uint32_t v = p[1] & 0x7f;
    for (unsigned i = 2; i < 5; i++) {
        if (i >= n)
            return FRAME_INCOMPLETE;
        v |= (uint32_t)(p[i] & 0x7f) << (7 * (i - 1));
        if (p[i] < 0x80) {
            f->header_n = (uint8_t)(i + 1);
            f->body_n = v;
            return p[i] ? FRAME_OK : FRAME_MALFORMED;
        }
    }
    return FRAME_MALFORMED;
}

static inline uint8_t *varint_put(uint8_t *p, uint32_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}
static inline uint32_t varint_size(uint32_t v)
{
    return v < 0x80 ? 1 : v < 0x4000 ? 2 : v < 0x200000 ? 3 : 4;
}

/* Are the flag bits of the fixed header what the standard lists for a packet that a client may send
 * [MQTT-2.1.3-1]? PUBLISH: QoS not 3, no DUP with QoS 0 [MQTT-3.3.1-4, MQTT-3.3.1-2]. A type that only a
 * server sends, or 0, is a protocol error; AUTH is one before 5.0. */
bool frame_check(uint8_t first, enum mqtt_version v, struct fault *f);

/* ---- from the client ------------------------------------------------------------------------------ */

/* A message as it came: an application message or a will. `props` holds, as wire bytes in their order, just
 * the properties that travel on to subscribers (payload format, content type, response topic, correlation
 * data, user properties) [MQTT-3.3.2-17, MQTT-3.3.2-18]; empty before 5.0. */
struct message_in {
    struct bytes topic;
    struct bytes payload;
    struct bytes props;
    uint32_t expiry_s; /* valid when has_expiry */
    bool has_expiry;
    bool retain;
    uint8_t qos;
};

/* The Response Topic among such properties; a view. False: there is none. */
bool message_response_topic(struct bytes props, struct bytes *topic);
/* The same properties with this Response Topic in place of the one that message_response_topic() has found.
 * out: room for props.n - old.n + topic.n bytes, what comes out; topic.n at most 65535. */
void message_response_topic_put(uint8_t *out, struct bytes props, struct bytes old, struct bytes topic);

struct connect {
    enum mqtt_version version;
    bool clean_start; /* Clean Session before 5.0 */
    bool has_will;
    bool has_username;
    bool has_password;
    bool request_response_info; /* default false */
    bool request_problem_info;  /* default true */
    bool is_bridge;             /* level byte had bit 7 set, as Mosquitto's bridges do */
    uint16_t keep_alive_s;
    uint16_t receive_max;      /* default 65535 */
    uint16_t topic_alias_max;  /* default 0 */
    uint32_t session_expiry_s; /* 5.0: default 0; before: 0 when clean_start, else UINT32_MAX */
    uint32_t packet_size_max;  /* 0: no limit */
    uint32_t will_delay_s;
    struct bytes client_id; /* may be empty */
    struct bytes username;
    struct bytes password;
    struct bytes auth_method; /* p is NULL when absent */
    struct bytes auth_data;   /* p is NULL when absent */
    struct message_in will;   /* valid when has_will */
};

/* Reads protocol name and level first, so that f tells RC_UNSUPPORTED_PROTOCOL_VERSION even if the rest is
 * not readable; c->version is then set to the nearest version that can be answered (MQTT_V311 or MQTT_V5, or
 * 0 when the name is not MQTT's at all and nothing can be answered). Properties of a will are compacted in
 * place, hence the body is not const. */
bool decode_connect(uint8_t *body, uint32_t n, struct connect *c, struct fault *f);

/* Only as far as the client id, for finding its home before anything is done with it. Answers false when
 * the packet is malformed before that point. */
bool decode_connect_client_id(const uint8_t *body, uint32_t n, struct bytes *client_id);

struct publish {
    struct message_in m; /* m.topic may be empty when alias is set */
    uint16_t packet_id;  /* 0 with QoS 0 */
    uint16_t alias;      /* 0: none */
    bool dup;
    bool props_verbatim; /* 5.0: m.props is the whole property block as it came, in place */
};

/* Checks everything but the topic's characters when check_topic is TOPIC_LATER: the caller has seen the same
 * bytes as a valid topic before, or will call topic_name_check(). The property block may be compacted in
 * place. */
enum topic_check { TOPIC_NOW, TOPIC_LATER };
bool decode_publish(uint8_t first, uint8_t *body, uint32_t n, enum mqtt_version v,
                    enum topic_check check_topic, struct publish *p, struct fault *f);

struct ack {
    uint16_t packet_id;
    enum reason code;
};
/* PUBACK, PUBREC, PUBREL, PUBCOMP by type; a code not listed for the type is malformed. */
bool decode_ack(enum packet_type type, const uint8_t *body, uint32_t n, enum mqtt_version v, struct ack *a,
                struct fault *f);

/* PINGREQ has no body in any version. */
bool decode_pingreq(uint32_t n, struct fault *f);

/* SUBSCRIBE and UNSUBSCRIBE: checked whole, so that the walk over the filters cannot fail half way. Filters
 * are checked as UTF-8 only; whether one is a valid filter is answered per filter in the SUBACK. */
struct subscribe {
    uint16_t packet_id;
    uint16_t count;           /* of filters, at least 1 */
    uint32_t subscription_id; /* 0: none */
    struct cursor filters;
};
struct subscribe_item {
    struct bytes filter;
    uint8_t qos;
    uint8_t retain_handling; /* 0..2 */
    bool no_local;
    bool retain_as_published;
};
bool decode_subscribe(const uint8_t *body, uint32_t n, enum mqtt_version v, struct subscribe *s,
                      struct fault *f);
/* The next filter; false behind the last. Before 5.0 retain_as_published and no_local are false, handling 0.
 */
bool subscribe_next(struct subscribe *s, enum mqtt_version v, struct subscribe_item *item);

bool decode_unsubscribe(const uint8_t *body, uint32_t n, enum mqtt_version v, struct subscribe *s,
                        struct fault *f);
bool unsubscribe_next(struct subscribe *s, struct bytes *filter);

struct disconnect {
    enum reason code;
    bool has_session_expiry;
    uint32_t session_expiry_s;
    struct bytes reason_string;
};
bool decode_disconnect(const uint8_t *body, uint32_t n, enum mqtt_version v, struct disconnect *d,
                       struct fault *f);

struct auth {
    enum reason code;
    struct bytes method; /* p is NULL when absent */
    struct bytes data;
};
bool decode_auth(const uint8_t *body, uint32_t n, struct auth *a, struct fault *f);

/* ---- to the client -------------------------------------------------------------------------------- */

/* Every packet but PUBLISH and CONNACK is shorter than this with a reason string of REASON_TEXT_MAX. */
enum { REASON_TEXT_MAX = 256, ENCODE_SMALL_MAX = 320 };

/* What CONNACK tells the client. A zero or NULL field is left out; `text` likewise when the packet would
 * exceed packet_size_max (0: none) [MQTT-3.2.2-19]. Before 5.0 only session_present and the mapped code are
 * sent. */
struct connack {
    bool session_present;
    enum reason code;
    const char *text;
    struct bytes assigned_client_id;
    struct bytes response_info; /* p NULL: absent */
    struct bytes server_reference;
    struct bytes auth_method;
    struct bytes auth_data; /* p NULL: absent */
    bool has_session_expiry;
    uint32_t session_expiry_s;
    bool has_server_keep_alive;
    uint16_t server_keep_alive_s;
    uint16_t receive_max;     /* 0 or 65535: left out */
    uint16_t topic_alias_max; /* 0: left out */
    uint32_t packet_size_max; /* the server's own; 0: left out */
    uint8_t qos_max;          /* 0 or 1 are announced, 2 left out */
    bool retain_unavailable;
    bool wildcard_unavailable;
    bool subscription_id_unavailable;
    bool shared_unavailable;
};
/* Room for any CONNACK whose views sum to `views_n` bytes. */
static inline size_t connack_size_max(size_t views_n)
{
    return views_n + 400;
}
/* Returns p unchanged when the version has no packet for this code (3.x, see reason_to_connack3). */
uint8_t *encode_connack(uint8_t *p, enum mqtt_version v, const struct connack *c, uint32_t client_packet_max);

/* PUBACK, PUBREC, PUBREL, PUBCOMP. The short forms are used where they say the same. `text` may be NULL; it
 * is left out before 5.0 and where the packet would exceed client_packet_max (0: none) [MQTT-3.4.2-2 and its
 * like]. */
uint8_t *encode_ack(uint8_t *p, enum mqtt_version v, enum packet_type type, uint16_t packet_id,
                    enum reason code, const char *text, uint32_t client_packet_max);

/* SUBACK, UNSUBACK: needs room for 16 + count + REASON_TEXT_MAX bytes. Codes are 5.0's; for 3.1.1 every
 * failure becomes 0x80, and for UNSUBACK before 5.0 they are not sent. */
uint8_t *encode_suback(uint8_t *p, enum mqtt_version v, enum packet_type type, uint16_t packet_id,
                       const uint8_t *codes, uint32_t count, const char *text, uint32_t client_packet_max);

uint8_t *encode_pingresp(uint8_t *p);

/* 5.0 only. server_reference may be empty (bounded by the caller to REASON_TEXT_MAX; then room is twice
 * ENCODE_SMALL_MAX). */
uint8_t *encode_disconnect(uint8_t *p, enum reason code, const char *text, struct bytes server_reference,
                           uint32_t client_packet_max);

/* 5.0 only: AUTH with method and data. Room: 32 + method.n + data.n + REASON_TEXT_MAX. */
uint8_t *encode_auth(uint8_t *p, enum reason code, struct bytes method, struct bytes data, const char *text,
                     uint32_t client_packet_max);

/* A PUBLISH to a subscriber. Before 5.0 props, expiry, alias and ids are not sent. */
struct publish_out {
    struct bytes topic; /* empty when the alias alone is sent */
    struct bytes props; /* as in message_in */
    struct bytes payload;
    const uint32_t *subscription_ids;
    uint32_t subscription_ids_n;
    uint32_t expiry_s; /* valid when has_expiry */
    uint16_t packet_id;
    uint16_t alias; /* 0: none */
    uint8_t qos;
    bool has_expiry;
    bool dup;
    bool retain;
};
/* Size of the whole packet with its fixed header; 0 when it would exceed what MQTT can carry. */
uint32_t publish_size(enum mqtt_version v, const struct publish_out *o);
/* All but the payload; the caller copies or references that behind. Room: publish_size() - payload.n. */
uint8_t *encode_publish_head(uint8_t *p, enum mqtt_version v, const struct publish_out *o);

#endif
