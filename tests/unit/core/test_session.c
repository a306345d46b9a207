/* SPDX-License-Identifier: Apache-2.0 */
/* What a session promises, told as scenarios: bytes in, bytes out, commits and power cuts when the test says.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/unit/core/broker.h"

/* ---- resuming ------------------------------------------------------------------------------------- */

/* [MQTT-4.1.0-1, MQTT-3.1.2-5] */
static void resumes_after_a_power_cut(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    struct client a, s;
    open_subscribed(b, &a, &keeper);
    client_lose(&a);
    open_sender(b, &s, &sender);
    client_publish(&s, QOS1, 7, "t/1", "first");
    client_publish(&s, QOS1, 8, "t/2", "second");
    expect_nothing(&s); /* nobody has it for good yet */
    broker_commit(b);
    expect_ack(&s, PUBACK, 7, 0);
    expect_ack(&s, PUBACK, 8, 0);
    client_publish(&s, QOS1, 9, "t/3", "unpromised");
    expect_nothing(&s);
    struct store *committed = store_mem_clone(b->store);
    client_lose(&s);
    broker_power_cycle(b, committed);

    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    broker_commit(b);
    uint16_t first = expect_publish(&a, QOS1, "t/1", "first");
    uint16_t second = expect_publish(&a, QOS1, "t/2", "second");
    expect_nothing(&a);
    assert_int_not_equal(first, second);
    client_ack(&a, 0x40, first);
    client_ack(&a, 0x40, second);
    broker_commit(b);
    client_lose(&a);
    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    expect_nothing(&a);
    client_lose(&a);
    broker_free(b);
}

