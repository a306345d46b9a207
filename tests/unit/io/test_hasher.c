/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/hasher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <cmocka.h>

/* verify() has no context of its own. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_held; /* idle threads do not return */
    uint32_t held, idle_calls, own_calls;
} w = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

static int setup(void **state)
{
    (void)state;
    w.is_held = false;
    w.held = w.idle_calls = w.own_calls = 0;
    return 0;
}

static bool verify(const char *text, struct bytes password)
{
    bool is_idle = sched_getscheduler(0) == SCHED_IDLE;
    pthread_mutex_lock(&w.lock);
    w.idle_calls += is_idle;
    w.own_calls += !is_idle;
    w.held += is_idle && w.is_held;
    while (is_idle && w.is_held)
        pthread_cond_wait(&w.cond, &w.lock);
    pthread_mutex_unlock(&w.lock);
    return bytes_eq(bytes_str(text), password);
}

static struct hasher *start(uint32_t step_ms)
{
    struct hasher *h = hasher_new(&(struct hasher_conf){.threads = 1, .step_ms = step_ms, .verify = verify});
    assert_int_equal(hasher_start(h), OK);
    return h;
}

static void end(struct hasher *h)
{
    hasher_stop(h);
    hasher_free(h);
}

static void test_by_idle_threads(void **state)
{
    struct hasher *h = start(60000);
    (void)state;
    assert_true(hasher_verify(h, "secret", bytes_str("secret")));
    assert_false(hasher_verify(h, "secret", bytes_str("secrets")));
    assert_false(hasher_verify(h, "secret", bytes_of(NULL, 0)));
    end(h);
    assert_int_equal(w.idle_calls, 3);
    assert_int_equal(w.own_calls, 0);
}

/* A thread that does not get on is not waited for, nor is one that begins nothing. */
static void test_starved(void **state)
{
    struct hasher *h = start(1);
    uint32_t asked = 0;
    (void)state;
    w.is_held = true;
    for (bool is_held = false; !is_held; asked++) {
        assert_true(hasher_verify(h, "secret", bytes_str("secret")));
        pthread_mutex_lock(&w.lock);
        is_held = w.held > 0;
        pthread_mutex_unlock(&w.lock);
    }
    assert_true(hasher_verify(h, "another", bytes_str("another")));
    assert_false(hasher_verify(h, "another", bytes_str("secret")));
    assert_int_equal(w.own_calls, asked + 2);
    pthread_mutex_lock(&w.lock);
    w.is_held = false;
    pthread_cond_broadcast(&w.cond);
    pthread_mutex_unlock(&w.lock);
    end(h);
    assert_int_equal(w.idle_calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_by_idle_threads, setup),
        cmocka_unit_test_setup(test_starved, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
