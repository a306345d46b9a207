/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/mem.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "storage/mem_tree.h"
#include "storage/store_ops.h"

#include <pthread.h>
#include <stdlib.h>

struct mem_store {
    struct store base;
    pthread_mutex_t lock; /* of roots and faults; held for a few instructions */
    struct mem_tree *roots[STORE_TABLES];
    enum err fault;
    unsigned faults;
};

struct mem_reader {
    struct store_reader base;
    struct mem_tree *roots[STORE_TABLES];
    enum store_table table;
    const struct mem_record *at;
};

/* What store_usage() names as the most; nothing enforces it. */
#define MEM_BYTES_MAX ((uint64_t)64 << 30)

static struct mem_store *store_of(struct store *s)
{
    return (struct mem_store *)(void *)s;
}

static struct mem_reader *reader_of(struct store_reader *r)
{
    return (struct mem_reader *)(void *)r;
}

static void roots_ref(struct mem_store *s, struct mem_tree *roots[STORE_TABLES])
{
    pthread_mutex_lock(&s->lock);
    for (int t = 0; t < STORE_TABLES; t++)
        roots[t] = mem_tree_ref(s->roots[t]);
    pthread_mutex_unlock(&s->lock);
}

static void roots_unref(struct mem_tree *roots[STORE_TABLES])
{
    for (int t = 0; t < STORE_TABLES; t++) {
        mem_tree_unref(roots[t]);
        roots[t] = NULL;
    }
}

static struct bytes stored_get(const struct mem_tree *root, struct bytes key)
{
    const struct mem_record *r = mem_tree_find(root, key);
    return r ? r->value : bytes_of(NULL, 0);
}

static struct mem_tree *apply(struct mem_tree *root, const struct store_op *op, bool *skip_next)
{
    uint8_t end[STORE_KEY_MAX + 1];
    struct bytes to = bytes_of(NULL, 0), stored;
    switch (op->kind) {
    case STORE_PUT:
        return mem_tree_put(root, op->key, op->value);
    case STORE_DEL:
        *bytes_put(end, op->key) = 0; /* the least key that is greater */
        return mem_tree_del_range(root, op->key, bytes_of(end, op->key.n + 1));
    case STORE_DEL_PREFIX:
        store_prefix_end(op->key, end, &to);
        return mem_tree_del_range(root, op->key, to);
    case STORE_IF_NEWER:
        *skip_next = !store_is_newer(stored_get(root, op->key), op->value);
        return *skip_next ? root : mem_tree_put(root, op->key, op->value);
    case STORE_IF_STARTS:
        stored = stored_get(root, op->key);
        *skip_next = !stored.p || !bytes_starts(stored, op->value);
        return root;
    }
    return root;
}

static enum err fault_take(struct mem_store *s)
{
    enum err e = OK;
    pthread_mutex_lock(&s->lock);
    if (s->faults) {
        s->faults--;
        e = s->fault;
    }
    pthread_mutex_unlock(&s->lock);
    return e;
}

static enum err mem_commit(struct store *base, const struct store_batch *const *batches, unsigned n)
{
    struct mem_store *s = store_of(base);
    struct mem_tree *roots[STORE_TABLES], *old[STORE_TABLES];
    enum err e = fault_take(s);
    if (e != OK)
        return e;
    roots_ref(s, roots);
    for (unsigned i = 0; i < n; i++) {
        struct store_op op;
        bool skip = false;
        for (size_t at = 0; store_batch_next(batches[i], &at, &op);) {
            bool skip_next = false;
            if (!skip)
                roots[op.table] = apply(roots[op.table], &op, &skip_next);
            skip = skip_next;
        }
    }
    pthread_mutex_lock(&s->lock);
    for (int t = 0; t < STORE_TABLES; t++) {
        old[t] = s->roots[t];
        s->roots[t] = roots[t];
        atomic_store(&base->counts[t], mem_tree_count(roots[t]));
    }
    pthread_mutex_unlock(&s->lock);
    roots_unref(old);
    return OK;
}