/* What was sent and not acknowledged comes again under the same id, before what is new [MQTT-4.4.0-1]. */
static void sends_again_under_the_same_id(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    struct client a, s;
    open_subscribed(b, &a, &keeper);
    open_sender(b, &s, &sender);
    for (uint16_t id = 1; id <= 3; id++)
        client_publish(&s, QOS1, id, "t", "x");
    broker_commit(b);
    uint16_t ids[3];
    for (unsigned i = 0; i < 3; i++)
        ids[i] = expect_publish(&a, QOS1, "t", "x");
    client_ack(&a, 0x40, ids[1]);
    broker_commit(b);
    struct store *committed = store_mem_clone(b->store);
    client_lose(&a);
    client_lose(&s);
    broker_power_cycle(b, committed);
    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    assert_int_equal(expect_publish(&a, QOS1 | DUP, "t", "x"), ids[0]);
    assert_int_equal(expect_publish(&a, QOS1 | DUP, "t", "x"), ids[2]);
    expect_nothing(&a);
    open_sender(b, &s, &sender);
    client_publish(&s, QOS1, 9, "t", "new");
    broker_commit(b);
    uint16_t id = expect_publish(&a, QOS1, "t", "new");
    for (unsigned i = 0; i < 3; i++)
        assert_int_not_equal(id, ids[i]);
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

/* [MQTT-3.1.4-3] */
static void a_second_connection_takes_over(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    struct client a, a2, s;
    open_subscribed(b, &a, &keeper5);
    open_sender(b, &s, &sender);
    client_publish(&s, QOS1, 1, "t", "x");
    broker_commit(b);
    uint16_t id = expect_publish(&a, QOS1, "t", "x");
    client_open(b, &a2, &keeper5);
    assert_int_equal(a.conn.state, CONN_CLOSING);
    assert_int_equal(a.conn.end, CONN_END_TAKEN_OVER);
    expect_disconnect(&a, 0x8e);
    expect_connack(&a2, SESSION_PRESENT);
    assert_int_equal(expect_publish(&a2, QOS1 | DUP, "t", "x"), id);
    assert_int_equal(broker_count(b, C_SESSION_TAKENOVER), 1);
    assert_int_equal(broker_sessions(b), 2);
    client_lose(&a); /* the old one goes without touching the session */
    client_ack(&a2, 0x40, id);
    client_publish(&s, QOS1, 2, "t", "y");
    broker_commit(b);
    expect_publish(&a2, QOS1, "t", "y");
    client_lose(&a2);
    client_lose(&s);
    broker_free(b);
}

/* Clean Start: the CONNACK leaves when the store has forgotten the old session [MQTT-3.1.2-4]. */
static void clean_start_forgets_for_good(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    struct client a;
    struct connect_how clean = keeper5;
    clean.clean = true;
    open_subscribed(b, &a, &keeper5);
    client_lose(&a);
    broker_commit(b);
    client_open(b, &a, &clean);
    expect_nothing(&a);
    broker_commit(b);
    expect_connack(&a, SESSION_NEW);
    struct store *committed = store_mem_clone(b->store);
    client_lose(&a);
    broker_power_cycle(b, committed);
    struct client s;
    open_sender(b, &s, &sender5);
    client_publish(&s, QOS1, 1, "t", "x");
    expect_ack(&s, PUBACK, 1, 0x10); /* no matching subscribers */
    client_lose(&s);
    broker_free(b);
}

/* ---- QoS 2 ---------------------------------------------------------------------------------------- */

/* [MQTT-4.3.3-10] */
static void a_qos2_id_is_remembered(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    struct client a, s;
    struct connect_how persistent = {.id = "sender", .version = V5, .expiry_s = 100};
    open_subscribed(b, &a, &keeper);
    client_lose(&a);
    open_sender(b, &s, &persistent);
    client_publish(&s, QOS2, 5, "t", "once");
    expect_nothing(&s);
    broker_commit(b);
    expect_ack(&s, PUBREC, 5, 0);
    struct store *committed = store_mem_clone(b->store);
    client_lose(&s);
    broker_power_cycle(b, committed);

    client_open(b, &s, &persistent);
    expect_connack(&s, SESSION_PRESENT);
    client_publish(&s, QOS2 | DUP, 5, "t", "once");
    broker_commit(b);
    expect_ack(&s, PUBREC, 5, 0);
    client_ack(&s, 0x62, 5);
    broker_commit(b);
    expect_ack(&s, PUBCOMP, 5, 0);
    client_publish(&s, QOS2, 5, "t", "another");
    broker_commit(b);
    expect_ack(&s, PUBREC, 5, 0);
    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    uint16_t id = expect_publish(&a, QOS2, "t", "once");
    assert_int_not_equal(expect_publish(&a, QOS2, "t", "another"), id);
    expect_nothing(&a);
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

/* PUBREL leaves when the release is stored; after a power cut it is PUBREL that comes again [MQTT-4.3.3-7].
 */
static void a_released_message_stays_released(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    struct client a, s;
    open_subscribed(b, &a, &keeper);
    open_sender(b, &s, &sender);
    client_publish(&s, QOS2, 5, "t", "once");
    broker_commit(b);
    uint16_t id = expect_publish(&a, QOS2, "t", "once");
    client_ack(&a, 0x50, id);
    expect_nothing(&a);
    broker_commit(b);
    expect_ack(&a, PUBREL, id, 0);
    struct store *committed = store_mem_clone(b->store);
    client_lose(&a);
    client_lose(&s);
    broker_power_cycle(b, committed);
    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    broker_commit(b);
    expect_ack(&a, PUBREL, id, 0);
    client_ack(&a, 0x70, id);
    expect_nothing(&a);
    client_lose(&a);
    broker_free(b);
}

/* ---- time ----------------------------------------------------------------------------------------- */

/* Wills are watched by a client that is not persistent. */
static void open_watcher(struct broker *b, struct client *c)
{
    client_open(b, c, &(struct connect_how){.id = "watcher", .version = V311, .clean = true});
    expect_connack(c, SESSION_NEW);
    client_subscribe(c, 1, "will/#", 0);
    expect_suback(c, 1, 0);
}

/* [MQTT-3.1.3-9, MQTT-3.1.2-8] */
static void a_will_waits_for_its_delay(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    struct client w, c;
    struct connect_how how = {
        .id = "mortal", .version = V5, .expiry_s = 100, .will_topic = "will/m", .will_delay_s = 10};
    open_watcher(b, &w);
    client_open(b, &c, &how);
    expect_connack(&c, SESSION_NEW);
    client_lose(&c);
    broker_wait(b, 9900);
    expect_nothing(&w);
    broker_wait(b, 300);
    expect_publish(&w, 0, "will/m", "bye");
    assert_int_equal(broker_count(b, C_WILL_PUBLISHED), 1);
    /* Back in time: no will. */
    client_open(b, &c, &how);
    expect_connack(&c, SESSION_PRESENT);
    client_lose(&c);
    broker_wait(b, 5000);
    client_open(b, &c, &how);
    expect_connack(&c, SESSION_PRESENT);
    broker_wait(b, 20000);
    expect_nothing(&w);
    /* Back in time without a will: the old one is not sent later either. */
    client_lose(&c);
    struct connect_how content = how;
    content.will_topic = NULL;
    client_open(b, &c, &content);
    expect_connack(&c, SESSION_PRESENT);
    client_lose(&c);
    broker_wait(b, 20000);
    expect_nothing(&w);
    client_open(b, &c, &how);
    expect_connack(&c, SESSION_PRESENT);
    /* A goodbye: none either [MQTT-3.14.4-3]. */
    client_disconnect(&c);
    broker_wait(b, 20000);
    expect_nothing(&w);
    /* The session ends before the delay does: then. */
    how.expiry_s = 5;
    client_open(b, &c, &how);
    expect_connack(&c, SESSION_PRESENT);
    client_lose(&c);
    broker_wait(b, 4900);
    expect_nothing(&w);
    broker_wait(b, 300);
    expect_publish(&w, 0, "will/m", "bye");
    broker_wait(b, 20000);
    expect_nothing(&w);
    client_lose(&w);
    broker_free(b);
}

/* A delay that was running when the power went is kept. */
static void a_will_survives_a_power_cut(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    struct client w, c;
    struct connect_how how = {
        .id = "mortal", .version = V5, .expiry_s = 100, .will_topic = "will/m", .will_delay_s = 10};
    client_open(b, &c, &how);
    expect_connack(&c, SESSION_NEW);
    client_lose(&c);
    broker_commit(b);
    broker_wait(b, 4000);
    broker_power_cycle(b, store_mem_clone(b->store));
    open_watcher(b, &w);
    broker_wait(b, 5900);
    expect_nothing(&w);
    broker_wait(b, 300);
    expect_publish(&w, 0, "will/m", "bye");
    client_lose(&w);
    broker_free(b);
}

/* [MQTT-3.1.2-23, MQTT-4.1.0-2] */
static void a_session_expires(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    struct client a, s;
    struct connect_how how = {.id = "keeper", .version = V5, .expiry_s = 10};
    open_subscribed(b, &a, &how);
    broker_wait(b, 60000); /* time counts from the end of the connection */
    client_lose(&a);
    broker_wait(b, 9800);
    client_open(b, &a, &how);
    expect_connack(&a, SESSION_PRESENT);
    client_lose(&a);
    broker_commit(b);
    broker_wait(b, 4000);
    broker_power_cycle(b, store_mem_clone(b->store)); /* it counts on across a restart */
    broker_wait(b, 5800);
    assert_int_equal(broker_sessions(b), 1);
    broker_wait(b, 400);
    assert_int_equal(broker_sessions(b), 0);
    assert_int_equal(inspect_routes(b->sh), 0);
    broker_commit(b);
    broker_power_cycle(b, store_mem_clone(b->store));
    assert_int_equal(broker_sessions(b), 0);
    client_open(b, &a, &how);
    expect_connack(&a, SESSION_NEW);
    open_sender(b, &s, &sender5);
    client_publish(&s, QOS1, 1, "t", "x");
    expect_ack(&s, PUBACK, 1, 0x10);
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resumes_after_a_power_cut),
        cmocka_unit_test(sends_again_under_the_same_id),
        cmocka_unit_test(a_second_connection_takes_over),
        cmocka_unit_test(clean_start_forgets_for_good),
        cmocka_unit_test(a_qos2_id_is_remembered),
        cmocka_unit_test(a_released_message_stays_released),
        cmocka_unit_test(a_will_waits_for_its_delay),
        cmocka_unit_test(a_will_survives_a_power_cut),
        cmocka_unit_test(a_session_expires),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
