/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_STORAGE_STORE_H
#define COVEY_STORAGE_STORE_H

/* The durable store: ordered tables, one writer, many readers.
 *
 * Contract. store_commit() applies whole batches in one transaction: after OK everything in them survives the
 * death of the process and of the machine (as far as the sync mode promises); after an error nothing of them
 * is in the store, what was stored before is untouched, and a later commit may succeed (space was freed).
 * Readers see the last committed state as of store_read_begin() and are never blocked by the writer.
 * store_commit() is called by one thread at a time; a reader belongs to one thread. STORE_META has a record
 * "format" of the store's own, which callers leave alone.
 *
 * Every value carries a checksum: a damaged value is reported as ERR_CORRUPT and never served. A page that
 * the disk cannot give back is ERR_IO: the LMDB store answers SIGBUS and SIGSEGV within its map by handlers
 * that it installs when it is opened, and unblocks these two signals in the threads that read. */

#include "proto/base/err.h"
#include "proto/base/log.h"
#include "storage/batch.h"

struct store;        /* an open store */
struct store_reader; /* a reader's snapshot */

/* What a power cut takes; the death of the process takes nothing in any mode. */
enum store_sync {
    STORE_SYNC_ALWAYS,   /* nothing that store_commit() answered OK for */
    STORE_SYNC_INTERVAL, /* what was committed after the last sync */
    STORE_SYNC_OFF, /* perhaps everything since the last store_sync_now() or store_close(), or the store */
};

struct store_conf {
    const char *dir;        /* made if missing (0700); one process at a time holds it */
    enum store_sync sync;   /* default STORE_SYNC_ALWAYS */
    uint32_t interval_ms;   /* of STORE_SYNC_INTERVAL */
    uint64_t map_bytes_max; /* address space reserved and upper bound of the file; 0: default */
    struct log_sink *log;   /* may be NULL */
};

/* LMDB in conf->dir. Errors: ERR_LOCKED (another process has it), ERR_VERSION (a newer format),
 * ERR_CORRUPT (not a store, or cut), ERR_NOSPC, ERR_IO (also a directory that cannot be made or written),
 * each logged with its reason. On OK *out is the caller's, ended by store_close(). */
MUST_USE enum err store_open_lmdb(struct store **out, const struct store_conf *conf);
void store_close(struct store *s); /* NULL is fine; all readers are gone before */

/* Applies n batches in order, all or nothing. ERR_NOSPC: disk or map full; ERR_IO: write or fdatasync failed.
 */
MUST_USE enum err store_commit(struct store *s, const struct store_batch *const *batches, unsigned n);
/* Makes everything committed durable now, whatever the sync mode; also what an interval timer calls. */
MUST_USE enum err store_sync_now(struct store *s);
/* The number of records in a table, from the last committed state: O(1). */
uint64_t store_count(struct store *s, enum store_table t);
/* Bytes used by the data, and the most there may be. */
void store_usage(struct store *s, uint64_t *used, uint64_t *max);

MUST_USE enum err store_reader_new(struct store_reader **out, struct store *s);
void store_reader_free(struct store_reader *r); /* NULL is fine */
/* Opens a fresh snapshot. Views got from it are valid until store_read_end(). Cheap (no allocation): take one
 * for each piece of work and do not keep it over a wait, since pages are not reused meanwhile. */
MUST_USE enum err store_read_begin(struct store_reader *r);
void store_read_end(struct store_reader *r);
/* ERR_NOTFOUND, ERR_CORRUPT, ERR_IO. A key of no possible length is not found. */
MUST_USE enum err store_get(struct store_reader *r, enum store_table t, struct bytes key,
                            struct bytes *value);

/* At the first record with key >= from in table t, within the open snapshot; ERR_NOTFOUND when there is none.
 * *key and *value are views until store_read_end(). One position a reader: a further seek replaces it.
 * ERR_CORRUPT leaves *key valid, so that the caller can go on with store_next(); where the table itself is
 * damaged, *key is empty and store_next() answers ERR_NOTFOUND; another seek or get can still find what is
 * whole, in a newer snapshot: views from before are not valid then. */
MUST_USE enum err store_seek(struct store_reader *r, enum store_table t, struct bytes from, struct bytes *key,
                             struct bytes *value);
MUST_USE enum err store_next(struct store_reader *r, struct bytes *key, struct bytes *value);

#endif