static enum err mem_sync_now(struct store *base)
{
    (void)base; /* what is committed here is what a power cut leaves */
    return OK;
}

static void mem_usage(struct store *base, uint64_t *used, uint64_t *max)
{
    struct mem_tree *roots[STORE_TABLES];
    roots_ref(store_of(base), roots);
    *used = 0;
    for (int t = 0; t < STORE_TABLES; t++)
        *used += mem_tree_bytes(roots[t]);
    *max = MEM_BYTES_MAX;
    roots_unref(roots);
}

static enum err mem_reader_new(struct store_reader **out, struct store *base)
{
    (void)base;
    struct mem_reader *r = mem_zalloc(sizeof(*r));
    *out = &r->base;
    return OK;
}

static void mem_reader_free(struct store_reader *base)
{
    free(reader_of(base));
}

static enum err mem_read_begin(struct store_reader *base)
{
    roots_ref(store_of(base->store), reader_of(base)->roots);
    return OK;
}

static void mem_read_end(struct store_reader *base)
{
    roots_unref(reader_of(base)->roots);
}

static enum err mem_get(struct store_reader *base, enum store_table t, struct bytes key, struct bytes *value)
{
    const struct mem_record *record = mem_tree_find(reader_of(base)->roots[t], key);
    if (!record)
        return ERR_NOTFOUND;
    *value = record->value;
    return OK;
}

static enum err at_record(struct mem_reader *r, const struct mem_record *record, struct bytes *key,
                          struct bytes *value)
{
    if (!record)
        return ERR_NOTFOUND;
    r->at = record;
    *key = record->key;
    *value = record->value;
    return OK;
}

static enum err mem_seek(struct store_reader *base, enum store_table t, struct bytes from, struct bytes *key,
                         struct bytes *value)
{
    struct mem_reader *r = reader_of(base);
    r->table = t;
    return at_record(r, mem_tree_seek(r->roots[t], from), key, value);
}

static enum err mem_next(struct store_reader *base, struct bytes *key, struct bytes *value)
{
    struct mem_reader *r = reader_of(base);
    return at_record(r, mem_tree_after(r->roots[r->table], r->at->key), key, value);
}

static void mem_close(struct store *base)
{
    struct mem_store *s = store_of(base);
    roots_unref(s->roots);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static const struct store_ops mem_ops = {
    .close = mem_close,
    .commit = mem_commit,
    .sync_now = mem_sync_now,
    .usage = mem_usage,
    .reader_new = mem_reader_new,
    .reader_free = mem_reader_free,
    .read_begin = mem_read_begin,
    .read_end = mem_read_end,
    .get = mem_get,
    .seek = mem_seek,
    .next = mem_next,
};

static struct mem_store *mem_store_new(void)
{
    struct mem_store *s = mem_zalloc(sizeof(*s));
    s->base.ops = &mem_ops;
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

struct store *store_new_mem(void)
{
    struct mem_store *s = mem_store_new();
    uint8_t format[4];
    be32_put(format, STORE_FORMAT);
    s->roots[STORE_META] = mem_tree_put(NULL, bytes_str(STORE_FORMAT_KEY), bytes_of(format, sizeof(format)));
    atomic_store(&s->base.counts[STORE_META], 1);
    return &s->base;
}

void store_mem_fail_next(struct store *base, enum err e, unsigned n)
{
    struct mem_store *s = store_of(base);
    CHECK(base->ops == &mem_ops);
    pthread_mutex_lock(&s->lock);
    s->fault = e;
    s->faults = n;
    pthread_mutex_unlock(&s->lock);
}

struct store *store_mem_clone(const struct store *base)
{
    CHECK(base->ops == &mem_ops);
    struct mem_store *from = (struct mem_store *)(uintptr_t)base, *s = mem_store_new();
    roots_ref(from, s->roots);
    for (int t = 0; t < STORE_TABLES; t++)
        atomic_store(&s->base.counts[t], mem_tree_count(s->roots[t]));
    return &s->base;
}
