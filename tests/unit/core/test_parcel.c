/* SPDX-License-Identifier: Apache-2.0 */
/* A session moves from one node to another with all that it was promised. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/core/pair.h"

enum { MANY = 1000 };

/* ---- what was there ------------------------------------------------------------------------------- */

static void queued(struct pair *p, unsigned n)
{
    struct client a, s;
    p->b[H]->settings.queue_len_max = p->b[A]->settings.queue_len_max = n + 1;
    pair_subscribed(p, H, &a, &keeper);
    client_lose(&a);
    pair_open(p, H, &s, &sender);
    expect_connack(&s, SESSION_NEW);
    for (unsigned i = 0; i < n; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", i);
        client_publish(&s, i % 2 ? QOS2 : QOS1, (uint16_t)(i % 60 + 1), "t/1", text);
        if (i % 2) {
            broker_commit(p->b[H]);
            client_ack(&s, 0x62, (uint16_t)(i % 60 + 1));
        }
    }
    pair_run(p);
    client_lose(&s);
}

/* All n messages come, in order; each is acknowledged. */
static void expect_all(struct pair *p, struct client *a, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", i);
        uint16_t id = expect_publish(a, i % 2 ? QOS2 : QOS1, "t/1", text);
        assert_int_equal(id, i % 65535 + 1);
        client_ack(a, i % 2 ? 0x50 : 0x40, id);
        broker_commit(a->broker);
        if (i % 2) {
            expect_ack(a, PUBREL, id, 0);
            client_ack(a, 0x70, id);
        }
    }
    pair_run(p);
    expect_nothing(a);
}

