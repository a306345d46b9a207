/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_HOOK_POOL_H
#define COVEY_IO_HOOK_POOL_H

/* An HTTP server (hook_server.h) with the threads that ask it, and the place where the one in force is found.
 * It is replaced as a whole: what was pushed to the one before is still asked of that one, which ends when it
 * has worked all of it off and nobody holds a reference.
 *
 *     new --set--> in force --another is set--> past --no reference, no job--> freed */

#include "node/io/hook_server.h"
#include "node/io/pool.h"

#include <pthread.h>

enum { HOOK_POOL_QUEUE_MAX = 20000 };

struct hook_pool_conf {
    struct hook_server_conf server;
    uint32_t threads; /* 1.. */
    void *ctx;
    void (*run)(void *ctx, struct pool_job *j);  /* see pool.h */
    void (*drop)(void *ctx, struct pool_job *j); /* see pool.h */
    void (*ctx_free)(void *ctx);                 /* with the pool */
};

struct hook_pool;

/* conf is copied, with what it points at. Belongs to whoever made it. */
struct hook_pool *hook_pool_new(const struct hook_pool_conf *conf, struct log_sink *log);
/* Before it is set: a reload that has come to nothing. NULL is fine. */
void hook_pool_free(struct hook_pool *p);
/* ERR_LIMIT: there are no threads to be had. NULL is fine. */
MUST_USE enum err hook_pool_start(struct hook_pool *p);
struct hook_server *hook_pool_server(struct hook_pool *p);
void *hook_pool_ctx(struct hook_pool *p);
/* Of a reference. False: the queue is full, j stays the caller's. Any thread. */
bool hook_pool_push(struct hook_pool *p, struct pool_job *j);
struct hook_pool *hook_pool_ref(struct hook_pool *p); /* of a reference, or NULL */
void hook_pool_unref(struct hook_pool *p);            /* any thread; NULL is fine */

struct hook_pools {
    pthread_mutex_t lock;
    struct hook_pool *now;  /* under lock; NULL: no server is asked */
    struct hook_pool *past; /* of the owner */
};

void hook_pools_init(struct hook_pools *h);
/* Ends all threads; requests under way are given up. The owner's, as the next two. */
void hook_pools_stop(struct hook_pools *h);
void hook_pools_fini(struct hook_pools *h); /* they have ended; references do not matter any more */
/* p is in force from now on, started; NULL: no server is. Takes p. */
void hook_pools_set(struct hook_pools *h, struct hook_pool *p);
/* A reference to the one in force, or NULL. Any thread. */
struct hook_pool *hook_pools_take(struct hook_pools *h);
/* The server in force has not answered several times in a row. Any thread. */
bool hook_pools_is_down(struct hook_pools *h);

#endif
