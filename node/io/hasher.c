/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/hasher.h"

#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/list.h"
#include "proto/base/mem.h"

#include <pthread.h>
#include <sched.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

enum { STARVED_PERCENT = 5 }; /* a thread that gets less of a processor is not waited for */

/* One password; from malloc(), with the strings behind it. The caller has a reference and the thread another,
 * as the caller may go on without it. Under lock, but for the strings. */
struct task {
    struct list link;
    uint32_t refs;
    bool is_taken;
    bool is_done;
    bool fits;
    pthread_cond_t done;
    clockid_t clock;  /* of the thread that has taken it */
    uint64_t used_ns; /* by that clock, at the last look */
    const char *text;
    struct bytes password;
    size_t n;
    uint8_t data[];
};

struct hasher {
    struct hasher_conf conf;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    pthread_condattr_t monotonic;
    struct list queue;
    bool is_stopping;
    uint32_t threads_n; /* of the owner */
    pthread_t threads[];
};

/* ---- tasks ---------------------------------------------------------------------------------------- */

static struct task *task_new(struct hasher *h, const char *text, struct bytes password)
{
    size_t text_n = strlen(text) + 1;
    struct task *t = mem_alloc(sizeof *t + text_n + password.n);
    *t = (struct task){.refs = 1, .text = (const char *)t->data, .n = text_n + password.n};
    memcpy(t->data, text, text_n);
    bytes_put(t->data + text_n, password);
    t->password = bytes_of(t->data + text_n, password.n);
    list_init(&t->link);
    pthread_cond_init(&t->done, &h->monotonic);
    return t;
}

/* Under lock. */
static void task_unref(struct task *t)
{
    if (--t->refs)
        return;
    pthread_cond_destroy(&t->done);
    sodium_memzero(t->data, t->n);
    free(t);
}

/* ---- threads -------------------------------------------------------------------------------------- */

static void task_do(struct hasher *h, struct task *t)
{
    clockid_t clock;
    if (pthread_getcpuclockid(pthread_self(), &clock) != 0)
        clock = CLOCK_MONOTONIC; /* then it always gets on */
    t->refs++;
    t->is_taken = true;
    t->clock = clock;
    t->used_ns = clock_ns(clock);
    pthread_mutex_unlock(&h->lock);
    bool fits = h->conf.verify(t->text, t->password);
    pthread_mutex_lock(&h->lock);
    t->is_done = true;
    t->fits = fits;
    pthread_cond_signal(&t->done);
    task_unref(t);
}

/* A worker that wakes gets the processor from an idle thread at once; from one that is only less important it
 * may get it as late as with the next tick, 4 ms later (EEVDF). Without the policy all is as good, but the
 * messages of others wait longer. */
static void *thread_run(void *arg)
{
    struct hasher *h = arg;
    struct list *l;
    int e = sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0}); /* Linux: of this thread */
    (void)e;
    pthread_mutex_lock(&h->lock);
    while (!h->is_stopping) {
        if ((l = list_pop(&h->queue)))
            task_do(h, container_of(l, struct task, link));
        else
            pthread_cond_wait(&h->cond, &h->lock);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

/* ---- asking --------------------------------------------------------------------------------------- */

static bool is_starved(const struct hasher *h, struct task *t)
{
    if (!t->is_taken)
        return true;
    uint64_t now_ns = clock_ns(t->clock), got_ns = now_ns - t->used_ns;
    t->used_ns = now_ns;
    return got_ns < (uint64_t)h->conf.step_ms * 1000000 / 100 * STARVED_PERCENT;
}

/* Until it is done, or its thread does not get on. */
static void task_wait(struct hasher *h, struct task *t)
{
    while (!t->is_done) {
        struct timespec ts = mono_in_ms(h->conf.step_ms);
        while (!t->is_done && pthread_cond_timedwait(&t->done, &h->lock, &ts) == 0)
            ;
        if (!t->is_done && is_starved(h, t))
            return;
    }
}

bool hasher_verify(struct hasher *h, const char *text, struct bytes password)
{
    struct task *t = task_new(h, text, password);
    pthread_mutex_lock(&h->lock);
    list_push(&h->queue, &t->link);
    pthread_cond_signal(&h->cond);
    task_wait(h, t);
    list_del(&t->link);
    bool is_done = t->is_done, fits = t->fits;
    task_unref(t);
    pthread_mutex_unlock(&h->lock);
    return is_done ? fits : h->conf.verify(text, password);
}

/* ---- life ----------------------------------------------------------------------------------------- */

struct hasher *hasher_new(const struct hasher_conf *conf)
{
    CHECK(conf->threads > 0);
    struct hasher *h = mem_zalloc(sizeof *h + conf->threads * sizeof *h->threads);
    h->conf = *conf;
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->cond, NULL);
    pthread_condattr_init(&h->monotonic);
    pthread_condattr_setclock(&h->monotonic, CLOCK_MONOTONIC);
    list_init(&h->queue);
    return h;
}

enum err hasher_start(struct hasher *h)
{
    while (h->threads_n < h->conf.threads) {
        if (pthread_create(&h->threads[h->threads_n], NULL, thread_run, h) != 0)
            return ERR_LIMIT;
        h->threads_n++;
    }
    return OK;
}

void hasher_stop(struct hasher *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->is_stopping = true;
    pthread_cond_broadcast(&h->cond);
    pthread_mutex_unlock(&h->lock);
    while (h->threads_n)
        pthread_join(h->threads[--h->threads_n], NULL);
}

void hasher_free(struct hasher *h)
{
    if (!h)
        return;
    CHECK(h->threads_n == 0 && list_is_empty(&h->queue));
    pthread_condattr_destroy(&h->monotonic);
    pthread_cond_destroy(&h->cond);
    pthread_mutex_destroy(&h->lock);
    free(h);
}
