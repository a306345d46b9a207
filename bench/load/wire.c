/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load/wire.h"

#include <string.h>

static size_t wire_put_length(uint8_t *p, size_t len)
{
    size_t n = 0;
    do {
        p[n++] = (uint8_t)((len & 0x7f) | (len > 0x7f ? 0x80 : 0));
        len >>= 7;
    } while (len);
    return n;
}

static size_t wire_put_string(uint8_t *p, const char *s)
{
    size_t len = strlen(s);
    wire_put16(p, (uint16_t)len);
    memcpy(p + 2, s, len);
    return len + 2;
}

size_t wire_connect(uint8_t *out, uint8_t version, const struct wire_who *who, int clean,
                    uint16_t keepalive_s)
{
    size_t props = version < 5 ? 0 : clean ? 1 : 6;
    size_t login = who->username ? 4 + strlen(who->username) + strlen(who->password) : 0;
    uint8_t *p = out;
    *p++ = WIRE_CONNECT << 4;
    p += wire_put_length(p, 10 + props + 2 + strlen(who->id) + login);
    p += wire_put_string(p, "MQTT");
    *p++ = version;
    *p++ = (uint8_t)((clean ? 2 : 0) | (login ? 0xc0 : 0));
    wire_put16(p, keepalive_s);
    p += 2;
    if (props) {
        *p++ = (uint8_t)(props - 1);
        if (!clean) {
            *p++ = 0x11; /* Session Expiry Interval: never, what 3.1.1 means by clean session 0 */
            memset(p, 0xff, 4);
            p += 4;
        }
    }
    p += wire_put_string(p, who->id);
    if (login) {
        p += wire_put_string(p, who->username);
        p += wire_put_string(p, who->password);
    }
    return (size_t)(p - out);
}

size_t wire_subscribe(uint8_t *out, uint8_t version, uint16_t id, const char *filter, uint8_t qos)
{
    uint8_t *p = out;
    *p++ = WIRE_SUBSCRIBE << 4 | 2;
    p += wire_put_length(p, 2 + (version < 5 ? 0u : 1u) + 2 + strlen(filter) + 1);
    wire_put16(p, id);
    p += 2;
    if (version >= 5)
        *p++ = 0;
    p += wire_put_string(p, filter);
    *p++ = qos;
    return (size_t)(p - out);
}

size_t wire_ack(uint8_t *out, enum wire_type type, uint16_t id)
{
    out[0] = (uint8_t)(type << 4 | (type == WIRE_PUBREL ? 2 : 0));
    out[1] = 2;
    wire_put16(out + 2, id);
    return 4;
}

size_t wire_empty(uint8_t *out, enum wire_type type)
{
    out[0] = (uint8_t)(type << 4);
    out[1] = 0;
    return 2;
}

struct wire_layout wire_publish(uint8_t *out, uint8_t version, uint8_t flags, const char *topic,
                                uint32_t payload_len)
{
    struct wire_layout at = {0};
    uint8_t *p = out;
    size_t id_len = flags & 6 ? 2 : 0;
    size_t props = version >= 5 ? 1 : 0;
    *p++ = (uint8_t)(WIRE_PUBLISH << 4 | flags);
    p += wire_put_length(p, 2 + strlen(topic) + id_len + props + payload_len);
    p += wire_put_string(p, topic);
    at.id_at = (uint32_t)(p - out);
    memset(p, 0, id_len + props + payload_len);
    p += id_len + props;
    at.payload_at = (uint32_t)(p - out);
    at.len = at.payload_at + payload_len;
    return at;
}

int wire_frame_parse(const uint8_t *p, size_t len, struct wire_frame *f)
{
    size_t value = 0;
    for (size_t i = 1; i < 5; i++) {
        if (i >= len)
            return 0;
        value |= (size_t)(p[i] & 0x7f) << (7 * (i - 1));
        if (p[i] & 0x80)
            continue;
        f->head = p[0];
        f->body = p + i + 1;
        f->body_len = value;
        f->total = i + 1 + value;
        return f->total <= len;
    }
    return -1;
}

static int wire_props_skip(const uint8_t **p, const uint8_t *end)
{
    size_t value = 0;
    for (unsigned shift = 0; shift < 28 && *p < end; shift += 7) {
        uint8_t byte = *(*p)++;
        value |= (size_t)(byte & 0x7f) << shift;
        if (byte & 0x80)
            continue;
        if ((size_t)(end - *p) < value)
            return -1;
        *p += value;
        return 0;
    }
    return -1;
}

int wire_publish_parse(const struct wire_frame *f, uint8_t version, struct wire_publish *out)
{
    const uint8_t *p = f->body;
    const uint8_t *end = p + f->body_len;
    out->qos = f->head >> 1 & 3;
    out->is_retain = f->head & 1;
    out->is_dup = f->head >> 3 & 1;
    out->id = 0;
    if (f->body_len < 2)
        return -1;
    out->topic_len = wire_get16(p);
    out->topic = p + 2;
    size_t need = out->topic_len + 2u + (out->qos ? 2u : 0u);
    if (f->body_len < need)
        return -1;
    p += need;
    if (out->qos)
        out->id = wire_get16(p - 2);
    if (version >= 5 && wire_props_skip(&p, end))
        return -1;
    out->payload = p;
    out->payload_len = (uint32_t)(end - p);
    return 0;
}
