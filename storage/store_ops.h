/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_STORAGE_STORE_OPS_H
#define COVEY_STORAGE_STORE_OPS_H

/* What a kind of store implements; private to storage/. store.c checks the caller's side of the contract
 * (a snapshot is open, tables and keys are in bounds) once for all kinds and then calls these. Each kind
 * embeds struct store and struct store_reader as the first member of its own. */

#include "storage/store.h"

#include <stdatomic.h>

struct store_ops {
    void (*close)(struct store *s);
    enum err (*commit)(struct store *s, const struct store_batch *const *batches, unsigned n);
    enum err (*sync_now)(struct store *s);
    void (*usage)(struct store *s, uint64_t *used, uint64_t *max);
    enum err (*reader_new)(struct store_reader **out, struct store *s);
    void (*reader_free)(struct store_reader *r);
    enum err (*read_begin)(struct store_reader *r);
    void (*read_end)(struct store_reader *r);
    enum err (*get)(struct store_reader *r, enum store_table t, struct bytes key, struct bytes *value);
    enum err (*seek)(struct store_reader *r, enum store_table t, struct bytes from, struct bytes *key,
                     struct bytes *value);
    enum err (*next)(struct store_reader *r, struct bytes *key, struct bytes *value);
};

struct store {
    const struct store_ops *ops;
    _Atomic uint64_t counts[STORE_TABLES]; /* records in the last committed state, set by each commit */
    atomic_uint readers;                   /* all are gone before the store is closed */
};

/* The reader's position: none, at a record, or behind the last. */
enum store_position { STORE_POSITION_NONE, STORE_POSITION_AT, STORE_POSITION_END };

struct store_reader {
    struct store *store;
    bool is_open;
    enum store_position position;
};

/* The key in STORE_META and the value of the record that says how this store is written. Every store has it
 * from its creation on. */
#define STORE_FORMAT_KEY "format"
enum { STORE_FORMAT = 1 };

/* Does value go over what is stored? See store_batch_if_newer(). stored.p NULL: nothing is. */
static inline bool store_is_newer(struct bytes stored, struct bytes value)
{
    return !stored.p || stored.n < STORE_RANK_N || memcmp(stored.p, value.p, STORE_RANK_N) < 0;
}

/* The least key that is greater than every key which begins with prefix; false when there is none. out has
 * room for STORE_KEY_MAX bytes. */
bool store_prefix_end(struct bytes prefix, uint8_t *out, struct bytes *end);

#endif
