/* SPDX-License-Identifier: Apache-2.0 */
/* Listeners: limits, refusals, starting and stopping at run time. */
#include "tests/io/loop.h"

#include "node/io/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

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

/* ---- before CONNECT -------------------------------------------------------------------------------- */

static bool has_no_connections(struct loop *loop, void *arg)
{
    (void)arg;
    return loop_stats(loop).connections == 0;
}

static void a_connection_without_connect_times_out(void **state)
{
    struct client silent, half;
    uint8_t buf[CLIENT_BUF];

    (void)state;
    l.settings.idle_timeout_ms = 200;
    loop_start(&l, 2, 1);
    client_open(&silent, loop_port(&l, 0));
    client_open(&half, loop_port(&l, 0));
    client_send(&half, buf, packet_connect(buf, 4, "half", 2) - 1);
    client_expect_gone(&silent);
    client_expect_gone(&half);
    loop_wait(&l, has_no_connections, NULL);
    assert_int_equal(loop_info(&l, 0).shut_before_connect, 2);
    client_close(&silent);
    client_close(&half);
}

static bool has_half_open(struct loop *loop, void *arg)
{
    return loop_stats(loop).half_open == *(uint32_t *)arg;
}

static void the_oldest_half_open_one_gives_way(void **state)
{
    struct client c[4], late;
    uint32_t three = 3;

    (void)state;
    l.listeners[0].half_open_max = 3;
    loop_start(&l, 1, 1);
    for (int i = 0; i < 3; i++)
        client_open(&c[i], loop_port(&l, 0));
    loop_wait(&l, has_half_open, &three);
    client_connect(&late, loop_port(&l, 0), "late");
    client_expect_gone(&c[0]);
    assert_int_equal(loop_info(&l, 0).refused[IO_REFUSED_HALF_OPEN], 1);
    client_hello(&c[1], "b");
    client_hello(&c[2], "c");
    for (int i = 0; i < 3; i++)
        client_close(&c[i]);
    client_close(&late);
}

static void expect_refused(const void *bytes, size_t n, const char *fault)
{
    struct io_stats stats;
    struct client c;

    client_open(&c, loop_port(&l, 0));
    client_send(&c, bytes, n);
    client_expect_gone(&c);
    client_close(&c);
    stats = loop_stats(&l);
    for (unsigned f = 0; io_fault_name(f); f++)
        assert_int_equal(stats.faults[f], strcmp(io_fault_name(f), fault) == 0);
    loop_stop(&l);
    loop_init(&l);
}

static void other_protocols_on_the_plain_port_are_counted(void **state)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char hello[] = "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03";
    static const char junk[] = "\xff\xff\xff\xff\xff";

    (void)state;
    loop_start(&l, 1, 1);
    expect_refused(http, sizeof http - 1, "plain_http");
    loop_start(&l, 1, 1);
    expect_refused(hello, sizeof hello - 1, "plain_tls");
    loop_start(&l, 1, 1);
    expect_refused(junk, sizeof junk - 1, "");
    loop_start(&l, 1, 1);
}

/* A CONNECT may announce as much as it likes: memory is taken as its bytes come. */
static void an_announced_length_takes_no_memory(void **state)
{
    struct client c[50];

    (void)state;
    loop_start(&l, 1, 1);
    for (int i = 0; i < 50; i++) {
        client_open(&c[i], loop_port(&l, 0));
        client_send(&c[i], "\x10\xff\xff\xff\x7f\0\4MQTT", 11);
        client_expect_gone(&c[i]); /* beyond the limit: refused at the header */
        client_close(&c[i]);
    }
    assert_int_equal(loop_info(&l, 0).refused[IO_REFUSED_MEMORY], 0);
}

/* ---- limits ---------------------------------------------------------------------------------------- */

static bool has_room(struct loop *loop, void *arg)
{
    (void)arg;
    return loop_info(loop, 0).connections == 1;
}

static void no_more_than_connections_max(void **state)
{
    struct client a, b, c;

    (void)state;
    l.listeners[0].connections_max = 2;
    loop_start(&l, 2, 1);
    client_connect(&a, loop_port(&l, 0), "a");
    client_connect(&b, loop_port(&l, 0), "b");
    client_open(&c, loop_port(&l, 0));
    client_expect_gone(&c);
    client_close(&c);
    assert_int_equal(loop_info(&l, 0).refused[IO_REFUSED_CONNECTIONS_MAX], 1);
    client_close(&a);
    loop_wait(&l, has_room, NULL);
    client_connect(&c, loop_port(&l, 0), "c");
    client_close(&b);
    client_close(&c);
}

static void the_rate_allows_a_burst_and_then_its_pace(void **state)
{
    struct listener_conf conf = {.c = {.conn_rate_max = 100}};
    struct listener x = {.conf = &conf};
    int taken = 0;

    (void)state;
    loop_start(&l, 1, 1);
    while (listener_rate_take(&x, 5000))
        taken++;
    assert_in_range(taken, 10, 11);
    assert_false(listener_rate_take(&x, 5009));
    for (uint64_t ms = 5010; ms < 6010; ms++)
        taken += listener_rate_take(&x, ms);
    assert_in_range(taken, 109, 112);
    conf.c.conn_rate_max = 0;
    for (int i = 0; i < 1000; i++)
        assert_true(listener_rate_take(&x, 6010));
}

