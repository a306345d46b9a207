/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/batch.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* An operation is a head of 8 bytes (kind, table, key length, value length), the key, the value. Heads are
 * not aligned, so they are copied in and out. */
enum { HEAD_BYTES = 8, GROW_MIN = 256, KEEP_MAX = 256 * 1024 };

struct head {
    uint8_t kind;
    uint8_t table;
    uint16_t key_n;
    uint32_t value_n;
};
_Static_assert(sizeof(struct head) == HEAD_BYTES, "no padding in the head");

void store_batch_init(struct store_batch *b)
{
    *b = (struct store_batch){0};
}

void store_batch_fini(struct store_batch *b)
{
    free(b->buf);
    *b = (struct store_batch){0};
}

void store_batch_reset(struct store_batch *b)
{
    b->n = 0;
    b->ops = 0;
    b->is_open = false;
    if (b->cap > KEEP_MAX)
        store_batch_fini(b);
}

static void room_make(struct store_batch *b, size_t need)
{
    if (need <= b->cap)
        return;
    size_t cap = b->cap ? b->cap : GROW_MIN;
    while (cap < need)
        cap += cap / 2;
    b->buf = mem_realloc(b->buf, cap);
    b->cap = cap;
}

static uint8_t *op_add(struct store_batch *b, enum store_op_kind kind, enum store_table t, struct bytes key,
                       uint32_t value_n)
{
    CHECK(t < STORE_TABLES && key.n <= STORE_KEY_MAX && value_n <= STORE_VALUE_MAX);
    CHECK(key.n > 0 || kind == STORE_DEL_PREFIX);
    CHECK(b->ops < UINT32_MAX);
    bool is_condition = kind == STORE_IF_NEWER || kind == STORE_IF_STARTS;
    CHECK(!(b->is_open && is_condition));
    size_t need = b->n + HEAD_BYTES + key.n + value_n;
    room_make(b, need);
    struct head h = {(uint8_t)kind, (uint8_t)t, (uint16_t)key.n, value_n};
    uint8_t *p = b->buf + b->n;
    memcpy(p, &h, HEAD_BYTES);
    p = bytes_put(p + HEAD_BYTES, key);
    b->n = need;
    b->ops++;
    b->is_open = is_condition;
    return p;
}

void store_batch_put(struct store_batch *b, enum store_table t, struct bytes key, struct bytes value)
{
    bytes_put(op_add(b, STORE_PUT, t, key, value.n), value);
}

uint8_t *store_batch_reserve(struct store_batch *b, enum store_table t, struct bytes key, uint32_t value_n)
{
    return op_add(b, STORE_PUT, t, key, value_n);
}

void store_batch_del(struct store_batch *b, enum store_table t, struct bytes key)
{
    op_add(b, STORE_DEL, t, key, 0);
}

void store_batch_del_prefix(struct store_batch *b, enum store_table t, struct bytes prefix)
{
    op_add(b, STORE_DEL_PREFIX, t, prefix, 0);
}

void store_batch_if_newer(struct store_batch *b, enum store_table t, struct bytes key, struct bytes value)
{
    CHECK(value.n >= STORE_RANK_N);
    bytes_put(op_add(b, STORE_IF_NEWER, t, key, value.n), value);
}

void store_batch_if_starts(struct store_batch *b, enum store_table t, struct bytes key, struct bytes start)
{
    bytes_put(op_add(b, STORE_IF_STARTS, t, key, start.n), start);
}

void store_batch_append(struct store_batch *b, const struct store_batch *from)
{
    CHECK(!b->is_open && !from->is_open && from->ops <= UINT32_MAX - b->ops);
    if (!from->n)
        return;
    room_make(b, b->n + from->n);
    memcpy(b->buf + b->n, from->buf, from->n);
    b->n += from->n;
    b->ops += from->ops;
}

bool store_batch_next(const struct store_batch *b, size_t *at, struct store_op *op)
{
    if (*at >= b->n)
        return false;
    CHECK(b->n - *at >= HEAD_BYTES);
    struct head h;
    const uint8_t *p = b->buf + *at;
    memcpy(&h, p, HEAD_BYTES);
    p += HEAD_BYTES;
    op->kind = (enum store_op_kind)h.kind;
    op->table = (enum store_table)h.table;
    op->key = bytes_of(p, h.key_n);
    op->value = bytes_of(p + h.key_n, h.value_n);
    *at += HEAD_BYTES + (size_t)h.key_n + h.value_n;
    CHECK(*at <= b->n);
    return true;
}
