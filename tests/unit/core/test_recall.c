/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/recall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

static int find(struct recall *r, uint64_t ident, uint8_t kind, uint64_t hash, const char *topic,
                uint64_t now)
{
    const struct recalled *e = recall_find(r, ident, kind, hash, bytes_str(topic), now);
    return e ? e->answer : -1;
}

static void what_is_remembered_is_found_until_its_time(void **state)
{
    struct recall r;
    (void)state;
    recall_init(&r, 8);
    assert_int_equal(find(&r, 1, 1, 7, "a", 0), -1);
    recall_put(&r, 1, 1, 7, bytes_str("a"), 3, 100);
    assert_int_equal(find(&r, 1, 1, 7, "a", 99), 3);
    assert_int_equal(find(&r, 2, 1, 7, "a", 99), -1);
    assert_int_equal(find(&r, 1, 2, 7, "a", 99), -1);
    assert_int_equal(find(&r, 1, 1, 7, "b", 99), -1); /* another topic of the same hash */
    recall_put(&r, 1, 1, 7, bytes_str("b"), 4, 200);
    recall_put(&r, 1, 1, 7, bytes_str("a"), 5, 150);
    assert_int_equal(r.n, 2);
    assert_int_equal(find(&r, 1, 1, 7, "a", 120), 5);
    assert_int_equal(find(&r, 1, 1, 7, "a", 150), -1);
    assert_int_equal(r.n, 1);
    recall_reset(&r);
    assert_int_equal(find(&r, 1, 1, 7, "b", 0), -1);
    recall_put(&r, 1, 1, 7, bytes_str(""), 6, 200);
    assert_int_equal(find(&r, 1, 1, 7, "", 0), 6);
    recall_fini(&r);
}

static void the_one_not_looked_at_makes_room(void **state)
{
    struct recall r;
    char topic[16];
    (void)state;
    recall_init(&r, 100);
    for (unsigned i = 0; i < 100; i++) {
        snprintf(topic, sizeof topic, "t%u", i);
        recall_put(&r, i % 7, 1, i, bytes_str(topic), 1, 1000);
    }
    assert_int_equal(find(&r, 0, 1, 0, "t0", 1), 1);
    recall_put(&r, 9, 1, 9, bytes_str("new"), 2, 1000);
    assert_int_equal(r.n, 100);
    assert_int_equal(find(&r, 0, 1, 0, "t0", 1), 1);
    assert_int_equal(find(&r, 1, 1, 1, "t1", 1), -1);
    assert_int_equal(find(&r, 9, 1, 9, "new", 1), 2);
    recall_fini(&r);
}

static void none_is_remembered_where_none_may_be(void **state)
{
    struct recall r;
    (void)state;
    recall_init(&r, 0);
    recall_put(&r, 1, 1, 7, bytes_str("a"), 3, 100);
    assert_int_equal(find(&r, 1, 1, 7, "a", 0), -1);
    recall_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_remembered_is_found_until_its_time),
        cmocka_unit_test(the_one_not_looked_at_makes_room),
        cmocka_unit_test(none_is_remembered_where_none_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
