/* SPDX-License-Identifier: Apache-2.0 */
/* A session moves while nodes lose their power, commits fail, links break; and two sessions of one id meet.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/core/pair_texts.h"
#include "tests/unit/core/random.h"

/* The arbiter finds out that the client's node is `to`. */
static void hand_over(struct pair *p, uint32_t to)
{
    p->token = 0;
    pair_release(p, 1 - to, bytes_str("keeper"), false);
    pair_run(p);
}

/* ---- the holder fails ----------------------------------------------------------------------------- */

static void check_holder_fails(uint32_t stop, bool commits)
{
    struct pair *p = pair_queued(3);
    struct client a;
    p->stop = stop;
    pair_open(p, A, &a, &keeper5);
    expect_connack(&a, SESSION_PRESENT);
    assert_int_equal(p->lost & stop, stop);
    pair_arrive(p, A, 4, 2, "4");
    p->stop = 0;
    if (!commits) { /* STORED comes, but the deletion is lost */
        parcel_stored(p->b[H]->sh, pair_order(bytes_str("keeper"), A, p->number));
        assert_null(pair_session(p, H, "keeper"));
    }
    pair_power_cycle(p, H);
    pair_run(p);
    expect_texts_of(&a, "1", "2", "3", "4");
    if (stop != STOP_GONE) {
        assert_non_null(pair_session(p, H, "keeper"));
        pair_arrive(p, H, 5, 2, "5"); /* it takes messages until it is told */
        pair_run(p);
        hand_over(p, A);
        expect_texts_of(&a, "5");
        expect_settled(p, A, "keeper");
    } else {
        assert_null(pair_session(p, H, "keeper"));
        hand_over(p, A); /* nothing is left to move */
    }
    expect_nothing(&a);
    client_lose(&a);
    pair_free(p);
}

static void the_holder_fails_before_stored(void **state)
{
    (void)state;
    check_holder_fails(STOP_FINISH, true);
    check_holder_fails(STOP_END, true);
    check_holder_fails(STOP_STORED, true);
    check_holder_fails(STOP_STORED, false);
}

static void the_holder_fails_before_gone(void **state)
{
    (void)state;
    check_holder_fails(STOP_GONE, true);
}

/* The CONNECT goes on with what is there; the rest comes when the holder is back. */
static void the_holder_fails_before_the_cut(void **state)
{
    (void)state;
    struct pair *p = pair_queued(3);
    struct client a;
    p->stop = STOP_CUT;
    client_open(p->b[A], &a, &keeper5);
    pair_run(p);
    expect_nothing(&a);
    pair_power_cycle(p, H);
    pair_answer(p);
    pair_run(p);
    expect_connack(&a, SESSION_PRESENT);
    expect_texts_of(&a, "1", "2", "3");
    p->stop = 0;
    hand_over(p, A);
    expect_nothing(&a);
    expect_settled(p, A, "keeper");
    client_lose(&a);
    pair_free(p);
}

/* END does not come: what was held is not held for ever. */
static void the_end_does_not_come(void **state)
{
    (void)state;
    struct pair *p = pair_queued(1);
    struct client a;
    p->stop = STOP_FINISH;
    pair_open(p, A, &a, &keeper5);
    expect_connack(&a, SESSION_PRESENT);
    expect_texts_of(&a, "1");
    pair_arrive(p, A, 2, 2, "2");
    p->is_apart = true;
    pair_wait(p, 1500);
    expect_nothing(&a);
    pair_wait(p, 1000);
    expect_texts_of(&a, "2");
    p->is_apart = false;
    p->stop = 0;
    pair_arrive(p, H, 3, 2, "3");
    pair_arrive(p, H, 2, 2, "2");
    parcel_end(p->b[H]->sh, pair_order(bytes_str("keeper"), A, p->number)); /* late */
    pair_run(p);
    expect_texts_of(&a, "3");
    expect_settled(p, A, "keeper");
    client_lose(&a);
    pair_free(p);
}

