/* SPDX-License-Identifier: Apache-2.0 */
/* Connections over plain TCP: how bytes come and go, and how connections end. */
#include "tests/io/loop.h"

#include "proto/mqtt/reason.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static struct loop l;

static int setup(void **state)
{
    (void)state;
    loop_init(&l);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_stop(&l);
    return 0;
}

/* ---- reading --------------------------------------------------------------------------------------- */

static void packets_may_come_byte_by_byte(void **state)
{
    struct client a, b;
    uint8_t buf[CLIENT_BUF];
    size_t n;

    (void)state;
    loop_start(&l, 2, 1);
    client_open(&a, loop_port(&l, 0));
    n = packet_connect(buf, 4, "sub", 2);
    for (size_t i = 0; i < n; i++)
        client_send(&a, buf + i, 1);
    client_expect(&a, "\x20\2\0\0", 4);
    client_subscribe(&a, "t/#", 0);
    client_connect(&b, loop_port(&l, 0), "pub");
    n = packet_publish(buf, "t/1", "hello", 5, 0, 0);
    n += packet_publish(buf + n, "t/2", "again", 5, 0, 0);
    for (size_t i = 0; i < n; i++)
        client_send(&b, buf + i, 1);
    client_expect(&a, buf, n);
    client_close(&a);
    client_close(&b);
}

static void packets_of_any_size_pass(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 8192, 16384, 131072, 262140, 262144, 300000, 3000000};
    struct client a, b;

    (void)state;
    loop_start(&l, 2, 1);
    client_connect(&a, loop_port(&l, 0), "sub");
    client_subscribe(&a, "t", 0);
    client_connect(&b, loop_port(&l, 0), "pub");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        client_relay(&b, &a, "t", sizes[i]);
    client_close(&a);
    client_close(&b);
}

static void many_packets_of_mixed_size_arrive_in_order(void **state)
{
    enum { N = 400, EACH_MAX = 9000 };
    struct client a, b;
    uint8_t *all = malloc(N * (EACH_MAX + 20)), *payload = calloc(1, EACH_MAX);
    size_t n = 0;

    (void)state;
    assert_non_null(all);
    assert_non_null(payload);
    loop_start(&l, 1, 1);
    client_connect(&a, loop_port(&l, 0), "sub");
    client_subscribe(&a, "t", 0);
    client_connect(&b, loop_port(&l, 0), "pub");
    for (size_t i = 0; i < N; i++) {
        payload[0] = (uint8_t)i;
        n += packet_publish(all + n, "t", payload, (i * 7919) % EACH_MAX, 0, 0);
    }
    for (size_t at = 0; at < n; at += 30011)
        client_send(&b, all + at, n - at < 30011 ? n - at : 30011);
    client_expect(&a, all, n);
    free(all);
    free(payload);
    client_close(&a);
    client_close(&b);
}

/* More acknowledgements wait for the store than the core lets wait: it pauses reading, and goes on. */
static void reading_pauses_and_resumes(void **state)
{
    enum { N = 20000 };
    struct client a, b;
    uint8_t *all = malloc(N * 16), buf[CLIENT_BUF];
    size_t n = 0;

    (void)state;
    assert_non_null(all);
    loop_start(&l, 2, 1);
    client_open(&a, loop_port(&l, 0));
    client_send(&a, buf, packet_connect(buf, 4, "sub", 0));
    client_expect(&a, "\x20\2\0\0", 4);
    client_subscribe(&a, "t", 1);
    client_close(&a);
    client_connect(&b, loop_port(&l, 0), "pub");
    for (int i = 0; i < N; i++)
        n += packet_publish(all + n, "t", "x", 1, 1, (uint16_t)(i + 1));
    client_send(&b, all, n);
    for (int i = 0; i < N; i++) {
        uint8_t puback[] = {0x40, 2, (uint8_t)((i + 1) >> 8), (uint8_t)(i + 1)};
        client_expect(&b, puback, sizeof puback);
    }
    free(all);
    client_close(&b);
}

