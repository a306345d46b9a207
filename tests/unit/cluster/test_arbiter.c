/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds which client id, and who decides it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cluster/core/arbiter.h"

#include <stdio.h>
#include <stdlib.h>

static const struct node_id a = {{1}}, b = {{2}}, c = {{3}};

static struct bytes id_of(char buf[24], uint32_t i)
{
    return bytes_of(buf, (size_t)snprintf(buf, 24, "client-%u", i));
}

static bool is_node(const struct node_id *x, const struct node_id *y)
{
    return node_id_eq(x, y);
}

/* ---- claims --------------------------------------------------------------------------------------- */

static void the_last_to_claim_holds_it(void **state)
{
    struct arbiter *t = arbiter_new(7);
    struct bytes id = bytes_str("x");
    (void)state;
    struct arbiter_verdict v = arbiter_claim(t, id, &a, 100);
    assert_true(v.is_granted && !v.has_holder && v.winner_stamp == 100 && is_node(&v.winner, &a));
    v = arbiter_claim(t, id, &b, 200);
    assert_true(v.is_granted && v.has_holder && is_node(&v.holder, &a) && is_node(&v.winner, &b));
    assert_int_equal(v.winner_stamp, 200);
    /* Granted whatever the stamp, which then becomes the higher one. */
    v = arbiter_claim(t, id, &c, 5);
    assert_true(v.is_granted && v.has_holder && is_node(&v.holder, &b) && is_node(&v.winner, &c));
    assert_int_equal(v.winner_stamp, 201);
    /* The same node again: nobody has to hand over. */
    v = arbiter_claim(t, id, &c, 300);
    assert_true(v.is_granted && !v.has_holder && v.winner_stamp == 300);
    assert_int_equal(arbiter_count(t), 1);
    arbiter_free(t);
}

static void of_two_at_once_one_stays_in_whatever_order(void **state)
{
    struct bytes id = bytes_str("x");
    (void)state;
    for (int turn = 0; turn < 2; turn++) {
        struct arbiter *t = arbiter_new(7);
        const struct node_id *first = turn ? &a : &b, *second = turn ? &b : &a;
        arbiter_claim(t, id, first, 50);
        struct arbiter_verdict v = arbiter_claim(t, id, second, 50);
        assert_true(v.has_holder && is_node(&v.holder, first) && is_node(&v.winner, second));
        assert_int_equal(v.winner_stamp, 51);
        /* The loser's late announcement of its older stamp changes nothing. */
        v = arbiter_hold(t, id, first, 50);
        assert_true(!v.is_granted && v.has_holder && is_node(&v.holder, first) &&
                    is_node(&v.winner, second) && v.winner_stamp == 51);
        arbiter_free(t);
    }
}

/* ---- announcements -------------------------------------------------------------------------------- */

static void of_two_holders_the_newer_stays_and_ties_go_by_node(void **state)
{
    struct bytes id = bytes_str("x");
    static const struct {
        uint64_t stamp_a, stamp_b;
        const struct node_id *stays;
    } cases[] = {{10, 20, &b}, {20, 10, &a}, {10, 10, &b /* the greater node id */}};
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct arbiter *t = arbiter_new(7);
        const struct node_id *stays = cases[i / 2].stays, *goes = is_node(stays, &a) ? &b : &a;
        uint64_t sa = cases[i / 2].stamp_a, sb = cases[i / 2].stamp_b;
        const struct node_id *first = i % 2 ? &b : &a, *second = i % 2 ? &a : &b;
        struct arbiter_verdict v = arbiter_hold(t, id, first, i % 2 ? sb : sa);
        assert_true(v.is_granted && !v.has_holder);
        v = arbiter_hold(t, id, second, i % 2 ? sa : sb);
        assert_true(v.has_holder && is_node(&v.winner, stays) && is_node(&v.holder, goes));
        assert_int_equal(v.is_granted, is_node(second, stays));
        assert_int_equal(v.winner_stamp, is_node(stays, &a) ? sa : sb);
        arbiter_free(t);
    }
}

static void an_announcement_said_again_is_no_news(void **state)
{
    struct arbiter *t = arbiter_new(7);
    struct bytes id = bytes_str("x");
    (void)state;
    arbiter_hold(t, id, &a, 10);
    struct arbiter_verdict v = arbiter_hold(t, id, &a, 10);
    assert_true(v.is_granted && !v.has_holder);
    arbiter_hold(t, id, &a, 30);
    arbiter_hold(t, id, &a, 20); /* late; does not take the newer stamp back */
    v = arbiter_hold(t, id, &b, 25);
    assert_false(v.is_granted);
    assert_int_equal(v.winner_stamp, 30);
    arbiter_free(t);
}

static void only_the_holder_lets_go_and_not_of_what_came_after(void **state)
{
    struct arbiter *t = arbiter_new(7);
    struct bytes id = bytes_str("x");
    (void)state;
    arbiter_claim(t, id, &a, 10);
    arbiter_unhold(t, id, &b, 100);
    arbiter_unhold(t, id, &a, 9);
    arbiter_unhold(t, bytes_str("y"), &a, 100);
    assert_int_equal(arbiter_count(t), 1);
    arbiter_unhold(t, id, &a, 10);
    assert_int_equal(arbiter_count(t), 0);
    struct arbiter_verdict v = arbiter_claim(t, id, &b, 1);
    assert_true(!v.has_holder && v.winner_stamp == 1);
    arbiter_free(t);
}

