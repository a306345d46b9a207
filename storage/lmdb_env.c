/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lmdb_store.h"

#include "proto/base/mem.h"
#include "storage/checksum.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { READERS_MAX = 1000, LOCK_FILE_BYTES = 64 * 1024 };
#define MAP_BYTES_DEFAULT ((uint64_t)64 << 30)
#define MAP_BYTES_MIN     ((uint64_t)1 << 20)

static const char *const table_names[STORE_TABLES] = {
    [STORE_META] = "meta",       [STORE_SESSIONS] = "sessions",
    [STORE_SUBS] = "subs",       [STORE_QUEUE] = "queue",
    [STORE_STATE] = "state",     [STORE_RETAINED] = "retained",
    [STORE_HANDOFF] = "handoff", [STORE_SEEN] = "seen",
    [STORE_PARCELS] = "parcels", [STORE_RETAINED_META] = "retained_meta",
    [STORE_BANS] = "bans",       [STORE_DELAYED] = "delayed",
};

/* path with suffix behind it; the caller frees it. */
static char *path_with(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    char *out = mem_alloc(n + m + 1);
    memcpy(out, path, n);
    memcpy(out + n, suffix, m + 1);
    return out;
}

/* LMDB makes its lock file by ftruncate and writes it through a map: on a full disk that is a SIGBUS. So its
 * bytes are written here before, where a full disk is an error. */
static int lock_file_fill(const char *path)
{
    char *name = path_with(path, "-lock");
    int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(name);
    if (fd < 0)
        return errno;
    uint8_t *zeros = mem_zalloc(LOCK_FILE_BYTES);
    errno = 0;
    ssize_t n = pwrite(fd, zeros, LOCK_FILE_BYTES, 0);
    int rc = n == LOCK_FILE_BYTES ? 0 : errno ? errno : ENOSPC;
    free(zeros);
    close(fd);
    return rc;
}

static int env_open_once(struct lmdb_store *s, const char *path, unsigned flags, size_t map_bytes)
{
    int rc = mdb_env_create(&s->env);
    if (rc)
        return rc;
    mdb_env_set_maxdbs(s->env, STORE_TABLES);
    mdb_env_set_maxreaders(s->env, READERS_MAX);
    mdb_env_set_mapsize(s->env, map_bytes);
    mdb_env_set_userctx(s->env, s);
    mdb_env_set_assert(s->env, lmdb_on_assert);
    rc = mdb_env_open(s->env, path, MDB_NOSUBDIR | MDB_NOTLS | flags, 0600);
    if (rc) {
        mdb_env_close(s->env);
        s->env = NULL;
    }
    return rc;
}

/* Reserves the address space, less and less of it until there is enough. */
static int env_open(struct lmdb_store *s, const char *path, unsigned flags)
{
    int rc = lock_file_fill(path);
    if (rc)
        return rc;
    size_t map_bytes = s->map_bytes_max ? s->map_bytes_max : MAP_BYTES_DEFAULT;
    map_bytes &= ~(size_t)(sysconf(_SC_PAGESIZE) - 1);
    if (map_bytes < MAP_BYTES_MIN)
        map_bytes = MAP_BYTES_MIN;
    for (;; map_bytes /= 2) {
        rc = env_open_once(s, path, flags, map_bytes);
        if ((rc != ENOMEM && rc != EINVAL) || map_bytes / 2 < MAP_BYTES_MIN)
            return rc;
    }
}

static int tables_open(struct lmdb_store *s, MDB_txn *txn)
{
    for (int t = 0; t < STORE_TABLES; t++) {
        int rc = mdb_dbi_open(txn, table_names[t], MDB_CREATE, &s->dbi[t]);
        if (rc)
            return rc;
    }
    return MDB_SUCCESS;
}

static int format_put(struct lmdb_store *s, MDB_txn *txn)
{
    MDB_cursor *c;
    uint8_t format[4];
    be32_put(format, STORE_FORMAT);
    int rc = mdb_cursor_open(txn, s->dbi[STORE_META], &c);
    if (rc)
        return rc;
    rc = lmdb_put(c, STORE_META, bytes_str(STORE_FORMAT_KEY), bytes_of(format, sizeof(format)));
    mdb_cursor_close(c);
    return rc;
}

static enum err file_fill(struct lmdb_store *s, const char *path)
{
    int rc = env_open(s, path, 0);
    if (rc)
        return lmdb_fail(s, rc);
    MDB_txn *txn = NULL;
    rc = mdb_txn_begin(s->env, NULL, 0, &txn);
    if (!rc)
        rc = tables_open(s, txn);
    if (!rc)
        rc = format_put(s, txn);
    if (!rc)
        rc = mdb_txn_commit(txn);
    else
        mdb_txn_abort(txn);
    mdb_env_close(s->env);
    s->env = NULL;
    return lmdb_fail(s, rc);
}

