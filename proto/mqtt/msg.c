/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/mqtt/msg.h"

#include <stdlib.h>

#include "proto/base/check.h"
#include "proto/mqtt/props.h"
#include "proto/topic/topic.h"

enum { MS_PER_S = 1000 };

static struct msg *msg_alloc(uint32_t topic_n, uint32_t props_n, uint32_t payload_n)
{
    struct msg *m = malloc(sizeof *m + (size_t)topic_n + props_n + payload_n);

    CHECK(topic_n <= UINT16_MAX);
    if (m)
        *m =
            (struct msg){.refs = 1, .topic_n = (uint16_t)topic_n, .props_n = props_n, .payload_n = payload_n};
    return m;
}

static void msg_fill(struct msg *m, struct bytes topic, struct bytes props, struct bytes payload)
{
    bytes_put(bytes_put(bytes_put(m->data, topic), props), payload);
}

struct msg *msg_new(const struct message_in *in, uint64_t now_wall_ms, uint64_t origin)
{
    struct msg *m = msg_alloc(in->topic.n, in->props.n, in->payload.n);

    if (!m)
        return NULL;
    m->qos = in->qos;
    m->retain = in->retain;
    m->has_expiry = in->has_expiry;
    m->created_ms = now_wall_ms;
    m->expires_ms = in->has_expiry ? now_wall_ms + (uint64_t)in->expiry_s * MS_PER_S : 0;
    m->origin = origin;
    msg_fill(m, in->topic, in->props, in->payload);
    return m;
}

struct msg *msg_ref(struct msg *m)
{
    __atomic_add_fetch(&m->refs, 1, __ATOMIC_RELAXED);
    return m;
}

