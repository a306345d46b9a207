/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_STORAGE_LMDB_STORE_H
#define COVEY_STORAGE_LMDB_STORE_H

/* The LMDB store's inside, private to storage/lmdb_*.c. See docs/decisions/0003-lmdb-store.md.
 *
 *   up ---- the meta page could not be written ----> down ---- all readers idle, reverted, re-opened ----> up
 *
 * While it is down there is no environment: snapshots cannot be opened and commits fail, both with ERR_IO,
 * and both try to bring it up again. */

#include "proto/base/list.h"
#include "storage/store_ops.h"

#include <lmdb.h>
#include <pthread.h>

struct lmdb_store {
    struct store base;
    struct log_sink *log;
    enum store_sync sync;
    uint64_t map_bytes_max;
    char *dir;
    char *path;       /* dir/store */
    char *checkpoint; /* dir/checkpoint */
    int lock_fd;
    int rc; /* of LMDB or errno: why the last thing failed, for the log */

    MDB_env *env; /* NULL while down */
    MDB_dbi dbi[STORE_TABLES];
    const uint8_t *map; /* where page 0 is mapped */
    size_t page_bytes;
    size_t map_bytes;
    atomic_size_t file_bytes;    /* at least so much of the map has a file behind it */
    uint64_t alloc_bytes;        /* so much of the file has blocks on the disk */
    bool is_disk_tight;          /* no more blocks could be had for the file */
    _Atomic uint64_t data_bytes; /* in pages of tables */

    pthread_mutex_t write_lock; /* held by a commit, a sync, a recovery: all below */
    size_t txnid;               /* of the last commit that was reported as OK */
    uint64_t recover_at_us;     /* not before, on the monotonic clock */
    uint64_t recover_interval_us;
    bool is_stepped;      /* since the last commit that changed something: a further step frees nothing */
    unsigned failures;    /* commits that failed since the last good one */
    bool is_damaged;      /* a writing transaction met a broken page: no more commits */
    bool is_sync_suspect; /* an fdatasync failed: the kernel may hold pages for clean that are not on disk */

    MDB_txn *pin; /* holds the pages of the checkpoint; NULL: there is none */
    size_t pin_txnid;

    atomic_bool is_down;
    pthread_mutex_t readers_lock;
    struct list readers;
};

struct lmdb_reader {
    struct store_reader base;
    struct list in_store;
    atomic_bool is_busy; /* the reader's thread may touch txn and cursors; else a recovery may */
    MDB_txn *txn;        /* reset between snapshots; NULL before the first one and after a recovery */
    MDB_cursor *cursors[STORE_TABLES];
    bool is_spoilt;   /* a read of the open snapshot met a damaged page */
    unsigned renewed; /* bit t: cursors[t] belongs to the open snapshot */
    enum store_table table;
};

static inline struct lmdb_store *lmdb_store_of(struct store *s)
{
    return (struct lmdb_store *)(void *)s;
}

/* lmdb_error.c */
enum err lmdb_err(int rc);

/* lmdb_guard.c */
enum {
    LMDB_DAMAGED = -29000,    /* beside LMDB's codes: a page made no sense */
    LMDB_UNREADABLE = -29001, /* the disk did not give a page back */
};
/* Calls fn(ctx) and returns what it returns; when it runs into a broken page, one of the two above. A writing
 * transaction in which that happened can never be ended. */
int lmdb_try(const struct lmdb_store *s, int (*fn)(void *ctx), void *ctx);
/* Before the first lmdb_try(); handlers of faults that come later than this must call the ones before them.
 */
void lmdb_guard_install(void);
/* Unblocks these signals in the calling thread: a fault whose signal is blocked ends the process. */
void lmdb_guard_thread(void);
void lmdb_on_assert(MDB_env *env, const char *what);

/* lmdb_file.c: the data file below LMDB. */
struct lmdb_file_info {
    size_t page_bytes;
    uint64_t data_bytes; /* up to the end of the last page in use */
    uint64_t file_bytes;
    size_t txnid;
};
/* ERR_NOTFOUND (no file), ERR_CORRUPT with *why set, ERR_VERSION, ERR_IO. Touches nothing but the two meta
 * pages, and these by pread. */
