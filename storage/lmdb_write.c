/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lmdb_store.h"

#include "storage/checksum.h"

#include <errno.h>

struct commit {
    struct lmdb_store *s;
    const struct store_batch *const *batches;
    unsigned n;
    MDB_txn *txn;
    MDB_cursor *cursors[STORE_TABLES];
    uint64_t counts[STORE_TABLES];
    uint64_t data_bytes;
    uint64_t taken_before; /* where the pages in use ended at the beginning */
};

static MDB_val val_of(struct bytes b)
{
    return (MDB_val){b.n, (void *)(uintptr_t)b.p};
}

static struct bytes bytes_of_val(const MDB_val *v)
{
    return bytes_of(v->mv_data, v->mv_size);
}

int lmdb_put(MDB_cursor *c, enum store_table t, struct bytes key, struct bytes value)
{
    MDB_val k = val_of(key), v = {(size_t)value.n + CHECKSUM_BYTES, NULL};
    int rc = mdb_cursor_put(c, &k, &v, MDB_RESERVE);
    if (rc)
        return rc;
    be32_put(bytes_put(v.mv_data, value), checksum(t, key, value));
    return MDB_SUCCESS;
}

static int del(MDB_cursor *c, struct bytes key)
{
    MDB_val k = val_of(key);
    int rc = mdb_cursor_get(c, &k, NULL, MDB_SET);
    if (rc == MDB_NOTFOUND)
        return MDB_SUCCESS;
    return rc ? rc : mdb_cursor_del(c, 0);
}

