/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_STORAGE_MODEL_H
#define COVEY_TESTS_STORAGE_MODEL_H

/* The store as simple as it can be: each table a sorted array. The stores are held against it. */

#include "tests/unit/storage/fixture.h"

struct model_record {
    struct bytes key;
    struct bytes value;
};

struct model {
    struct model_record *records[STORE_TABLES];
    size_t n[STORE_TABLES];
};

static inline struct bytes model_dup(struct bytes b)
{
    return bytes_of(mem_dup(b.p, b.n), b.n);
}

static inline void model_free_bytes(struct bytes b)
{
    free((void *)(uintptr_t)b.p);
}

static inline size_t model_find(const struct model *m, enum store_table t, struct bytes key)
{
    size_t i = 0;
    while (i < m->n[t] && bytes_cmp(m->records[t][i].key, key) < 0)
        i++;
    return i;
}

static inline void model_remove(struct model *m, enum store_table t, size_t at)
{
    model_free_bytes(m->records[t][at].key);
    model_free_bytes(m->records[t][at].value);
    m->n[t]--;
    memmove(&m->records[t][at], &m->records[t][at + 1], (m->n[t] - at) * sizeof(struct model_record));
}

static inline void model_put(struct model *m, enum store_table t, struct bytes key, struct bytes value)
{
    size_t at = model_find(m, t, key);
    if (at < m->n[t] && bytes_eq(m->records[t][at].key, key))
        model_remove(m, t, at);
    m->records[t] = mem_realloc(m->records[t], (m->n[t] + 1) * sizeof(struct model_record));
    memmove(&m->records[t][at + 1], &m->records[t][at], (m->n[t] - at) * sizeof(struct model_record));
    m->records[t][at] = (struct model_record){model_dup(key), model_dup(value)};
    m->n[t]++;
}

/* The value, or p NULL. */
static inline struct bytes model_get(const struct model *m, enum store_table t, struct bytes key)
{
    size_t i = model_find(m, t, key);
    bool is_there = i < m->n[t] && bytes_eq(m->records[t][i].key, key);
    return is_there ? m->records[t][i].value : bytes_of(NULL, 0);
}

static inline void model_apply(struct model *m, const struct store_batch *b)
{
    struct store_op op;
    bool skip = false;
    for (size_t at = 0; store_batch_next(b, &at, &op);) {
        size_t i = model_find(m, op.table, op.key);
        struct bytes stored = model_get(m, op.table, op.key);
        if (skip) {
            skip = false;
            continue;
        }
        switch (op.kind) {
        case STORE_PUT:
            model_put(m, op.table, op.key, op.value);
            break;
        case STORE_DEL:
            if (i < m->n[op.table] && bytes_eq(m->records[op.table][i].key, op.key))
                model_remove(m, op.table, i);
            break;
        case STORE_DEL_PREFIX:
            while (i < m->n[op.table] && bytes_starts(m->records[op.table][i].key, op.key))
                model_remove(m, op.table, i);
            break;
        case STORE_IF_NEWER:
            skip = stored.p && stored.n >= 16 && memcmp(stored.p, op.value.p, 16) >= 0;
            if (!skip)
                model_put(m, op.table, op.key, op.value);
            break;
        case STORE_IF_STARTS:
            skip = !stored.p || stored.n < op.value.n ||
                   (op.value.n && memcmp(stored.p, op.value.p, op.value.n) != 0);
            break;
        }
    }
}

static inline void model_fini(struct model *m)
{
    for (int t = 0; t < STORE_TABLES; t++) {
        while (m->n[t])
            model_remove(m, (enum store_table)t, m->n[t] - 1);
        free(m->records[t]);
    }
    *m = (struct model){0};
}

static inline void model_copy(struct model *to, const struct model *from)
{
    *to = (struct model){0};
    for (int t = 0; t < STORE_TABLES; t++) {
        for (size_t i = 0; i < from->n[t]; i++)
            model_put(to, (enum store_table)t, from->records[t][i].key, from->records[t][i].value);
    }
}

/* The open snapshot of r holds the records of m from key on, in order, and no others. */
static inline void model_check_from(const struct model *m, struct store_reader *r, enum store_table t,
                                    struct bytes from)
{
    struct bytes key, value;
    enum err e = store_seek(r, t, from, &key, &value);
    for (size_t i = model_find(m, t, from); i < m->n[t]; i++) {
        assert_int_equal(e, OK);
        assert_true(bytes_eq(key, m->records[t][i].key));
        assert_true(bytes_eq(value, m->records[t][i].value));
        e = store_next(r, &key, &value);
    }
    assert_int_equal(e, ERR_NOTFOUND);
    assert_int_equal(store_next(r, &key, &value), ERR_NOTFOUND);
}

static inline void model_check(const struct model *m, struct store_reader *r)
{
    for (int t = 0; t < STORE_TABLES; t++) {
        model_check_from(m, r, (enum store_table)t, bytes_of(NULL, 0));
        for (size_t i = 0; i < m->n[t]; i++) {
            struct bytes value;
            assert_int_equal(store_get(r, (enum store_table)t, m->records[t][i].key, &value), OK);
            assert_true(bytes_eq(value, m->records[t][i].value));
        }
    }
}

#endif
