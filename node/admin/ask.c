/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/ask.h"

#include <pthread.h>

struct ask {
    void (*fn)(struct shard *sh, void *arg);
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_done;
};

/* The asker may go as soon as it sees is_done, so the lock is given back last and with it all that is its. */
static void ask_run(struct shard *sh, void *arg)
{
    struct ask *a = arg;
    a->fn(sh, a->arg);
    pthread_mutex_lock(&a->lock);
    a->is_done = true;
    pthread_cond_signal(&a->cond);
    pthread_mutex_unlock(&a->lock);
}

void shard_ask(struct io *io, uint32_t worker, void (*fn)(struct shard *sh, void *arg), void *arg)
{
    struct ask a = {.fn = fn, .arg = arg};
    pthread_mutex_init(&a.lock, NULL);
    pthread_cond_init(&a.cond, NULL);
    io_call(io, worker, ask_run, &a);
    pthread_mutex_lock(&a.lock);
    while (!a.is_done)
        pthread_cond_wait(&a.cond, &a.lock);
    pthread_mutex_unlock(&a.lock);
    pthread_mutex_destroy(&a.lock);
    pthread_cond_destroy(&a.cond);
}
