/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/base/mem.h"
#include "proto/rpc/rpc_i.h"

#include <stdlib.h>

/* A message may take so many times its own size, and a little: repeated fields of one byte cost most. */
enum { FACTOR = 64, FIXED = 64 << 10, BLOCK_FIRST = 256 << 10, BLOCK_KEEP = 8 << 20, ALIGN = 16 };

struct rpc_arena {
    ProtobufCAllocator allocator;
    uint8_t *block;
    size_t n, cap;
    struct overflow *overflow; /* what found no room in the block */
    size_t overflow_n;
    size_t left; /* that the message under way may still take */
};

struct overflow {
    struct overflow *next;
    uint64_t pad;
};

void *rpc_arena_take(struct rpc_arena *a, size_t n)
{
    size_t size = (n + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (size > a->left)
        return NULL;
    a->left -= size;
    if (a->n + size <= a->cap) {
        void *p = a->block + a->n;
        a->n += size;
        return p;
    }
    struct overflow *o = malloc(sizeof *o + size);
    if (!o)
        return NULL;
    o->next = a->overflow;
    a->overflow = o;
    a->overflow_n += size;
    return o + 1;
}

static void *on_alloc(void *ctx, size_t n)
{
    return rpc_arena_take(ctx, n);
}

static void on_free(void *ctx, void *p)
{
    (void)ctx; /* all at once, by the reset */
    (void)p;
}

struct rpc_arena *rpc_arena_new(void)
{
    struct rpc_arena *a = mem_zalloc(sizeof *a);
    a->allocator = (ProtobufCAllocator){.alloc = on_alloc, .free = on_free, .allocator_data = a};
    a->cap = BLOCK_FIRST;
    a->block = mem_alloc(a->cap);
    return a;
}

void rpc_arena_reset(struct rpc_arena *a)
{
    size_t want = a->n + a->overflow_n;
    while (a->overflow) {
        struct overflow *o = a->overflow;
        a->overflow = o->next;
        free(o);
    }
    if (want > a->cap && want <= BLOCK_KEEP) {
        free(a->block);
        a->cap = want * 2;
        a->block = mem_alloc(a->cap);
    }
    a->n = a->overflow_n = 0;
}

void rpc_arena_free(struct rpc_arena *a)
{
    if (!a)
        return;
    rpc_arena_reset(a);
    free(a->block);
    free(a);
}

void *rpc_unpack(const ProtobufCMessageDescriptor *type, struct bytes body, struct rpc_arena *a)
{
    a->left = (size_t)body.n * FACTOR + FIXED;
    return protobuf_c_message_unpack(type, &a->allocator, body.n, body.p);
}

/* ---- buffers -------------------------------------------------------------------------------------- */

void rpc_buf_reset(struct rpc_buf *b)
{
    enum { KEEP = 1 << 20 };
    if (b->cap > KEEP)
        rpc_buf_fini(b);
    b->n = 0;
}

void rpc_buf_fini(struct rpc_buf *b)
{
    free(b->b);
    *b = (struct rpc_buf){0};
}

void rpc_pack(struct rpc_buf *b, const ProtobufCMessage *m)
{
    uint32_t size = (uint32_t)protobuf_c_message_get_packed_size(m);
    if (!b->b || b->n + size > b->cap) { /* the size of a message of zeros is 0 */
        b->cap = (b->n + size) * 2 + 16;
        b->b = mem_realloc(b->b, b->cap);
    }
    b->n += (uint32_t)protobuf_c_message_pack(m, b->b + b->n);
}
