/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/authn_pool.h"

#include "node/core/identity.h"
#include "node/core/mail.h"
#include "node/core/shard.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <pthread.h>
#include <sched.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 128, QUEUE_MAX = 20000, STALL_NICE = 15 };

/* A question that is being judged; from malloc(), with the strings behind it. Whoever judges it holds a
 * reference, and so does its answer, from the beginning until it is delivered or dropped. */
struct job {
    struct list link;     /* in the queue or among those that are judged; under lock */
    uint32_t refs;        /* atomic */
    uint32_t is_gone;     /* atomic */
    uint32_t is_answered; /* atomic */
    uint64_t asked_ms;
    uint32_t shard;
    size_t n; /* of the strings */
    struct vet_ask ask;
    struct settings settings; /* a copy: the connection may be gone */
    struct identity *identity;
    struct vet_answer answer;
    uint8_t data[];
};

struct authn_pool {
    struct authn_pool_conf conf;
    pthread_mutex_t lock;
    pthread_cond_t cond;       /* for the threads that judge */
    pthread_cond_t stall_cond; /* for the one that steps in */
    struct list queue;         /* jobs, the oldest first; under lock */
    struct list running;       /* jobs that one thread has; under lock */
    uint32_t queue_n;
    uint64_t served_ms; /* when the pool last took or finished a job; under lock */
    bool is_stopping;   /* under lock */
    uint32_t threads_n;
    pthread_t threads[THREADS_MAX + 1];
    void (*post)(void *ctx, uint32_t shard, struct mailbag *bag);
    void *post_ctx;
};

/* ---- jobs ----------------------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct bytes part_put(uint8_t **at, struct bytes b)
{
    struct bytes copy = bytes_of(*at, b.n);
    *at = bytes_put(*at, b);
    return b.p ? copy : b;
}

static struct job *job_new(const struct vet_ask *q)
{
    size_t n = (size_t)q->client_id.n + q->username.n + q->password.n + q->peerhost.n;
    struct job *j = mem_alloc(sizeof *j + n);
    uint8_t *at = j->data;
    *j = (struct job){
        .refs = 1, .asked_ms = now_ms(), .shard = q->shard, .n = n, .ask = *q, .settings = *q->settings};
    j->ask.settings = &j->settings;
    j->ask.client_id = part_put(&at, q->client_id);
    j->ask.username = part_put(&at, q->username);
    j->ask.password = part_put(&at, q->password);
    j->ask.peerhost = part_put(&at, q->peerhost);
    const struct identity *i = q->identity;
    j->identity = i ? identity_new(i->cert_name, i->user, i->is_psk) : NULL;
    j->ask.identity = j->identity;
    list_init(&j->link);
    return j;
}

static void job_unref(struct job *j)
{
    if (__atomic_sub_fetch(&j->refs, 1, __ATOMIC_ACQ_REL))
        return;
    sodium_memzero(j->data, j->n);
    free(j->identity);
    free(j);
}

/* Nobody will read the answer. */
static void job_drop(void *arg)
{
    struct job *j = arg;
    vet_answer_fini(&j->answer);
    job_unref(j);
}

static void job_deliver(struct shard *sh, void *arg)
{
    struct job *j = arg;
    vet_on_answer(sh, &j->answer);
    job_unref(j);
}

/* The calling thread holds a reference. */
static void job_run(struct authn_pool *p, struct job *j)
{
    /* Whoever has gone does not cost the others who wait. The answer still goes: it frees the job. */
    struct vet_answer answer = {.token = j->ask.token, .verdict = VET_REFUSE};
    if (!__atomic_load_n(&j->is_gone, __ATOMIC_RELAXED))
        answer.verdict = p->conf.judge(p->conf.ctx, &j->ask, &answer);
    if (__atomic_exchange_n(&j->is_answered, 1, __ATOMIC_RELAXED)) {
        vet_answer_fini(&answer);
        return;
    }
    struct mailbag *bag = NULL;
    j->answer = answer;
    mailbag_push(&bag, UINT32_MAX,
                 &(struct mail){.kind = MAIL_CALL, .u.fn = job_deliver, .drop = job_drop, .arg = j});
    p->post(p->post_ctx, j->shard, bag);
}

/* ---- threads -------------------------------------------------------------------------------------- */

/* NULL: the list is empty. The caller gets a reference. Under lock. */
static struct job *job_pop(struct list *from)
{
    struct list *l = list_pop(from);
    struct job *j = l ? container_of(l, struct job, link) : NULL;
    if (j)
        __atomic_add_fetch(&j->refs, 1, __ATOMIC_RELAXED);
    return j;
}

/* A worker that wakes gets the processor from an idle thread at once; from one that is only less important
 * it may get it as late as with the next tick, 4 ms later (EEVDF). Without the policy all is as good, but
 * the messages of others wait longer. */
