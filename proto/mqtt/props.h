/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_MQTT_PROPS_H
#define COVEY_MQTT_PROPS_H

/* The property block of MQTT 5.0 packets: one table says for each property which type it has, in which
 * packets it may stand, whether it may repeat and which values it may have; a reader walks a block by it.
 * Private to proto/mqtt. */

#include "proto/base/bytes.h"
#include "proto/mqtt/packet.h"

enum prop_id {
    PROP_PAYLOAD_FORMAT = 0x01,
    PROP_MESSAGE_EXPIRY = 0x02,
    PROP_CONTENT_TYPE = 0x03,
    PROP_RESPONSE_TOPIC = 0x08,
    PROP_CORRELATION_DATA = 0x09,
    PROP_SUBSCRIPTION_ID = 0x0B,
    PROP_SESSION_EXPIRY = 0x11,
    PROP_ASSIGNED_CLIENT_ID = 0x12,
    PROP_SERVER_KEEP_ALIVE = 0x13,
    PROP_AUTH_METHOD = 0x15,
    PROP_AUTH_DATA = 0x16,
    PROP_REQUEST_PROBLEM_INFO = 0x17,
    PROP_WILL_DELAY = 0x18,
    PROP_REQUEST_RESPONSE_INFO = 0x19,
    PROP_RESPONSE_INFO = 0x1A,
    PROP_SERVER_REFERENCE = 0x1C,
    PROP_REASON_STRING = 0x1F,
    PROP_RECEIVE_MAX = 0x21,
    PROP_TOPIC_ALIAS_MAX = 0x22,
    PROP_TOPIC_ALIAS = 0x23,
    PROP_QOS_MAX = 0x24,
    PROP_RETAIN_AVAILABLE = 0x25,
    PROP_USER = 0x26,
    PROP_PACKET_SIZE_MAX = 0x27,
    PROP_WILDCARD_AVAILABLE = 0x28,
    PROP_SUBSCRIPTION_ID_AVAILABLE = 0x29,
    PROP_SHARED_AVAILABLE = 0x2A,
    PROP_ID_END,
};

/* Where a block stands: a packet type, or the will inside CONNECT, or what a stored message carries on. */
enum { PROPS_OF_WILL = 0, PROPS_OF_MESSAGE = 16 };

struct prop {
    uint8_t id;
    uint32_t number;    /* of every numeric type */
    struct bytes text;  /* string or binary; the name of a user property */
    struct bytes value; /* of a user property */
};

struct props {
    struct cursor c;
    uint64_t seen;  /* ids met so far, one bit each; all are below 64 */
    uint32_t place; /* 1 << where the block stands */
};

/* A variable byte integer; false when it is cut, longer than four bytes or over-long [MQTT-1.5.5-1]. The
 * cursor then stays where it is. */
bool cursor_varint(struct cursor *c, uint32_t *v);

/* Opens a block that is `block` without its length, or takes one with its length off the cursor. `where` is
 * a packet type or one of PROPS_OF_*. */
void props_init(struct props *it, struct bytes block, unsigned where);
bool props_take(struct props *it, struct cursor *c, unsigned where, struct fault *f);

static inline bool props_more(const struct props *it)
{
    return it->c.p != it->c.end;
}

/* The next property; asked only when props_more(). False: *f says what is wrong with it. */
bool props_next(struct props *it, struct prop *prop, struct fault *f);

/* Walks a whole block of which no value is wanted, but that has to be in order. */
bool props_skip(struct cursor *c, unsigned where, struct fault *f);

/* The block of a PUBLISH or a will. `kept` is what travels on; it is verbatim when that is all there was. */
struct props_message {
    struct bytes kept;
    bool is_verbatim;
    bool has_expiry;
    uint16_t alias;
    uint32_t expiry_s;
    uint32_t will_delay_s;
};

/* Takes the block off the cursor, which stands somewhere in `body`; kept properties are moved together in
 * place where others stood between them. One pass. */
bool props_take_message(struct cursor *c, uint8_t *body, unsigned where, struct props_message *m,
                        struct fault *f);

/* Is `block` made of nothing but properties that travel on with a message, each in order? */
bool props_is_message(struct bytes block);

static inline bool fault_set(struct fault *f, enum reason code, const char *text)
{
    f->code = code;
    f->text = text;
    return false;
}

#endif
