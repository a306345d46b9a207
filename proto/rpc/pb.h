/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_RPC_PB_H
#define COVEY_RPC_PB_H

/* The wire format of protobuf for messages that are coded by hand, because they travel by the million:
 * publishes and routes. A take answers false when too few bytes are left. */

#include "proto/base/bytes.h"
#include "proto/mqtt/packet.h" /* varint_put(): the same encoding */

enum pb_wire { PB_VARINT = 0, PB_64 = 1, PB_BYTES = 2, PB_32 = 5 };
#define PB_TAG(field, wire) ((field) << 3 | (wire))

static inline uint32_t pb_bytes_size(struct bytes b) /* left out when empty */
{
    return b.n ? 1 + varint_size(b.n) + b.n : 0;
}
static inline uint8_t *pb_bytes_put(uint8_t *p, uint8_t tag, struct bytes b)
{
    if (!b.n)
        return p;
    *p++ = tag;
    return bytes_put(varint_put(p, b.n), b);
}
/* Fixed fields are little-endian. */
static inline uint8_t *pb_fixed_put(uint8_t *p, uint64_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
    return p + n;
}

static inline bool pb_varint_take(struct cursor *c, uint64_t *v)
{
    if (c->p < c->end && *c->p < 0x80) {
        *v = *c->p++;
        return true;
    }
    *v = 0;
    for (unsigned shift = 0; shift < 64 && c->p < c->end; shift += 7) {
        uint8_t b = *c->p++;
        *v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return true;
    }
    return false;
}
static inline bool pb_bytes_take(struct cursor *c, struct bytes *b)
{
    uint64_t n;
    if (!pb_varint_take(c, &n) || n > cursor_left(c))
        return false;
    *b = bytes_of(c->p, (size_t)n);
    c->p += n;
    return true;
}
static inline bool pb_fixed_take(struct cursor *c, unsigned n, uint64_t *v)
{
    if (cursor_left(c) < n)
        return false;
    *v = 0;
    for (unsigned i = 0; i < n; i++)
        *v |= (uint64_t)c->p[i] << (8 * i);
    c->p += n;
    return true;
}
/* A field that is not known. */
static inline bool pb_skip(struct cursor *c, uint64_t tag)
{
    uint64_t v;
    struct bytes b;
    switch (tag & 7) {
    case PB_VARINT:
        return pb_varint_take(c, &v);
    case PB_64:
        return pb_fixed_take(c, 8, &v);
    case PB_BYTES:
        return pb_bytes_take(c, &b);
    case PB_32:
        return pb_fixed_take(c, 4, &v);
    default:
        return false;
    }
}

#endif