/* Nobody takes it: it is an ordinary session again, and says so. */
static void nobody_takes_it(void **state)
{
    (void)state;
    struct pair *p = pair_queued(2);
    struct client a;
    p->is_apart = true;
    p->token = 0;
    pair_release(p, H, bytes_str("keeper"), false);
    pair_run(p);
    assert_true(session_is_leaving(pair_session(p, H, "keeper")));
    p->held = 0;
    pair_wait(p, 11000);
    assert_false(session_is_leaving(pair_session(p, H, "keeper")));
    assert_int_equal(p->held, 1);
    pair_open(p, H, &a, &keeper5);
    expect_connack(&a, SESSION_PRESENT);
    expect_texts_of(&a, "1", "2");
    client_lose(&a);
    pair_wait(p, 101000); /* its time runs again */
    assert_null(pair_session(p, H, "keeper"));
    pair_free(p);
}

/* ---- the claimant fails --------------------------------------------------------------------------- */

static void the_claimant_fails_before_its_commit(void **state)
{
    (void)state;
    struct pair *p = pair_queued(3);
    struct client a;
    client_open(p->b[A], &a, &keeper5);
    pair_carry_all(p);
    assert_non_null(pair_session(p, A, "keeper"));
    client_lose(&a);
    pair_power_cycle(p, A);
    pair_run(p);
    assert_null(pair_session(p, A, "keeper"));
    assert_int_equal(store_count(p->b[A]->store, STORE_QUEUE), 0);
    pair_open(p, H, &a, &keeper5);
    expect_connack(&a, SESSION_PRESENT);
    expect_texts_of(&a, "1", "2", "3");
    expect_settled(p, H, "keeper");
    client_lose(&a);
    pair_free(p);
}

/* A part was committed without the rest: it goes back, or the rest comes. */
static void check_claimant_has_a_part(uint32_t to)
{
    struct pair *p = pair_queued(3);
    struct client a;
    p->stop = STOP_CUT;
    client_open(p->b[A], &a, &keeper5);
    pair_run(p);
    client_lose(&a);
    pair_power_cycle(p, A);
    pair_arrive(p, H, 4, 2, "4");
    pair_run(p);
    assert_non_null(pair_session(p, A, "keeper"));
    p->stop = 0;
    hand_over(p, to);
    expect_settled(p, to, "keeper");
    pair_open(p, to, &a, &keeper5);
    expect_connack(&a, SESSION_PRESENT);
    expect_texts_of(&a, "1", "2", "3", "4");
    client_lose(&a);
    pair_free(p);
}

static void the_claimant_has_a_part(void **state)
{
    (void)state;
    check_claimant_has_a_part(H);
    check_claimant_has_a_part(A);
}

/* The client has had messages at the claimant, which then fails; the client goes back to the holder before or
 * after the two nodes have met. What it has finished does not come again. */
static void check_it_goes_back(bool is_met_first)
{
    struct pair *p = pair_queued(4);
    struct client a;
    p->stop = STOP_FINISH;
    pair_open(p, A, &a, &keeper5);
    expect_connack(&a, SESSION_PRESENT);
    uint16_t ids[4];
    for (unsigned i = 0; i < 4; i++)
        ids[i] = expect_publish(&a, QOS2, "t", (const char *const[]){"1", "2", "3", "4"}[i]);
    client_ack(&a, 0x50, ids[0]);
    client_ack(&a, 0x50, ids[1]);
    pair_run(p);
    expect_ack(&a, PUBREL, ids[0], 0);
    expect_ack(&a, PUBREL, ids[1], 0);
    client_ack(&a, 0x70, ids[0]);
    pair_arrive(p, A, 5, 2, "5"); /* held, and lost: nobody was told that it is stored */
    pair_run(p);
    client_lose(&a);
    pair_power_cycle(p, A);
    p->stop = 0;
    pair_arrive(p, H, 6, 2, "6");
    pair_run(p);
    if (is_met_first) {
        hand_over(p, H);
        expect_settled(p, H, "keeper");
    }
    pair_open(p, H, &a, &keeper5);
    expect_connack(&a, SESSION_PRESENT);
    if (is_met_first) {
        broker_commit(p->b[H]);
        assert_int_equal(expect_publish(&a, QOS2 | DUP, "t", "3"), ids[2]);
        assert_int_equal(expect_publish(&a, QOS2 | DUP, "t", "4"), ids[3]);
        expect_publish(&a, QOS2, "t", "6");
        expect_ack(&a, PUBREL, ids[1], 0);
    } else { /* it cannot know better */
        expect_texts_of(&a, "1", "2", "3", "4", "6");
        hand_over(p, H);
    }
    expect_nothing(&a);
    expect_settled(p, H, "keeper");
    client_lose(&a);
    pair_free(p);
}

