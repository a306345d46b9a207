/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/lmdb_store.h"

#include "proto/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bringing a store up again costs a sync; while the disk is broken readers ask for it all the time. */
enum { RECOVER_INTERVAL_US = 100000 };

static void lmdb_close(struct store *base);

static const struct store_ops lmdb_ops = {
    .close = lmdb_close,
    .commit = lmdb_commit,
    .sync_now = lmdb_sync_now,
    .usage = lmdb_usage,
    .reader_new = lmdb_reader_new,
    .reader_free = lmdb_reader_free,
    .read_begin = lmdb_read_begin,
    .read_end = lmdb_read_end,
    .get = lmdb_get,
    .seek = lmdb_seek,
    .next = lmdb_next,
};

static enum err open_failed(const struct lmdb_store *s, enum err e, const char *why)
{
    char dir[LOG_ESCAPED_MAX];
    LOG(s->log, LOG_ERROR, "storage open_failed dir=\"%s\" error=\"%s\" reason=\"%s\"",
        log_escape(dir, bytes_str(s->dir)), err_name(e), why);
    return e;
}

static char *path_in(const char *dir, const char *name)
{
    size_t n = strlen(dir) + strlen(name) + 2;
    char *path = mem_alloc(n);
    snprintf(path, n, "%s/%s", dir, name);
    return path;
}

static enum err locked_by_other(const struct lmdb_store *s)
{
    char text[32] = "", why[80];
    ssize_t n = pread(s->lock_fd, text, sizeof(text) - 1, 0);
    long pid = n > 0 ? strtol(text, NULL, 10) : 0;
    snprintf(why, sizeof(why), "in use by process %ld", pid);
    return open_failed(s, ERR_LOCKED, why);
}

/* The lock is the flock, which ends with the process; the pid in the file is for the reader of a log. */
static enum err dir_lock(struct lmdb_store *s)
{
    if (mkdir(s->dir, 0700) < 0 && errno != EEXIST)
        return open_failed(s, lmdb_err(errno), strerror(errno));
    char *path = path_in(s->dir, "lock");
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    if (s->lock_fd < 0)
        return open_failed(s, lmdb_err(errno), strerror(errno));
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? locked_by_other(s) : open_failed(s, ERR_IO, strerror(errno));
    char text[32];
    int n = snprintf(text, sizeof(text), "%-10ld\n", (long)getpid());
    if (pwrite(s->lock_fd, text, (size_t)n, 0) != n)
        LOG(s->log, LOG_WARNING, "storage lock_pid_unwritten error=\"%s\"", strerror(errno));
    return OK;
}

static enum err file_open(struct lmdb_store *s)
{
    struct lmdb_file_info info;
    const char *why;
    enum err e = lmdb_checkpoint_restore(s);
    if (e != OK)
        return open_failed(s, e, mdb_strerror(s->rc));
    e = lmdb_file_check(s->path, &info, &why);
    if (e == ERR_NOTFOUND) {
        e = lmdb_env_create(s);
        if (e != OK)
            return open_failed(s, e, mdb_strerror(s->rc));
    } else if (e != OK) {
        return open_failed(s, e, why);
    }
    e = lmdb_env_up(s);
    if (e == ERR_VERSION)
        return open_failed(s, e, "written by a newer version");
    return e == OK ? OK : open_failed(s, e, s->rc ? mdb_strerror(s->rc) : "no readable format record");
}

static void lmdb_close(struct store *base)
{
    struct lmdb_store *s = lmdb_store_of(base);
    bool is_down = atomic_load(&s->is_down);
    /* A transaction that met damage can be neither ended nor left behind by closing: its lock lies in the
     * map. The process is at its end; the environment goes with it. */
    if (s->env && !s->is_damaged) {
        if (!is_down && (lmdb_sync_now(base) != OK || lmdb_checkpoint_drop(s) != OK))
            LOG(s->log, LOG_ERROR, "storage sync_failed at=close");
        lmdb_env_down(s);
    }
    /* A commit that was reported as failed must not be found at the next start. */
    if (is_down && lmdb_file_revert(s->path, s->page_bytes, s->txnid) != OK)
        LOG(s->log, LOG_ERROR, "storage revert_failed at=close");
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    pthread_mutex_destroy(&s->write_lock);
    pthread_mutex_destroy(&s->readers_lock);
    free(s->checkpoint);
    free(s->path);
    free(s->dir);
    free(s);
}

enum err store_open_lmdb(struct store **out, const struct store_conf *conf)
{
    struct lmdb_store *s = mem_zalloc(sizeof(*s));
    s->base.ops = &lmdb_ops;
    s->log = conf->log;
    s->sync = conf->sync;
    s->map_bytes_max = conf->map_bytes_max;
    s->dir = mem_text(conf->dir);
    s->path = path_in(conf->dir, "store");
    s->checkpoint = path_in(conf->dir, "checkpoint");
    s->lock_fd = -1;
    s->recover_interval_us = RECOVER_INTERVAL_US;
    pthread_mutex_init(&s->write_lock, NULL);
    pthread_mutex_init(&s->readers_lock, NULL);
    list_init(&s->readers);
    lmdb_guard_install();
    enum err e = dir_lock(s);
    if (e == OK)
        e = file_open(s);
    if (e != OK) {
        lmdb_close(&s->base);
        return e;
    }
    *out = &s->base;
    return OK;
}
