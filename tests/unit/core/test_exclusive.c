/* SPDX-License-Identifier: Apache-2.0 */
/* $exclusive/FILTER on one node; several are in tests/e2e. */
#include "node/core/exclusive.h"
#include "tests/unit/core/broker.h"

static const struct connect_how one5 = {.id = "one", .version = V5, .clean = true};
static const struct connect_how two5 = {.id = "two", .version = V5, .clean = true};
static const struct connect_how two = {.id = "two", .version = V311, .clean = true};

static struct broker *exclusive_broker(void)
{
    struct broker *b = broker_new();
    b->settings.exclusive_available = true;
    return b;
}

static void one_at_a_time(void **state)
{
    struct broker *b = exclusive_broker();
    struct client a, c, d;
    (void)state;
    open_sender(b, &a, &one5);
    open_sender(b, &c, &two5);
    open_sender(b, &d, &sender);
    client_subscribe(&a, 1, "$exclusive/t/1", 1);
    expect_suback(&a, 1, 1);
    client_subscribe(&c, 1, "$exclusive/t/1", 1);
    expect_suback(&c, 1, 0x97);
    client_subscribe(&d, 1, "$exclusive/t/1", 1);
    expect_suback(&d, 1, 0x80);
    client_subscribe(&c, 2, "$exclusive/t/+", 0); /* another filter */
    expect_suback(&c, 2, 0);
    client_subscribe(&c, 3, "t/1", 0); /* and no exclusive one */
    expect_suback(&c, 3, 0);
    client_subscribe(&a, 2, "$exclusive/t/1", 0); /* one's own, with other options */
    expect_suback(&a, 2, 0);
    client_publish(&d, QOS1, 9, "t/1", "x");
    expect_publish(&a, 0, "t/1", "x");
    expect_publish(&c, 0, "t/1", "x");
    expect_publish(&c, 0, "t/1", "x"); /* two subscriptions, as with shared ones */
    expect_nothing(&a);
    assert_int_equal(broker_count(b, C_EXCLUSIVE_REFUSED), 2);
    client_lose(&a);
    client_subscribe(&c, 4, "$exclusive/t/1", 0);
    expect_suback(&c, 4, 0);
    client_lose(&c);
    client_lose(&d);
    broker_free(b);
}

static void off_is_refused(void **state)
{
    struct broker *b = broker_new();
    struct client a;
    (void)state;
    open_sender(b, &a, &one5);
    client_subscribe(&a, 1, "$exclusive/t", 1);
    expect_suback(&a, 1, 0x8f);
    client_lose(&a);
    broker_free(b);
}

/* It is the session's: while its client is away, and after a restart. */
static void kept_with_the_session(void **state)
{
    struct broker *b = exclusive_broker();
    struct client a, c;
    (void)state;
    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_NEW);
    broker_commit(b);
    client_subscribe(&a, 1, "$exclusive/t", 1);
    broker_commit(b);
    expect_suback(&a, 1, 1);
    client_lose(&a);
    broker_commit(b);
    for (unsigned i = 0; i < 2; i++) {
        open_sender(b, &c, &two);
        client_subscribe(&c, 1, "$exclusive/t", 1);
        expect_suback(&c, 1, 0x80);
        client_lose(&c);
        broker_power_cycle(b, store_mem_clone(b->store));
    }
    open_sender(b, &c, &two);
    client_publish(&c, QOS1, 1, "t", "x");
    broker_commit(b);
    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_PRESENT);
    expect_publish(&a, QOS1, "t", "x");
    uint8_t buf[PACKET_MAX];
    client_send(&a, 0xa2, buf, put_text(be16_put(buf, 2), "$exclusive/t"));
    broker_commit(b);
    client_subscribe(&c, 2, "$exclusive/t", 1);
    expect_ack(&c, PUBACK, 1, 0);
    expect_suback(&c, 2, 1);
    client_lose(&a);
    client_lose(&c);
    broker_free(b);
}

/* A store that fails leaves nothing behind. */
static void a_failed_commit_gives_it_back(void **state)
{
    struct broker *b = exclusive_broker();
    struct client a, c;
    (void)state;
    client_open(b, &a, &keeper5);
    expect_connack(&a, SESSION_NEW);
    broker_commit(b);
    client_subscribe(&a, 1, "$exclusive/t", 1);
    broker_commit_fails(b, ERR_IO);
    expect_suback(&a, 1, 0x83);
    broker_commit(b);
    open_sender(b, &c, &two5);
    client_subscribe(&c, 1, "$exclusive/t", 1);
    expect_suback(&c, 1, 1);
    client_lose(&a);
    client_lose(&c);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(off_is_refused),
        cmocka_unit_test(kept_with_the_session),
        cmocka_unit_test(a_failed_commit_gives_it_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
