/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lmdb_store.h"

#include "storage/checksum.h"
#include "storage/lmdb_checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Without a sync at each commit the kernel brings pages to the disk in any order, so after a power cut the
 * newest meta page may name pages that never got there, and with it all would be lost, not only the newest.
 * Hence checkpoints: each sync puts the meta page that it made durable into a file of its own, and a snapshot
 * kept open holds the pages of that transaction until the next one. A start that finds a checkpoint from
 * before the machine was started goes back to it. After a mere death of the process nothing is lost: the page
 * cache still has it, which the kernel's boot id tells. */

uint32_t lmdb_checkpoint_sum(const struct lmdb_checkpoint *c)
{
    return checksum(STORE_TABLES, bytes_str("checkpoint"),
                    bytes_of(c, offsetof(struct lmdb_checkpoint, sum)));
}

static void boot_id_get(uint8_t out[LMDB_BOOT_ID_BYTES])
{
    memset(out, 0, LMDB_BOOT_ID_BYTES);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (read(fd, out, LMDB_BOOT_ID_BYTES) != LMDB_BOOT_ID_BYTES)
        memset(out, 0, LMDB_BOOT_ID_BYTES);
    close(fd);
}

/* An unknown boot is never the same one. */
static bool is_this_boot(const struct lmdb_checkpoint *c)
{
    uint8_t now[LMDB_BOOT_ID_BYTES];
    boot_id_get(now);
    return now[0] != 0 && memcmp(now, c->boot_id, sizeof(now)) == 0;
}

static bool is_sound(const struct lmdb_checkpoint *c, unsigned slot)
{
    return c->number != 0 && c->number % LMDB_CHECKPOINT_SLOTS == slot && c->sum == lmdb_checkpoint_sum(c);
}

/* The one that counts; ERR_NOTFOUND: there is none, *c is zeros. */
static enum err checkpoint_get(struct lmdb_store *s, int fd, struct lmdb_checkpoint *c)
{
    memset(c, 0, sizeof(*c));
    for (unsigned i = 0; i < LMDB_CHECKPOINT_SLOTS; i++) {
        struct lmdb_checkpoint slot;
        ssize_t n = pread(fd, &slot, sizeof(slot), (off_t)i * LMDB_CHECKPOINT_SLOT_BYTES);
        if (n < 0)
            return lmdb_fail(s, errno);
        if (n == (ssize_t)sizeof(slot) && is_sound(&slot, i) && slot.number > c->number)
            *c = slot;
    }
    return c->number ? OK : ERR_NOTFOUND;
}

static int slot_write(int fd, unsigned slot, const struct lmdb_checkpoint *c)
{
    errno = 0;
    if (pwrite(fd, c, sizeof(*c), (off_t)slot * LMDB_CHECKPOINT_SLOT_BYTES) != (ssize_t)sizeof(*c))
        return errno ? errno : ENOSPC;
    return 0;
}

/* A new file gets its room at once. */
static enum err file_new(struct lmdb_store *s, int *fd)
{
    static const struct lmdb_checkpoint empty;
    *fd = open(s->checkpoint, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0)
        return lmdb_fail(s, errno);
    int rc = 0;
    for (unsigned i = 0; i < LMDB_CHECKPOINT_SLOTS && rc == 0; i++)
        rc = slot_write(*fd, i, &empty);
    if (rc == 0 && fsync(*fd) < 0)
        rc = errno;
    if (rc)
        close(*fd);
    return rc ? lmdb_fail(s, rc) : lmdb_dir_sync(s);
}

static enum err file_open(struct lmdb_store *s, int *fd)
{
    *fd = open(s->checkpoint, O_RDWR | O_CLOEXEC);
    if (*fd >= 0)
        return OK;
    return errno == ENOENT ? ERR_NOTFOUND : lmdb_fail(s, errno);
}

static enum err checkpoint_put(struct lmdb_store *s, int fd, struct lmdb_checkpoint *c)
{
    struct lmdb_checkpoint last;
    enum err e = checkpoint_get(s, fd, &last);
    if (e != OK && e != ERR_NOTFOUND)
        return e;
    c->number = last.number + 1;
    c->sum = lmdb_checkpoint_sum(c);
    int rc = slot_write(fd, c->number % LMDB_CHECKPOINT_SLOTS, c);
    if (rc == 0 && fdatasync(fd) < 0)
        rc = errno;
    return lmdb_fail(s, rc);
}

