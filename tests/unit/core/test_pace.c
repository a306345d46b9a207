/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of messages and bytes a second: what comes faster waits in the client's socket, nothing is lost. */
#include "tests/unit/core/broker.h"

/* As the I/O layer does: feeds what the connection takes, and again after a pause. */
static size_t feed(struct client *c, const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n + 1);
    assert_non_null(copy);
    memcpy(copy, p, n);
    size_t used = c->conn.read_paused ? 0 : conn_feed(&c->conn, copy, n);
    free(copy);
    client_pull(c);
    return used;
}

/* So many PUBLISH of QoS 0 on "t", `size` bytes each. */
static uint8_t *publishes(unsigned n, size_t size)
{
    uint8_t *all = calloc(n, size), *p = all;
    assert_non_null(all);
    for (unsigned i = 0; i < n; i++, p += size) {
        p[0] = 0x30;
        p[1] = (uint8_t)(size - 2);
        p[3] = 1;
        p[4] = 't';
    }
    return all;
}

/* How many of them are taken at once, and how long the rest takes at 100 ms a tick. */
static void check(uint64_t messages_rate, uint64_t bytes_rate, unsigned at_once, uint64_t rest_ms,
                  enum counter why)
{
    enum { N = 100, SIZE = 100 };
    struct broker *b = broker_new();
    struct client c;
    b->settings.messages_rate_max = messages_rate;
    b->settings.bytes_rate_max = bytes_rate;
    open_sender(b, &c, &sender);
    uint8_t *all = publishes(N, SIZE);
    size_t at = feed(&c, all, N * SIZE);
    uint64_t gone_ms = 0;
    assert_int_equal(at, at_once * SIZE);
    assert_int_equal(c.conn.read_paused, at_once < N);
    for (; at < N * SIZE; gone_ms += 100) {
        broker_wait(b, 100);
        at += feed(&c, all + at, N * SIZE - at);
    }
    assert_in_range(gone_ms, rest_ms ? rest_ms - 100 : 0, rest_ms + 100);
    assert_int_equal(broker_count(b, C_MESSAGES_RECEIVED), N);
    assert_true(at_once == N || broker_count(b, why) > 0);
    assert_int_equal(c.conn.state, CONN_OPEN);
    free(all);
    client_lose(&c);
    broker_free(b);
}

static void messages_a_second(void **state)
{
    (void)state;
    check(10, 0, 11, 8900, C_PACED_MESSAGES); /* a second's worth, and the one that is too many */
    check(1, 0, 2, 98000, C_PACED_MESSAGES);
    check(1000, 0, 100, 0, C_PACED_MESSAGES);
}

static void bytes_a_second(void **state)
{
    (void)state;
    check(0, 2000, 21, 4000, C_PACED_BYTES);
    check(0, 50, 1, 197000, C_PACED_BYTES); /* one packet is worth two seconds */
    check(50, 2000, 21, 4000, C_PACED_BYTES);
    check(0, 0, 100, 0, C_PACED_BYTES);
}

/* A client that is not listened to is not silent, and one that is silent is found all the same. */
static void keep_alive_while_paused(void **state)
{
    struct broker *b = broker_new();
    struct client c;
    (void)state;
    b->settings.bytes_rate_max = 10;
    b->settings.server_keep_alive_s = 2;
    open_sender(b, &c, &sender5);
    uint8_t *one = publishes(1, 100);
    one[5] = 0; /* no properties */
    assert_int_equal(feed(&c, one, 100), 100);
    assert_true(c.conn.read_paused);
    broker_wait(b, 8900);
    assert_int_equal(c.conn.state, CONN_OPEN);
    assert_true(c.conn.read_paused);
    broker_wait(b, 300);
    assert_false(c.conn.read_paused);
    broker_wait(b, 2500);
    assert_int_equal(c.conn.state, CONN_OPEN);
    broker_wait(b, 1000);
    assert_int_equal(c.conn.end, CONN_END_KEEP_ALIVE);
    free(one);
    client_lose(&c);
    broker_free(b);
}

static void the_end_while_paused(void **state)
{
    struct broker *b = broker_new();
    struct client c;
    (void)state;
    b->settings.messages_rate_max = 1;
    open_sender(b, &c, &sender);
    uint8_t *some = publishes(5, 20);
    assert_int_equal(feed(&c, some, 100), 40);
    conn_close(&c.conn, RC_ADMINISTRATIVE_ACTION, NULL, CONN_END_KICKED);
    broker_wait(b, 5000); /* nothing of it is left in a list */
    free(some);
    client_lose(&c);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_a_second),
        cmocka_unit_test(bytes_a_second),
        cmocka_unit_test(keep_alive_while_paused),
        cmocka_unit_test(the_end_while_paused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
