/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/mqtt/props.h"

#include "proto/base/check.h"
#include "proto/topic/topic.h"
#include "proto/topic/utf8.h"

enum prop_type {
    PROP_TYPE_NONE, /* no property has this id */
    PROP_TYPE_FLAG, /* one byte, 0 or 1 */
    PROP_TYPE_U16,
    PROP_TYPE_U32,
    PROP_TYPE_VARINT,
    PROP_TYPE_STRING,
    PROP_TYPE_TOPIC, /* a string that is a topic name */
    PROP_TYPE_BINARY,
    PROP_TYPE_PAIR, /* two strings */
};

#define IN(where)  (1u << (where))
#define IN_CONNECT IN(PACKET_CONNECT)
#define IN_CONNACK IN(PACKET_CONNACK)
#define IN_PUBLISH IN(PACKET_PUBLISH)
#define IN_WILL    IN(PROPS_OF_WILL)
#define IN_MESSAGE IN(PROPS_OF_MESSAGE)
#define IN_DISCONN IN(PACKET_DISCONNECT)
#define IN_AUTH    IN(PACKET_AUTH)
#define IN_ACKS                                                                                           \
    (IN(PACKET_PUBACK) | IN(PACKET_PUBREC) | IN(PACKET_PUBREL) | IN(PACKET_PUBCOMP) | IN(PACKET_SUBACK) | \
     IN(PACKET_UNSUBACK))
#define IN_SUBSCRIBES (IN(PACKET_SUBSCRIBE) | IN(PACKET_UNSUBSCRIBE))

/* What travels from a publisher to subscribers [MQTT-3.3.2-4, -15, -16, -17, -20]. */
#define TRAVELS (IN_PUBLISH | IN_WILL | IN_MESSAGE)

struct prop_rule {
    uint8_t type;      /* enum prop_type */
    uint8_t zero_code; /* the fault that the value 0 is; 0: it is none */
    bool may_repeat;
    uint32_t places;      /* where it may stand */
    uint32_t server_only; /* those of them in which only a server may send it */
    const char *twice;    /* texts of faults */
    const char *bad_value;
};

#define RULE(prop_type, in, name) \
    .type = (prop_type), .places = (in), .twice = name " must not be given more than once"
#define FLAG(in, name)   RULE(PROP_TYPE_FLAG, in, name), .bad_value = name " must be 0 or 1"
#define STRING(in, name) RULE(PROP_TYPE_STRING, in, name), .bad_value = name " must be valid UTF-8"
#define BINARY(in, name) RULE(PROP_TYPE_BINARY, in, name)
#define NONZERO(prop_type, in, code, name) \
    RULE(prop_type, in, name), .zero_code = (code), .bad_value = name " must not be 0"