static void connections_over_the_rate_wait_and_come_in(void **state)
{
    struct client c[12];
    char id[16];

    (void)state;
    l.listeners[0].conn_rate_max = 20;
    loop_start(&l, 1, 1);
    for (int i = 0; i < 12; i++)
        client_open(&c[i], loop_port(&l, 0));
    for (int i = 0; i < 12; i++) {
        snprintf(id, sizeof id, "r%d", i);
        client_hello(&c[i], id);
        client_close(&c[i]);
    }
    assert_true(loop_info(&l, 0).rate_pauses > 0);
    assert_int_equal(loop_info(&l, 0).accepted, 12);
}

static bool is_fd_limit_told(struct loop *loop, void *arg)
{
    (void)arg;
    return loop_info(loop, 0).refused[IO_REFUSED_DESCRIPTORS] > 0;
}

/* The process has no descriptor left: who comes is turned away or waits, who is there is served, and when
 * there are some again so is everybody. */
static void running_out_of_descriptors_is_survived(void **state)
{
    enum { FILL_MAX = 4096 };
    static int fill[FILL_MAX];
    struct client a, b, c, d;
    struct rlimit before, low;
    int n = 0;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    loop_start(&l, 1, 1);
    client_connect(&a, loop_port(&l, 0), "a");
    client_subscribe(&a, "t", 0);
    client_connect(&b, loop_port(&l, 0), "b");
    low = before;
    low.rlim_cur = 256;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (n < FILL_MAX && (fill[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        n++;
    assert_true(n > 2 && n < FILL_MAX);
    close(fill[--n]); /* for the client's end of the connection, none for the server's */
    client_open(&c, loop_port(&l, 0));
    loop_wait(&l, is_fd_limit_told, NULL);
    client_expect_gone(&c);
    client_relay(&b, &a, "t", 10);
    client_close(&c);
    while (n)
        close(fill[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    client_connect(&d, loop_port(&l, 0), "d");
    client_relay(&d, &a, "t", 10);
    assert_int_equal(loop_logged(&l, "no_descriptors"), 1);
    client_close(&a);
    client_close(&b);
    client_close(&d);
}

/* ---- at run time ----------------------------------------------------------------------------------- */

static void a_listener_stops_and_starts_again(void **state)
{
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&l.listeners[1].addr;
    struct client a, b, c;
    uint16_t port;

    (void)state;
    l.listeners[1].is_enabled = false;
    loop_start(&l, 3, 2);
    assert_false(loop_info(&l, 1).is_running);
    assert_int_equal(io_listener_start(l.io, "nobody"), ERR_NOTFOUND);
    assert_int_equal(io_listener_start(l.io, "tcp:default"), ERR_EXISTS);
    assert_int_equal(io_listener_stop(l.io, "tcp:second"), ERR_NOTFOUND);
    assert_int_equal(io_listener_start(l.io, "tcp:second"), OK);
    port = loop_port(&l, 1);
    client_connect(&a, port, "a");
    client_subscribe(&a, "t", 0);
    assert_int_equal(io_listener_stop(l.io, "tcp:second"), OK);
    in->sin_port = htons(port);
    client_connect(&b, loop_port(&l, 0), "b");
    client_relay(&b, &a, "t", 10); /* its connections stay */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(io_listener_start(l.io, "tcp:second"), OK);
        client_connect(&c, loop_port(&l, 1), "c");
        client_relay(&c, &a, "t", 10);
        client_close(&c);
        assert_int_equal(io_listener_stop(l.io, "tcp:second"), OK);
    }
    client_close(&a);
    client_close(&b);
}

/* Several sockets share the port among the workers, but not with anybody else. */
static void an_address_in_use_is_refused(void **state)
{
    static struct loop other;
    struct io_conf conf;
    struct io *io;

    (void)state;
    loop_start(&l, 2, 1);
    loop_init(&other);
    ((struct sockaddr_in *)(void *)&other.listeners[0].addr)->sin_port = htons(loop_port(&l, 0));
    conf = (struct io_conf){
        .node = l.node, .writer = l.writer, .listeners = other.listeners, .listeners_n = 1, .log = &l.log};
    assert_int_equal(io_new(&io, &conf), OK);
    assert_int_equal(io_start(io), ERR_EXISTS);
    io_free(io);
    assert_int_equal(loop_logged(&l, "bind_failed"), 1);
}

static void ipv6_takes_both(void **state)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    struct sockaddr_in6 local = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct client a, b = {.fd = -1};

    (void)state;
    memcpy(&l.listeners[0].addr, &any, sizeof any);
    loop_start(&l, 2, 1);
    assert_memory_equal(loop_info(&l, 0).bind, "[::]:", 5);
    client_connect(&a, loop_port(&l, 0), "a");
    client_subscribe(&a, "t", 0);
    b.fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    local.sin6_port = htons(loop_port(&l, 0));
    assert_int_equal(connect(b.fd, (struct sockaddr *)&local, sizeof local), 0);
    client_hello(&b, "b");
    client_relay(&b, &a, "t", 10);
    client_close(&a);
    client_close(&b);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_connection_without_connect_times_out),
        T(the_oldest_half_open_one_gives_way),
        T(other_protocols_on_the_plain_port_are_counted),
        T(an_announced_length_takes_no_memory),
        T(no_more_than_connections_max),
        T(the_rate_allows_a_burst_and_then_its_pace),
        T(connections_over_the_rate_wait_and_come_in),
        T(running_out_of_descriptors_is_survived),
        T(a_listener_stops_and_starts_again),
        T(an_address_in_use_is_refused),
        T(ipv6_takes_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
