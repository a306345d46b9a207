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

/* Never more than the publisher asked for, should the clock have been set back. */
static uint32_t expiry_left_s(const struct msg *m, uint64_t now_wall_ms)
{
    uint64_t from = now_wall_ms > m->created_ms ? now_wall_ms : m->created_ms;

    if (from >= m->expires_ms)
        return 0;
    uint64_t left_s = (m->expires_ms - from + MS_PER_S - 1) / MS_PER_S;
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
        .expiry_s = m->has_expiry ? expiry_left_s(m, now_wall_ms) : 0,
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

struct msg *msg_record_take(struct cursor *c)
{
    struct cursor at = *c;
    struct bytes topic, props, payload;
    uint64_t created_ms, origin, expires_ms = 0;
    uint8_t version, flags;

    if (!cursor_u8(&at, &version) || version != RECORD_VERSION || !cursor_u8(&at, &flags))
        return NULL;
    bool has_expiry = flags & RECORD_HAS_EXPIRY;
    if ((flags & ~RECORD_FLAGS) || (flags & RECORD_QOS) > 2)
        return NULL;
    if (!cursor_u64(&at, &created_ms) || (has_expiry && !cursor_u64(&at, &expires_ms)))
        return NULL;
    if (has_expiry && expires_ms < created_ms)
        return NULL;
    if (!cursor_u64(&at, &origin) || !cursor_lenbytes(&at, &topic) || !bytes32_take(&at, &props) ||
        !bytes32_take(&at, &payload))
        return NULL;
    if (topic_name_check(topic, 0) != TOPIC_OK || !props_is_message(props))
        return NULL;

    struct msg *m = msg_alloc(topic.n, props.n, payload.n);
    if (!m)
        return NULL;
    m->qos = flags & RECORD_QOS;
    m->retain = flags & RECORD_RETAIN;
    m->has_expiry = has_expiry;
    m->created_ms = created_ms;
    m->expires_ms = expires_ms;
    m->origin = origin;
    msg_fill(m, topic, props, payload);
    *c = at;
    return m;
}
