/* SPDX-License-Identifier: Apache-2.0 */
/* The uids that went by lately, and the clock that gives stamps. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "node/core/hlc.h"
#include "node/core/uidset.h"

#include <pthread.h>
#include <stdlib.h>

/* ---- uids ----------------------------------------------------------------------------------------- */

static uint64_t uid_of(uint64_t i)
{
    return (i + 1) * 0x9e3779b97f4a7c15ull;
}

static void the_last_are_known_and_the_old_forgotten(void **state)
{
    struct uidset s = {0};
    (void)state;
    for (uint64_t i = 0; i < 5 * UIDSET_KEEP + 100; i++) {
        assert_false(uidset_has(&s, uid_of(i)));
        uidset_add(&s, uid_of(i));
        assert_true(uidset_has(&s, uid_of(i)));
        if (i % 997)
            continue;
        uint64_t known = i < UIDSET_KEEP ? i : UIDSET_KEEP - 1;
        for (uint64_t back = 0; back <= known; back += 1 + back / 7)
            assert_true(uidset_has(&s, uid_of(i - back)));
        if (i >= 2 * UIDSET_KEEP) /* at most twice as many */
            assert_false(uidset_has(&s, uid_of(i - 2 * UIDSET_KEEP)));
    }
    uidset_fini(&s);
    assert_false(uidset_has(&s, uid_of(1)));
}

static void one_that_comes_again_takes_no_place(void **state)
{
    struct uidset s = {0};
    (void)state;
    uidset_add(&s, 77);
    for (uint64_t i = 0; i < 3 * UIDSET_KEEP; i++)
        uidset_add(&s, 1000 + i % 100);
    assert_true(uidset_has(&s, 77));
    assert_int_equal(s.n, 101);
    uidset_fini(&s);
}

static void zero_is_never_in(void **state)
{
    struct uidset s = {0};
    (void)state;
    assert_false(uidset_has(&s, 0));
    assert_false(uidset_has(&s, 5));
    uidset_add(&s, 0);
    uidset_add(&s, 1);
    assert_false(uidset_has(&s, 0));
    assert_int_equal(s.n, 1);
    uidset_fini(&s);
    uidset_fini(&s);
}

/* ---- stamps --------------------------------------------------------------------------------------- */

static void stamps_follow_the_clock_and_never_go_back(void **state)
{
    struct hlc h = {0};
    (void)state;
    uint64_t first = hlc_now(&h, 1000);
    assert_int_equal(first, 1000ull << HLC_SHIFT);
    assert_int_equal(hlc_ms(first), 1000);
    assert_int_equal(hlc_now(&h, 1000), first + 1);
    assert_int_equal(hlc_now(&h, 400), first + 2); /* the clock was set back */
    assert_int_equal(hlc_now(&h, 1001), 1001ull << HLC_SHIFT);
    uint64_t last = hlc_now(&h, 1001);
    for (int i = 0; i < 1 << 17; i++) { /* more in a millisecond than the count holds: into the next one */
        uint64_t next = hlc_now(&h, 1001);
        assert_int_equal(next, last + 1);
        last = next;
    }
    assert_true(hlc_ms(last) > 1001);
}

static void what_was_seen_comes_before(void **state)
{
    struct hlc h = {0};
    uint64_t ahead = 5000ull << HLC_SHIFT | 7;
    (void)state;
    hlc_now(&h, 1000);
    hlc_see(&h, ahead);
    assert_int_equal(hlc_now(&h, 1001), ahead + 1);
    hlc_see(&h, 3000ull << HLC_SHIFT); /* an old one changes nothing */
    assert_int_equal(hlc_now(&h, 1002), ahead + 2);
    hlc_see(&h, HLC_STAMP_MAX - 1);
    assert_true(hlc_now(&h, 1003) >= HLC_STAMP_MAX);
}

enum { THREADS = 4, EACH = 20000 };
struct stamper {
    struct hlc *h;
    uint64_t v[EACH];
};

static void *stamp_many(void *arg)
{
    struct stamper *s = arg;
    for (uint32_t i = 0; i < EACH; i++) {
        s->v[i] = hlc_now(s->h, 1000 + i / 1000);
        if (i % 100 == 0)
            hlc_see(s->h, s->v[i] + 3);
    }
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void no_stamp_is_given_twice(void **state)
{
    struct hlc h = {0};
    pthread_t threads[THREADS];
    struct stamper *s = calloc(THREADS, sizeof *s);
    uint64_t *all = calloc(THREADS * EACH, sizeof *all);
    (void)state;
    for (int i = 0; i < THREADS; i++) {
        s[i].h = &h;
        assert_int_equal(pthread_create(&threads[i], NULL, stamp_many, &s[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        for (uint32_t k = 0; k < EACH; k++) {
            all[i * EACH + k] = s[i].v[k];
            if (k)
                assert_true(s[i].v[k] > s[i].v[k - 1]);
        }
    }
    qsort(all, THREADS * EACH, sizeof *all, compare);
    for (uint32_t i = 1; i < THREADS * EACH; i++)
        assert_true(all[i] != all[i - 1]);
    free(all);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_are_known_and_the_old_forgotten),
        cmocka_unit_test(one_that_comes_again_takes_no_place),
        cmocka_unit_test(zero_is_never_in),
        cmocka_unit_test(stamps_follow_the_clock_and_never_go_back),
        cmocka_unit_test(what_was_seen_comes_before),
        cmocka_unit_test(no_stamp_is_given_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
