/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/store.h"

#include "proto/base/check.h"
#include "storage/store_ops.h"

void store_close(struct store *s)
{
    if (!s)
        return;
    CHECK(atomic_load(&s->readers) == 0);
    s->ops->close(s);
}

enum err store_commit(struct store *s, const struct store_batch *const *batches, unsigned n)
{
    return s->ops->commit(s, batches, n);
}

enum err store_sync_now(struct store *s)
{
    return s->ops->sync_now(s);
}

uint64_t store_count(struct store *s, enum store_table t)
{
    CHECK(t < STORE_TABLES);
    return atomic_load_explicit(&s->counts[t], memory_order_relaxed);
}

void store_usage(struct store *s, uint64_t *used, uint64_t *max)
{
    s->ops->usage(s, used, max);
}

enum err store_reader_new(struct store_reader **out, struct store *s)
{
    enum err e = s->ops->reader_new(out, s);
    if (e != OK)
        return e;
    (*out)->store = s;
    (*out)->is_open = false;
    (*out)->position = STORE_POSITION_NONE;
    atomic_fetch_add(&s->readers, 1);
    return OK;
}

void store_reader_free(struct store_reader *r)
{
    if (!r)
        return;
    struct store *s = r->store;
    if (r->is_open)
        store_read_end(r);
    s->ops->reader_free(r);
    atomic_fetch_sub(&s->readers, 1);
}

enum err store_read_begin(struct store_reader *r)
{
    CHECK(!r->is_open);
    enum err e = r->store->ops->read_begin(r);
    if (e != OK)
        return e;
    r->is_open = true;
    r->position = STORE_POSITION_NONE;
    return OK;
}

void store_read_end(struct store_reader *r)
{
    CHECK(r->is_open);
    r->is_open = false;
    r->store->ops->read_end(r);
}

enum err store_get(struct store_reader *r, enum store_table t, struct bytes key, struct bytes *value)
{
    CHECK(r->is_open && t < STORE_TABLES);
    *value = bytes_of(NULL, 0);
    if (key.n == 0 || key.n > STORE_KEY_MAX)
        return ERR_NOTFOUND;
    return r->store->ops->get(r, t, key, value);
}

enum err store_seek(struct store_reader *r, enum store_table t, struct bytes from, struct bytes *key,
                    struct bytes *value)
{
    CHECK(r->is_open && t < STORE_TABLES);
    *key = *value = bytes_of(NULL, 0);
    r->position = STORE_POSITION_END;
    uint8_t head[STORE_KEY_MAX];
    if (from.n > STORE_KEY_MAX) { /* no key is that long: on to what comes behind its head */
        if (!store_prefix_end(bytes_of(from.p, STORE_KEY_MAX), head, &from))
            return ERR_NOTFOUND;
    }
    r->position = STORE_POSITION_AT;
    enum err e = r->store->ops->seek(r, t, from, key, value);
    if (e != OK && key->n == 0)
        r->position = STORE_POSITION_END;
    return e;
}

enum err store_next(struct store_reader *r, struct bytes *key, struct bytes *value)
{
    CHECK(r->is_open && r->position != STORE_POSITION_NONE);
    *key = *value = bytes_of(NULL, 0);
    if (r->position == STORE_POSITION_END)
        return ERR_NOTFOUND;
    enum err e = r->store->ops->next(r, key, value);
    if (e != OK && key->n == 0)
        r->position = STORE_POSITION_END;
    return e;
}

bool store_prefix_end(struct bytes prefix, uint8_t *out, struct bytes *end)
{
    CHECK(prefix.n <= STORE_KEY_MAX);
    uint32_t n = prefix.n;
    while (n > 0 && prefix.p[n - 1] == 0xff)
        n--;
    if (n == 0)
        return false;
    memcpy(out, prefix.p, n);
    out[n - 1]++;
    *end = bytes_of(out, n);
    return true;
}
