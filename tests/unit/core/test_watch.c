/* SPDX-License-Identifier: Apache-2.0 */
/* Topics whose messages are counted, and clients that are slow. */
#include "node/core/slow_subs.h"
#include "node/core/topic_metrics.h"
#include "tests/unit/core/broker.h"

#include <stdio.h>

static const struct topic_metric *metric_of(struct broker *b, const char *topic)
{
    const struct topic_metric *m = topic_metrics_first(b->sh);
    while (m && !bytes_eq(bytes_of(m->topic, m->topic_n), bytes_str(topic)))
        m = m->next;
    return m;
}

static void topics_are_counted(void **state)
{
    struct broker *b = broker_new();
    struct client a, s;
    const char *why;
    (void)state;
    b->settings.topic_metrics = "t/1; t/2 ;";
    broker_power_cycle(b, store_mem_clone(b->store));
    open_subscribed(b, &a, &keeper5);
    open_sender(b, &s, &sender5);
    for (uint8_t qos = 0; qos < 3; qos++)
        client_publish(&s, (uint8_t)(qos << 1), qos, "t/1", "x");
    client_publish(&s, 0, 0, "t/3", "not counted");
    client_publish(&s, 0, 0, "t/1", "x");
    broker_commit(b);
    const struct topic_metric *m = metric_of(b, "t/1");
    assert_true(m->in[0] == 2 && m->in[1] == 1 && m->in[2] == 1 && m->dropped == 0);
    assert_true(m->out[0] == 2 && m->out[1] == 1 && m->out[2] == 1);
    client_lose(&a);
    b->settings.queue_len_max = 1;
    for (uint16_t i = 10; i < 13; i++)
        client_publish(&s, QOS1, i, "t/2", "x"); /* one of them is kept */
    m = metric_of(b, "t/2");
    assert_true(m->in[1] == 3 && m->out[1] == 0 && m->dropped == 2);
    assert_true(topic_metrics_register(b->sh, bytes_str("t/2"), &why));
    assert_true(m->in[1] == 0 && m->dropped == 0);
    assert_true(topic_metrics_unregister(b->sh, bytes_str("t/1")));
    assert_false(topic_metrics_unregister(b->sh, bytes_str("t/1")));
    assert_null(metric_of(b, "t/1"));
    assert_non_null(metric_of(b, "t/2"));
    client_lose(&s);
    broker_free(b);
}

static void what_cannot_be_counted(void **state)
{
    struct broker *b = broker_new();
    const char *why = NULL;
    char topic[16], text[256];
    (void)state;
    assert_false(topic_metrics_register(b->sh, bytes_str("a/#"), &why));
    assert_non_null(why);
    for (unsigned i = 0; i < TOPIC_METRICS_MAX; i++) {
        snprintf(topic, sizeof topic, "t/%u", i);
        assert_true(topic_metrics_register(b->sh, bytes_str(topic), &why));
    }
    assert_false(topic_metrics_register(b->sh, bytes_str("one/more"), &why));
    assert_false(topic_metrics_check("a; b/+", text, sizeof text));
    assert_true(topic_metrics_check("a; b", text, sizeof text));
    broker_free(b);
}

static void slow_begin(struct broker *b)
{
    b->settings.slow_subs_ms = 500;
    b->settings.slow_subs_max = 2;
    b->settings.slow_subs_expiry_ms = 10000;
}

/* Sends a message of QoS 1 or 2 to `a` and acknowledges it so much later. */
static void send_slowly(struct broker *b, struct client *s, struct client *a, const char *topic,
                        uint8_t flags, uint64_t ms)
{
    static uint16_t id;
    client_publish(s, flags, ++id, topic, "x");
    broker_commit(b);
    uint16_t packet_id = expect_publish(a, flags, topic, "x");
    broker_wait(b, ms);
    client_ack(a, flags == QOS1 ? 0x40 : 0x50, packet_id);
    broker_commit(b);
    if (flags == QOS2) {
        expect_packet(a, PUBREL, NULL);
        client_ack(a, 0x70, packet_id);
    }
}

static const struct slow_sub *slow_of(struct broker *b, const char *topic)
{
    const struct slow_subs *t = slow_subs_of(b->sh);
    for (uint32_t i = 0; i < t->n; i++) {
        if (bytes_eq(bytes_of(t->v[i]->text + t->v[i]->client_id_n, t->v[i]->topic_n), bytes_str(topic)))
            return t->v[i];
    }
    return NULL;
}

static void check_the_slowest(const struct connect_how *how)
{
    struct broker *b = broker_new();
    struct client a, s;
    slow_begin(b);
    client_open(b, &a, how);
    expect_connack(&a, SESSION_NEW);
    broker_commit(b);
    client_subscribe(&a, 1, "t/#", 2);
    broker_commit(b);
    expect_suback(&a, 1, 2);
    open_sender(b, &s, &sender);
    send_slowly(b, &s, &a, "t/quick", QOS1, 400);
    assert_int_equal(slow_subs_of(b->sh)->n, 0);
    send_slowly(b, &s, &a, "t/1", QOS1, 600);
    send_slowly(b, &s, &a, "t/2", QOS2, 900);
    send_slowly(b, &s, &a, "t/1", QOS1, 700);
    assert_int_equal(slow_of(b, "t/1")->took_ms, 700);
    assert_int_equal(slow_of(b, "t/2")->took_ms, 900);
    send_slowly(b, &s, &a, "t/3", QOS1, 650); /* two are quicker than none of these */
    assert_null(slow_of(b, "t/3"));
    send_slowly(b, &s, &a, "t/4", QOS1, 800);
    assert_null(slow_of(b, "t/1"));
    assert_int_equal(slow_of(b, "t/4")->took_ms, 800);
    assert_int_equal(broker_count(b, C_SLOW_DELIVERIES), 5);
    broker_wait(b, 11100);
    assert_int_equal(slow_subs_of(b->sh)->n, 0);
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

static void the_slowest_are_listed(void **state)
{
    static const struct connect_how fleeting = {.id = "keeper", .version = V5, .clean = true};
    (void)state;
    check_the_slowest(&keeper5);
    check_the_slowest(&fleeting);
}

/* The time in which the client was away is not its slowness. */
static void away_is_not_slow(void **state)
{
    struct broker *b = broker_new();
    struct client a, s;
    (void)state;
    slow_begin(b);
    open_subscribed(b, &a, &keeper);
    client_lose(&a);
    broker_commit(b);
    open_sender(b, &s, &sender);
    client_publish(&s, QOS1, 1, "t/1", "x");
    broker_commit(b);
    broker_wait(b, 60000);
    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    uint16_t id = expect_publish(&a, QOS1, "t/1", "x");
    broker_wait(b, 100);
    client_ack(&a, 0x40, id);
    assert_int_equal(slow_subs_of(b->sh)->n, 0);
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_are_counted),
        cmocka_unit_test(what_cannot_be_counted),
        cmocka_unit_test(the_slowest_are_listed),
        cmocka_unit_test(away_is_not_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