static void what_a_dead_node_held_is_free_and_nothing_else(void **state)
{
    enum { N = 3000 };
    struct arbiter *t = arbiter_new(7);
    char buf[24];
    (void)state;
    for (uint32_t i = 0; i < N; i++)
        arbiter_claim(t, id_of(buf, i), i % 3 ? &a : &b, i);
    arbiter_drop_node(t, &c);
    assert_int_equal(arbiter_count(t), N);
    arbiter_drop_node(t, &b);
    assert_int_equal(arbiter_count(t), N - N / 3);
    for (uint32_t i = 0; i < N; i++) {
        struct arbiter_verdict v = arbiter_claim(t, id_of(buf, i), &c, N);
        assert_int_equal(v.has_holder, i % 3 != 0);
    }
    arbiter_clear(t);
    assert_int_equal(arbiter_count(t), 0);
    assert_false(arbiter_claim(t, id_of(buf, 1), &c, 1).has_holder);
    arbiter_free(t);
    arbiter_free(NULL);
}

/* Against a plain array, with much coming and going in a table that is rebuilt. */
static void the_table_is_that_of_the_model(void **state)
{
    enum { IDS = 700, STEPS = 60000 };
    static const struct node_id *const nodes[] = {&a, &b, &c};
    static struct {
        int holder; /* -1: free */
        uint64_t stamp;
    } model[IDS];
    struct arbiter *t = arbiter_new(3);
    uint64_t random = 99, count = 0;
    char buf[24];
    (void)state;
    for (uint32_t i = 0; i < IDS; i++)
        model[i].holder = -1;
    for (uint32_t step = 0; step < STEPS; step++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        uint32_t i = (uint32_t)(random >> 33) % IDS, node = (uint32_t)(random >> 20) % 3;
        uint64_t stamp = random >> 40 & 1023;
        struct bytes id = id_of(buf, i);
        if (random >> 18 & 1) {
            arbiter_unhold(t, id, nodes[node], stamp);
            if (model[i].holder == (int)node && model[i].stamp <= stamp) {
                model[i].holder = -1;
                count--;
            }
        } else {
            struct arbiter_verdict v = arbiter_claim(t, id, nodes[node], stamp);
            assert_int_equal(v.has_holder, model[i].holder >= 0 && model[i].holder != (int)node);
            if (v.has_holder)
                assert_true(is_node(&v.holder, nodes[model[i].holder]));
            count += model[i].holder < 0;
            bool is_free = model[i].holder < 0 || stamp > model[i].stamp;
            model[i].stamp = is_free ? stamp : model[i].stamp + 1;
            model[i].holder = (int)node;
            assert_int_equal(v.winner_stamp, model[i].stamp);
        }
        assert_int_equal(arbiter_count(t), count);
    }
    arbiter_free(t);
}

/* ---- the pick ------------------------------------------------------------------------------------- */

enum { NODES = 7, IDS = 14000 };

static void nodes_make(struct node_id v[NODES])
{
    for (uint32_t i = 0; i < NODES; i++) {
        v[i] = (struct node_id){{0}};
        be64_put(v[i].b, 0x9e3779b97f4a7c15ull * (i + 1));
        be64_put(v[i].b + 8, 0xc2b2ae3d27d4eb4full * (i + 5));
    }
}

static void ids_spread_evenly(void **state)
{
    struct node_id v[NODES];
    uint32_t n[NODES] = {0};
    char buf[24];
    (void)state;
    nodes_make(v);
    for (uint32_t i = 0; i < IDS; i++)
        n[arbiter_pick(v, NODES, id_of(buf, i))]++;
    for (uint32_t i = 0; i < NODES; i++) /* 2000 each; five standard deviations are 207 */
        assert_in_range(n[i], IDS / NODES - 210, IDS / NODES + 210);
}

static void only_the_share_of_who_goes_moves(void **state)
{
    struct node_id v[NODES];
    char buf[24];
    (void)state;
    nodes_make(v);
    for (uint32_t gone = 0; gone < NODES; gone++) {
        struct node_id left[NODES];
        uint32_t n = 0;
        for (uint32_t i = NODES; i-- > 0;) /* in another order, which does not matter */
            if (i != gone)
                left[n++] = v[i];
        for (uint32_t i = 0; i < 2000; i++) {
            struct bytes id = id_of(buf, i);
            uint32_t before = arbiter_pick(v, NODES, id), after = arbiter_pick(left, n, id);
            if (before != gone)
                assert_true(is_node(&v[before], &left[after]));
        }
    }
    assert_int_equal(arbiter_pick(v, 1, bytes_str("x")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_to_claim_holds_it),
        cmocka_unit_test(of_two_at_once_one_stays_in_whatever_order),
        cmocka_unit_test(of_two_holders_the_newer_stays_and_ties_go_by_node),
        cmocka_unit_test(an_announcement_said_again_is_no_news),
        cmocka_unit_test(only_the_holder_lets_go_and_not_of_what_came_after),
        cmocka_unit_test(what_a_dead_node_held_is_free_and_nothing_else),
        cmocka_unit_test(the_table_is_that_of_the_model),
        cmocka_unit_test(ids_spread_evenly),
        cmocka_unit_test(only_the_share_of_who_goes_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
