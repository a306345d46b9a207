/* SPDX-License-Identifier: Apache-2.0 */
/* The set of received QoS 2 ids against an array of all ids. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "node/core/pidset.h"
#include "tests/unit/core/random.h"

enum { IDS = 65536 };

struct model {
    bool is_in[IDS];
    uint32_t since_s[IDS];
    uint32_t n;
};

static void check_older(const struct pidset *s, const struct model *m, uint32_t since_s)
{
    uint32_t older = 0;
    for (uint32_t id = 1; id < IDS; id++)
        older += m->is_in[id] && m->since_s[id] < since_s;
    uint16_t got = pidset_older(s, since_s);
    assert_int_equal(got != 0, older != 0);
    if (got)
        assert_true(m->is_in[got] && m->since_s[got] < since_s);
}

static void holds_as_an_array_does(void **state)
{
    (void)state;
    struct model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    struct pidset *s = pidset_new();
    struct random r = {5};
    for (uint32_t step = 0; step < 40000; step++) {
        /* Runs of neighbours and of ids that fall on the same place, across both ends. */
        uint32_t k = random_below(&r, 3), base = random_below(&r, 400);
        uint16_t id = (uint16_t)(k == 0 ? base + 1 : k == 1 ? 65535 - base : base * 128 + 1);
        if (random_below(&r, 5) < (step / 8000 % 2 ? 2u : 3u)) {
            assert_int_equal(pidset_add(s, id, step), !m->is_in[id]);
            if (!m->is_in[id])
                m->since_s[id] = step;
            m->n += !m->is_in[id];
            m->is_in[id] = true;
        } else {
            assert_int_equal(pidset_del(s, id), m->is_in[id]);
            m->n -= m->is_in[id];
            m->is_in[id] = false;
        }
        assert_int_equal(s->n, m->n);
        assert_int_equal(pidset_has(s, id), m->is_in[id]);
        uint16_t other = (uint16_t)random_u32(&r);
        assert_int_equal(pidset_has(s, other), m->is_in[other]);
        if (step % 500 == 0)
            check_older(s, m, random_below(&r, step + 2));
    }
    for (uint32_t id = 0; id < IDS; id++)
        assert_int_equal(pidset_has(s, (uint16_t)id), m->is_in[id]);
    pidset_free(s);
    free(m);
}

static void holds_every_id(void **state)
{
    (void)state;
    struct pidset *s = pidset_new();
    for (uint32_t id = 1; id < IDS; id++)
        assert_true(pidset_add(s, (uint16_t)id, 1));
    assert_int_equal(s->n, IDS - 1);
    assert_false(pidset_has(s, 0));
    for (uint32_t id = 1; id < IDS; id++) {
        assert_false(pidset_add(s, (uint16_t)id, 2));
        assert_true(pidset_del(s, (uint16_t)id));
    }
    assert_int_equal(s->n, 0);
    assert_int_equal(pidset_older(s, UINT32_MAX), 0);
    pidset_free(s);
}

static void what_came_by_this_connection(void **state)
{
    (void)state;
    struct pidset *s = pidset_new();
    for (uint16_t id = 1; id <= 40; id++)
        pidset_add(s, id, 1);
    assert_int_equal(pidset_fresh(s), 40);
    pidset_age(s);
    assert_int_equal(pidset_fresh(s), 0);
    pidset_add(s, 50, 2);
    pidset_renew(s, 7); /* again, and once more */
    pidset_renew(s, 7);
    pidset_renew(s, 50);
    pidset_renew(s, 99); /* none of them */
    assert_int_equal(pidset_fresh(s), 2);
    pidset_del(s, 8); /* an old one */
    assert_int_equal(pidset_fresh(s), 2);
    pidset_del(s, 7);
    assert_int_equal(pidset_fresh(s), 1);
    for (uint16_t id = 100; id < 300; id++) /* it grows */
        pidset_add(s, id, 3);
    assert_int_equal(pidset_fresh(s), 201);
    assert_int_equal(s->n, 239);
    assert_int_equal(pidset_fresh(NULL), 0);
    pidset_age(NULL);
    pidset_free(s);
}

static void none_is_empty(void **state)
{
    (void)state;
    assert_false(pidset_has(NULL, 1));
    assert_false(pidset_del(NULL, 1));
    pidset_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_as_an_array_does),
        cmocka_unit_test(holds_every_id),
        cmocka_unit_test(what_came_by_this_connection),
        cmocka_unit_test(none_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
