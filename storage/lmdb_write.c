/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lmdb_store.h"

#include "storage/checksum.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* The file is kept longer than its last page in use, by a hole that costs no disk: pages which were taken and
 * given back within one transaction are counted but never written, so without it a sound file could end
 * before its last page and look cut. */
enum { TAIL_BYTES = 16 << 20, TAIL_STEP = 1 << 20 };
/* Deleting takes pages too. So much of the map is not for growing. */
enum { RESERVE_SHARE = 16, RESERVE_PAGES_MIN = 48, RESERVE_PAGES_MAX = 4096 };

struct commit {
    struct lmdb_store *s;
    const struct store_batch *const *batches;
    unsigned n;
    MDB_txn *txn;
    MDB_cursor *cursors[STORE_TABLES];
    uint64_t counts[STORE_TABLES];
    uint64_t data_bytes;
};

static MDB_val val_of(struct bytes b)
{
    return (MDB_val){b.n, (void *)(uintptr_t)b.p};
}

static struct bytes bytes_of_val(const MDB_val *v)
{
    return bytes_of(v->mv_data, v->mv_size);
}

void lmdb_tail_extend(struct lmdb_store *s, uint64_t bytes)
{
    MDB_envinfo info;
    mdb_env_info(s->env, &info);
    uint64_t used = ((uint64_t)info.me_last_pgno + 1) * s->page_bytes;
    if (atomic_load_explicit(&s->file_bytes, memory_order_relaxed) >= used + bytes + TAIL_BYTES / 2)
        return;
    int fd;
    struct stat st;
    struct rlimit limit;
    mdb_env_get_fd(s->env, &fd);
    if (fstat(fd, &st) < 0)
        return;
    uint64_t size = (uint64_t)st.st_size, most = s->map_bytes;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < most)
        most = limit.rlim_cur; /* past it is a signal */
    uint64_t want = (used + bytes + TAIL_BYTES) / TAIL_STEP * TAIL_STEP;
    if (want > most)
        want = most;
    /* That it fails is no error: there is room for what is stored, and what is not is found by the commit. */
    if (want > size && ftruncate(fd, (off_t)want) == 0)
        size = want;
    atomic_store(&s->file_bytes, size);
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

static int apply(struct commit *c, const struct store_op *op)
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

static uint64_t grow_bytes_max(const struct lmdb_store *s)
{
    uint64_t pages = s->map_bytes / s->page_bytes, reserve = pages / RESERVE_SHARE;
    if (reserve < RESERVE_PAGES_MIN)
        reserve = RESERVE_PAGES_MIN;
    if (reserve > RESERVE_PAGES_MAX)
        reserve = RESERVE_PAGES_MAX;
    return (pages - reserve) * s->page_bytes;
}

static int apply_all(void *ctx)
{
    struct commit *c = ctx;
    for (unsigned i = 0; i < c->n; i++) {
        struct store_op op;
        for (size_t at = 0; store_batch_next(c->batches[i], &at, &op);) {
            int rc = apply(c, &op);
            if (rc)
                return rc;
        }
    }
    int rc = counts_get(c->s, c->txn, c->counts, &c->data_bytes);
    if (rc)
        return rc;
    uint64_t before = atomic_load_explicit(&c->s->data_bytes, memory_order_relaxed);
    if (c->data_bytes > before && c->data_bytes > grow_bytes_max(c->s))
        return MDB_MAP_FULL;
    return MDB_SUCCESS;
}

static int commit_txn(void *ctx)
{
    struct commit *c = ctx;
    return mdb_txn_commit(c->txn);
}

/* One transaction with all of it. */
static int transact(struct commit *c)
{
    struct lmdb_store *s = c->s;
    memset(c->cursors, 0, sizeof(c->cursors));
    int rc = mdb_txn_begin(s->env, NULL, 0, &c->txn);
    if (rc)
        return rc;
    rc = lmdb_try(apply_all, c);
    if (rc == MDB_SUCCESS)
        rc = lmdb_try(commit_txn, c);
    else if (rc != LMDB_TRAPPED)
        mdb_txn_abort(c->txn);
    if (rc == LMDB_TRAPPED)
        s->is_damaged = true;
    return rc;
}

/* Pages that a transaction frees can be used again by the next but one. In a full map the deletes that shall
 * make room may find none before such a step, so one is made that changes nothing. */
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
    if (!rc)
        return mdb_txn_commit(txn);
    mdb_txn_abort(txn);
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
    MDB_envinfo info;
    mdb_env_info(s->env, &info);
    s->txnid = info.me_last_txnid;
    counts_publish(s, c->counts, c->data_bytes);
    lmdb_tail_extend(s, 0);
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
            rc == LMDB_TRAPPED ? "damaged page" : mdb_strerror(rc));
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
    lmdb_tail_extend(s, bytes_estimate(s, c->batches, c->n));
    int rc = transact(c);
    if (rc == MDB_MAP_FULL && step(s) == MDB_SUCCESS)
        rc = transact(c);
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

static enum err sync_locked(struct lmdb_store *s)
{
    enum err e = lmdb_recover(s);
    if (e != OK)
        return e;
    int fd, rc = mdb_env_get_fd(s->env, &fd);
    if (rc)
        return lmdb_fail(s, rc);
    MDB_envinfo info;
    mdb_env_info(s->env, &info);
    if (s->is_sync_suspect) {
        e = lmdb_file_rewrite(fd, ((uint64_t)info.me_last_pgno + 1) * s->page_bytes);
        if (e != OK)
            return e;
    }
    rc = mdb_env_sync(s->env, 1);
    s->is_sync_suspect = rc != MDB_SUCCESS;
    return lmdb_fail(s, rc);
}

enum err lmdb_sync_now(struct store *base)
{
    struct lmdb_store *s = lmdb_store_of(base);
    if (s->sync == STORE_SYNC_ALWAYS)
        return OK; /* every commit was */
    pthread_mutex_lock(&s->write_lock);
    enum err e = sync_locked(s);
    pthread_mutex_unlock(&s->write_lock);
    return e;
}

void lmdb_usage(struct store *base, uint64_t *used, uint64_t *max)
{
    struct lmdb_store *s = lmdb_store_of(base);
    *used = atomic_load_explicit(&s->data_bytes, memory_order_relaxed);
    *max = s->map_bytes;
}
