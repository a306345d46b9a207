/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_OUTBUF_H
#define COVEY_CORE_OUTBUF_H

/* What waits to be written to one connection. Small packets are copied into one contiguous buffer that exists
 * only while bytes are in flight and comes from the worker's pool; large payloads are referenced, not copied.
 * One flush of a turn is one send() or one writev(). */

#include "proto/base/bytes.h"
#include "proto/mqtt/msg.h"

#include <sys/uio.h>

enum { OUTBUF_CLASSES = 7, OUTBUF_REF_MIN = 8192 /* payloads from this size on are referenced */ };

/* Free buffers of 256 B, 1 KiB, ... 1 MiB; one pool per worker. */
struct outpool {
    void *free[OUTBUF_CLASSES];
    uint32_t free_n[OUTBUF_CLASSES];
    uint64_t bytes; /* allocated to connections now */
};
void outpool_init(struct outpool *p);
void outpool_fini(struct outpool *p);

/* A payload that sits between the bytes before and from `at` of buf. */
struct outseg {
    struct msg *msg;
    uint32_t at;
    uint32_t off; /* into the payload: what is already sent */
};

struct outbuf {
    uint8_t *buf;
    uint32_t off; /* sent */
    uint32_t len; /* filled */
    uint32_t cap;
    uint32_t segs_n;
    struct outseg *segs;
    uint64_t seg_bytes; /* of payloads not yet sent */
};

static inline uint64_t outbuf_bytes(const struct outbuf *o)
{
    return o->len - o->off + o->seg_bytes;
}
static inline bool outbuf_is_empty(const struct outbuf *o)
{
    return o->len == o->off && o->segs_n == 0;
}

uint8_t *outbuf_grow(struct outbuf *o, struct outpool *p, uint32_t n);

/* Room for n bytes behind what is there; outbuf_commit() makes them part of it. */
static inline uint8_t *outbuf_reserve(struct outbuf *o, struct outpool *p, uint32_t n)
{
    if (__builtin_expect(o->cap - o->len >= n, 1))
        return o->buf + o->len;
    return outbuf_grow(o, p, n);
}
static inline void outbuf_commit(struct outbuf *o, uint8_t *end)
{
    o->len = (uint32_t)(end - o->buf);
}

/* The payload of m, by reference: takes a ref of its own. */
void outbuf_push_payload(struct outbuf *o, struct msg *m);

/* Fills iov with what is to be sent next; answers how many entries (0: nothing waits). */
int outbuf_iov(const struct outbuf *o, struct iovec *iov, int iov_max);
/* n bytes went out. The buffer goes back to the pool when nothing is left. */
void outbuf_consume(struct outbuf *o, struct outpool *p, size_t n);
void outbuf_fini(struct outbuf *o, struct outpool *p); /* drops what is there */

#endif