/* ---- writing --------------------------------------------------------------------------------------- */

static bool has_sent_no_more(struct loop *loop, void *arg)
{
    uint64_t *before = arg, now = loop_stats(loop).send_bytes;
    bool same = now == *before && now > 100000;

    *before = now;
    return same;
}

static void a_slow_reader_gets_everything_and_holds_up_nobody(void **state)
{
    enum { N = 200, PAYLOAD = 100000 };
    struct client slow, quick, pub;
    uint8_t *packet = malloc(PAYLOAD + 100), *payload = calloc(1, PAYLOAD);
    uint64_t sent = 0;
    size_t n = 0;

    (void)state;
    assert_non_null(packet);
    assert_non_null(payload);
    loop_start(&l, 2, 1);
    client_connect(&slow, loop_port(&l, 0), "slow");
    client_subscribe(&slow, "t", 0);
    client_connect(&quick, loop_port(&l, 0), "quick");
    client_subscribe(&quick, "q", 0);
    client_connect(&pub, loop_port(&l, 0), "pub");
    for (int i = 0; i < N; i++) {
        payload[0] = (uint8_t)i;
        n = packet_publish(packet, "t", payload, PAYLOAD, 0, 0);
        client_send(&pub, packet, n);
    }
    loop_wait(&l, has_sent_no_more, &sent);
    client_relay(&pub, &quick, "q", 100);
    for (int i = 0; i < N; i++) {
        payload[0] = (uint8_t)i;
        client_expect(&slow, packet, packet_publish(packet, "t", payload, PAYLOAD, 0, 0));
    }
    client_relay(&pub, &slow, "t", 10);
    free(packet);
    free(payload);
    client_close(&slow);
    client_close(&quick);
    client_close(&pub);
}

/* ---- workers --------------------------------------------------------------------------------------- */

static void connections_find_their_home(void **state)
{
    enum { N = 40 };
    struct client c[N];
    char id[16];

    (void)state;
    loop_start(&l, 4, 1);
    for (int i = 0; i < N; i++) {
        snprintf(id, sizeof id, "c%d", i);
        client_connect(&c[i], loop_port(&l, 0), id);
        client_subscribe(&c[i], id, 0);
    }
    for (int i = 0; i < N; i++) {
        snprintf(id, sizeof id, "c%d", i);
        client_relay(&c[(i * 7 + 1) % N], &c[i], id, 50);
    }
    assert_true(loop_stats(&l).handed_over > 0);
    assert_int_equal(loop_stats(&l).connections, N);
    assert_int_equal(loop_stats(&l).half_open, 0);
    for (int i = 0; i < N; i++)
        client_close(&c[i]);
}

static void a_client_id_has_one_connection(void **state)
{
    struct client last, next;

    (void)state;
    loop_start(&l, 4, 1);
    client_connect(&last, loop_port(&l, 0), "same");
    for (int i = 0; i < 100; i++) {
        client_connect(&next, loop_port(&l, 0), "same");
        client_expect_eof(&last);
        client_close(&last);
        last = next;
    }
    client_close(&last);
}

static void note_worker(struct shard *sh, void *arg)
{
    uint32_t *seen = arg;
    uint32_t n = __atomic_load_n(&seen[0], __ATOMIC_RELAXED);

    seen[1 + n] = shard_number(sh);
    __atomic_store_n(&seen[0], n + 1, __ATOMIC_RELEASE);
}

static bool has_three(struct loop *loop, void *arg)
{
    (void)loop;
    return __atomic_load_n((uint32_t *)arg, __ATOMIC_ACQUIRE) == 3;
}