/* MQTT 5.0, table 2-4, and the value bounds of chapter 3. */
static const struct prop_rule prop_rules[PROP_ID_END] = {
    [PROP_PAYLOAD_FORMAT] = {FLAG(TRAVELS, "Payload Format Indicator")},
    [PROP_MESSAGE_EXPIRY] = {RULE(PROP_TYPE_U32, IN_PUBLISH | IN_WILL, "Message Expiry Interval")},
    [PROP_CONTENT_TYPE] = {STRING(TRAVELS, "Content Type")},
    [PROP_RESPONSE_TOPIC] = {RULE(PROP_TYPE_TOPIC, TRAVELS, "Response Topic"),
                             .bad_value = "Response Topic must be valid UTF-8"},
    [PROP_CORRELATION_DATA] = {BINARY(TRAVELS, "Correlation Data")},
    [PROP_SUBSCRIPTION_ID] = {NONZERO(PROP_TYPE_VARINT, IN_PUBLISH | IN(PACKET_SUBSCRIBE), RC_PROTOCOL_ERROR,
                                      "Subscription Identifier"),
                              .server_only = IN_PUBLISH},
    [PROP_SESSION_EXPIRY] = {RULE(PROP_TYPE_U32, IN_CONNECT | IN_CONNACK | IN_DISCONN,
                                  "Session Expiry Interval")},
    [PROP_ASSIGNED_CLIENT_ID] = {STRING(IN_CONNACK, "Assigned Client Identifier")},
    [PROP_SERVER_KEEP_ALIVE] = {RULE(PROP_TYPE_U16, IN_CONNACK, "Server Keep Alive")},
    [PROP_AUTH_METHOD] = {STRING(IN_CONNECT | IN_CONNACK | IN_AUTH, "Authentication Method")},
    [PROP_AUTH_DATA] = {BINARY(IN_CONNECT | IN_CONNACK | IN_AUTH, "Authentication Data")},
    [PROP_REQUEST_PROBLEM_INFO] = {FLAG(IN_CONNECT, "Request Problem Information")},
    [PROP_WILL_DELAY] = {RULE(PROP_TYPE_U32, IN_WILL, "Will Delay Interval")},
    [PROP_REQUEST_RESPONSE_INFO] = {FLAG(IN_CONNECT, "Request Response Information")},
    [PROP_RESPONSE_INFO] = {STRING(IN_CONNACK, "Response Information")},
    [PROP_SERVER_REFERENCE] = {STRING(IN_CONNACK | IN_DISCONN, "Server Reference"),
                               .server_only = IN_DISCONN},
    [PROP_REASON_STRING] = {STRING(IN_CONNACK | IN_ACKS | IN_DISCONN | IN_AUTH, "Reason String")},
    [PROP_RECEIVE_MAX] = {NONZERO(PROP_TYPE_U16, IN_CONNECT | IN_CONNACK, RC_PROTOCOL_ERROR,
                                  "Receive Maximum")},
    [PROP_TOPIC_ALIAS_MAX] = {RULE(PROP_TYPE_U16, IN_CONNECT | IN_CONNACK, "Topic Alias Maximum")},
    [PROP_TOPIC_ALIAS] = {NONZERO(PROP_TYPE_U16, IN_PUBLISH, RC_TOPIC_ALIAS_INVALID, "Topic Alias")},
    [PROP_QOS_MAX] = {FLAG(IN_CONNACK, "Maximum QoS")},
    [PROP_RETAIN_AVAILABLE] = {FLAG(IN_CONNACK, "Retain Available")},
    [PROP_USER] = {RULE(PROP_TYPE_PAIR,
                        TRAVELS | IN_CONNECT | IN_CONNACK | IN_ACKS | IN_SUBSCRIBES | IN_DISCONN | IN_AUTH,
                        "User Property"),
                   .may_repeat = true, .bad_value = "User Property must be valid UTF-8"},
    [PROP_PACKET_SIZE_MAX] = {NONZERO(PROP_TYPE_U32, IN_CONNECT | IN_CONNACK, RC_PROTOCOL_ERROR,
                                      "Maximum Packet Size")},
    [PROP_WILDCARD_AVAILABLE] = {FLAG(IN_CONNACK, "Wildcard Subscription Available")},
    [PROP_SUBSCRIPTION_ID_AVAILABLE] = {FLAG(IN_CONNACK, "Subscription Identifier Available")},
    [PROP_SHARED_AVAILABLE] = {FLAG(IN_CONNACK, "Shared Subscription Available")},
};

bool cursor_varint(struct cursor *c, uint32_t *v)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < 4 && i < cursor_left(c); i++) {
        uint8_t b = c->p[i];
        sum |= (uint32_t)(b & 0x7f) << (7 * i);
        if (b < 0x80) {
            if (b == 0 && i > 0)
                return false;
            *v = sum;
            c->p += i + 1;
            return true;
        }
    }
    return false;
}

void props_init(struct props *it, struct bytes block, unsigned where)
{
    *it = (struct props){.c = cursor_of(block.n ? block : bytes_str("")), .place = IN(where)};
}

bool props_take(struct props *it, struct cursor *c, unsigned where, struct fault *f)
{
    uint32_t n;
    struct bytes block;

    if (!cursor_varint(c, &n))
        return fault_set(f, RC_MALFORMED_PACKET, "the Property Length is missing or malformed");
    if (!cursor_bytes(c, n, &block))
        return fault_set(f, RC_MALFORMED_PACKET, "the Property Length points past the packet");
    props_init(it, block, where);
    return true;
}

static bool value_is_cut(struct fault *f)
{
    return fault_set(f, RC_MALFORMED_PACKET, "a property is cut by the end of the properties");
}

