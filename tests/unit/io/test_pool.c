/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/pool.h"

#include "proto/base/check.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { JOBS = 100 };

struct job {
    struct pool_job pooled;
    uint32_t number;
};

/* Threads run jobs when the test lets them. */
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_open;
    uint32_t started, done_n, dropped_n, ended;
    uint32_t done[JOBS];
};

static void run(void *ctx, struct pool_job *p)
{
    struct seen *s = ctx;
    pthread_mutex_lock(&s->lock);
    s->started++;
    pthread_cond_broadcast(&s->cond);
    while (!s->is_open)
        pthread_cond_wait(&s->cond, &s->lock);
    s->done[s->done_n++] = container_of(p, struct job, pooled)->number;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->lock);
}

static void drop(void *ctx, struct pool_job *p)
{
    struct seen *s = ctx;
    (void)p;
    s->dropped_n++;
}

static void thread_end(void *ctx)
{
    struct seen *s = ctx;
    pthread_mutex_lock(&s->lock);
    s->ended++;
    pthread_mutex_unlock(&s->lock);
}

static void wait_for(struct seen *s, const uint32_t *what, uint32_t n)
{
    pthread_mutex_lock(&s->lock);
    while (*what < n)
        pthread_cond_wait(&s->cond, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

static void open_up(struct seen *s)
{
    pthread_mutex_lock(&s->lock);
    s->is_open = true;
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->lock);
}

static struct pool *pool_of(struct seen *s, uint32_t threads, uint32_t queue_max)
{
    *s = (struct seen){.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    struct pool *p = pool_new(&(struct pool_conf){.threads = threads,
                                                  .queue_max = queue_max,
                                                  .ctx = s,
                                                  .run = run,
                                                  .drop = drop,
                                                  .thread_end = thread_end});
    return p;
}

static void first_come_first_served(void **state)
{
    struct seen s;
    struct job jobs[JOBS];
    (void)state;
    struct pool *p = pool_of(&s, 1, JOBS);
    for (uint32_t i = 0; i < JOBS; i++) {
        jobs[i].number = i;
        assert_true(pool_push(p, &jobs[i].pooled));
    }
    open_up(&s);
    assert_int_equal(pool_start(p), OK);
    wait_for(&s, &s.done_n, JOBS);
    for (uint32_t i = 0; i < JOBS; i++)
        assert_int_equal(s.done[i], i);
    pool_stop(p);
    pool_free(p);
    assert_int_equal(s.dropped_n, 0);
    assert_int_equal(s.ended, 1);
}

static void a_full_queue_takes_no_more(void **state)
{
    struct seen s;
    struct job jobs[6];
    (void)state;
    struct pool *p = pool_of(&s, 2, 3);
    assert_int_equal(pool_start(p), OK);
    for (uint32_t i = 0; i < 2; i++) { /* both threads have one; what they work on does not count */
        assert_true(pool_push(p, &jobs[i].pooled));
        wait_for(&s, &s.started, i + 1);
    }
    for (uint32_t i = 2; i < 5; i++)
        assert_true(pool_push(p, &jobs[i].pooled));
    assert_false(pool_push(p, &jobs[5].pooled));
    open_up(&s);
    wait_for(&s, &s.done_n, 5);
    assert_true(pool_push(p, &jobs[5].pooled));
    wait_for(&s, &s.done_n, 6);
    pool_stop(p);
    pool_free(p);
    assert_int_equal(s.dropped_n, 0);
    assert_int_equal(s.ended, 2);
}

static void what_waits_at_the_end_is_dropped(void **state)
{
    struct seen s;
    struct job jobs[4];
    (void)state;
    struct pool *p = pool_of(&s, 1, 10);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(pool_push(p, &jobs[i].pooled));
    pool_stop(p); /* it never ran */
    assert_int_equal(s.dropped_n, 0);
    pool_free(p);
    assert_int_equal(s.dropped_n, 4);
    pool_stop(NULL);
    pool_free(NULL);
}

/* Whoever ends it does not wait; what had been pushed is run, by all its threads. */
static void one_that_ends_works_off_what_waits(void **state)
{
    struct seen s;
    struct job jobs[4];
    (void)state;
    struct pool *p = pool_of(&s, 2, 10);
    assert_int_equal(pool_start(p), OK);
    assert_false(pool_is_over(p));
    for (uint32_t i = 0; i < 4; i++)
        assert_true(pool_push(p, &jobs[i].pooled));
    wait_for(&s, &s.started, 2);
    pool_end(p);
    assert_false(pool_is_over(p));
    open_up(&s);
    wait_for(&s, &s.done_n, 4);
    while (!pool_is_over(p))
        sched_yield();
    assert_int_equal(s.ended, 2);
    pool_stop(p);
    pool_free(p);
    assert_int_equal(s.dropped_n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(a_full_queue_takes_no_more),
        cmocka_unit_test(what_waits_at_the_end_is_dropped),
        cmocka_unit_test(one_that_ends_works_off_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
