/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lmdb_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room behind the last page in use, of two kinds.
 *
 * Blocks: LMDB never writes over a page in use, so deleting takes pages too, and on a full disk that would be
 * the end: what is stored could not be made less. So a megabyte is allocated ahead of need and is not for
 * growing: a transaction that would leave more in the tables than the file can hold without this reserve is
 * refused; one that leaves less, or as much, may use it. In a full map the same holds for its last pages.
 *
 * Length: the file is longer than that, by a hole that costs nothing. Pages which were taken and given back
 * within one transaction are counted but never written; without the hole a sound file could end before its
 * last page and look cut. */
enum { STEP_BYTES = 1 << 20, ALLOC_BYTES = 2 * STEP_BYTES, HOLE_BYTES = 16 * STEP_BYTES };
enum { RESERVE_SHARE = 16, RESERVE_PAGES_MIN = 48, RESERVE_PAGES_MAX = 256 };

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The file may not get longer than this: the map, or the process's limit, past which is a signal. */
static uint64_t file_bytes_most(const struct lmdb_store *s)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) < 0)
        return s->map_bytes;
    return min_u64(s->map_bytes, limit.rlim_cur);
}

static uint64_t step_up(uint64_t bytes)
{
    return (bytes + STEP_BYTES - 1) / STEP_BYTES * STEP_BYTES;
}

static void blocks_allocate(struct lmdb_store *s, int fd, uint64_t used, uint64_t bytes, uint64_t most)
{
    if (s->alloc_bytes < used)
        s->alloc_bytes = used;
    uint64_t need = used + bytes + STEP_BYTES, want = min_u64(step_up(used + bytes + ALLOC_BYTES), most);
    if (s->alloc_bytes >= need && !s->is_disk_tight)
        return;
    int rc = 0;
    if (want > s->alloc_bytes)
        rc = fallocate(fd, 0, (off_t)s->alloc_bytes, (off_t)(want - s->alloc_bytes)) < 0 ? errno : 0;
    if (rc == 0 && want > s->alloc_bytes)
        s->alloc_bytes = want;
    s->is_disk_tight = rc == ENOSPC || rc == EDQUOT || rc == EFBIG || need > most;
}

static void length_extend(struct lmdb_store *s, int fd, uint64_t used, uint64_t bytes, uint64_t most)
{
    struct stat st;
    if (atomic_load_explicit(&s->file_bytes, memory_order_relaxed) >= used + bytes + HOLE_BYTES / 2)
        return;
    if (fstat(fd, &st) < 0)
        return;
    uint64_t size = (uint64_t)st.st_size, want = min_u64(step_up(used + bytes + HOLE_BYTES), most);
    if (want > size && ftruncate(fd, (off_t)want) == 0)
        size = want;
    atomic_store(&s->file_bytes, size);
}

/* That there is no room is no error here: what cannot be stored is found by the commit. */
void lmdb_room_make(struct lmdb_store *s, uint64_t bytes)
{
    MDB_envinfo info;
    int fd;
    mdb_env_info(s->env, &info);
    mdb_env_get_fd(s->env, &fd);
    uint64_t used = ((uint64_t)info.me_last_pgno + 1) * s->page_bytes, most = file_bytes_most(s);
    blocks_allocate(s, fd, used, bytes, most);
    length_extend(s, fd, used, bytes, most);
}

uint64_t lmdb_room_max(const struct lmdb_store *s)
{
    uint64_t bytes = s->is_disk_tight ? min_u64(s->alloc_bytes, s->map_bytes) : s->map_bytes;
    uint64_t pages = bytes / s->page_bytes, reserve = pages / RESERVE_SHARE;
    if (reserve < RESERVE_PAGES_MIN)
        reserve = RESERVE_PAGES_MIN;
    if (reserve > RESERVE_PAGES_MAX)
        reserve = RESERVE_PAGES_MAX;
    return pages > reserve ? (pages - reserve) * s->page_bytes : 0;
}

/* The head of LMDB's MDB_txn, the same in all of 0.9. No call tells how far a transaction has reached, and at
 * the end of the map or of the disk that is what counts: a large delete needs pages in one piece, which only
 * the end of the file has for certain. So the field is read, and believed only if its neighbours are what
 * they should be. */
struct txn_head {
    void *parent;
    void *child;
    size_t next_pgno;
    size_t txnid;
    MDB_env *env;
};

uint64_t lmdb_room_taken(struct lmdb_store *s, MDB_txn *txn)
{
    MDB_envinfo info;
    struct txn_head head;
    memcpy(&head, txn, sizeof(head));
    mdb_env_info(s->env, &info);
    if (head.parent || head.child || head.txnid != mdb_txn_id(txn) || head.env != s->env ||
        head.next_pgno <= info.me_last_pgno || head.next_pgno > s->map_bytes / s->page_bytes)
        return 0;
    return (uint64_t)head.next_pgno * s->page_bytes;
}