static int del_prefix(MDB_cursor *c, struct bytes prefix)
{
    MDB_val k = val_of(prefix);
    int rc = mdb_cursor_get(c, &k, NULL, MDB_SET_RANGE);
    while (rc == MDB_SUCCESS && bytes_starts(bytes_of_val(&k), prefix)) {
        rc = mdb_cursor_del(c, 0);
        if (rc == MDB_SUCCESS)
            rc = mdb_cursor_get(c, &k, NULL, MDB_NEXT); /* the one that moved up */
    }
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* What the transaction has under the key, its checksum taken off; stored->p NULL: nothing that is whole. Its
 * pages may be new ones, so lmdb_value_check(), which looks for them in the map, does not serve here. */
static int stored_get(MDB_cursor *c, enum store_table t, struct bytes key, struct bytes *stored)
{
    MDB_val k = val_of(key), v;
    *stored = bytes_of(NULL, 0);
    int rc = mdb_cursor_get(c, &k, &v, MDB_SET);
    if (rc)
        return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
    if (v.mv_size < CHECKSUM_BYTES || v.mv_size > (size_t)STORE_VALUE_MAX + CHECKSUM_BYTES)
        return MDB_SUCCESS;
    struct bytes value = bytes_of(v.mv_data, v.mv_size - CHECKSUM_BYTES);
    if (be32_get(value.p + value.n) == checksum(t, key, value))
        *stored = value;
    return MDB_SUCCESS;
}

static int if_newer(MDB_cursor *c, const struct store_op *op, bool *skip_next)
{
    struct bytes stored;
    int rc = stored_get(c, op->table, op->key, &stored);
    if (rc)
        return rc;
    *skip_next = !store_is_newer(stored, op->value);
    return *skip_next ? MDB_SUCCESS : lmdb_put(c, op->table, op->key, op->value);
}

static int if_starts(MDB_cursor *c, const struct store_op *op, bool *skip_next)
{
    struct bytes stored;
    int rc = stored_get(c, op->table, op->key, &stored);
    *skip_next = !stored.p || !bytes_starts(stored, op->value);
    return rc;
}

static int apply(struct commit *c, const struct store_op *op, bool *skip_next)
{
    MDB_dbi dbi = c->s->dbi[op->table];
    if (op->kind == STORE_DEL_PREFIX && op->key.n == 0) {
        if (c->cursors[op->table])
            mdb_cursor_close(c->cursors[op->table]);
        c->cursors[op->table] = NULL;
        return mdb_drop(c->txn, dbi, 0);
    }
    MDB_cursor **cursor = &c->cursors[op->table];
    if (!*cursor) {
        int rc = mdb_cursor_open(c->txn, dbi, cursor);
        if (rc)
            return rc;
    }
    switch (op->kind) {
    case STORE_PUT:
        return lmdb_put(*cursor, op->table, op->key, op->value);
    case STORE_DEL:
        return del(*cursor, op->key);
    case STORE_DEL_PREFIX:
        return del_prefix(*cursor, op->key);
    case STORE_IF_NEWER:
        return if_newer(*cursor, op, skip_next);
    case STORE_IF_STARTS:
        return if_starts(*cursor, op, skip_next);
    }
    return MDB_SUCCESS;
}

static uint64_t stat_bytes(const MDB_stat *st)
{
    return (st->ms_branch_pages + st->ms_leaf_pages + st->ms_overflow_pages) * (uint64_t)st->ms_psize;
}

static int counts_get(struct lmdb_store *s, MDB_txn *txn, uint64_t counts[STORE_TABLES], uint64_t *data_bytes)
{
    *data_bytes = 0;
    for (int t = 0; t < STORE_TABLES; t++) {
        MDB_stat st;
        int rc = mdb_stat(txn, s->dbi[t], &st);
        if (rc)
            return rc;
        counts[t] = st.ms_entries;
        *data_bytes += stat_bytes(&st);
    }
    return MDB_SUCCESS;
}

static void counts_publish(struct lmdb_store *s, const uint64_t counts[STORE_TABLES], uint64_t data_bytes)
{
    for (int t = 0; t < STORE_TABLES; t++)
        atomic_store_explicit(&s->base.counts[t], counts[t], memory_order_relaxed);
    atomic_store_explicit(&s->data_bytes, data_bytes, memory_order_relaxed);
}

int lmdb_counts_load(struct lmdb_store *s, MDB_txn *txn)
{
    uint64_t counts[STORE_TABLES], data_bytes;
    int rc = counts_get(s, txn, counts, &data_bytes);
    if (rc == MDB_SUCCESS)
        counts_publish(s, counts, data_bytes);
    return rc;
}

/* What grows the tables stays out of the reserve. */
static int room_check(const struct commit *c)
{
    uint64_t before = atomic_load_explicit(&c->s->data_bytes, memory_order_relaxed);
    if (c->data_bytes <= before)
        return MDB_SUCCESS;
    uint64_t max = lmdb_room_max(c->s), taken = lmdb_room_taken(c->s, c->txn);
    if (c->data_bytes > max)
        return ENOSPC;
    return taken <= max || taken <= c->taken_before ? MDB_SUCCESS : MDB_MAP_FULL;
}

static int apply_all(void *ctx)
{
    struct commit *c = ctx;
    for (unsigned i = 0; i < c->n; i++) {
        struct store_op op;
        bool skip = false;
        for (size_t at = 0; store_batch_next(c->batches[i], &at, &op);) {
            bool skip_next = false;
            int rc = skip ? MDB_SUCCESS : apply(c, &op, &skip_next);
            if (rc)
                return rc;
            skip = skip_next;
        }
    }
    int rc = counts_get(c->s, c->txn, c->counts, &c->data_bytes);
    if (rc)
        return rc;
    return room_check(c);
}

static int commit_txn(void *ctx)
{
    struct commit *c = ctx;
    return mdb_txn_commit(c->txn);
}

/* Whether a transaction was left in the middle and cannot be ended. */
static bool is_left(int rc)
{
    return rc == LMDB_DAMAGED || rc == LMDB_UNREADABLE;
}

/* One transaction with all of it. */
static int transact(struct commit *c)
{
    struct lmdb_store *s = c->s;
    memset(c->cursors, 0, sizeof(c->cursors));
    int rc = mdb_txn_begin(s->env, NULL, 0, &c->txn);
    if (rc)
        return rc;
    c->taken_before = lmdb_room_taken(s, c->txn);
    rc = lmdb_try(s, apply_all, c);
    if (rc == MDB_SUCCESS)
        rc = lmdb_try(s, commit_txn, c);
    else if (!is_left(rc))
        mdb_txn_abort(c->txn);
    s->is_damaged |= is_left(rc);
    return rc;
}

static void txnid_load(struct lmdb_store *s)
{
    MDB_envinfo info;
    mdb_env_info(s->env, &info);
    s->txnid = info.me_last_txnid;
}

/* Pages that a transaction frees can be used again by the next but one. In a full map what comes right after
 * a large delete finds none of them before such a step, so one is made that changes nothing. */
static int step(struct lmdb_store *s)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn);
    if (rc)
        return rc;
    MDB_cursor *c;
    rc = mdb_cursor_open(txn, s->dbi[STORE_META], &c);
    uint8_t format[4];
    be32_put(format, STORE_FORMAT);
    if (!rc)
        rc = lmdb_put(c, STORE_META, bytes_str(STORE_FORMAT_KEY), bytes_of(format, sizeof(format)));
    if (rc)
        mdb_txn_abort(txn);
    else
        rc = mdb_txn_commit(txn);
    if (rc == MDB_SUCCESS)
        txnid_load(s);
    return rc;
}