enum err lmdb_file_check(const char *path, struct lmdb_file_info *info, const char **why);
/* Makes txnid the newest transaction of the file, durably: the meta page of a later one, which may have
 * reached the file although its commit failed, is overwritten. */
enum err lmdb_file_revert(const char *path, size_t page_bytes, size_t txnid);
/* Writes every page below bytes once more from the page cache, so that the next fdatasync means them all. */
enum err lmdb_file_rewrite(int fd, uint64_t bytes);
/* Whether room for a few pages more can be had: tells a full disk from a broken one after a short write. */
enum err lmdb_file_probe(int fd);

/* lmdb_env.c */
enum err lmdb_env_up(struct lmdb_store *s);
void lmdb_env_down(struct lmdb_store *s);
enum err lmdb_env_create(struct lmdb_store *s);
enum err lmdb_dir_sync(struct lmdb_store *s);

/* The meta page of transaction txnid. ERR_CORRUPT: it is not the one in its place. */
struct lmdb_meta_page;
enum err lmdb_file_meta_get(int fd, size_t page_bytes, size_t txnid, struct lmdb_meta_page *page);
/* Makes page the newest meta page, and the other a copy that is one older, durably. */
enum err lmdb_file_meta_set(int fd, const struct lmdb_meta_page *page);

/* lmdb_sync.c */
enum err lmdb_sync_now(struct store *base);
/* With STORE_SYNC_INTERVAL: makes the present state the one that a power cut leaves. Else nothing. */
enum err lmdb_checkpoint(struct lmdb_store *s);
/* Before the file is looked at: goes back to the checkpoint if the machine has stopped since. */
enum err lmdb_checkpoint_restore(struct lmdb_store *s);
/* From here on the file is durable by itself: after a sync that is the last one, or with each commit. */
enum err lmdb_checkpoint_drop(struct lmdb_store *s);

/* lmdb_room.c */
/* Before a commit that writes about so many bytes: keeps room behind the last page in use. */
void lmdb_room_make(struct lmdb_store *s, uint64_t bytes);
/* A transaction that would leave more bytes in the tables than this, or take pages past it, must not grow
 * them. */
uint64_t lmdb_room_max(const struct lmdb_store *s);
/* Where the pages end that txn, just begun or at work, has taken so far; 0 when this LMDB does not show it.
 */
uint64_t lmdb_room_taken(struct lmdb_store *s, MDB_txn *txn);

/* lmdb_write.c */
enum err lmdb_commit(struct store *base, const struct store_batch *const *batches, unsigned n);
void lmdb_usage(struct store *base, uint64_t *used, uint64_t *max);
int lmdb_put(MDB_cursor *c, enum store_table t, struct bytes key, struct bytes value);
/* Sets counts and usage from the tables as txn sees them. */
int lmdb_counts_load(struct lmdb_store *s, MDB_txn *txn);
/* Notes rc for the log. */
static inline enum err lmdb_fail(struct lmdb_store *s, int rc)
{
    s->rc = rc;
    return lmdb_err(rc);
}

/* lmdb_read.c */
enum err lmdb_reader_new(struct store_reader **out, struct store *base);
void lmdb_reader_free(struct store_reader *base);
enum err lmdb_read_begin(struct store_reader *base);
void lmdb_read_end(struct store_reader *base);
enum err lmdb_get(struct store_reader *base, enum store_table t, struct bytes key, struct bytes *value);
enum err lmdb_seek(struct store_reader *base, enum store_table t, struct bytes from, struct bytes *key,
                   struct bytes *value);
enum err lmdb_next(struct store_reader *base, struct bytes *key, struct bytes *value);
/* Ends the transaction and cursors of a reader that is not busy. */
void lmdb_reader_drop(struct lmdb_reader *r);
/* The stored value without its checksum, if it lies within its page and its checksum is right. */
enum err lmdb_value_check(struct lmdb_store *s, enum store_table t, struct bytes key, const MDB_val *stored,
                          struct bytes *value);

/* lmdb_recover.c; both with write_lock held. */
enum err lmdb_recover(struct lmdb_store *s);
/* Takes the store down if LMDB refuses further work after a failed commit. */
void lmdb_down_check(struct lmdb_store *s);

#endif
