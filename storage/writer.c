/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/writer.h"

#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

/* One joint commit is bounded, so that the first of a long queue is not reported with the last. */
enum { GROUP_BATCHES_MAX = 4096, GROUP_BYTES_MAX = 64 << 20 };
/* After so many single commits in a row that end in ERR_IO, the rest of a group is given up: each attempt on
 * a dying disk may take seconds. */
enum { GIVE_UP_AFTER = 3, SYNC_RETRY_MS = 1000 };

struct job {
    struct store_batch *batch;
    writer_done_fn *done;
    void *ctx;
};

struct queue {
    struct job *jobs;
    size_t n;
    size_t cap;
};

struct writer {
    struct store *store;
    struct log_sink *log;
    uint32_t sync_ms; /* 0: each commit is durable by itself, or durability is not asked for */
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct queue in; /* under lock */
    bool is_stopping;
    struct writer_stats stats;
    struct hist commits; /* the thread's to write */

    /* The thread's own. */
    struct queue work;
    const struct store_batch *group[GROUP_BATCHES_MAX];
    uint64_t sync_at_us; /* 0: nothing to sync */
    bool is_sync_failing;
};

static enum err commit(struct writer *w, unsigned n)
{
    uint64_t start = clock_us(CLOCK_MONOTONIC), ops = 0;
    enum err e = store_commit(w->store, w->group, n);
    uint64_t took = clock_us(CLOCK_MONOTONIC) - start;
    hist_add(&w->commits, took);
    for (unsigned i = 0; i < n; i++)
        ops += w->group[i]->ops;
    pthread_mutex_lock(&w->lock);
    w->stats.commits += e == OK;
    w->stats.commits_failed += e != OK;
    w->stats.failed_in_row = e == OK ? 0 : w->stats.failed_in_row + 1;
    w->stats.ops += e == OK ? ops : 0;
    w->stats.commit_us_last = took;
    if (took > w->stats.commit_us_max)
        w->stats.commit_us_max = took;
    pthread_mutex_unlock(&w->lock);
    if (e == OK && w->sync_ms && !w->sync_at_us)
        w->sync_at_us = clock_us(CLOCK_MONOTONIC) + (uint64_t)w->sync_ms * 1000;
    return e;
}

static void report(const struct job *j, enum err e)
{
    j->done(j->ctx, j->batch, e);
}

/* The joint commit failed: each for itself, so that only what cannot be stored fails. */
static void commit_singly(struct writer *w, const struct job *jobs, unsigned n)
{
    unsigned io_errors = 0;
    for (unsigned i = 0; i < n; i++) {
        enum err e = ERR_IO;
        if (io_errors < GIVE_UP_AFTER) {
            w->group[0] = jobs[i].batch;
            e = commit(w, 1);
        }
        io_errors = e == ERR_IO ? io_errors + 1 : 0;
        report(&jobs[i], e);
    }
}

static void commit_group(struct writer *w, const struct job *jobs, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        w->group[i] = jobs[i].batch;
    enum err e = commit(w, n);
    if (e != OK && n > 1) {
        commit_singly(w, jobs, n);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        report(&jobs[i], e);
}

static void commit_all(struct writer *w)
{
    for (size_t at = 0; at < w->work.n;) {
        size_t n = 0, bytes = 0;
        while (at + n < w->work.n && n < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX)
            bytes += w->work.jobs[at + n++].batch->n;
        commit_group(w, w->work.jobs + at, (unsigned)n);
        at += n;
    }
    w->work.n = 0;
}

static void sync_if_due(struct writer *w)
{
    uint64_t now = clock_us(CLOCK_MONOTONIC);
    if (!w->sync_at_us || now < w->sync_at_us)
        return;
    enum err e = store_sync_now(w->store);
    if (e != OK && !w->is_sync_failing)
        LOG(w->log, LOG_ERROR, "storage sync_failed error=\"%s\"", err_name(e));
    if (e == OK && w->is_sync_failing)
        LOG(w->log, LOG_NOTICE, "storage sync_recovered");
    w->is_sync_failing = e != OK;
    w->sync_at_us = e == OK ? 0 : clock_us(CLOCK_MONOTONIC) + (uint64_t)SYNC_RETRY_MS * 1000;
}

/* Waits until there is work, it is time to sync or to stop; takes what has gathered. False at the end. */
static bool work_take(struct writer *w)
{
    pthread_mutex_lock(&w->lock);
    while (w->in.n == 0 && !w->is_stopping) {
        if (!w->sync_at_us) {
            pthread_cond_wait(&w->wake, &w->lock);
            continue;
        }
        struct timespec at = {(time_t)(w->sync_at_us / 1000000), (long)(w->sync_at_us % 1000000 * 1000)};
        if (pthread_cond_timedwait(&w->wake, &w->lock, &at) == ETIMEDOUT)
            break;
    }
    struct queue taken = w->in;
    w->in = w->work;
    w->work = taken;
    bool is_end = w->is_stopping && w->work.n == 0;
    pthread_mutex_unlock(&w->lock);
    return !is_end;
}

static void *run(void *arg)
{
    struct writer *w = arg;
    while (work_take(w)) {
        commit_all(w);
        sync_if_due(w);
    }
    if (w->sync_at_us) {
        w->sync_at_us = 1;
        sync_if_due(w);
    }
    return NULL;
}

static enum err thread_start(struct writer *w)
{
    sigset_t all, old;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV); /* faults in the store's map are answered by a handler */
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc)
        return ERR_NOMEM;
    pthread_setname_np(w->thread, "storage");
    return OK;
}

static void writer_fini(struct writer *w)
{
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    free(w->in.jobs);
    free(w->work.jobs);
    free(w);
}

enum err writer_new(struct writer **out, struct store *s, const struct store_conf *conf)
{
    struct writer *w = mem_zalloc(sizeof(*w));
    w->store = s;
    w->log = conf->log;
    if (conf->sync == STORE_SYNC_INTERVAL)
        w->sync_ms = conf->interval_ms ? conf->interval_ms : SYNC_RETRY_MS;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&w->lock, NULL);
    enum err e = thread_start(w);
    if (e != OK) {
        writer_fini(w);
        return e;
    }
    *out = w;
    return OK;
}

void writer_free(struct writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->is_stopping = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    CHECK(pthread_join(w->thread, NULL) == 0);
    writer_fini(w);
}

void writer_submit(struct writer *w, struct store_batch *batch, writer_done_fn *done, void *ctx)
{
    pthread_mutex_lock(&w->lock);
    struct queue *q = &w->in;
    if (q->n == q->cap) {
        q->cap = q->cap ? q->cap * 2 : 64;
        q->jobs = mem_realloc(q->jobs, q->cap * sizeof(*q->jobs));
    }
    q->jobs[q->n++] = (struct job){batch, done, ctx};
    if (q->n == 1)
        pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void writer_stats(struct writer *w, struct writer_stats *out)
{
    pthread_mutex_lock(&w->lock);
    *out = w->stats;
    w->stats.commit_us_max = 0;
    pthread_mutex_unlock(&w->lock);
    hist_read(&out->commits_took, &w->commits);
}
