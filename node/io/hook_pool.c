/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/hook_pool.h"

#include "proto/base/mem.h"

#include <stdlib.h>

struct hook_pool {
    struct hook_server *server;
    struct pool *pool;
    void *ctx;
    void (*ctx_free)(void *ctx);
    uint32_t refs; /* atomic; the first is that of being in force */
    struct hook_pool *next;
};

static void on_thread_end(void *ctx)
{
    (void)ctx;
    hook_server_thread_end();
}

struct hook_pool *hook_pool_new(const struct hook_pool_conf *conf, struct log_sink *log)
{
    struct hook_pool *p = mem_zalloc(sizeof *p);
    *p = (struct hook_pool){.ctx = conf->ctx, .ctx_free = conf->ctx_free, .refs = 1};
    p->server = hook_server_new(&conf->server, log);
    p->pool = pool_new(&(struct pool_conf){.threads = conf->threads,
                                           .queue_max = HOOK_POOL_QUEUE_MAX,
                                           .ctx = conf->ctx,
                                           .run = conf->run,
                                           .drop = conf->drop,
                                           .thread_end = on_thread_end});
    return p;
}

static void stop(struct hook_pool *p)
{
    hook_server_stop(p->server);
    pool_stop(p->pool);
}

void hook_pool_free(struct hook_pool *p)
{
    if (!p)
        return;
    stop(p);
    pool_free(p->pool);
    hook_server_free(p->server);
    p->ctx_free(p->ctx);
    free(p);
}

enum err hook_pool_start(struct hook_pool *p)
{
    return p ? pool_start(p->pool) : OK;
}

struct hook_server *hook_pool_server(struct hook_pool *p)
{
    return p->server;
}

void *hook_pool_ctx(struct hook_pool *p)
{
    return p->ctx;
}

bool hook_pool_push(struct hook_pool *p, struct pool_job *j)
{
    return pool_push(p->pool, j);
}

struct hook_pool *hook_pool_ref(struct hook_pool *p)
{
    if (p)
        __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
    return p;
}

/* The last reference frees nothing: it may go on one of the pool's own threads. */
void hook_pool_unref(struct hook_pool *p)
{
    if (p && __atomic_sub_fetch(&p->refs, 1, __ATOMIC_ACQ_REL) == 0)
        pool_end(p->pool);
}

/* ---- the one in force ----------------------------------------------------------------------------- */

void hook_pools_init(struct hook_pools *h)
{
    *h = (struct hook_pools){0};
    pthread_mutex_init(&h->lock, NULL);
}

void hook_pools_stop(struct hook_pools *h)
{
    if (h->now)
        stop(h->now);
    for (struct hook_pool *p = h->past; p; p = p->next)
        stop(p);
}

void hook_pools_fini(struct hook_pools *h)
{
    hook_pool_free(h->now);
    while (h->past) {
        struct hook_pool *p = h->past;
        h->past = p->next;
        hook_pool_free(p);
    }
    pthread_mutex_destroy(&h->lock);
}

static void past_sweep(struct hook_pools *h)
{
    struct hook_pool **at = &h->past;
    while (*at) {
        struct hook_pool *p = *at;
        if (pool_is_over(p->pool)) {
            *at = p->next;
            hook_pool_free(p);
        } else {
            at = &p->next;
        }
    }
}

void hook_pools_set(struct hook_pools *h, struct hook_pool *p)
{
    pthread_mutex_lock(&h->lock);
    struct hook_pool *before = h->now;
    h->now = p;
    pthread_mutex_unlock(&h->lock);
    past_sweep(h);
    if (!before)
        return;
    before->next = h->past;
    h->past = before;
    hook_pool_unref(before);
}

struct hook_pool *hook_pools_take(struct hook_pools *h)
{
    pthread_mutex_lock(&h->lock);
    struct hook_pool *p = hook_pool_ref(h->now);
    pthread_mutex_unlock(&h->lock);
    return p;
}

bool hook_pools_is_down(struct hook_pools *h)
{
    struct hook_pool *p = hook_pools_take(h);
    bool is_down = p && hook_server_is_down(p->server);
    hook_pool_unref(p);
    return is_down;
}
