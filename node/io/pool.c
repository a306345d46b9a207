/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/pool.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { POOL_NICE = 15 };

struct pool {
    struct pool_conf conf;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct list queue; /* jobs; under lock, as what follows */
    uint32_t queue_n;
    bool is_stopping;
    bool is_ending;     /* no job comes any more */
    uint32_t running;   /* threads */
    uint32_t threads_n; /* of the owner */
    pthread_t threads[];
};

struct pool *pool_new(const struct pool_conf *conf)
{
    CHECK(conf->threads > 0);
    struct pool *p = mem_zalloc(sizeof *p + conf->threads * sizeof *p->threads);
    p->conf = *conf;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->cond, NULL);
    list_init(&p->queue);
    return p;
}

/* Workers go first where processors are few. On Linux a priority is a thread's own; without it all is as
 * good, but the messages of others wait longer. */
static void priority_lower(void)
{
    int e = setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), POOL_NICE);
    (void)e;
}

static struct pool_job *job_take(struct pool *p)
{
    struct list *l = NULL;
    pthread_mutex_lock(&p->lock);
    while (!p->is_stopping && !(l = list_pop(&p->queue)) && !p->is_ending)
        pthread_cond_wait(&p->cond, &p->lock);
    p->queue_n -= l != NULL;
    pthread_mutex_unlock(&p->lock);
    return l ? container_of(l, struct pool_job, link) : NULL;
}

static void *thread_run(void *arg)
{
    struct pool *p = arg;
    struct pool_job *j;
    priority_lower();
    while ((j = job_take(p)))
        p->conf.run(p->conf.ctx, j);
    if (p->conf.thread_end)
        p->conf.thread_end(p->conf.ctx);
    pthread_mutex_lock(&p->lock);
    p->running--;
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

enum err pool_start(struct pool *p)
{
    enum err e = OK;
    pthread_mutex_lock(&p->lock);
    while (e == OK && p->threads_n < p->conf.threads) {
        if (pthread_create(&p->threads[p->threads_n], NULL, thread_run, p) != 0)
            e = ERR_LIMIT;
        else
            p->threads_n = ++p->running;
    }
    pthread_mutex_unlock(&p->lock);
    return e;
}

bool pool_push(struct pool *p, struct pool_job *j)
{
    pthread_mutex_lock(&p->lock);
    bool is_full = p->queue_n >= p->conf.queue_max;
    if (!is_full) {
        list_push(&p->queue, &j->link);
        p->queue_n++;
        pthread_cond_signal(&p->cond);
    }
    pthread_mutex_unlock(&p->lock);
    return !is_full;
}

void pool_end(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->is_ending = true;
    pthread_cond_broadcast(&p->cond);
    pthread_mutex_unlock(&p->lock);
}

bool pool_is_over(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    bool is_over = p->is_ending && p->running == 0;
    pthread_mutex_unlock(&p->lock);
    return is_over;
}

void pool_stop(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->is_stopping = true;
    pthread_cond_broadcast(&p->cond);
    pthread_mutex_unlock(&p->lock);
    while (p->threads_n)
        pthread_join(p->threads[--p->threads_n], NULL);
}

void pool_free(struct pool *p)
{
    struct list *l;
    if (!p)
        return;
    CHECK(p->threads_n == 0);
    while ((l = list_pop(&p->queue)))
        p->conf.drop(p->conf.ctx, container_of(l, struct pool_job, link));
    pthread_cond_destroy(&p->cond);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