static void a_queue_keeps_order_and_ids(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a;
    p->b[A]->settings.inflight_max = p->b[H]->settings.inflight_max = 1;
    queued(p, MANY);
    pair_open(p, A, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    expect_all(p, &a, MANY);
    expect_settled(p, A, "keeper");
    assert_int_equal(broker_count(p->b[H], C_SESSION_HANDED_OVER), 1);
    assert_int_equal(broker_count(p->b[A], C_SESSION_TAKEN_IN), 1);
    assert_int_equal(broker_count(p->b[A], C_SESSION_MERGED), 0);
    client_lose(&a);
    pair_free(p);
}

/* [MQTT-4.4.0-1] */
static void in_flight_is_sent_again_under_its_id(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a, a2, s;
    pair_subscribed(p, H, &a, &keeper5);
    pair_open(p, H, &s, &sender);
    for (uint16_t id = 1; id <= 4; id++)
        client_publish(&s, QOS1, id, "t", "x");
    pair_run(p);
    uint16_t ids[4];
    for (unsigned i = 0; i < 4; i++)
        ids[i] = expect_publish(&a, QOS1, "t", "x");
    client_ack(&a, 0x40, ids[0]);
    client_ack(&a, 0x40, ids[2]);
    pair_run(p);
    pair_open(p, A, &a2, &keeper5);
    expect_disconnect(&a, 0x8e); /* [MQTT-3.1.4-3] */
    assert_int_equal(a.conn.end, CONN_END_TAKEN_OVER);
    expect_connack(&a2, SESSION_PRESENT);
    assert_int_equal(expect_publish(&a2, QOS1 | DUP, "t", "x"), ids[1]);
    assert_int_equal(expect_publish(&a2, QOS1 | DUP, "t", "x"), ids[3]);
    expect_nothing(&a2);
    pair_arrive(p, A, 99, 1, "new");
    pair_run(p);
    uint16_t id = expect_publish(&a2, QOS1, "t", "new");
    assert_true(id != ids[1] && id != ids[3]);
    expect_settled(p, A, "keeper");
    client_lose(&a);
    client_lose(&a2);
    client_lose(&s);
    pair_free(p);
}

/* One waits for its PUBREC, one for its PUBCOMP. */
static void qos2_goes_on_where_it_was(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a, a2;
    pair_subscribed(p, H, &a, &keeper5);
    pair_arrive(p, H, 1, 2, "one");
    pair_arrive(p, H, 2, 2, "two");
    pair_run(p);
    uint16_t one = expect_publish(&a, QOS2, "t", "one");
    uint16_t two = expect_publish(&a, QOS2, "t", "two");
    client_ack(&a, 0x50, one);
    pair_run(p);
    expect_ack(&a, PUBREL, one, 0);
    pair_open(p, A, &a2, &keeper5);
    expect_connack(&a2, SESSION_PRESENT);
    broker_commit(p->b[A]);
    assert_int_equal(expect_publish(&a2, QOS2 | DUP, "t", "two"), two);
    expect_ack(&a2, PUBREL, one, 0);
    client_ack(&a2, 0x70, one);
    client_ack(&a2, 0x50, two);
    pair_run(p);
    expect_ack(&a2, PUBREL, two, 0);
    client_ack(&a2, 0x70, two);
    pair_run(p);
    expect_nothing(&a2);
    client_lose(&a);
    client_lose(&a2);
    pair_free(p);
}

/* [MQTT-4.3.3-10] */
static void received_qos2_ids_move(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client k, s;
    struct connect_how persistent = {.id = "sender", .version = V5, .expiry_s = 100};
    pair_subscribed(p, A, &k, &keeper);
    pair_open(p, H, &s, &persistent);
    expect_connack(&s, SESSION_NEW);
    client_publish(&s, QOS2, 5, "u", "once");
    pair_run(p);
    expect_ack(&s, PUBREC, 5, 0x10);
    client_lose(&s);
    pair_open(p, A, &s, &persistent);
    expect_connack(&s, SESSION_PRESENT);
    client_publish(&s, QOS2 | DUP, 5, "t", "once"); /* known: not published again */
    pair_run(p);
    expect_ack(&s, PUBREC, 5, 0);
    expect_nothing(&k);
    client_ack(&s, 0x62, 5);
    pair_run(p);
    expect_ack(&s, PUBCOMP, 5, 0);
    client_lose(&s);
    client_lose(&k);
    pair_free(p);
}

/* ---- what comes meanwhile ------------------------------------------------------------------------- */

static void expect_in_order(struct pair *p, struct client *a, const char *const *texts, uint8_t flags)
{
    for (; *texts; texts++) {
        uint16_t id = expect_publish(a, flags, "t", *texts);
        client_ack(a, flags == QOS1 ? 0x40 : 0x50, id);
        broker_commit(p->b[A]);
        if (flags == QOS2) {
            expect_ack(a, PUBREL, id, 0);
            client_ack(a, 0x70, id);
        }
    }
    expect_nothing(a);
}

/* One publisher's messages reach the holder only, then both, then the claimant only. */
static void check_meanwhile(uint8_t qos, uint8_t flags)
{
    static const char *const all[] = {"1", "2", "3", "4", "5", "6", "7", NULL};
    struct pair *p = pair_new();
    struct client a;
    p->b[A]->settings.inflight_max = 1;
    pair_subscribed(p, H, &a, &keeper);
    client_lose(&a);
    pair_arrive(p, H, 1, qos, "1");
    pair_run(p);
    p->stop = STOP_FINISH;
    pair_open(p, A, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    assert_int_equal(p->lost, STOP_FINISH);
    pair_arrive(p, H, 2, qos, "2");
    pair_arrive(p, A, 4, qos, "4"); /* a route that is known early; its way is shorter */
    pair_arrive(p, A, 5, qos, "5");
    pair_arrive(p, H, 3, qos, "3");
    pair_arrive(p, H, 4, qos, "4");
    pair_run(p);
    pair_arrive(p, H, 5, qos, "5");
    pair_arrive(p, A, 6, qos, "6");
    pair_arrive(p, H, 6, qos, "6");
    pair_run(p);
    p->stop = 0;
    parcel_end(p->b[H]->sh, pair_order(bytes_str("keeper"), A, p->number));
    pair_run(p);
    pair_arrive(p, A, 7, qos, "7");
    pair_arrive(p, A, 6, qos, "6"); /* late */
    pair_run(p);
    expect_in_order(p, &a, all, flags);
    expect_settled(p, A, "keeper");
    client_lose(&a);
    pair_free(p);
}

static void messages_meanwhile_come_once_and_in_order(void **state)
{
    (void)state;
    check_meanwhile(1, QOS1);
    check_meanwhile(2, QOS2);
}

/* A message that was under way by a link which had been cut reaches the holder after all was said. */
static void a_late_message_to_the_holder_is_not_lost(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a, s;
    pair_subscribed(p, H, &a, &keeper);
    client_lose(&a);
    p->stop = STOP_STORED;
    pair_open(p, A, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    assert_int_equal(p->lost, STOP_STORED);
    pair_open(p, H, &s, &sender);
    client_publish(&s, QOS1, 7, "t", "late");
    pair_run(p);
    p->stop = 0;
    parcel_stored(p->b[H]->sh, pair_order(bytes_str("keeper"), A, p->number));
    pair_run(p);
    expect_connack(&s, SESSION_NEW);
    expect_ack(&s, PUBACK, 7, 0);
    client_ack(&a, 0x40, expect_publish(&a, QOS1, "t", "late"));
    pair_run(p);
    expect_nothing(&a);
    expect_settled(p, A, "keeper");
    client_lose(&a);
    client_lose(&s);
    pair_free(p);
}

/* PUBACK waits for the store of the holder, or of the claimant. */
static void publishers_are_told_the_truth(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a, at_h, at_a;
    pair_subscribed(p, H, &a, &keeper);
    client_lose(&a);
    pair_open(p, H, &at_h, &sender);
    expect_connack(&at_h, SESSION_NEW);
    struct connect_how other = {.id = "other", .version = V311, .clean = true};
    pair_open(p, A, &at_a, &other);
    expect_connack(&at_a, SESSION_NEW);
    p->stop = STOP_FINISH;
    pair_open(p, A, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    client_publish(&at_h, QOS1, 1, "t", "h");
    client_publish(&at_a, QOS1, 2, "t", "a");
    pair_carry_all(p);
    expect_nothing(&at_h);
    expect_nothing(&at_a);
    broker_commit(p->b[H]);
    expect_ack(&at_h, PUBACK, 1, 0);
    broker_commit(p->b[A]);
    expect_nothing(&at_a); /* held aside, so not stored */
    parcel_end(p->b[H]->sh, pair_order(bytes_str("keeper"), A, p->number));
    pair_carry_all(p);
    broker_commit(p->b[A]);
    expect_ack(&at_a, PUBACK, 2, 0);
    pair_run(p);
    client_ack(&a, 0x40, expect_publish(&a, QOS1, "t", "h"));
    client_ack(&a, 0x40, expect_publish(&a, QOS1, "t", "a"));
    client_lose(&a);
    client_lose(&at_h);
    client_lose(&at_a);
    pair_free(p);
}

/* QoS 0 has no order to keep with what is queued, and nobody to be told. */
static void qos0_is_delivered_at_once(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a;
    pair_subscribed(p, H, &a, &keeper);
    client_lose(&a);
    p->stop = STOP_FINISH;
    pair_open(p, A, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    pair_arrive(p, A, 1, 0, "now");
    expect_publish(&a, 0, "t", "now");
    client_lose(&a);
    pair_free(p);
}

/* ---- wills, clean start, sessions that do not last ------------------------------------------------- */

static void a_delayed_will_moves_and_stays_unsaid(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a, a2, w, w2;
    struct connect_how mortal = {
        .id = "mortal", .version = V5, .expiry_s = 100, .will_topic = "t/will", .will_delay_s = 1};
    struct connect_how watcher = {.id = "watcher", .version = V311};
    struct connect_how watcher2 = {.id = "watcher2", .version = V311};
    pair_subscribed(p, H, &w, &watcher);
    pair_subscribed(p, A, &w2, &watcher2);
    pair_open(p, H, &a, &mortal);
    expect_connack(&a, SESSION_NEW);
    p->stop = STOP_FINISH; /* it takes its time */
    client_open(p->b[A], &a2, &mortal);
    pair_run(p);
    expect_disconnect(&a, 0x8e);
    expect_connack(&a2, SESSION_PRESENT);
    pair_wait(p, 1900);
    parcel_end(p->b[H]->sh, pair_order(bytes_str("mortal"), A, p->number));
    pair_run(p);
    pair_wait(p, 5000);
    expect_nothing(&w);
    expect_nothing(&w2);
    assert_null(pair_session(p, H, "mortal"));
    client_lose(&a2); /* now it is due, and only at its new place */
    pair_wait(p, 2000);
    expect_nothing(&w);
    expect_publish(&w2, QOS1, "t/will", "bye");
    client_lose(&a);
    client_lose(&w);
    client_lose(&w2);
    pair_free(p);
}

/* [MQTT-3.1.2-4]; the CONNACK waits until the holder's store has forgotten. */
static void clean_start_ends_it_for_good(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a;
    struct connect_how clean = keeper5;
    clean.clean = true;
    pair_subscribed(p, H, &a, &keeper5);
    client_lose(&a);
    pair_run(p);
    client_open(p->b[A], &a, &clean);
    pair_carry_all(p);
    broker_commit(p->b[A]);
    expect_nothing(&a);
    broker_commit(p->b[H]);
    pair_carry_all(p);
    expect_connack(&a, SESSION_NEW);
    pair_run(p);
    expect_settled(p, A, "keeper");
    pair_arrive(p, A, 1, 1, "nobody");
    expect_nothing(&a);
    client_lose(&a);
    pair_free(p);
}

static void a_session_that_does_not_last_does_not_move(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a, a2;
    pair_open(p, H, &a, &sender5);
    expect_connack(&a, SESSION_NEW);
    client_open(p->b[A], &a2, &sender5);
    pair_carry_all(p);
    expect_disconnect(&a, 0x8e);
    expect_connack(&a2, SESSION_NEW); /* without a commit */
    assert_null(pair_session(p, H, "sender"));
    client_lose(&a);
    client_lose(&a2);
    pair_free(p);
}

static void an_id_that_nobody_has_is_new(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a;
    pair_open(p, A, &a, &keeper);
    expect_connack(&a, SESSION_NEW);
    client_lose(&a);
    pair_free(p);
}

/* ---- there and back ------------------------------------------------------------------------------- */

/* The client comes back to the holder while its session is still leaving. */
static void it_is_claimed_back(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a, a2;
    pair_subscribed(p, H, &a, &keeper5);
    client_lose(&a);
    pair_arrive(p, H, 1, 2, "1");
    pair_run(p);
    p->stop = STOP_FINISH | STOP_READY;
    client_open(p->b[A], &a, &keeper5);
    pair_run(p);
    expect_nothing(&a);
    pair_arrive(p, H, 2, 2, "2");
    pair_arrive(p, A, 3, 2, "3");
    uint64_t number = p->number;
    client_open(p->b[H], &a2, &keeper5);
    pair_run(p);
    expect_nothing(&a2); /* the session is to be here whole first */
    p->stop = 0;
    parcel_end(p->b[H]->sh, pair_order(bytes_str("keeper"), A, number));
    pair_run(p);
    expect_connack(&a2, SESSION_PRESENT);
    expect_publish(&a2, QOS2, "t", "1");
    expect_publish(&a2, QOS2, "t", "2");
    expect_publish(&a2, QOS2, "t", "3");
    expect_nothing(&a2);
    pair_wait(p, 6000);
    expect_settled(p, H, "keeper");
    client_lose(&a);
    client_lose(&a2);
    pair_free(p);
}

static void it_moves_to_and_fro(void **state)
{
    (void)state;
    struct pair *p = pair_new();
    struct client a;
    queued(p, 60);
    for (unsigned i = 0; i < 7; i++) {
        pair_open(p, (i + 1) % 2, &a, &keeper5);
        expect_connack(&a, SESSION_PRESENT);
        expect_settled(p, (i + 1) % 2, "keeper");
        client_lose(&a);
        pair_run(p);
    }
    p->b[A]->settings.inflight_max = 100;
    pair_open(p, A, &a, &keeper5);
    expect_connack(&a, SESSION_PRESENT);
    for (unsigned i = 0; i < 60; i++) {
        char text[16];
        snprintf(text, sizeof text, "%u", i);
        uint8_t dup = i < 32 ? DUP : 0;
        expect_publish(&a, (uint8_t)((i % 2 ? QOS2 : QOS1) | dup), "t/1", text);
    }
    client_lose(&a);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_keeps_order_and_ids),
        cmocka_unit_test(in_flight_is_sent_again_under_its_id),
        cmocka_unit_test(qos2_goes_on_where_it_was),
        cmocka_unit_test(received_qos2_ids_move),
        cmocka_unit_test(messages_meanwhile_come_once_and_in_order),
        cmocka_unit_test(a_late_message_to_the_holder_is_not_lost),
        cmocka_unit_test(publishers_are_told_the_truth),
        cmocka_unit_test(qos0_is_delivered_at_once),
        cmocka_unit_test(a_delayed_will_moves_and_stays_unsaid),
        cmocka_unit_test(clean_start_ends_it_for_good),
        cmocka_unit_test(a_session_that_does_not_last_does_not_move),
        cmocka_unit_test(an_id_that_nobody_has_is_new),
        cmocka_unit_test(it_is_claimed_back),
        cmocka_unit_test(it_moves_to_and_fro),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