static uint64_t bytes_estimate(const struct lmdb_store *s, const struct store_batch *const *batches,
                               unsigned n)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < n; i++)
        bytes += 2 * (uint64_t)batches[i]->n + 2 * (uint64_t)batches[i]->ops * s->page_bytes;
    return bytes;
}

static void commit_ok(struct lmdb_store *s, const struct commit *c)
{
    txnid_load(s);
    s->is_stepped = false;
    counts_publish(s, c->counts, c->data_bytes);
    lmdb_room_make(s, 0);
    if (s->failures) {
        LOG(s->log, LOG_NOTICE, "storage commit_recovered failures=%u", s->failures);
        s->failures = 0;
    }
}

static enum err commit_failed(struct lmdb_store *s, int rc)
{
    enum err e = lmdb_fail(s, rc);
    int fd;
    if (rc == EIO && mdb_env_get_fd(s->env, &fd) == 0 && lmdb_file_probe(fd) == ERR_NOSPC)
        e = ERR_NOSPC; /* LMDB answers EIO for a write that a full disk cut short */
    if (s->failures++ == 0)
        LOG(s->log, LOG_ERROR, "storage commit_failed error=\"%s\" reason=\"%s\"", err_name(e),
            is_left(rc) ? "damaged page" : mdb_strerror(rc));
    if (!s->is_damaged)
        lmdb_down_check(s);
    return e;
}

static enum err commit_locked(struct lmdb_store *s, struct commit *c)
{
    if (s->is_damaged)
        return ERR_CORRUPT;
    enum err e = lmdb_recover(s);
    if (e != OK)
        return e;
    lmdb_room_make(s, bytes_estimate(s, c->batches, c->n));
    int rc = transact(c);
    if (rc == MDB_MAP_FULL && !s->is_stepped) {
        s->is_stepped = true;
        rc = lmdb_checkpoint(s) == OK ? step(s) : MDB_MAP_FULL;
        if (rc == MDB_SUCCESS)
            rc = transact(c);
    }
    if (rc)
        return commit_failed(s, rc);
    commit_ok(s, c);
    return OK;
}

enum err lmdb_commit(struct store *base, const struct store_batch *const *batches, unsigned n)
{
    struct lmdb_store *s = lmdb_store_of(base);
    struct commit c = {.s = s, .batches = batches, .n = n};
    pthread_mutex_lock(&s->write_lock);
    enum err e = commit_locked(s, &c);
    pthread_mutex_unlock(&s->write_lock);
    return e;
}

void lmdb_usage(struct store *base, uint64_t *used, uint64_t *max)
{
    struct lmdb_store *s = lmdb_store_of(base);
    *used = atomic_load_explicit(&s->data_bytes, memory_order_relaxed);
    *max = s->map_bytes;
}
