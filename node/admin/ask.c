/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/ask.h"

#include <pthread.h>

#include "node/core/shard_i.h"

struct ask {
    void (*fn)(struct shard *sh, void *arg);
    void *arg;
    enum reason code;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_done;
};

/* The asker may go as soon as it sees is_done, so the lock is given back last and with it all that is its. */
static void ask_done(struct ask *a, enum reason code)
{
    pthread_mutex_lock(&a->lock);
    a->code = code;
    a->is_done = true;
    pthread_cond_signal(&a->cond);
    pthread_mutex_unlock(&a->lock);
}

static void ask_run(struct shard *sh, void *arg)
{
    struct ask *a = arg;
    a->fn(sh, a->arg);
    ask_done(a, RC_SUCCESS);
}

static void on_stored(struct shard *sh, void *arg, enum reason code)
{
    (void)sh;
    ask_done(arg, code);
}

static void on_never(void *arg)
{
    ask_done(arg, RC_UNSPECIFIED_ERROR);
}

static void ask_run_stored(struct shard *sh, void *arg)
{
    struct ask *a = arg;
    struct pending *p = pending_new_call(on_stored, on_never, a);
    a->fn(sh, a->arg);
    persist_wait(sh, p);
    persist_hurry(sh);
    pending_release(sh, p, RC_SUCCESS);
}

static enum reason ask(struct io *io, uint32_t worker, void (*run)(struct shard *sh, void *arg),
                       struct ask *a)
{
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->cond, NULL);
    io_call(io, worker, run, a);
    pthread_mutex_lock(&a->lock);
    while (!a->is_done)
        pthread_cond_wait(&a->cond, &a->lock);
    pthread_mutex_unlock(&a->lock);
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->cond);
    return a->code;
}

void shard_ask(struct io *io, uint32_t worker, void (*fn)(struct shard *sh, void *arg), void *arg)
{
    ask(io, worker, ask_run, &(struct ask){.fn = fn, .arg = arg});
}

enum reason shard_ask_stored(struct io *io, uint32_t worker, void (*fn)(struct shard *sh, void *arg),
                             void *arg)
{
    return ask(io, worker, ask_run_stored, &(struct ask){.fn = fn, .arg = arg});
}
