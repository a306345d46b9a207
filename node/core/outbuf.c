/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/outbuf.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { CLASS_MIN = 256, CLASS_SHIFT = 2, CLASS_KEEP_BYTES = 4 << 20 };

static uint32_t class_size(unsigned k)
{
    return (uint32_t)CLASS_MIN << (CLASS_SHIFT * k);
}

/* The smallest class that holds n, or OUTBUF_CLASSES when none does. */
static unsigned class_of(uint64_t n)
{
    unsigned k = 0;
    while (k < OUTBUF_CLASSES && class_size(k) < n)
        k++;
    return k;
}

void outpool_init(struct outpool *p)
{
    *p = (struct outpool){0};
}

void outpool_fini(struct outpool *p)
{
    for (unsigned k = 0; k < OUTBUF_CLASSES; k++) {
        while (p->free[k]) {
            void *b = p->free[k];
            memcpy(&p->free[k], b, sizeof(void *));
            free(b);
        }
    }
}

static uint8_t *pool_get(struct outpool *p, uint64_t n, uint32_t *cap)
{
    unsigned k = class_of(n);
    if (k == OUTBUF_CLASSES) {
        *cap = (uint32_t)((n + 4095) & ~(uint64_t)4095);
        p->bytes += *cap;
        return mem_alloc(*cap);
    }
    *cap = class_size(k);
    p->bytes += *cap;
    void *b = p->free[k];
    if (!b)
        return mem_alloc(*cap);
    memcpy(&p->free[k], b, sizeof(void *));
    p->free_n[k]--;
    return b;
}

static void pool_put(struct outpool *p, uint8_t *buf, uint32_t cap)
{
    if (!buf)
        return;
    p->bytes -= cap;
    unsigned k = class_of(cap);
    if (k == OUTBUF_CLASSES || class_size(k) != cap || p->free_n[k] * (uint64_t)cap >= CLASS_KEEP_BYTES) {
        free(buf);
        return;
    }
    memcpy(buf, &p->free[k], sizeof(void *));
    p->free[k] = buf;
    p->free_n[k]++;
}

/* Moves what is unsent to the front, so that a stream which never drains fully does not grow without end. */
static void outbuf_compact(struct outbuf *o)
{
    memmove(o->buf, o->buf + o->off, o->len - o->off);
    for (uint32_t i = 0; i < o->segs_n; i++)
        o->segs[i].at -= o->off;
    o->len -= o->off;
    o->off = 0;
}

uint8_t *outbuf_grow(struct outbuf *o, struct outpool *p, uint32_t n)
{
    if (o->off > o->cap / 2) {
        outbuf_compact(o);
        if (o->cap - o->len >= n)
            return o->buf + o->len;
    }
    uint32_t cap;
    uint64_t want = (uint64_t)o->len + n;
    CHECK(want < UINT32_MAX);
    uint8_t *b = pool_get(p, o->cap ? (want > 2ull * o->cap ? want : 2ull * o->cap) : want, &cap);
    if (o->len)
        memcpy(b + o->off, o->buf + o->off, o->len - o->off);
    pool_put(p, o->buf, o->cap);
    o->buf = b;
    o->cap = cap;
    return b + o->len;
}

void outbuf_push_payload(struct outbuf *o, struct msg *m)
{
    if ((o->segs_n & (o->segs_n - 1)) == 0)
        o->segs = mem_realloc(o->segs, sizeof *o->segs * (o->segs_n ? o->segs_n * 2 : 1));
    o->segs[o->segs_n++] = (struct outseg){msg_ref(m), o->len, 0};
    o->seg_bytes += m->payload_n;
}

int outbuf_iov(const struct outbuf *o, struct iovec *iov, int iov_max)
{
    int n = 0;
    uint32_t at = o->off, i = 0;
    for (; i < o->segs_n && n + 2 <= iov_max; i++) {
        const struct outseg *s = &o->segs[i];
        if (s->at > at)
            iov[n++] = (struct iovec){o->buf + at, s->at - at};
        at = s->at;
        struct bytes pl = msg_payload(s->msg);
        iov[n++] = (struct iovec){(void *)(uintptr_t)(pl.p + s->off), pl.n - s->off};
    }
    if (i == o->segs_n && o->len > at && n < iov_max)
        iov[n++] = (struct iovec){o->buf + at, o->len - at};
    return n;
}

/* Drops the first k segments. */
static void segs_shift(struct outbuf *o, uint32_t k)
{
    o->segs_n -= k;
    if (o->segs_n == 0) {
        free(o->segs);
        o->segs = NULL;
        return;
    }
    struct outseg *rest =
        mem_alloc(sizeof *rest * (o->segs_n < 2 ? 2 : 2u << (31 - __builtin_clz(o->segs_n))));
    memcpy(rest, o->segs + k, sizeof *rest * o->segs_n);
    free(o->segs);
    o->segs = rest;
}

void outbuf_consume(struct outbuf *o, struct outpool *p, size_t n)
{
    uint32_t gone = 0;
    for (; gone < o->segs_n && n > 0; gone++) {
        struct outseg *s = &o->segs[gone];
        size_t plain = s->at - o->off;
        if (n < plain)
            break;
        n -= plain;
        o->off = s->at;
        size_t left = s->msg->payload_n - s->off;
        size_t part = n < left ? n : left;
        s->off += (uint32_t)part;
        o->seg_bytes -= part;
        n -= part;
        if (part < left)
            break;
        msg_unref(s->msg);
    }
    if (gone)
        segs_shift(o, gone);
    o->off += (uint32_t)n;
    if (outbuf_is_empty(o)) {
        pool_put(p, o->buf, o->cap);
        o->buf = NULL;
        o->off = o->len = o->cap = 0;
    }
}

void outbuf_fini(struct outbuf *o, struct outpool *p)
{
    for (uint32_t i = 0; i < o->segs_n; i++)
        msg_unref(o->segs[i].msg);
    free(o->segs);
    pool_put(p, o->buf, o->cap);
    *o = (struct outbuf){0};
}