enum err lmdb_dir_sync(struct lmdb_store *s)
{
    int fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return lmdb_fail(s, errno);
    int rc = fsync(fd) < 0 ? errno : 0;
    close(fd);
    return lmdb_fail(s, rc);
}

/* A store comes into being whole, by a rename: one that was interrupted leaves only a .new to be removed. */
enum err lmdb_env_create(struct lmdb_store *s)
{
    char *path = path_with(s->path, ".new");
    char *lock = path_with(path, "-lock");
    unlink(path);
    enum err e = file_fill(s, path);
    unlink(lock);
    if (e == OK && rename(path, s->path) < 0)
        e = lmdb_fail(s, errno);
    if (e == OK)
        e = lmdb_dir_sync(s);
    else
        unlink(path);
    free(lock);
    free(path);
    return e;
}

/* Every page begins with its number, so any record tells where page 0 is mapped. */
static void map_find(struct lmdb_store *s, const void *in_page)
{
    const uint8_t *page = (const uint8_t *)((uintptr_t)in_page & ~(uintptr_t)(s->page_bytes - 1));
    size_t pgno;
    memcpy(&pgno, page, sizeof(pgno));
    s->map = page - pgno * s->page_bytes;
}

static enum err format_check(struct lmdb_store *s, MDB_txn *txn)
{
    struct bytes name = bytes_str(STORE_FORMAT_KEY), value;
    MDB_val key = {name.n, (void *)(uintptr_t)name.p}, stored;
    int rc = mdb_get(txn, s->dbi[STORE_META], &key, &stored);
    if (rc)
        return rc == MDB_NOTFOUND ? lmdb_fail(s, MDB_INVALID) : lmdb_fail(s, rc);
    map_find(s, stored.mv_data);
    enum err e = lmdb_value_check(s, STORE_META, name, &stored, &value);
    if (e != OK)
        return e;
    if (value.n != 4)
        return ERR_CORRUPT;
    return be32_get(value.p) > STORE_FORMAT ? ERR_VERSION : OK;
}

struct load {
    struct lmdb_store *s;
    MDB_txn *txn;
    enum err result;
};

static int load_tables(void *ctx)
{
    struct load *l = ctx;
    int rc = tables_open(l->s, l->txn);
    if (rc)
        return rc;
    l->result = format_check(l->s, l->txn);
    return lmdb_counts_load(l->s, l->txn);
}

/* Opening a table that is there writes nothing, so this works on a full disk too. */
static enum err tables_load(struct lmdb_store *s)
{
    struct load l = {.s = s, .result = OK};
    int rc = mdb_txn_begin(s->env, NULL, 0, &l.txn);
    if (rc)
        return lmdb_fail(s, rc);
    rc = lmdb_try(s, load_tables, &l);
    if (rc || l.result != OK) {
        mdb_txn_abort(l.txn);
        return rc ? lmdb_fail(s, rc) : l.result;
    }
    return lmdb_fail(s, mdb_txn_commit(l.txn));
}

/* What was read so far may be in the page cache only, left by a process that was killed. Before anything of
 * it is written over, it is brought to the disk. */
static enum err durable_begin(struct lmdb_store *s)
{
    if (s->sync == STORE_SYNC_INTERVAL)
        return lmdb_checkpoint(s);
    bool is_needed = s->sync == STORE_SYNC_ALWAYS || access(s->checkpoint, F_OK) == 0;
    int rc = is_needed ? mdb_env_sync(s->env, 1) : MDB_SUCCESS;
    return rc ? lmdb_fail(s, rc) : lmdb_checkpoint_drop(s);
}

enum err lmdb_env_up(struct lmdb_store *s)
{
    int rc = env_open(s, s->path, s->sync == STORE_SYNC_ALWAYS ? 0 : MDB_NOSYNC);
    if (rc)
        return lmdb_fail(s, rc);
    int dead = 0;
    mdb_reader_check(s->env, &dead);
    MDB_envinfo info;
    MDB_stat st;
    mdb_env_info(s->env, &info);
    mdb_env_stat(s->env, &st);
    s->page_bytes = st.ms_psize;
    s->map_bytes = info.me_mapsize;
    atomic_store(&s->file_bytes, 0);
    s->alloc_bytes = 0;
    lmdb_room_make(s, 0);
    enum err e = tables_load(s);
    if (e == OK) {
        mdb_env_info(s->env, &info);
        s->txnid = info.me_last_txnid;
        e = durable_begin(s);
    }
    if (e != OK)
        lmdb_env_down(s);
    return e;
}

void lmdb_env_down(struct lmdb_store *s)
{
    if (s->pin)
        mdb_txn_abort(s->pin);
    s->pin = NULL;
    mdb_env_close(s->env);
    s->env = NULL;
}