static enum err checkpoint_make(struct lmdb_store *s, size_t txnid)
{
    struct lmdb_checkpoint c = {0};
    int fd, rc = mdb_env_get_fd(s->env, &fd);
    if (rc)
        return lmdb_fail(s, rc);
    enum err e = lmdb_file_meta_get(fd, s->page_bytes, txnid, &c.page);
    if (e != OK)
        return e;
    boot_id_get(c.boot_id);
    e = file_open(s, &fd);
    if (e == ERR_NOTFOUND)
        e = file_new(s, &fd);
    if (e != OK)
        return e;
    e = checkpoint_put(s, fd, &c);
    close(fd);
    return e;
}

static enum err file_sync(struct lmdb_store *s)
{
    MDB_envinfo info;
    int fd, rc = mdb_env_get_fd(s->env, &fd);
    if (rc)
        return lmdb_fail(s, rc);
    mdb_env_info(s->env, &info);
    if (s->is_sync_suspect) {
        enum err e = lmdb_file_rewrite(fd, ((uint64_t)info.me_last_pgno + 1) * s->page_bytes);
        if (e != OK)
            return e;
    }
    rc = mdb_env_sync(s->env, 1);
    s->is_sync_suspect = rc != MDB_SUCCESS;
    return lmdb_fail(s, rc);
}

/* The old snapshot is kept until the new checkpoint is in place: one of the two holds at any moment. */
enum err lmdb_checkpoint(struct lmdb_store *s)
{
    MDB_txn *pin;
    if (s->sync != STORE_SYNC_INTERVAL || (s->pin && s->pin_txnid == s->txnid))
        return OK;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &pin);
    if (rc)
        return lmdb_fail(s, rc);
    enum err e = file_sync(s);
    if (e == OK)
        e = checkpoint_make(s, mdb_txn_id(pin));
    if (e != OK) {
        mdb_txn_abort(pin);
        return e;
    }
    if (s->pin)
        mdb_txn_abort(s->pin);
    s->pin = pin;
    s->pin_txnid = mdb_txn_id(pin);
    return OK;
}

enum err lmdb_checkpoint_drop(struct lmdb_store *s)
{
    static const struct lmdb_checkpoint empty;
    struct lmdb_checkpoint c;
    int fd;
    enum err e = file_open(s, &fd);
    if (e != OK)
        return e == ERR_NOTFOUND ? OK : e;
    /* The older slot first: when this is cut short, the newer one still holds. */
    e = checkpoint_get(s, fd, &c);
    for (unsigned i = 1; i <= LMDB_CHECKPOINT_SLOTS && e == OK; i++) {
        e = lmdb_fail(s, slot_write(fd, (c.number + i) % LMDB_CHECKPOINT_SLOTS, &empty));
        if (e == OK && fdatasync(fd) < 0)
            e = lmdb_fail(s, errno);
    }
    close(fd);
    return e == ERR_NOTFOUND ? OK : e;
}

static enum err go_back(struct lmdb_store *s, const struct lmdb_checkpoint *c)
{
    int fd = open(s->path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? OK : lmdb_fail(s, errno);
    enum err e = lmdb_file_meta_set(fd, &c->page);
    close(fd);
    if (e == OK)
        LOG(s->log, LOG_WARNING, "storage checkpoint_restored txn=%zu", c->page.meta.txnid);
    else
        s->rc = EIO;
    return e;
}

enum err lmdb_checkpoint_restore(struct lmdb_store *s)
{
    struct lmdb_checkpoint c;
    int fd;
    enum err e = file_open(s, &fd);
    if (e != OK)
        return e == ERR_NOTFOUND ? OK : e;
    e = checkpoint_get(s, fd, &c);
    close(fd);
    if (e == ERR_NOTFOUND || (e == OK && is_this_boot(&c)))
        return OK;
    return e == OK ? go_back(s, &c) : e;
}

enum err lmdb_sync_now(struct store *base)
{
    struct lmdb_store *s = lmdb_store_of(base);
    if (s->sync == STORE_SYNC_ALWAYS)
        return OK; /* every commit was */
    pthread_mutex_lock(&s->write_lock);
    enum err e = lmdb_recover(s);
    if (e == OK)
        e = s->sync == STORE_SYNC_INTERVAL ? lmdb_checkpoint(s) : file_sync(s);
    pthread_mutex_unlock(&s->write_lock);
    return e;
}
