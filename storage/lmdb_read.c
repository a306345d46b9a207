/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lmdb_store.h"

#include "proto/base/mem.h"
#include "storage/checksum.h"
#include "storage/lmdb_format.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct lmdb_reader *reader_of(struct store_reader *r)
{
    return (struct lmdb_reader *)(void *)r;
}

/* Whether the map from p on has n bytes of file behind it. */
static bool is_in_file(struct lmdb_store *s, const uint8_t *p, uint64_t n)
{
    if (p < s->map || n > s->map_bytes || (size_t)(p - s->map) > s->map_bytes - n)
        return false;
    uint64_t end = (uint64_t)(p - s->map) + n;
    if (end <= atomic_load_explicit(&s->file_bytes, memory_order_relaxed))
        return true;
    int fd;
    struct stat st;
    return mdb_env_get_fd(s->env, &fd) == 0 && fstat(fd, &st) == 0 && end <= (uint64_t)st.st_size;
}

/* LMDB believes the lengths in its pages. Before anything is read by them, they are held against the page:
 * n bytes at p lie in one leaf page, or in the pages of one overflow run. */
static bool is_in_page(struct lmdb_store *s, const uint8_t *p, uint64_t n)
{
    const uint8_t *page = (const uint8_t *)((uintptr_t)p & ~(uintptr_t)(s->page_bytes - 1));
    struct lmdb_page_head head;
    if (!is_in_file(s, page, s->page_bytes))
        return false;
    memcpy(&head, page, sizeof(head));
    if (head.pgno != (size_t)(page - s->map) / s->page_bytes)
        return false;
    uint64_t bytes = s->page_bytes;
    if (head.flags & LMDB_PAGE_OVERFLOW) {
        if (p != page + sizeof(head) || head.pages > s->map_bytes / s->page_bytes)
            return false;
        bytes *= head.pages;
    } else if (!(head.flags & LMDB_PAGE_LEAF)) {
        return false;
    }
    return n <= bytes && (size_t)(p - page) <= bytes - n && is_in_file(s, p, n);
}

enum err lmdb_value_check(struct lmdb_store *s, enum store_table t, struct bytes key, const MDB_val *stored,
                          struct bytes *value)
{
    if (stored->mv_size < CHECKSUM_BYTES || stored->mv_size > (size_t)STORE_VALUE_MAX + CHECKSUM_BYTES ||
        !is_in_page(s, stored->mv_data, stored->mv_size))
        return ERR_CORRUPT;
    struct bytes v = bytes_of(stored->mv_data, stored->mv_size - CHECKSUM_BYTES);
    if (be32_get(v.p + v.n) != checksum(t, key, v))
        return ERR_CORRUPT;
    *value = v;
    return OK;
}

enum err lmdb_reader_new(struct store_reader **out, struct store *base)
{
    struct lmdb_store *s = lmdb_store_of(base);
    struct lmdb_reader *r = mem_zalloc(sizeof(*r));
    list_init(&r->in_store);
    pthread_mutex_lock(&s->readers_lock);
    list_push(&s->readers, &r->in_store);
    pthread_mutex_unlock(&s->readers_lock);
    *out = &r->base;
    return OK;
}

void lmdb_reader_drop(struct lmdb_reader *r)
{
    for (int t = 0; t < STORE_TABLES; t++) {
        if (r->cursors[t])
            mdb_cursor_close(r->cursors[t]);
        r->cursors[t] = NULL;
    }
    if (r->txn)
        mdb_txn_abort(r->txn);
    r->txn = NULL;
}

void lmdb_reader_free(struct store_reader *base)
{
    struct lmdb_reader *r = reader_of(base);
    struct lmdb_store *s = lmdb_store_of(base->store);
    pthread_mutex_lock(&s->readers_lock); /* a recovery holds it while it looks at readers */
    list_del(&r->in_store);
    lmdb_reader_drop(r);
    pthread_mutex_unlock(&s->readers_lock);
    free(r);
}

/* While the store is down a reader tries to bring it up, unless the writer is at work: a node that only
 * reads must get its store back too. */
static enum err recover_try(struct lmdb_store *s)
{
    if (pthread_mutex_trylock(&s->write_lock) != 0)
        return ERR_IO;
    enum err e = lmdb_recover(s);
    pthread_mutex_unlock(&s->write_lock);
    return e;
}

/* First busy, then a look at is_down; a recovery first sets is_down, then looks at busy. One of the two sees
 * the other, so a recovery never takes a transaction away under a reader. */
static enum err busy_enter(struct lmdb_store *s, struct lmdb_reader *r)
{
    for (int i = 0; i < 2; i++) {
        atomic_store(&r->is_busy, true);
        if (!atomic_load(&s->is_down))
            return OK;
        atomic_store(&r->is_busy, false);
        enum err e = recover_try(s);
        if (e != OK)
            return e;
    }
    return ERR_IO;
}

static int snapshot_take(struct lmdb_store *s, struct lmdb_reader *r)
{
    r->renewed = 0;
    r->is_spoilt = false;
    return r->txn ? mdb_txn_renew(r->txn) : mdb_txn_begin(s->env, NULL, MDB_RDONLY, &r->txn);
}