static void it_goes_back_as_the_claimant_left_it(void **state)
{
    (void)state;
    check_it_goes_back(true);
}
static void it_goes_back_behind_the_client(void **state)
{
    (void)state;
    check_it_goes_back(false);
}

/* What is in flight survives failing commits of the claimant, and then its power failure. */
static void commits_fail_at_the_claimant(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a, a2;
    pair_subscribed(p, H, &a, &keeper5);
    pair_arrive(p, H, 1, 1, "sent");
    pair_run(p);
    uint16_t id = expect_publish(&a, QOS1, "t", "sent");
    client_lose(&a);
    pair_arrive(p, H, 2, 1, "queued");
    pair_run(p);
    client_open(p->b[A], &a2, &keeper5);
    for (unsigned i = 0; i < 3; i++) {
        pair_carry_all(p);
        broker_commit_fails(p->b[A], ERR_IO);
        broker_wait(p->b[A], 1100);
    }
    expect_nothing(&a2);
    pair_run(p);
    expect_connack(&a2, SESSION_PRESENT);
    client_lose(&a2);
    pair_run(p);
    expect_settled(p, A, "keeper");
    pair_power_cycle(p, A);
    pair_open(p, A, &a2, &keeper5);
    expect_connack(&a2, SESSION_PRESENT);
    assert_int_equal(expect_publish(&a2, QOS1 | DUP, "t", "sent"), id);
    uint16_t next = expect_publish(&a2, QOS1, "t", "queued");
    assert_int_not_equal(next, id);
    pair_arrive(p, A, 3, 1, "subscribed");
    pair_run(p);
    expect_publish(&a2, QOS1, "t", "subscribed");
    client_lose(&a2);
    pair_free(p);
}

/* ---- two sessions of one id ----------------------------------------------------------------------- */

static void two_sessions_become_one(void **state)
{
    (void)state;
    struct pair *p = pair_queued(2);
    struct client a;
    p->is_apart = true;
    pair_open(p, A, &a, &keeper5);
    expect_connack(&a, SESSION_NEW);
    client_subscribe(&a, 1, "t", 1);
    client_subscribe(&a, 2, "u", 1);
    pair_run(p);
    expect_suback(&a, 1, 1);
    expect_suback(&a, 2, 1);
    pair_arrive(p, A, 10, 1, "here");
    pair_arrive(p, A, 2, 1, "2"); /* by both ways */
    pair_run(p);
    p->is_apart = false;
    client_lose(&a);
    hand_over(p, A);
    assert_int_equal(broker_count(p->b[A], C_SESSION_MERGED), 1);
    expect_settled(p, A, "keeper");
    assert_int_equal(pair_session(p, A, "keeper")->subs_n, 3);
    pair_power_cycle(p, A);
    pair_open(p, A, &a, &keeper5);
    expect_connack(&a, SESSION_PRESENT);
    expect_texts_of(&a, "here", "2", "1");
    client_lose(&a);
    pair_free(p);
}

/* The client may be in the middle of what was in flight at the other node, so no new message gets such an id.
 */
