/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/mem_tree.h"

#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Key and value in one block, shared by all versions of the node. */
struct record {
    atomic_uint refs;
    struct mem_record view;
    uint8_t data[];
};

struct mem_tree {
    atomic_uint refs;
    uint64_t rank; /* of the key, the same in every run: a heap by rank, ordered by key */
    uint64_t count;
    uint64_t bytes;
    struct mem_tree *left;
    struct mem_tree *right;
    struct record *record;
};

static struct record *record_new(struct bytes key, struct bytes value)
{
    struct record *r = mem_alloc(sizeof(*r) + key.n + value.n);
    atomic_init(&r->refs, 1);
    bytes_put(bytes_put(r->data, key), value);
    r->view.key = bytes_of(r->data, key.n);
    r->view.value = bytes_of(r->data + key.n, value.n);
    return r;
}

static void record_unref(struct record *r)
{
    if (atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1)
        free(r);
}

struct mem_tree *mem_tree_ref(struct mem_tree *t)
{
    if (t)
        atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void mem_tree_unref(struct mem_tree *t)
{
    while (t && atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) == 1) {
        struct mem_tree *right = t->right;
        mem_tree_unref(t->left);
        record_unref(t->record);
        free(t);
        t = right;
    }
}

uint64_t mem_tree_count(const struct mem_tree *t)
{
    return t ? t->count : 0;
}

uint64_t mem_tree_bytes(const struct mem_tree *t)
{
    return t ? t->bytes : 0;
}

static struct mem_tree *node_new(struct bytes key, struct bytes value)
{
    struct mem_tree *t = mem_zalloc(sizeof(*t));
    atomic_init(&t->refs, 1);
    t->rank = hash_bytes(key.p, key.n, 0x5eed);
    t->record = record_new(key, value);
    t->count = 1;
    t->bytes = (uint64_t)key.n + value.n;
    return t;
}

/* A node that may be changed: t itself when nobody else has it, else a copy. Takes the reference of t. */
static struct mem_tree *node_own(struct mem_tree *t)
{
    if (atomic_load_explicit(&t->refs, memory_order_acquire) == 1)
        return t;
    struct mem_tree *copy = mem_alloc(sizeof(*copy));
    atomic_init(&copy->refs, 1);
    copy->rank = t->rank;
    copy->count = t->count;
    copy->bytes = t->bytes;
    copy->left = mem_tree_ref(t->left);
    copy->right = mem_tree_ref(t->right);
    copy->record = t->record;
    atomic_fetch_add_explicit(&t->record->refs, 1, memory_order_relaxed);
    mem_tree_unref(t);
    return copy;
}

static struct mem_tree *node_sum(struct mem_tree *t)
{
    const struct mem_record *r = &t->record->view;
    t->count = 1 + mem_tree_count(t->left) + mem_tree_count(t->right);
    t->bytes = (uint64_t)r->key.n + r->value.n + mem_tree_bytes(t->left) + mem_tree_bytes(t->right);
    return t;
}

/* *low: keys < key, *high: keys >= key. */
static void split(struct mem_tree *t, struct bytes key, struct mem_tree **low, struct mem_tree **high)
{
    if (!t) {
        *low = *high = NULL;
        return;
    }
    t = node_own(t);
    if (bytes_cmp(t->record->view.key, key) < 0) {
        split(t->right, key, &t->right, high);
        *low = node_sum(t);
    } else {
        split(t->left, key, low, &t->left);
        *high = node_sum(t);
    }
}

/* All keys of a are less than all of b. */
static struct mem_tree *join(struct mem_tree *a, struct mem_tree *b)
{
    if (!a || !b)
        return a ? a : b;
    if (a->rank >= b->rank) {
        a = node_own(a);
        a->right = join(a->right, b);
        return node_sum(a);
    }
    b = node_own(b);
    b->left = join(a, b->left);
    return node_sum(b);
}

struct mem_tree *mem_tree_put(struct mem_tree *t, struct bytes key, struct bytes value)
{
    struct mem_tree *low, *high, *old = NULL;
    split(t, key, &low, &high);
    const struct mem_record *first = mem_tree_seek(high, bytes_of(NULL, 0));
    if (first && bytes_eq(first->key, key)) {
        const struct mem_record *second = mem_tree_after(high, key);
        struct bytes next = second ? second->key : bytes_of(NULL, 0);
        if (second)
            split(high, next, &old, &high);
        else
            old = high, high = NULL;
        mem_tree_unref(old);
    }
    return join(join(low, node_new(key, value)), high);
}

struct mem_tree *mem_tree_del_range(struct mem_tree *t, struct bytes from, struct bytes to)
{
    struct mem_tree *low, *middle, *high = NULL;
    split(t, from, &low, &middle);
    if (to.p)
        split(middle, to, &middle, &high);
    mem_tree_unref(middle);
    return join(low, high);
}

const struct mem_record *mem_tree_find(const struct mem_tree *t, struct bytes key)
{
    const struct mem_record *r = mem_tree_seek(t, key);
    return r && bytes_eq(r->key, key) ? r : NULL;
}

static const struct mem_record *first_from(const struct mem_tree *t, struct bytes from, int above)
{
    const struct mem_record *found = NULL;
    while (t) {
        if (bytes_cmp(t->record->view.key, from) >= above) {
            found = &t->record->view;
            t = t->left;
        } else {
            t = t->right;
        }
    }
    return found;
}

const struct mem_record *mem_tree_seek(const struct mem_tree *t, struct bytes from)
{
    return first_from(t, from, 0);
}

const struct mem_record *mem_tree_after(const struct mem_tree *t, struct bytes from)
{
    return first_from(t, from, 1);
}