/* LMDB takes a transaction that met a damaged page for lost as a whole: what else it could read needs a new
 * one. */
static int snapshot_mend(struct lmdb_reader *r)
{
    if (!r->is_spoilt)
        return MDB_SUCCESS;
    mdb_txn_reset(r->txn);
    return snapshot_take(lmdb_store_of(r->base.store), r);
}

enum err lmdb_read_begin(struct store_reader *base)
{
    struct lmdb_reader *r = reader_of(base);
    struct lmdb_store *s = lmdb_store_of(base->store);
    enum err e = busy_enter(s, r);
    if (e != OK)
        return e;
    if (!r->txn)
        lmdb_guard_thread();
    int rc = snapshot_take(s, r);
    if (rc)
        atomic_store(&r->is_busy, false);
    return lmdb_err(rc == MDB_PANIC ? EIO : rc);
}

void lmdb_read_end(struct store_reader *base)
{
    struct lmdb_reader *r = reader_of(base);
    mdb_txn_reset(r->txn);
    atomic_store(&r->is_busy, false);
}

/* A read inside the guard: look-up and check, since both touch pages. */
struct read {
    struct lmdb_reader *reader;
    enum store_table table;
    MDB_cursor_op op;
    MDB_val key;
    struct bytes *key_out;
    struct bytes *value_out;
    enum err result;
};

static int get(void *ctx)
{
    struct read *q = ctx;
    struct lmdb_store *s = lmdb_store_of(q->reader->base.store);
    MDB_val v;
    int rc = mdb_get(q->reader->txn, s->dbi[q->table], &q->key, &v);
    if (rc == MDB_SUCCESS)
        q->result = lmdb_value_check(s, q->table, bytes_of(q->key.mv_data, q->key.mv_size), &v, q->value_out);
    return rc;
}

static int move(void *ctx)
{
    struct read *q = ctx;
    struct lmdb_store *s = lmdb_store_of(q->reader->base.store);
    MDB_val v;
    int rc = mdb_cursor_get(q->reader->cursors[q->table], &q->key, &v, q->op);
    if (rc)
        return rc;
    q->result = ERR_CORRUPT;
    if (q->key.mv_size == 0 || q->key.mv_size > STORE_KEY_MAX ||
        !is_in_page(s, q->key.mv_data, q->key.mv_size))
        return MDB_SUCCESS;
    *q->key_out = bytes_of(q->key.mv_data, q->key.mv_size);
    q->result = lmdb_value_check(s, q->table, *q->key_out, &v, q->value_out);
    return MDB_SUCCESS;
}

static enum err read_run(struct read *q, int (*fn)(void *ctx))
{
    struct lmdb_reader *r = q->reader;
    int rc = lmdb_try(lmdb_store_of(r->base.store), fn, q);
    r->is_spoilt |= rc != MDB_SUCCESS && rc != MDB_NOTFOUND;
    if ((rc == LMDB_DAMAGED || rc == LMDB_UNREADABLE) && r->cursors[q->table]) {
        mdb_cursor_close(r->cursors[q->table]); /* left in the middle of a move */
        r->cursors[q->table] = NULL;
        r->renewed &= ~(1u << q->table);
    }
    return rc ? lmdb_err(rc) : q->result;
}

enum err lmdb_get(struct store_reader *base, enum store_table t, struct bytes key, struct bytes *value)
{
    struct read q = {
        .reader = reader_of(base), .table = t, .key = {key.n, (void *)(uintptr_t)key.p}, .value_out = value};
    int rc = snapshot_mend(q.reader);
    return rc ? lmdb_err(rc) : read_run(&q, get);
}

static int cursor_renew(struct lmdb_store *s, struct lmdb_reader *r, enum store_table t)
{
    if (r->renewed & 1u << t)
        return MDB_SUCCESS;
    int rc = r->cursors[t] ? mdb_cursor_renew(r->txn, r->cursors[t])
                           : mdb_cursor_open(r->txn, s->dbi[t], &r->cursors[t]);
    if (rc == MDB_SUCCESS)
        r->renewed |= 1u << t;
    return rc;
}

enum err lmdb_seek(struct store_reader *base, enum store_table t, struct bytes from, struct bytes *key,
                   struct bytes *value)
{
    struct lmdb_reader *r = reader_of(base);
    struct read q = {.reader = r,
                     .table = t,
                     .op = from.n ? MDB_SET_RANGE : MDB_FIRST,
                     .key = {from.n, (void *)(uintptr_t)from.p},
                     .key_out = key,
                     .value_out = value};
    r->table = t;
    int rc = snapshot_mend(r);
    if (rc == MDB_SUCCESS)
        rc = cursor_renew(lmdb_store_of(base->store), r, t);
    return rc ? lmdb_err(rc) : read_run(&q, move);
}

enum err lmdb_next(struct store_reader *base, struct bytes *key, struct bytes *value)
{
    struct lmdb_reader *r = reader_of(base);
    struct read q = {.reader = r, .table = r->table, .op = MDB_NEXT, .key_out = key, .value_out = value};
    if (!(r->renewed &
          1u << r->table)) /* a get met damage since, and the position is gone with its snapshot */
        return ERR_CORRUPT;
    return read_run(&q, move);
}
