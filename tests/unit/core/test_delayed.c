/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that are published later: when, how often, and what a crash or a failing store does to them. */
#include "node/core/delayed.h"
#include "tests/unit/core/broker.h"

static struct broker *delayed_broker(void)
{
    struct broker *b = broker_new();
    b->settings.delayed_available = true;
    return b;
}

static void end(struct broker *b, struct client *s)
{
    client_lose(s);
    broker_free(b);
}

static struct client *opened(struct broker *b, const struct connect_how *how)
{
    static struct client s;
    client_open(b, &s, how);
    expect_connack(&s, SESSION_NEW);
    return &s;
}

static uint64_t stored(struct broker *b)
{
    return store_count(b->store, STORE_DELAYED);
}

/* The subscriber comes back and finds just these in its queue. */
static void check_queue(struct broker *b, uint8_t flags, unsigned n)
{
    struct client a;
    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    while (n--)
        expect_publish(&a, flags, "t/1", "x");
    expect_nothing(&a);
    client_lose(&a);
}

static void leave_subscribed(struct broker *b)
{
    struct client a;
    open_subscribed(b, &a, &keeper);
    client_lose(&a);
    broker_commit(b);
}

/* ---- topics --------------------------------------------------------------------------------------- */

static void topics(void **state)
{
    enum { NOW_S = 1700000000 };
    static const struct {
        const char *topic, *of_then; /* NULL: refused */
        uint64_t when_ms;
    } rows[] = {
        {"$delayed/5/t", "t", NOW_S * 1000ull + 5000},
        {"$delayed/0/t/1", "t/1", NOW_S * 1000ull},
        {"$delayed/4294967//", "/", NOW_S * 1000ull + 4294967000},
        {"$delayed/1700000060/t", "t", 1700000060000},
        {"$delayed/1699999999/t", "t", 1699999999000},
        {"$delayed/1600000000/t", NULL, 0},
        {"$delayed/4294968/t", NULL, 0},
        {"$delayed/1704294967/t", "t", 1704294967000},
        {"$delayed/1704294968/t", NULL, 0},
        {"$delayed/99999999999999999999999/t", NULL, 0},
        {"$delayed/", NULL, 0},
        {"$delayed//t", NULL, 0},
        {"$delayed/5", NULL, 0},
        {"$delayed/5/", NULL, 0},
        {"$delayed/-5/t", NULL, 0},
        {"$delayed/5s/t", NULL, 0},
        {"$delayed/+5/t", NULL, 0},
        {"$delayed/ 5/t", NULL, 0},
        {"$delayed/0x5/t", NULL, 0},
        {"$delay/5/t", NULL, 0},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t when_ms = 0;
        struct bytes t;
        bool is_good = delayed_parse(bytes_str(rows[i].topic), NOW_S * 1000ull, &when_ms, &t);
        assert_int_equal(is_good, rows[i].of_then != NULL);
        if (is_good)
            assert_true(bytes_eq(t, bytes_str(rows[i].of_then)) && when_ms == rows[i].when_ms);
    }
}

static void refused(void **state)
{
    static const char *const bad[] = {"$delayed/x/t", "$delayed/5/$SYS/t", "$delayed/5/$share/g/t",
                                      "$delayed/5/$delayed/5/t", "$delayed/5/$exclusive/t"};
    struct broker *b = delayed_broker();
    struct client *s = opened(b, &sender5);
    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        client_publish(s, QOS1, (uint16_t)(i + 1), bad[i], "x");
        expect_ack(s, PUBACK, (uint16_t)(i + 1), 0x90);
    }
    b->settings.delayed_available = false;
    client_publish(s, QOS2, 20, "$delayed/5/t", "x");
    expect_ack(s, PUBREC, 20, 0x90);
    b->settings.delayed_available = true;
    b->settings.delayed_count_max = 1;
    client_publish(s, QOS1, 21, "$delayed/5/t", "x");
    broker_commit(b);
    expect_ack(s, PUBACK, 21, 0);
    client_publish(s, QOS1, 22, "$delayed/5/t", "x");
    expect_ack(s, PUBACK, 22, 0x97);
    assert_int_equal(broker_count(b, C_DELAYED_REFUSED), 7);
    end(b, s);
}

/* ---- time ----------------------------------------------------------------------------------------- */

static void check_on_time(uint8_t flags)
{
    struct broker *b = delayed_broker();
    struct client a, *s = opened(b, &sender5);
    open_subscribed(b, &a, &keeper5);
    client_publish(s, flags, 7, "$delayed/5/t/1", "x");
    if (flags)
        expect_nothing(s); /* not before it is stored */
    broker_commit(b);
    if (flags)
        expect_ack(s, flags == QOS1 ? PUBACK : PUBREC, 7, 0);
    assert_int_equal(stored(b), 1);
    broker_wait(b, 4900);
    broker_commit(b);
    expect_nothing(&a);
    broker_wait(b, 200);
    broker_commit(b);
    broker_commit(b);
    expect_publish(&a, flags, "t/1", "x");
    broker_wait(b, 10000);
    broker_commit(b);
    expect_nothing(&a);
    assert_int_equal(stored(b), 0);
    client_lose(&a);
    end(b, s);
}

static void each_qos_once_on_time(void **state)
{
    (void)state;
    check_on_time(0);
    check_on_time(QOS1);
    check_on_time(QOS2);
}

