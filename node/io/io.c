/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/io.h"

#include "node/io/certs.h"
#include "node/io/io_private.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <urcu-qsbr.h>

/* ---- life ------------------------------------------------------------------------------------------ */

static enum err listeners_init(struct io *io)
{
    const struct io_conf *conf = &io->conf;

    io->listeners = mem_zalloc((conf->listeners_n + 1) * sizeof *io->listeners);
    for (uint32_t i = 0; i < conf->listeners_n; i++) {
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(conf->listeners[k].name, conf->listeners[i].name) == 0) {
                LOG(io->log, LOG_ERROR, "listener defined_twice name=%s", conf->listeners[i].name);
                return ERR_INVALID;
            }
        enum err e = listener_init(&io->listeners[i], io, &conf->listeners[i]);
        io->listeners_n = i + 1;
        if (e != OK)
            return e;
        for (uint32_t k = 0; k < io->workers_n; k++)
            io->workers[k].acceptors[i] = &io->listeners[i].acceptors[k];
    }
    return OK;
}

static enum err workers_init(struct io *io)
{
    io->workers = aligned_alloc(64, io->workers_n * sizeof *io->workers);
    CHECK(io->workers);
    memset(io->workers, 0, io->workers_n * sizeof *io->workers);
    for (uint32_t i = 0; i < io->workers_n; i++)
        if (worker_init(&io->workers[i], io, i) != OK)
            return ERR_LIMIT;
    return OK;
}

enum err io_new(struct io **out, const struct io_conf *conf)
{
    struct io *io = mem_zalloc(sizeof *io);
    enum err e;

    CHECK(conf->node && conf->writer);
    io->conf = *conf;
    if (!io->conf.commit_interval_ms)
        io->conf.commit_interval_ms = 2;
    io->log = conf->log;
    io->node = conf->node;
    io->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    io->workers_n = node_conf(conf->node)->shards;
    pthread_mutex_init(&io->listener_lock, NULL);
    pthread_mutex_init(&io->idle_lock, NULL);
    pthread_cond_init(&io->idle_cond, NULL);
    e = workers_init(io);
    if (e == OK)
        e = listeners_init(io);
    if (e != OK) {
        io_free(io);
        return e;
    }
    *out = io;
    return OK;
}

void io_free(struct io *io)
{
    if (!io)
        return;
    CHECK(!io->is_running);
    for (uint32_t i = 0; i < io->workers_n; i++)
        worker_fini(&io->workers[i]);
    for (uint32_t i = 0; i < io->listeners_n; i++)
        listener_fini(&io->listeners[i]);
    pthread_mutex_destroy(&io->listener_lock);
    pthread_mutex_destroy(&io->idle_lock);
    pthread_cond_destroy(&io->idle_cond);
    free(io->listeners);
    free(io->workers);
    if (io->statm_fd >= 0)
        close(io->statm_fd);
    free(io);
}

uint32_t io_workers(const struct io *io)
{
    return io->workers_n;
}

/* ---- start and stop -------------------------------------------------------------------------------- */

/* Before the threads run: the sockets go straight to the acceptors. */
static enum err listener_open_all(struct io *io, struct listener *l)
{
    int fds[NODE_SHARDS_MAX];
    enum err e = listener_bind(l, fds, io->workers_n);

    if (e != OK)
        return e;
    for (uint32_t i = 0; i < io->workers_n; i++)
        acceptor_open(&l->acceptors[i], fds[i]);
    l->is_running = true;
    LOG(io->log, LOG_NOTICE, "listener started name=%s address=%s", l->name, l->bind);
    return OK;
}

static void start_failed(struct io *io)
{
    for (uint32_t i = 0; i < io->listeners_n; i++) {
        for (uint32_t k = 0; k < io->workers_n; k++)
            acceptor_close(&io->listeners[i].acceptors[k]);
        listener_unbind(&io->listeners[i]);
    }
}

enum err io_start(struct io *io)
{
    enum err e;

    CHECK(!io->is_running);
    for (uint32_t i = 0; i < io->listeners_n; i++) {
        if (!listener_conf(&io->listeners[i])->c.is_enabled)
            continue;
        e = listener_open_all(io, &io->listeners[i]);
        if (e != OK) {
            start_failed(io);
            return e;
        }
    }
    io->is_running = true;
    for (uint32_t i = 0; i < io->workers_n; i++) {
        if (worker_start(&io->workers[i]) != OK) {
            io_stop(io, 0);
            start_failed(io);
            return ERR_LIMIT;
        }
    }
    return OK;
}

void io_on_idle(struct io *io)
{
    pthread_mutex_lock(&io->idle_lock);
    io->idle_n++;
    pthread_cond_signal(&io->idle_cond);
    pthread_mutex_unlock(&io->idle_lock);
}

static void wait_idle(struct io *io, uint32_t n, uint32_t deadline_ms)
{
    struct timespec until = mono_in_ms(deadline_ms);
    pthread_mutex_lock(&io->idle_lock);
    while (io->idle_n < n &&
           pthread_cond_clockwait(&io->idle_cond, &io->idle_lock, CLOCK_MONOTONIC, &until) == 0)
        ;
    io->idle_n = 0;
    pthread_mutex_unlock(&io->idle_lock);
}

void io_stop(struct io *io, uint32_t deadline_ms)
{
    uint32_t n = 0;
    bool was_running;

    /* Whoever is starting or stopping a listener needs the workers to the end of that. */
    pthread_mutex_lock(&io->listener_lock);
    was_running = io->is_running;
    io->is_running = false;
    pthread_mutex_unlock(&io->listener_lock);
    if (!was_running)
        return;
    while (n < io->workers_n && io->workers[n].has_thread)
        worker_set_phase(&io->workers[n++], WORKER_STOPPING);
    wait_idle(io, n, deadline_ms);
    for (uint32_t i = 0; i < n; i++)
        worker_set_phase(&io->workers[i], WORKER_ENDS);
    for (uint32_t i = 0; i < n; i++)
        worker_join(&io->workers[i]);
    for (uint32_t i = 0; i < io->listeners_n; i++)
        listener_unbind(&io->listeners[i]);
}

