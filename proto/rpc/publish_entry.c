/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rpc/publish_entry.h"

#include "proto/rpc/pb.h"

enum { FLAG_RETAIN = 4, FLAG_EXPIRY = 8, FLAG_WANTS = 16, FLAG_ONCE = 32 };
enum {
    TAG_ENTRY = PB_TAG(1, PB_BYTES),
    TAG_TOPIC = PB_TAG(1, PB_BYTES),
    TAG_PAYLOAD = PB_TAG(2, PB_BYTES),
    TAG_FLAGS = PB_TAG(3, PB_VARINT),
    TAG_UID = PB_TAG(4, PB_64),
    TAG_PROPS = PB_TAG(5, PB_BYTES),
    TAG_EXPIRY = PB_TAG(6, PB_32),
    TAG_GROUP = PB_TAG(7, PB_BYTES),
    TAG_FILTER = PB_TAG(8, PB_BYTES),
};

/* ---- writing -------------------------------------------------------------------------------------- */

static uint32_t body_size(const struct publish_entry *e)
{
    return pb_bytes_size(e->topic) + pb_bytes_size(e->payload) + 2 + (e->uid ? 9 : 0) +
           pb_bytes_size(e->props) + (e->has_expiry ? 5 : 0) + pb_bytes_size(e->group) +
           pb_bytes_size(e->filter);
}

uint32_t publish_entry_size(const struct publish_entry *e)
{
    uint32_t n = body_size(e);
    return 1 + varint_size(n) + n;
}

uint8_t *publish_entry_put(uint8_t *p, const struct publish_entry *e)
{
    *p++ = TAG_ENTRY;
    p = varint_put(p, body_size(e));
    p = pb_bytes_put(p, TAG_TOPIC, e->topic);
    p = pb_bytes_put(p, TAG_PAYLOAD, e->payload);
    *p++ = TAG_FLAGS;
    *p++ = (uint8_t)(e->qos | (e->retain ? FLAG_RETAIN : 0) | (e->has_expiry ? FLAG_EXPIRY : 0) |
                     (e->wants_answer ? FLAG_WANTS : 0) | (e->once ? FLAG_ONCE : 0));
    if (e->uid) {
        *p++ = TAG_UID;
        p = pb_fixed_put(p, e->uid, 8);
    }
    p = pb_bytes_put(p, TAG_PROPS, e->props);
    if (e->has_expiry) {
        *p++ = TAG_EXPIRY;
        p = pb_fixed_put(p, e->expiry_s, 4);
    }
    p = pb_bytes_put(p, TAG_GROUP, e->group);
    return pb_bytes_put(p, TAG_FILTER, e->filter);
}

/* ---- reading -------------------------------------------------------------------------------------- */

static bool flags_take(struct cursor *c, struct publish_entry *e)
{
    uint64_t v;
    if (!pb_varint_take(c, &v) || (v & 3) == 3)
        return false;
    e->qos = (uint8_t)(v & 3);
    e->retain = v & FLAG_RETAIN;
    e->has_expiry = v & FLAG_EXPIRY;
    e->wants_answer = v & FLAG_WANTS;
    e->once = v & FLAG_ONCE;
    return true;
}

static bool field_take(struct cursor *c, struct publish_entry *e)
{
    uint64_t tag, v;
    if (!pb_varint_take(c, &tag))
        return false;
    switch (tag) {
    case TAG_TOPIC:
        return pb_bytes_take(c, &e->topic);
    case TAG_PAYLOAD:
        return pb_bytes_take(c, &e->payload);
    case TAG_FLAGS:
        return flags_take(c, e);
    case TAG_UID:
        return pb_fixed_take(c, 8, &e->uid);
    case TAG_PROPS:
        return pb_bytes_take(c, &e->props);
    case TAG_EXPIRY:
        if (!pb_fixed_take(c, 4, &v))
            return false;
        e->expiry_s = (uint32_t)v;
        return true;
    case TAG_GROUP:
        return pb_bytes_take(c, &e->group);
    case TAG_FILTER:
        return pb_bytes_take(c, &e->filter);
    default:
        return tag >> 3 > 8 && pb_skip(c, tag);
    }
}

bool publish_entry_skip(struct cursor *c)
{
    struct bytes body;
    return c->p != c->end && *c->p++ == TAG_ENTRY && pb_bytes_take(c, &body);
}

bool publish_entry_take(struct cursor *c, struct publish_entry *e)
{
    struct bytes body;
    if (c->p == c->end || *c->p++ != TAG_ENTRY || !pb_bytes_take(c, &body))
        return false;
    struct cursor in = cursor_of(body);
    *e = (struct publish_entry){0};
    while (cursor_left(&in)) {
        if (!field_take(&in, e))
            return false;
    }
    return e->topic.n > 0 && e->topic.n <= UINT16_MAX && e->group.n <= UINT16_MAX &&
           e->filter.n <= UINT16_MAX && (e->group.n == 0) == (e->filter.n == 0) &&
           !(e->wants_answer && e->qos == 0);
}