static void a_will(void **state)
{
    static const struct connect_how how = {
        .id = "w", .version = V311, .clean = true, .will_topic = "$delayed/5/t/w"};
    struct broker *b = delayed_broker();
    struct client a, *s = opened(b, &how);
    (void)state;
    open_subscribed(b, &a, &keeper);
    client_lose(s);
    broker_commit(b);
    broker_wait(b, 4900);
    expect_nothing(&a);
    broker_wait(b, 200);
    broker_commit(b);
    expect_publish(&a, QOS1, "t/w", "bye");
    client_lose(&a);
    broker_free(b);
}

/* ---- crashes -------------------------------------------------------------------------------------- */

/* The power goes while it waits, then at each commit of its publication. */
static void check_crash(uint8_t flags)
{
    for (unsigned commits = 0; commits < 3; commits++) {
        struct broker *b = delayed_broker();
        leave_subscribed(b);
        struct client *s = opened(b, &sender5);
        client_publish(s, flags, 7, "$delayed/5/t/1", "x");
        broker_commit(b);
        client_lose(s);
        broker_power_cycle(b, store_mem_clone(b->store));
        broker_wait(b, 5100); /* due, in the batch that is not committed yet */
        for (unsigned i = 0; i < commits; i++)
            broker_commit(b);
        broker_power_cycle(b, store_mem_clone(b->store));
        broker_wait(b, 200);
        broker_commit(b);
        broker_commit(b);
        assert_int_equal(stored(b), 0);
        check_queue(b, flags, 1);
        broker_free(b);
    }
}

static void a_crash_loses_and_doubles_nothing(void **state)
{
    (void)state;
    check_crash(QOS1);
    check_crash(QOS2);
}

/* ---- a store that fails --------------------------------------------------------------------------- */

static void check_failing(uint8_t flags)
{
    struct broker *b = delayed_broker();
    leave_subscribed(b);
    struct client *s = opened(b, &sender5);
    client_publish(s, flags, 7, "$delayed/5/t/1", "x");
    broker_commit_fails(b, ERR_NOSPC);
    expect_ack(s, flags == QOS1 ? PUBACK : PUBREC, 7, 0x97); /* never a success that is none */
    broker_wait(b, 2000);
    client_publish(s, flags, 8, "$delayed/5/t/1", "x");
    broker_commit(b);
    expect_ack(s, flags == QOS1 ? PUBACK : PUBREC, 8, 0);
    broker_wait(b, 5100);
    broker_commit_fails(b, ERR_IO); /* when it is due */
    assert_int_equal(stored(b), 1);
    broker_wait(b, 3000);
    broker_commit(b);
    broker_commit(b);
    assert_int_equal(stored(b), 0);
    client_lose(s);
    check_queue(b, flags, 1);
    broker_free(b);
}

static void a_failed_commit_is_tried_again(void **state)
{
    (void)state;
    check_failing(QOS1);
    check_failing(QOS2);
}

static void many_of_one_moment(void **state)
{
    enum { N = 1000 };
    struct broker *b = delayed_broker();
    struct client a, *s = opened(b, &sender5);
    (void)state;
    open_subscribed(b, &a, &keeper5);
    for (uint16_t i = 0; i < N; i++)
        client_publish(s, 0, 0, "$delayed/1/t/1", "x");
    broker_commit(b);
    for (unsigned i = 0; i < 20; i++) {
        broker_wait(b, 200);
        broker_commit(b);
    }
    for (unsigned i = 0; i < N; i++)
        expect_publish(&a, 0, "t/1", "x");
    expect_nothing(&a);
    assert_int_equal(stored(b), 0);
    client_lose(&a);
    end(b, s);
}

/* A queue that is full takes nothing, and nobody else waits for it or gets a message twice. */
static void a_full_queue_holds_nobody_up(void **state)
{
    enum { N = 300 };
    static const struct connect_how other = {.id = "other", .version = V311, .clean = true};
    struct broker *b = delayed_broker();
    struct client a, *s = opened(b, &sender);
    (void)state;
    b->settings.queue_len_max = 1;
    b->settings.retained_count_max = 1;
    leave_subscribed(b);
    client_open(b, &a, &other);
    expect_connack(&a, SESSION_NEW);
    client_subscribe(&a, 1, "o", 1);
    expect_suback(&a, 1, 1);
    for (uint16_t i = 1; i <= N; i++)
        client_publish(s, QOS2, i, "$delayed/1/t/1", "x");
    broker_commit(b);
    client_publish(s, QOS1 | RETAIN, N + 1, "r", "x");
    client_publish(s, QOS1 | RETAIN, N + 2, "$delayed/2/o", "x"); /* one too many to be retained */
    for (unsigned i = 0; i < 60; i++) {
        broker_commit(b);
        broker_wait(b, 100);
    }
    expect_publish(&a, QOS1, "o", "x");
    expect_nothing(&a);
    assert_int_equal(stored(b), 0);
    client_lose(&a);
    client_lose(s);
    check_queue(b, QOS2, 1);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics),
        cmocka_unit_test(refused),
        cmocka_unit_test(each_qos_once_on_time),
        cmocka_unit_test(a_will),
        cmocka_unit_test(a_crash_loses_and_doubles_nothing),
        cmocka_unit_test(a_failed_commit_is_tried_again),
        cmocka_unit_test(many_of_one_moment),
        cmocka_unit_test(a_full_queue_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