static void calls_run_on_their_worker(void **state)
{
    static uint32_t seen[8];

    (void)state;
    loop_start(&l, 3, 1);
    for (int i = 0; i < 3; i++)
        io_call(l.io, 2, note_worker, seen);
    loop_wait(&l, has_three, seen);
    for (int i = 0; i < 3; i++)
        assert_int_equal(seen[1 + i], 2);
}

/* ---- the end --------------------------------------------------------------------------------------- */

/* The reason reaches the client although it goes on sending: no reset overtakes it. */
static void last_words_are_heard(void **state)
{
    static uint8_t junk[100000];
    struct client c;
    uint8_t buf[CLIENT_BUF], got[2];

    (void)state;
    loop_start(&l, 1, 1);
    client_open(&c, loop_port(&l, 0));
    client_send(&c, buf, packet_connect(buf, 5, "v5", 2));
    client_recv(&c, got, 2);
    client_recv(&c, buf, got[1]);
    memset(junk, 0xff, sizeof junk);
    client_send(&c, junk, sizeof junk);
    client_recv(&c, got, 2);
    assert_int_equal(got[0], 0xe0);
    client_recv(&c, buf, got[1]);
    assert_int_equal(buf[0], RC_MALFORMED_PACKET);
    client_expect_eof(&c);
    client_close(&c);
}

static bool has_no_connections(struct loop *loop, void *arg)
{
    (void)arg;
    return loop_stats(loop).connections == 0 && loop_info(loop, 0).connections == 0;
}

static void a_disconnect_frees_the_connection(void **state)
{
    struct client c;

    (void)state;
    loop_start(&l, 2, 1);
    for (int i = 0; i < 50; i++) {
        client_connect(&c, loop_port(&l, 0), i % 2 ? "odd" : "even");
        client_send(&c, "\xe0\0", 2);
        client_expect_eof(&c);
        client_close(&c);
    }
    loop_wait(&l, has_no_connections, NULL);
}

static void stopping_tells_every_client(void **state)
{
    struct client c, slow, pub;
    uint8_t buf[CLIENT_BUF], got[2];
    uint64_t sent = 0;
    uint8_t *packet = calloc(1, 1 << 20);

    (void)state;
    assert_non_null(packet);
    loop_start(&l, 2, 1);
    client_open(&c, loop_port(&l, 0));
    client_send(&c, buf, packet_connect(buf, 5, "v5", 2));
    client_recv(&c, got, 2);
    client_recv(&c, buf, got[1]);
    client_connect(&slow, loop_port(&l, 0), "slow");
    client_subscribe(&slow, "t", 0);
    client_connect(&pub, loop_port(&l, 0), "pub");
    for (int i = 0; i < 20; i++)
        client_send(&pub, packet, packet_publish(packet, "t", buf, sizeof buf, 0, 0));
    for (int i = 0; i < 40; i++) {
        uint8_t *payload = calloc(1, 900000);
        assert_non_null(payload);
        client_send(&pub, packet, packet_publish(packet, "t", payload, 900000, 0, 0));
        free(payload);
    }
    loop_wait(&l, has_sent_no_more, &sent);
    io_stop(l.io, 700); /* the slow one does not read: it is cut */
    client_recv(&c, got, 2);
    assert_int_equal(got[0], 0xe0);
    client_recv(&c, buf, got[1]);
    assert_int_equal(buf[0], RC_SERVER_SHUTTING_DOWN);
    client_expect_eof(&c);
    client_expect_eof(&pub);
    free(packet);
    client_close(&c);
    client_close(&slow);
    client_close(&pub);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(packets_may_come_byte_by_byte),
        T(packets_of_any_size_pass),
        T(many_packets_of_mixed_size_arrive_in_order),
        T(reading_pauses_and_resumes),
        T(a_slow_reader_gets_everything_and_holds_up_nobody),
        T(connections_find_their_home),
        T(a_client_id_has_one_connection),
        T(calls_run_on_their_worker),
        T(last_words_are_heard),
        T(a_disconnect_frees_the_connection),
        T(stopping_tells_every_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
