/* SPDX-License-Identifier: Apache-2.0 */
/* Promises at their limits: a store that fails, queues and ids that run out, retained messages on the way. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/core/broker.h"

/* ---- a store that fails --------------------------------------------------------------------------- */

static void check_publish_fails(const struct connect_how *how, enum err e, uint8_t code, uint8_t flags,
                                uint8_t ack)
{
    struct broker *b = broker_new();
    struct client a, s;
    open_subscribed(b, &a, &keeper);
    client_lose(&a);
    broker_commit(b);
    open_sender(b, &s, how);
    client_publish(&s, flags, 7, "t/1", "lost");
    broker_commit_fails(b, e);
    if (how->version == V5) {
        expect_ack(&s, ack, 7, code);
        assert_int_equal(s.conn.state, CONN_OPEN);
    } else {
        expect_nothing(&s);
        assert_int_equal(s.conn.state, CONN_CLOSING);
        assert_int_equal(s.conn.end, CONN_END_STORE);
    }
    assert_int_equal(broker_count(b, C_STORE_FAILURES), 1);
    client_lose(&s);
    /* The disk is well again. */
    broker_wait(b, 5000);
    broker_commit(b);
    open_sender(b, &s, how);
    client_publish(&s, flags, 7, "t/1", "kept");
    broker_commit(b);
    expect_ack(&s, ack, 7, 0);
    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    expect_publish(&a, flags, "t/1", "kept"); /* what was refused does not come */
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

static void a_failed_commit_is_no_success(void **state)
{
    (void)state;
    check_publish_fails(&sender5, ERR_NOSPC, 0x97, QOS1, PUBACK);
    check_publish_fails(&sender5, ERR_IO, 0x83, QOS1, PUBACK);
    check_publish_fails(&sender5, ERR_NOSPC, 0x97, QOS2, PUBREC);
    check_publish_fails(&sender, ERR_NOSPC, 0, QOS1, PUBACK);
    check_publish_fails(&sender, ERR_IO, 0, QOS2, PUBREC);
}

static void check_subscribe_fails(const struct connect_how *how, uint8_t code)
{
    struct broker *b = broker_new();
    struct client a, s;
    client_open(b, &a, how);
    expect_connack(&a, SESSION_NEW);
    broker_commit(b);
    client_subscribe(&a, 3, "t/#", 1);
    broker_commit_fails(b, ERR_NOSPC);
    expect_suback(&a, 3, code);
    open_sender(b, &s, &sender5);
    client_publish(&s, QOS1, 7, "t", "x");
    expect_ack(&s, PUBACK, 7, 0x10);
    expect_nothing(&a);
    broker_wait(b, 5000);
    client_subscribe(&a, 4, "t/#", 1);
    expect_nothing(&a);
    broker_commit(b);
    expect_suback(&a, 4, 1);
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

static void a_failed_subscription_is_refused(void **state)
{
    (void)state;
    check_subscribe_fails(&keeper5, 0x97);
    check_subscribe_fails(&keeper, 0x80);
}

/* Who was promised nothing for good needs no store. */
static void nothing_waits_for_clean_sessions(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    struct client a, s;
    client_open(b, &a, &(struct connect_how){.id = "passer", .version = V311, .clean = true});
    expect_connack(&a, SESSION_NEW);
    client_subscribe(&a, 1, "t", 1);
    expect_suback(&a, 1, 1);
    open_sender(b, &s, &sender);
    store_mem_fail_next(b->store, ERR_IO, 1000);
    client_publish(&s, QOS1, 7, "t", "x");
    expect_ack(&s, PUBACK, 7, 0);
    expect_publish(&a, QOS1, "t", "x");
    client_lose(&a);
    client_lose(&s);
    assert_int_equal(broker_sessions(b), 0);
    broker_free(b);
}

/* ---- bounds --------------------------------------------------------------------------------------- */

static void a_full_queue_refuses(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    struct client a, s;
    b->settings.queue_len_max = 3;
    open_subscribed(b, &a, &keeper);
    client_lose(&a);
    open_sender(b, &s, &sender5);
    for (uint16_t id = 1; id <= 5; id++)
        client_publish(&s, QOS1, id, "t", "x");
    broker_commit(b);
    for (uint16_t id = 1; id <= 5; id++)
        expect_ack(&s, PUBACK, id, id <= 3 ? 0 : 0x97);
    assert_int_equal(broker_count(b, C_DROPPED_QUEUE_FULL), 2);
    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    for (unsigned i = 0; i < 3; i++)
        client_ack(&a, 0x40, expect_publish(&a, QOS1, "t", "x"));
    expect_nothing(&a);
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

/* All ids are out: the next message waits for the oldest, not for just any [MQTT-2.2.1-3]. */
static void waits_when_all_ids_are_in_flight(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    struct client a, s;
    b->settings.inflight_max = UINT16_MAX;
    client_open(b, &a, &(struct connect_how){.id = "slow", .version = V311, .clean = true});
    expect_connack(&a, SESSION_NEW);
    client_subscribe(&a, 1, "t", 1);
    expect_suback(&a, 1, 1);
    open_sender(b, &s, &sender);
    for (uint32_t i = 1; i <= UINT16_MAX; i++) {
        client_publish(&s, QOS1, 1, "t", "x");
        expect_ack(&s, PUBACK, 1, 0);
        assert_int_equal(expect_publish(&a, QOS1, "t", "x"), i);
    }
    client_ack(&a, 0x40, 3); /* its number is free, but that of the oldest is next */
    for (unsigned i = 0; i < 4; i++)
        client_publish(&s, QOS1, 1, "t", "later");
    expect_nothing(&a);
    client_ack(&a, 0x40, 2);
    expect_nothing(&a);
    client_ack(&a, 0x40, 1);
    for (uint16_t id = 1; id <= 3; id++)
        assert_int_equal(expect_publish(&a, QOS1, "t", "later"), id);
    expect_nothing(&a);
    client_ack(&a, 0x40, 4);
    assert_int_equal(expect_publish(&a, QOS1, "t", "later"), 4);
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

/* ---- retained messages ---------------------------------------------------------------------------- */

/* [MQTT-3.3.1-9]: a new subscriber gets what was published before it, also when that is still being stored.
 */
static void retained_messages_follow_the_commit(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    struct client a, s;
    open_sender(b, &s, &sender);
    client_publish(&s, RETAIN, 0, "r/1", "old");
    broker_commit(b);
    client_publish(&s, RETAIN, 0, "r/1", "new");
    client_publish(&s, QOS1 | RETAIN, 3, "r/2", "more");
    client_open(b, &a, &(struct connect_how){.id = "reader", .version = V311, .clean = true});
    expect_connack(&a, SESSION_NEW);
    client_subscribe(&a, 1, "r/+", 1);
    expect_nothing(&a);
    expect_nothing(&s);
    broker_commit(b);
    expect_ack(&s, PUBACK, 3, 0);
    expect_suback(&a, 1, 1);
    expect_publish(&a, RETAIN, "r/1", "new");
    expect_publish(&a, QOS1 | RETAIN, "r/2", "more");
    expect_nothing(&a);
    /* An empty one deletes [MQTT-3.3.1-6]. */
    client_publish(&s, RETAIN, 0, "r/1", "");
    expect_publish(&a, 0, "r/1", "");
    client_subscribe(&a, 2, "r/1", 0);
    broker_commit(b);
    expect_suback(&a, 2, 0);
    expect_nothing(&a);
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_commit_is_no_success),
        cmocka_unit_test(a_failed_subscription_is_refused),
        cmocka_unit_test(nothing_waits_for_clean_sessions),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(waits_when_all_ids_are_in_flight),
        cmocka_unit_test(retained_messages_follow_the_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