void msg_unref(struct msg *m)
{
    /* Release, so that no use of m moves behind the drop; acquire, so that the one who frees sees them all.
     */
    if (m && __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free(m);
}

/* Rounded up; never more than the publisher asked for, should the clock have been set back. */
static uint32_t expiry_left_s(uint64_t created_ms, uint64_t expires_ms, uint64_t now_wall_ms)
{
    uint64_t from = now_wall_ms > created_ms ? now_wall_ms : created_ms;

    if (from >= expires_ms)
        return 0;
    uint64_t left_s = (expires_ms - from - 1) / MS_PER_S + 1;
    return left_s < UINT32_MAX ? (uint32_t)left_s : UINT32_MAX;
}

struct message_in msg_view(const struct msg *m, uint64_t now_wall_ms)
{
    return (struct message_in){
        .topic = msg_topic(m),
        .props = msg_props(m),
        .payload = msg_payload(m),
        .qos = m->qos,
        .retain = m->retain,
        .has_expiry = m->has_expiry,
        .expiry_s = m->has_expiry ? expiry_left_s(m->created_ms, m->expires_ms, now_wall_ms) : 0,
    };
}

/* ---- stored form ------------------------------------------------------------------------------------ */

enum { RECORD_VERSION = 1 };
enum { RECORD_QOS = 0x03, RECORD_RETAIN = 0x04, RECORD_HAS_EXPIRY = 0x08 };
enum { RECORD_FLAGS = RECORD_QOS | RECORD_RETAIN | RECORD_HAS_EXPIRY };

/* version 1, flags 1, created 8, [expires 8,] origin 8, topic 2+n, props 4+n, payload 4+n */
enum { RECORD_FIXED_BYTES = 1 + 1 + 8 + 8 + 2 + 4 + 4, RECORD_EXPIRY_BYTES = 8 };

size_t msg_record_size(const struct msg *m)
{
    return (size_t)RECORD_FIXED_BYTES + (m->has_expiry ? RECORD_EXPIRY_BYTES : 0) + m->topic_n + m->props_n +
           m->payload_n;
}

uint8_t *msg_record_put(uint8_t *p, const struct msg *m)
{
    *p++ = RECORD_VERSION;
    *p++ = (uint8_t)(m->qos | (m->retain ? RECORD_RETAIN : 0) | (m->has_expiry ? RECORD_HAS_EXPIRY : 0));
    p = be64_put(p, m->created_ms);
    if (m->has_expiry)
        p = be64_put(p, m->expires_ms);
    p = be64_put(p, m->origin);
    p = bytes_put(be16_put(p, m->topic_n), msg_topic(m));
    p = bytes_put(be32_put(p, m->props_n), msg_props(m));
    return bytes_put(be32_put(p, m->payload_n), msg_payload(m));
}

static bool bytes32_take(struct cursor *c, struct bytes *b)
{
    uint32_t n;

    return cursor_u32(c, &n) && cursor_bytes(c, n, b);
}

/* The parts of a record, bounds checked, their contents not looked at. */
struct record {
    struct bytes topic, props, payload;
    uint64_t created_ms, expires_ms, origin;
    uint8_t flags;
};

static bool record_parse(struct cursor *c, struct record *r)
{
    struct cursor at = *c;
    uint8_t version;

    r->expires_ms = 0;
    if (!cursor_u8(&at, &version) || version != RECORD_VERSION || !cursor_u8(&at, &r->flags))
        return false;
    bool has_expiry = r->flags & RECORD_HAS_EXPIRY;
    if ((r->flags & ~RECORD_FLAGS) || (r->flags & RECORD_QOS) > 2)
        return false;
    if (!cursor_u64(&at, &r->created_ms) || (has_expiry && !cursor_u64(&at, &r->expires_ms)))
        return false;
    if (has_expiry && r->expires_ms < r->created_ms)
        return false;
    if (!cursor_u64(&at, &r->origin) || !cursor_lenbytes(&at, &r->topic) || !bytes32_take(&at, &r->props) ||
        !bytes32_take(&at, &r->payload))
        return false;
    *c = at;
    return true;
}

bool msg_record_view(struct bytes record, uint64_t now_wall_ms, struct message_in *m, uint64_t *origin)
{
    struct cursor c = cursor_of(record);
    struct record r;

    if (!record_parse(&c, &r))
        return false;
    *m = (struct message_in){.topic = r.topic, .payload = r.payload, .props = r.props};
    m->qos = r.flags & RECORD_QOS;
    m->retain = r.flags & RECORD_RETAIN;
    m->has_expiry = r.flags & RECORD_HAS_EXPIRY;
    m->expiry_s = m->has_expiry ? expiry_left_s(r.created_ms, r.expires_ms, now_wall_ms) : 0;
    *origin = r.origin;
    return true;
}

bool msg_record_topic(struct bytes record, struct bytes *topic)
{
    struct cursor c = cursor_of(record);
    struct record r;

    if (!record_parse(&c, &r))
        return false;
    *topic = r.topic;
    return true;
}

bool msg_record_created(struct bytes record, uint64_t *created_ms)
{
    struct cursor c = cursor_of(record);
    struct record r;

    if (!record_parse(&c, &r))
        return false;
    *created_ms = r.created_ms;
    return true;
}

bool msg_record_expiry(struct bytes record, uint64_t *expires_ms)
{
    struct cursor c = cursor_of(record);
    struct record r;

    *expires_ms = 0;
    if (!record_parse(&c, &r) || !(r.flags & RECORD_HAS_EXPIRY))
        return false;
    *expires_ms = r.expires_ms;
    return true;
}

struct msg *msg_record_take(struct cursor *c)
{
    struct cursor at = *c;
    struct record r;

    if (!record_parse(&at, &r) || topic_name_check(r.topic, 0) != TOPIC_OK || !props_is_message(r.props))
        return NULL;

    struct msg *m = msg_alloc(r.topic.n, r.props.n, r.payload.n);
    if (!m)
        return NULL;
    m->qos = r.flags & RECORD_QOS;
    m->retain = r.flags & RECORD_RETAIN;
    m->has_expiry = r.flags & RECORD_HAS_EXPIRY;
    m->created_ms = r.created_ms;
    m->expires_ms = r.expires_ms;
    m->origin = r.origin;
    msg_fill(m, r.topic, r.props, r.payload);
    *c = at;
    return m;
}