static void *pool_thread(void *arg)
{
    struct authn_pool *p = arg;
    struct job *j;
    int e = sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0}); /* Linux: of this thread */
    (void)e;
    pthread_mutex_lock(&p->lock);
    while (!p->is_stopping) {
        if (!(j = job_pop(&p->queue))) {
            pthread_cond_wait(&p->cond, &p->lock);
            continue;
        }
        p->queue_n--;
        p->served_ms = now_ms();
        list_push(&p->running, &j->link);
        pthread_mutex_unlock(&p->lock);
        job_run(p, j);
        pthread_mutex_lock(&p->lock);
        p->served_ms = now_ms();
        list_del(&j->link);
        job_unref(j);
    }
    pthread_mutex_unlock(&p->lock);
    p->conf.thread_end();
    return NULL;
}

/* When the pool is stalled unless it does something before; UINT64_MAX: nobody waits. Under lock. */
static uint64_t stall_at_ms(const struct authn_pool *p)
{
    const struct list *l = list_is_empty(&p->running) ? &p->queue : &p->running;
    if (list_is_empty(l))
        return UINT64_MAX;
    uint64_t asked_ms = container_of(l->next, struct job, link)->asked_ms;
    return (asked_ms > p->served_ms ? asked_ms : p->served_ms) + p->conf.stall_ms;
}

static void stall_wait(struct authn_pool *p, uint64_t until_ms)
{
    struct timespec t = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000};
    if (until_ms == UINT64_MAX)
        pthread_cond_wait(&p->stall_cond, &p->lock);
    else
        pthread_cond_timedwait(&p->stall_cond, &p->lock, &t);
}

static void *stall_thread(void *arg)
{
    struct authn_pool *p = arg;
    int e = setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), STALL_NICE); /* Linux: of this thread */
    (void)e;
    pthread_mutex_lock(&p->lock);
    while (!p->is_stopping) {
        uint64_t at = stall_at_ms(p);
        if (at > now_ms()) {
            stall_wait(p, at);
            continue;
        }
        struct job *j = job_pop(&p->running);
        if (!j && (j = job_pop(&p->queue)))
            p->queue_n--;
        pthread_mutex_unlock(&p->lock);
        job_run(p, j);
        pthread_mutex_lock(&p->lock);
        job_unref(j);
    }
    pthread_mutex_unlock(&p->lock);
    p->conf.thread_end();
    return NULL;
}

/* ---- asking --------------------------------------------------------------------------------------- */

bool authn_pool_ask(struct authn_pool *p, const struct vet_ask *q, uint32_t **is_gone)
{
    struct job *j = job_new(q);
    pthread_mutex_lock(&p->lock);
    bool is_full = p->queue_n >= QUEUE_MAX;
    if (!is_full) {
        *is_gone = &j->is_gone;
        list_push(&p->queue, &j->link);
        p->queue_n++;
        pthread_cond_signal(&p->cond);
        pthread_cond_signal(&p->stall_cond);
    }
    pthread_mutex_unlock(&p->lock);
    if (is_full)
        job_drop(j);
    return !is_full;
}

/* ---- life ----------------------------------------------------------------------------------------- */

static void conds_init(struct authn_pool *p)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->cond, &attr);
    pthread_cond_init(&p->stall_cond, &attr);
    pthread_condattr_destroy(&attr);
}

struct authn_pool *authn_pool_new(const struct authn_pool_conf *conf)
{
    struct authn_pool *p = mem_zalloc(sizeof *p);
    CHECK(conf->threads && conf->threads <= THREADS_MAX);
    p->conf = *conf;
    pthread_mutex_init(&p->lock, NULL);
    conds_init(p);
    list_init(&p->queue);
    list_init(&p->running);
    return p;
}

enum err authn_pool_start(struct authn_pool *p, void (*post)(void *ctx, uint32_t shard, struct mailbag *bag),
                          void *post_ctx)
{
    p->post = post;
    p->post_ctx = post_ctx;
    while (p->threads_n <= p->conf.threads) {
        void *(*run)(void *) = p->threads_n ? pool_thread : stall_thread;
        if (pthread_create(&p->threads[p->threads_n], NULL, run, p) != 0)
            return ERR_LIMIT;
        p->threads_n++;
    }
    return OK;
}

void authn_pool_stop(struct authn_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->is_stopping = true;
    pthread_cond_broadcast(&p->cond);
    pthread_cond_signal(&p->stall_cond);
    pthread_mutex_unlock(&p->lock);
    while (p->threads_n)
        pthread_join(p->threads[--p->threads_n], NULL);
}

void authn_pool_free(struct authn_pool *p)
{
    struct list *l;
    if (!p)
        return;
    CHECK(p->threads_n == 0);
    while ((l = list_pop(&p->queue)))
        job_drop(container_of(l, struct job, link));
    pthread_cond_destroy(&p->cond);
    pthread_cond_destroy(&p->stall_cond);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
