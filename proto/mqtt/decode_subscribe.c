/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/mqtt/packet.h"

#include "proto/mqtt/props.h"
#include "proto/topic/utf8.h"

enum {
    OPTION_QOS = 0x03,
    OPTION_NO_LOCAL = 0x04,
    OPTION_RETAIN_AS_PUBLISHED = 0x08,
    OPTION_RETAIN_HANDLING = 0x30,
    OPTION_RESERVED = 0xc0,
    FILTERS_MAX = UINT16_MAX, /* what subscribe.count can hold */
};

/* Packet identifier and properties, which both packets begin with. */
static bool header_take(struct cursor *c, enum packet_type type, enum mqtt_version v, struct subscribe *s,
                        struct fault *f)
{
    struct props it;
    struct prop prop;

    if (!cursor_u16(c, &s->packet_id))
        return fault_set(f, RC_MALFORMED_PACKET, "the packet ends before its Packet Identifier");
    if (s->packet_id == 0) /* [MQTT-2.2.1-3] */
        return fault_set(f, RC_PROTOCOL_ERROR, "Packet Identifier must not be 0");
    if (v != MQTT_V5)
        return true;
    if (!props_take(&it, c, type, f))
        return false;
    while (props_more(&it)) {
        if (!props_next(&it, &prop, f))
            return false;
        if (prop.id == PROP_SUBSCRIPTION_ID)
            s->subscription_id = prop.number;
    }
    return true;
}

static bool filter_take(struct cursor *c, struct subscribe *s, struct bytes *filter, struct fault *f)
{
    if (!cursor_lenbytes(c, filter))
        return fault_set(f, RC_MALFORMED_PACKET, "the packet ends inside a Topic Filter");
    if (!utf8_is_valid(*filter)) /* [MQTT-3.8.3-1, MQTT-3.10.3-1] */
        return fault_set(f, RC_MALFORMED_PACKET, "Topic Filter must be valid UTF-8 without U+0000");
    if (s->count == FILTERS_MAX)
        return fault_set(f, RC_QUOTA_EXCEEDED, "there are more than 65535 Topic Filters in one packet");
    s->count++;
    return true;
}

/* Before 5.0, section 3.8.3 of 3.1.1. */
static bool options_check(uint8_t options, enum mqtt_version v, struct bytes filter, struct fault *f)
{
    uint8_t reserved = v == MQTT_V5 ? OPTION_RESERVED : (uint8_t)~OPTION_QOS;

    if (options & reserved) /* [MQTT-3.8.3-5] */
        return fault_set(f, RC_MALFORMED_PACKET, "reserved bits of the Subscription Options must be 0");
    if ((options & OPTION_QOS) == 3) /* MQTT 5.0 section 3.8.3.1 */
        return fault_set(f, v == MQTT_V5 ? RC_PROTOCOL_ERROR : RC_MALFORMED_PACKET,
                         "the Maximum QoS of a subscription must not be 3");
    if ((options & OPTION_RETAIN_HANDLING) == OPTION_RETAIN_HANDLING)
        return fault_set(f, RC_PROTOCOL_ERROR, "Retain Handling must not be 3");
    if ((options & OPTION_NO_LOCAL) && bytes_starts(filter, bytes_str("$share/"))) /* [MQTT-3.8.3-4] */
        return fault_set(f, RC_PROTOCOL_ERROR, "No Local must not be set on a Shared Subscription");
    return true;
}

bool decode_subscribe(const uint8_t *body, uint32_t n, enum mqtt_version v, struct subscribe *s,
                      struct fault *f)
{
    struct cursor c = {body, body + n};
    struct bytes filter;
    uint8_t options;

    *s = (struct subscribe){0};
    if (!header_take(&c, PACKET_SUBSCRIBE, v, s, f))
        return false;
    s->filters = c;
    while (cursor_left(&c)) {
        if (!filter_take(&c, s, &filter, f))
            return false;
        if (!cursor_u8(&c, &options))
            return fault_set(f, RC_MALFORMED_PACKET,
                             "the Subscription Options of a Topic Filter are missing");
        if (!options_check(options, v, filter, f))
            return false;
    }
    if (s->count == 0) /* [MQTT-3.8.3-2] */
        return fault_set(f, RC_PROTOCOL_ERROR, "a SUBSCRIBE must have at least one Topic Filter");
    return true;
}

bool subscribe_next(struct subscribe *s, enum mqtt_version v, struct subscribe_item *item)
{
    struct bytes filter;
    uint8_t options;

    if (!cursor_lenbytes(&s->filters, &filter) || !cursor_u8(&s->filters, &options))
        return false;
    *item = (struct subscribe_item){.filter = filter, .qos = options & OPTION_QOS};
    if (v == MQTT_V5) {
        item->no_local = (options & OPTION_NO_LOCAL) != 0;
        item->retain_as_published = (options & OPTION_RETAIN_AS_PUBLISHED) != 0;
        item->retain_handling = (options & OPTION_RETAIN_HANDLING) >> 4;
    }
    return true;
}

bool decode_unsubscribe(const uint8_t *body, uint32_t n, enum mqtt_version v, struct subscribe *s,
                        struct fault *f)
{
    struct cursor c = {body, body + n};
    struct bytes filter;

    *s = (struct subscribe){0};
    if (!header_take(&c, PACKET_UNSUBSCRIBE, v, s, f))
        return false;
    s->filters = c;
    while (cursor_left(&c)) {
        if (!filter_take(&c, s, &filter, f))
            return false;
    }
    if (s->count == 0) /* [MQTT-3.10.3-2] */
        return fault_set(f, RC_PROTOCOL_ERROR, "an UNSUBSCRIBE must have at least one Topic Filter");
    return true;
}

bool unsubscribe_next(struct subscribe *s, struct bytes *filter)
{
    return cursor_lenbytes(&s->filters, filter);
}
