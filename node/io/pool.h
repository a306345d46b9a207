/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_POOL_H
#define COVEY_IO_POOL_H

/* Threads that work off what would hold up a worker: a queue with an end, first come, first served. */

#include "proto/base/err.h"
#include "proto/base/list.h"

#include <stdint.h>

struct pool;

/* Part of what is to be done; whoever runs it owns it from then on. */
struct pool_job {
    struct list link;
};

struct pool_conf {
    uint32_t threads;   /* 1.. */
    uint32_t queue_max; /* jobs that may wait */
    void *ctx;
    void (*run)(void *ctx, struct pool_job *j);  /* on one of the threads; takes j */
    void (*drop)(void *ctx, struct pool_job *j); /* the pool ends and has not come to it; takes j */
    void (*thread_end)(void *ctx);               /* on each thread, last of all; may be NULL */
};

struct pool *pool_new(const struct pool_conf *conf);
/* ERR_LIMIT: there are no threads to be had. */
MUST_USE enum err pool_start(struct pool *p);
/* Any thread. False: the queue is full, j stays the caller's. */
bool pool_push(struct pool *p, struct pool_job *j);
/* No job is pushed any more: the threads work off what waits, and end. Does not wait for it. Any thread. */
void pool_end(struct pool *p);
/* After pool_end(): they have. */
bool pool_is_over(struct pool *p);
/* Ends the threads; what waits stays until pool_free(). NULL is fine. */
void pool_stop(struct pool *p);
void pool_free(struct pool *p); /* the same; its threads have ended */

#endif