/* ---- calls ----------------------------------------------------------------------------------------- */

void io_post(struct io *io, uint32_t worker, struct mailbag *bag)
{
    CHECK(worker < io->workers_n);
    mailbox_push(&io->workers[worker].mailbox, MAILBOX_BAG, bag);
}

void io_call(struct io *io, uint32_t worker, void (*fn)(struct shard *sh, void *arg), void *arg)
{
    io_post(io, worker, mailbag_call(fn, arg));
}

/* The same closure on every worker, waited for. */
struct everywhere {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    uint32_t left;
};
struct everywhere_call {
    struct worker_call call;
    struct everywhere *all;
    struct acceptor *acceptor;
    int fd;
};

static void everywhere_run(struct io *io, struct everywhere_call *calls,
                           void (*fn)(struct worker *w, struct worker_call *call))
{
    struct everywhere all = {.left = io->workers_n};

    pthread_mutex_init(&all.lock, NULL);
    pthread_cond_init(&all.cond, NULL);
    for (uint32_t i = 0; i < io->workers_n; i++) {
        calls[i].all = &all;
        calls[i].call.fn = fn;
        worker_post_call(&io->workers[i], &calls[i].call);
    }
    pthread_mutex_lock(&all.lock);
    while (all.left)
        pthread_cond_wait(&all.cond, &all.lock);
    pthread_mutex_unlock(&all.lock);
    pthread_mutex_destroy(&all.lock);
    pthread_cond_destroy(&all.cond);
}

static void everywhere_done(struct everywhere *all)
{
    pthread_mutex_lock(&all->lock);
    all->left--;
    pthread_cond_signal(&all->cond);
    pthread_mutex_unlock(&all->lock);
}

/* ---- listeners at run time ------------------------------------------------------------------------- */

static void open_call(struct worker *w, struct worker_call *call)
{
    struct everywhere_call *c = container_of(call, struct everywhere_call, call);

    if (w->is_stopping)
        close(c->fd);
    else
        acceptor_open(c->acceptor, c->fd);
    everywhere_done(c->all);
}

static void close_call(struct worker *w, struct worker_call *call)
{
    struct everywhere_call *c = container_of(call, struct everywhere_call, call);

    (void)w;
    acceptor_close(c->acceptor);
    everywhere_done(c->all);
}

static void follow_call(struct worker *w, struct worker_call *call)
{
    struct everywhere_call *c = container_of(call, struct everywhere_call, call);

    for (uint32_t i = 0; i < w->io->listeners_n; i++)
        acceptor_follow(w->acceptors[i]);
    everywhere_done(c->all);
}

void io_follow(struct io *io)
{
    struct everywhere_call calls[NODE_SHARDS_MAX] = {0};

    everywhere_run(io, calls, follow_call);
}

struct listener *io_listener_find(struct io *io, const char *name)
{
    for (uint32_t i = 0; i < io->listeners_n; i++)
        if (strcmp(io->listeners[i].name, name) == 0)
            return &io->listeners[i];
    return NULL;
}

static enum err start_locked(struct io *io, struct listener *l)
{
    struct everywhere_call calls[NODE_SHARDS_MAX] = {0};
    int fds[NODE_SHARDS_MAX];
    enum err e;

    if (l->is_running)
        return ERR_EXISTS;
    e = listener_bind(l, fds, io->workers_n);
    if (e != OK)
        return e;
    for (uint32_t i = 0; i < io->workers_n; i++) {
        calls[i].acceptor = &l->acceptors[i];
        calls[i].fd = fds[i];
    }
    everywhere_run(io, calls, open_call);
    l->is_running = true;
    LOG(io->log, LOG_NOTICE, "listener started name=%s address=%s", l->name, l->bind);
    return OK;
}

static enum err stop_locked(struct io *io, struct listener *l)
{
    struct everywhere_call calls[NODE_SHARDS_MAX] = {0};

    if (!l->is_running)
        return ERR_NOTFOUND;
    for (uint32_t i = 0; i < io->workers_n; i++)
        calls[i].acceptor = &l->acceptors[i];
    everywhere_run(io, calls, close_call);
    listener_unbind(l);
    LOG(io->log, LOG_NOTICE, "listener stopped name=%s address=%s", l->name, l->bind);
    return OK;
}

static enum err listener_do(struct io *io, const char *name,
                            enum err (*what)(struct io *io, struct listener *l))
{
    struct listener *l = io_listener_find(io, name);
    enum err e;

    if (!l)
        return ERR_NOTFOUND;
    pthread_mutex_lock(&io->listener_lock);
    e = io->is_running ? what(io, l) : ERR_CLOSED;
    pthread_mutex_unlock(&io->listener_lock);
    return e;
}

enum err io_listener_start(struct io *io, const char *name)
{
    return listener_do(io, name, start_locked);
}

enum err io_listener_stop(struct io *io, const char *name)
{
    return listener_do(io, name, stop_locked);
}

void io_certs_check(struct io *io)
{
    for (uint32_t i = 0; i < io->listeners_n; i++)
        if (io->listeners[i].certs)
            certs_check(io->listeners[i].certs);
}

const char *io_certs_stale(struct io *io)
{
    for (uint32_t i = 0; i < io->listeners_n; i++)
        if (io->listeners[i].certs && certs_is_stale(io->listeners[i].certs))
            return io->listeners[i].name;
    return NULL;
}