static bool number_take(struct cursor *c, const struct prop_rule *rule, uint32_t *v, struct fault *f)
{
    uint8_t byte;
    uint16_t two;

    switch ((enum prop_type)rule->type) {
    case PROP_TYPE_FLAG:
        if (!cursor_u8(c, &byte))
            return value_is_cut(f);
        *v = byte;
        return byte <= 1 ? true : fault_set(f, RC_PROTOCOL_ERROR, rule->bad_value);
    case PROP_TYPE_U16:
        if (!cursor_u16(c, &two))
            return value_is_cut(f);
        *v = two;
        break;
    case PROP_TYPE_U32:
        if (!cursor_u32(c, v))
            return value_is_cut(f);
        break;
    case PROP_TYPE_VARINT:
        if (!cursor_varint(c, v))
            return fault_set(f, RC_MALFORMED_PACKET, "a Variable Byte Integer is cut or over-long");
        break;
    case PROP_TYPE_NONE:
    case PROP_TYPE_STRING:
    case PROP_TYPE_TOPIC:
    case PROP_TYPE_BINARY:
    case PROP_TYPE_PAIR:
        CHECK(!"a number");
    }
    return *v || !rule->zero_code ? true : fault_set(f, (enum reason)rule->zero_code, rule->bad_value);
}

static bool string_take(struct cursor *c, const struct prop_rule *rule, struct bytes *s, struct fault *f)
{
    if (!cursor_lenbytes(c, s))
        return value_is_cut(f);
    if (!utf8_is_valid(*s)) /* [MQTT-1.5.4-1, MQTT-1.5.7-1, MQTT-3.3.2-13, MQTT-3.3.2-19] */
        return fault_set(f, RC_MALFORMED_PACKET, rule->bad_value);
    return true;
}

static bool topic_take(struct cursor *c, const struct prop_rule *rule, struct bytes *s, struct fault *f)
{
    if (!cursor_lenbytes(c, s))
        return value_is_cut(f);
    switch (topic_name_check(*s, 0)) {
    case TOPIC_OK:
        return true;
    case TOPIC_BAD_UTF8:
        return fault_set(f, RC_MALFORMED_PACKET, rule->bad_value);
    case TOPIC_EMPTY:
        return fault_set(f, RC_PROTOCOL_ERROR, "Response Topic must not be empty");
    case TOPIC_WILDCARD: /* [MQTT-3.3.2-14] */
    case TOPIC_TOO_LONG:
    case TOPIC_BAD_HASH:
    case TOPIC_BAD_PLUS:
    case TOPIC_BAD_SHARE:
    case TOPIC_BAD_EXCLUSIVE:
    case TOPIC_TOO_DEEP:
        break;
    }
    return fault_set(f, RC_PROTOCOL_ERROR, "Response Topic must not contain '+' or '#'");
}

/* The rule for id at this place of the block, or NULL and a fault. */
static const struct prop_rule *rule_find(struct props *it, uint8_t id, struct fault *f)
{
    const struct prop_rule *rule = id < PROP_ID_END ? &prop_rules[id] : NULL;
    uint64_t bit = 1ull << (id & 63);

    if (!rule || rule->type == PROP_TYPE_NONE)
        fault_set(f, RC_MALFORMED_PACKET, "there is no property with this identifier");
    else if (!(rule->places & it->place)) /* MQTT 5.0 section 2.2.2.2 */
        fault_set(f, RC_MALFORMED_PACKET, "this property is not allowed in this packet");
    else if (rule->server_only & it->place) /* [MQTT-3.3.4-6] */
        fault_set(f, RC_PROTOCOL_ERROR, "only a server may send this property in this packet");
    else if ((it->seen & bit) && !rule->may_repeat)
        fault_set(f, RC_PROTOCOL_ERROR, rule->twice);
    else {
        it->seen |= bit;
        return rule;
    }
    return NULL;
}

