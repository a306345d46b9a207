/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_BASE_BYTES_H
#define COVEY_BASE_BYTES_H

/* Views of bytes that somebody else owns, and a bounds-checked cursor over them. A view is valid as long
 * as its owner says; nothing here allocates. Big-endian, as MQTT is. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *p; /* may be NULL when n is 0 */
    uint32_t n;
};

static inline struct bytes bytes_of(const void *p, size_t n)
{
    return (struct bytes){(const uint8_t *)p, (uint32_t)n};
}

static inline struct bytes bytes_str(const char *s)
{
    return bytes_of(s, strlen(s));
}

static inline bool bytes_eq(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline int bytes_cmp(struct bytes a, struct bytes b)
{
    uint32_t n = a.n < b.n ? a.n : b.n;
    int d = n ? memcmp(a.p, b.p, n) : 0;
    return d ? d : (a.n > b.n) - (a.n < b.n);
}

static inline bool bytes_starts(struct bytes a, struct bytes prefix)
{
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}

static inline uint16_t be16_get(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t be32_get(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}
static inline uint64_t be64_get(const uint8_t *p)
{
    return (uint64_t)be32_get(p) << 32 | be32_get(p + 4);
}

/* The put functions return the place behind what they wrote. */
static inline uint8_t *be16_put(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
    return p + 2;
}
static inline uint8_t *be32_put(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
    return p + 4;
}
static inline uint8_t *be64_put(uint8_t *p, uint64_t v)
{
    return be32_put(be32_put(p, (uint32_t)(v >> 32)), (uint32_t)v);
}
static inline uint8_t *bytes_put(uint8_t *p, struct bytes b)
{
    if (b.n)
        memcpy(p, b.p, b.n);
    return p + b.n;
}
/* Puts b there as well and moves *at behind it; answers that copy, or b itself where its p is NULL. */
static inline struct bytes bytes_keep(uint8_t **at, struct bytes b)
{
    struct bytes copy = bytes_of(*at, b.n);
    *at = bytes_put(*at, b);
    return b.p ? copy : b;
}

/* A cursor. Each take answers false, and leaves the cursor where it is, when too few bytes are left. */
struct cursor {
    const uint8_t *p;
    const uint8_t *end;
};

static inline struct cursor cursor_of(struct bytes b)
{
    return (struct cursor){b.p, b.p + b.n};
}
static inline uint32_t cursor_left(const struct cursor *c)
{
    return (uint32_t)(c->end - c->p);
}

static inline bool cursor_u8(struct cursor *c, uint8_t *v)
{
    if (c->p == c->end)
        return false;
    *v = *c->p++;
    return true;
}
static inline bool cursor_u16(struct cursor *c, uint16_t *v)
{
    if (cursor_left(c) < 2)
        return false;
    *v = be16_get(c->p);
    c->p += 2;
    return true;
}
static inline bool cursor_u32(struct cursor *c, uint32_t *v)
{
    if (cursor_left(c) < 4)
        return false;
    *v = be32_get(c->p);
    c->p += 4;
    return true;
}
static inline bool cursor_u64(struct cursor *c, uint64_t *v)
{
    if (cursor_left(c) < 8)
        return false;
    *v = be64_get(c->p);
    c->p += 8;
    return true;
}
static inline bool cursor_bytes(struct cursor *c, uint32_t n, struct bytes *b)
{
    if (cursor_left(c) < n)
        return false;
    *b = bytes_of(c->p, n);
    c->p += n;
    return true;
}
/* A two-byte length and that many bytes: MQTT strings and binary data [MQTT-1.5.4, 1.5.6]. */
static inline bool cursor_lenbytes(struct cursor *c, struct bytes *b)
{
    if (cursor_left(c) < 2)
        return false;
    uint32_t n = be16_get(c->p);
    if (cursor_left(c) - 2 < n)
        return false;
    *b = bytes_of(c->p + 2, n);
    c->p += 2 + n;
    return true;
}

#endif
