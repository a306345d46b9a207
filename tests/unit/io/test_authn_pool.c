/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/authn_pool.h"

#include "node/core/mail.h"
#include "node/core/shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A judge whose calls can be held, and the mail that they send. */
struct world {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    uint32_t calls;
    bool is_held; /* calls by idle threads do not return */
    uint32_t held;
    uint32_t mails;
    char password[16]; /* as the judge saw it last */
    void (*drop)(void *arg);
    void *arg;
};

static void world_init(struct world *w)
{
    *w = (struct world){0};
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->cond, NULL);
}

static void await(struct world *w, const uint32_t *what, uint32_t n)
{
    pthread_mutex_lock(&w->lock);
    while (*what < n)
        pthread_cond_wait(&w->cond, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

static void release(struct world *w)
{
    pthread_mutex_lock(&w->lock);
    w->is_held = false;
    pthread_cond_broadcast(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

static enum vet_verdict judge(void *ctx, const struct vet_ask *q, struct vet_answer *out)
{
    struct world *w = ctx;
    pthread_mutex_lock(&w->lock);
    bool is_idle = sched_getscheduler(0) == SCHED_IDLE;
    w->calls++;
    __atomic_add_fetch(&w->held, is_idle && w->is_held, __ATOMIC_RELAXED);
    memcpy(w->password, q->password.p, q->password.n);
    w->password[q->password.n] = 0;
    pthread_cond_broadcast(&w->cond);
    while (is_idle && w->is_held)
        pthread_cond_wait(&w->cond, &w->lock);
    pthread_mutex_unlock(&w->lock);
    out->username = strdup("by the judge"); /* what is not delivered must be freed all the same */
    return VET_ACCEPT;
}

static void thread_end(void) {}

static void post(void *ctx, uint32_t shard, struct mailbag *bag)
{
    struct world *w = ctx;
    pthread_mutex_lock(&w->lock);
    assert_int_equal(shard, 3);
    assert_int_equal(bag->n, 1);
    if (w->mails++ == 0) {
        w->drop = bag->items[0].drop;
        w->arg = bag->items[0].arg;
    } else {
        bag->items[0].drop(bag->items[0].arg);
    }
    free(bag);
    pthread_cond_broadcast(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

static struct authn_pool *pool_start(struct world *w, uint32_t threads, uint32_t stall_ms)
{
    struct authn_pool *p = authn_pool_new(&(struct authn_pool_conf){
        .threads = threads, .stall_ms = stall_ms, .judge = judge, .thread_end = thread_end, .ctx = w});
    assert_int_equal(authn_pool_start(p, post, w), OK);
    return p;
}

static void ask(struct authn_pool *p, uint32_t **is_gone)
{
    static const struct settings settings;
    char password[] = "secret";
    assert_true(authn_pool_ask(
        p, &(struct vet_ask){.settings = &settings, .shard = 3, .token = 7, .password = bytes_str(password)},
        is_gone));
    memset(password, 'x', sizeof password - 1); /* the pool has a copy */
}

static void pool_end(struct authn_pool *p, struct world *w)
{
    authn_pool_stop(p);
    if (w->drop)
        w->drop(w->arg);
    authn_pool_free(p);
    pthread_cond_destroy(&w->cond);
    pthread_mutex_destroy(&w->lock);
}

static void test_answers_once(void **state)
{
    struct world w;
    uint32_t *is_gone;
    (void)state;
    world_init(&w);
    struct authn_pool *p = pool_start(&w, 2, 60000);
    ask(p, &is_gone);
    await(&w, &w.mails, 1);
    assert_int_equal(w.calls, 1);
    assert_string_equal(w.password, "secret");
    pool_end(p, &w);
    assert_int_equal(w.mails, 1);
}

/* The only thread gets stuck; the one for stalls begins its question again, and does the others. */
static void test_stalled_is_begun_again(void **state)
{
    struct world w;
    uint32_t *is_gone;
    (void)state;
    world_init(&w);
    w.is_held = true;
    struct authn_pool *p = pool_start(&w, 1, 1);
    uint32_t n = 0;
    do {
        ask(p, &is_gone);
        await(&w, &w.mails, ++n);
    } while (!__atomic_load_n(&w.held, __ATOMIC_RELAXED));
    ask(p, &is_gone);
    await(&w, &w.mails, ++n); /* while a call does not return */
    release(&w);
    pool_end(p, &w);
    assert_int_equal(w.mails, n); /* its answer was none any more */
    assert_int_equal(w.calls, n + 1);
}

static void test_who_has_gone_costs_nothing(void **state)
{
    struct world w;
    uint32_t *is_gone;
    (void)state;
    world_init(&w);
    w.is_held = true;
    struct authn_pool *p = pool_start(&w, 1, 60000);
    ask(p, &is_gone);
    await(&w, &w.held, 1);
    ask(p, &is_gone);
    __atomic_store_n(is_gone, 1, __ATOMIC_RELAXED);
    release(&w);
    await(&w, &w.mails, 2);
    pool_end(p, &w);
    assert_int_equal(w.calls, 1);
}

static void test_what_was_not_begun_is_dropped(void **state)
{
    struct world w;
    uint32_t *is_gone;
    (void)state;
    world_init(&w);
    struct authn_pool *p = authn_pool_new(&(struct authn_pool_conf){
        .threads = 1, .stall_ms = 1, .judge = judge, .thread_end = thread_end, .ctx = &w});
    ask(p, &is_gone);
    pool_end(p, &w);
    assert_int_equal(w.mails, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_once),
        cmocka_unit_test(test_stalled_is_begun_again),
        cmocka_unit_test(test_who_has_gone_costs_nothing),
        cmocka_unit_test(test_what_was_not_begun_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
