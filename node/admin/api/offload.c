/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/offload.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct job {
    struct job *next;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

struct queue {
    struct job *head;
    struct job **tail;
};

struct offload {
    struct event *wake;
    int fd;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t cond; /* of everything below */
    struct queue todo;
    struct queue done;
    unsigned waiting;  /* jobs that are not done */
    unsigned expected; /* posts that are to come */
    bool is_ending;
};

static void queue_init(struct queue *q)
{
    q->head = NULL;
    q->tail = &q->head;
}

static void queue_push(struct queue *q, struct job *j)
{
    j->next = NULL;
    *q->tail = j;
    q->tail = &j->next;
}

static struct job *queue_take(struct queue *q)
{
    struct job *j = q->head;
    if (j && !(q->head = j->next))
        q->tail = &q->head;
    return j;
}

/* With the lock. */
static void done_push(struct offload *o, struct job *j)
{
    uint64_t one = 1;
    queue_push(&o->done, j);
    CHECK(write(o->fd, &one, sizeof one) == sizeof one);
    pthread_cond_broadcast(&o->cond);
}

static void *offload_main(void *arg)
{
    struct offload *o = arg;
    pthread_mutex_lock(&o->lock);
    for (;;) {
        struct job *j = queue_take(&o->todo);
        if (!j && o->is_ending)
            break;
        if (!j) {
            pthread_cond_wait(&o->cond, &o->lock);
            continue;
        }
        pthread_mutex_unlock(&o->lock);
        j->work(j->arg);
        pthread_mutex_lock(&o->lock);
        o->waiting--;
        done_push(o, j);
    }
    pthread_mutex_unlock(&o->lock);
    return NULL;
}

static struct job *done_take(struct offload *o)
{
    pthread_mutex_lock(&o->lock);
    struct job *j = queue_take(&o->done);
    pthread_mutex_unlock(&o->lock);
    return j;
}

static void done_all(struct offload *o)
{
    struct job *j;
    while ((j = done_take(o))) {
        j->done(j->arg);
        free(j);
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    uint64_t n;
    (void)what;
    if (read((int)fd, &n, sizeof n) == sizeof n)
        done_all(arg);
}

/* Waits for one that is still to come; false: there is none, nor one that has come. */
static bool is_expecting(struct offload *o)
{
    pthread_mutex_lock(&o->lock);
    while (o->expected && !o->done.head)
        pthread_cond_wait(&o->cond, &o->lock);
    bool is_more = o->done.head != NULL;
    pthread_mutex_unlock(&o->lock);
    return is_more;
}

struct offload *offload_new(struct event_base *base)
{
    struct offload *o = mem_zalloc(sizeof *o);
    queue_init(&o->todo);
    queue_init(&o->done);
    pthread_mutex_init(&o->lock, NULL);
    pthread_cond_init(&o->cond, NULL);
    o->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    CHECK(o->fd >= 0);
    o->wake = event_new(base, o->fd, EV_READ | EV_PERSIST, on_wake, o);
    CHECK(o->wake && event_add(o->wake, NULL) == 0);
    CHECK(pthread_create(&o->thread, NULL, offload_main, o) == 0);
    return o;
}

void offload_free(struct offload *o)
{
    if (!o)
        return;
    pthread_mutex_lock(&o->lock);
    o->is_ending = true;
    pthread_cond_broadcast(&o->cond);
    pthread_mutex_unlock(&o->lock);
    pthread_join(o->thread, NULL);
    do {
        done_all(o); /* may expect more */
    } while (is_expecting(o));
    event_free(o->wake);
    close(o->fd);
    pthread_cond_destroy(&o->cond);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

static struct job *job_new(void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    struct job *j = mem_alloc(sizeof *j);
    *j = (struct job){.work = work, .done = done, .arg = arg};
    return j;
}

bool offload_run(struct offload *o, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    pthread_mutex_lock(&o->lock);
    bool is_taken = o->waiting < OFFLOAD_JOBS_MAX && !o->is_ending;
    if (is_taken) {
        o->waiting++;
        queue_push(&o->todo, job_new(work, done, arg));
        pthread_cond_broadcast(&o->cond);
    }
    pthread_mutex_unlock(&o->lock);
    return is_taken;
}

void offload_expect(struct offload *o)
{
    pthread_mutex_lock(&o->lock);
    o->expected++;
    pthread_mutex_unlock(&o->lock);
}

void offload_post(struct offload *o, void (*done)(void *arg), void *arg)
{
    pthread_mutex_lock(&o->lock);
    o->expected--;
    done_push(o, job_new(NULL, done, arg));
    pthread_mutex_unlock(&o->lock);
}
