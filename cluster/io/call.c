/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/call.h"

#include "cluster/io/cluster_private.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* The memory of somebody who waits. */
struct cluster_ask {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_done;
};

void cluster_call_run(void *item, struct mesh *m)
{
    struct cluster_call *call = item;
    struct cluster_ask *ask = call->ask;

    call->fn(m, call->arg);
    if (!ask) {
        free(call);
        return;
    }
    /* Under the lock to the end: when it is free the waiting thread takes its memory back. */
    pthread_mutex_lock(&ask->lock);
    ask->is_done = true;
    pthread_cond_signal(&ask->cond);
    pthread_mutex_unlock(&ask->lock);
}

void cluster_io_call(struct cluster_io *c, void (*fn)(struct mesh *m, void *arg), void *arg)
{
    struct cluster_call *call = mem_zalloc(sizeof *call);

    call->fn = fn;
    call->arg = arg;
    mailbox_push(&c->mailbox, MAILBOX_CALL, call);
}

enum err cluster_io_ask(struct cluster_io *c, void (*fn)(struct mesh *m, void *arg), void *arg)
{
    struct cluster_ask ask = {.is_done = false};
    struct cluster_call call = {.fn = fn, .arg = arg, .ask = &ask};
    bool is_running;

    pthread_mutex_init(&ask.lock, NULL);
    pthread_cond_init(&ask.cond, NULL);
    /* Under the lock: a thread that is told to end works off what came before that. */
    pthread_mutex_lock(&c->lock);
    is_running = c->is_running;
    if (is_running)
        mailbox_push(&c->mailbox, MAILBOX_CALL, &call);
    pthread_mutex_unlock(&c->lock);
    pthread_mutex_lock(&ask.lock);
    while (is_running && !ask.is_done)
        pthread_cond_wait(&ask.cond, &ask.lock);
    pthread_mutex_unlock(&ask.lock);
    pthread_mutex_destroy(&ask.lock);
    pthread_cond_destroy(&ask.cond);
    return is_running ? OK : ERR_CLOSED;
}

void cluster_io_post_bag(struct cluster_io *c, struct mailbag *bag)
{
    mailbox_push(&c->mailbox, MAILBOX_BAG, bag);
}