static void what_was_in_flight_keeps_its_id(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a;
    uint16_t ids[3];
    pair_subscribed(p, H, &a, &keeper5);
    for (unsigned i = 0; i < 3; i++)
        pair_arrive(p, H, i + 1, 2, (const char *const[]){"1", "2", "3"}[i]);
    pair_run(p);
    for (unsigned i = 0; i < 3; i++)
        ids[i] = expect_publish(&a, QOS2, "t", (const char *const[]){"1", "2", "3"}[i]);
    client_ack(&a, 0x50, ids[1]);
    pair_run(p);
    expect_ack(&a, PUBREL, ids[1], 0);
    client_lose(&a);
    p->is_apart = true;
    pair_open(p, A, &a, &keeper5);
    expect_connack(&a, SESSION_NEW);
    client_lose(&a);
    p->is_apart = false;
    hand_over(p, A);
    assert_int_equal(broker_count(p->b[A], C_SESSION_MERGED), 1);
    expect_settled(p, A, "keeper");
    pair_open(p, A, &a, &keeper5);
    expect_connack(&a, SESSION_PRESENT);
    broker_commit(p->b[A]);
    assert_int_equal(expect_publish(&a, QOS2 | DUP, "t", "1"), ids[0]);
    assert_int_equal(expect_publish(&a, QOS2 | DUP, "t", "3"), ids[2]);
    expect_ack(&a, PUBREL, ids[1], 0);
    pair_arrive(p, A, 9, 1, "new");
    pair_run(p);
    assert_true(expect_publish(&a, QOS1, "t", "new") > ids[2]);
    client_lose(&a);
    pair_free(p);
}

/* [MQTT-3.1.2-4] */
static void a_clean_start_here_outweighs_what_was_there(void **state)
{
    (void)state;
    struct pair *p = pair_queued(2);
    struct client a;
    struct connect_how clean = keeper5;
    clean.clean = true;
    p->is_apart = true;
    pair_open(p, A, &a, &clean);
    expect_connack(&a, SESSION_NEW);
    pair_arrive(p, H, 3, 2, "3");
    pair_run(p);
    p->is_apart = false;
    hand_over(p, A);
    expect_nothing(&a);
    assert_int_equal(pair_session(p, A, "keeper")->subs_n, 0);
    expect_settled(p, A, "keeper");
    client_lose(&a);
    pair_free(p);
}

/* ---- a peer that sends nonsense ------------------------------------------------------------------- */

static void nonsense_is_survived(void **state)
{
    (void)state;
    struct random r = {.x = 42};
    for (unsigned round = 0; round < 300; round++) {
        struct pair *p = pair_queued(5);
        p->token = 0;
        pair_release(p, H, bytes_str("keeper"), false);
        struct mailbag *bag = shard_outbox_take(p->b[H]->sh, MAIL_TO_CLUSTER);
        for (uint32_t i = 0; i < bag->n; i++) {
            if (bag->items[i].kind != MAIL_PARCEL)
                continue;
            const struct parcel_piece *piece = bag->items[i].arg;
            struct parcel_in *in = malloc(sizeof *in + piece->body.n);
            assert_non_null(in);
            *in = (struct parcel_in){.from = pair_id(H), .n = piece->body.n};
            memcpy(in->body, piece->body.b, piece->body.n);
            for (unsigned k = random_below(&r, 4); k > 0; k--)
                in->body[random_below(&r, in->n)] ^= (uint8_t)(1u << random_below(&r, 8));
            parcel_take(p->b[A]->sh, in);
        }
        mailbag_free(bag);
        broker_commit(p->b[A]);
        p->is_apart = true;
        broker_wait(p->b[A], 8000);
        pair_run(p);
        pair_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_holder_fails_before_stored),
        cmocka_unit_test(the_holder_fails_before_gone),
        cmocka_unit_test(the_holder_fails_before_the_cut),
        cmocka_unit_test(the_end_does_not_come),
        cmocka_unit_test(nobody_takes_it),
        cmocka_unit_test(the_claimant_fails_before_its_commit),
        cmocka_unit_test(the_claimant_has_a_part),
        cmocka_unit_test(it_goes_back_as_the_claimant_left_it),
        cmocka_unit_test(it_goes_back_behind_the_client),
        cmocka_unit_test(commits_fail_at_the_claimant),
        cmocka_unit_test(two_sessions_become_one),
        cmocka_unit_test(what_was_in_flight_keeps_its_id),
        cmocka_unit_test(a_clean_start_here_outweighs_what_was_there),
        cmocka_unit_test(nonsense_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