bool props_next(struct props *it, struct prop *prop, struct fault *f)
{
    struct cursor *c = &it->c;

    /* Identifiers are variable byte integers, but every one that exists fits one byte. */
    CHECK(cursor_u8(c, &prop->id));
    const struct prop_rule *rule = rule_find(it, prop->id, f);
    if (!rule)
        return false;
    switch ((enum prop_type)rule->type) {
    case PROP_TYPE_FLAG:
    case PROP_TYPE_U16:
    case PROP_TYPE_U32:
    case PROP_TYPE_VARINT:
        return number_take(c, rule, &prop->number, f);
    case PROP_TYPE_STRING:
        return string_take(c, rule, &prop->text, f);
    case PROP_TYPE_TOPIC:
        return topic_take(c, rule, &prop->text, f);
    case PROP_TYPE_BINARY:
        return cursor_lenbytes(c, &prop->text) || value_is_cut(f);
    case PROP_TYPE_PAIR:
        return string_take(c, rule, &prop->text, f) && string_take(c, rule, &prop->value, f);
    case PROP_TYPE_NONE:
        break;
    }
    CHECK(!"a rule has a type");
}

bool props_skip(struct cursor *c, unsigned where, struct fault *f)
{
    struct props it;
    struct prop prop;

    if (!props_take(&it, c, where, f))
        return false;
    while (props_more(&it)) {
        if (!props_next(&it, &prop, f))
            return false;
    }
    return true;
}

/* Bytes kept so far. The first run stays where it is; a later one is moved up to it. */
struct kept {
    uint8_t *from;
    uint8_t *end;
};

static void kept_add(struct kept *k, uint8_t *run, size_t n)
{
    if (n == 0)
        return;
    if (k->from == k->end)
        k->from = k->end = run;
    else if (k->end != run)
        memmove(k->end, run, n);
    k->end += n;
}

bool props_take_message(struct cursor *c, uint8_t *body, unsigned where, struct props_message *m,
                        struct fault *f)
{
    struct props it;
    struct prop prop;

    if (!props_take(&it, c, where, f))
        return false;
    *m = (struct props_message){.kept = bytes_of(c->p, 0), .is_verbatim = true};
    if (!props_more(&it))
        return true;
    /* The block lies behind where the cursor stood, hence in body. */
    uint8_t *end = body + (c->p - body);
    uint8_t *run = end - (it.c.end - it.c.p);
    struct kept kept = {run, run};
    while (props_more(&it)) {
        uint8_t *at = end - (it.c.end - it.c.p);
        if (!props_next(&it, &prop, f))
            return false;
        if (prop_rules[prop.id].places & IN_MESSAGE)
            continue;
        if (prop.id == PROP_MESSAGE_EXPIRY) {
            m->has_expiry = true;
            m->expiry_s = prop.number;
        } else if (prop.id == PROP_TOPIC_ALIAS) {
            m->alias = (uint16_t)prop.number;
        } else {
            m->will_delay_s = prop.number;
        }
        m->is_verbatim = false;
        kept_add(&kept, run, (size_t)(at - run));
        run = end - (it.c.end - it.c.p);
    }
    kept_add(&kept, run, (size_t)(end - run));
    m->kept = bytes_of(kept.from, (size_t)(kept.end - kept.from));
    return true;
}

bool props_is_message(struct bytes block)
{
    struct props it;
    struct prop prop;
    struct fault f;

    props_init(&it, block, PROPS_OF_MESSAGE);
    while (props_more(&it)) {
        if (!props_next(&it, &prop, &f))
            return false;
    }
    return true;
}

/* ---- the Response Topic --------------------------------------------------------------------------- */

bool message_response_topic(struct bytes props, struct bytes *topic)
{
    struct props it;
    struct prop prop;
    struct fault f;
    props_init(&it, props, PROPS_OF_MESSAGE);
    while (props_more(&it) && props_next(&it, &prop, &f)) {
        if (prop.id == PROP_RESPONSE_TOPIC) {
            *topic = prop.text;
            return true;
        }
    }
    return false;
}

void message_response_topic_put(uint8_t *out, struct bytes props, struct bytes old, struct bytes topic)
{
    const uint8_t *from = old.p + old.n;
    CHECK(topic.n <= UINT16_MAX);
    out = bytes_put(out, bytes_of(props.p, (size_t)(old.p - props.p) - 2));
    out = bytes_put(be16_put(out, (uint16_t)topic.n), topic);
    bytes_put(out, bytes_of(from, (size_t)(props.p + props.n - from)));
}
