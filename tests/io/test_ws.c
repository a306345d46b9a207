/* SPDX-License-Identifier: Apache-2.0 */
/* WebSocket over TCP: what a client sees. The rules of the filter itself are in tests/unit/io. */
#include "tests/io/loop.h"

#include <stdlib.h>

enum { WS_LISTENER = 3 };

static const char request[] = "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
static const char response[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    "Sec-WebSocket-Protocol: mqtt\r\n\r\n";
static struct loop l;

static int setup(void **state)
{
    (void)state;
    loop_init(&l);
    l.listeners[WS_LISTENER].kind = IO_WS;
    l.listeners[2].is_enabled = false;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_stop(&l);
    return 0;
}

static void ws_open(struct client *c, const char *client_id)
{
    client_open(c, loop_port(&l, WS_LISTENER));
    client_send(c, request, sizeof request - 1);
    client_expect(c, response, sizeof response - 1);
    c->is_ws = true;
    client_hello(c, client_id);
}

static void packets_of_any_size_pass(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 130, 8192, 65530, 65536, 262144, 300000, 3000000};
    struct client a, b, plain;

    (void)state;
    loop_start(&l, 2, 4);
    ws_open(&a, "a");
    client_subscribe(&a, "t", 0);
    ws_open(&b, "b");
    client_connect(&plain, loop_port(&l, 0), "plain");
    client_subscribe(&plain, "p", 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        client_relay(&b, &a, "t", sizes[i]);
        client_relay(&plain, &a, "t", sizes[i]);
        client_relay(&b, &plain, "p", sizes[i]);
    }
    client_close(&a);
    client_close(&b);
    client_close(&plain);
}

/* [MQTT-6.0.0-2] */
static void a_packet_may_be_spread_over_frames_and_a_frame_over_packets(void **state)
{
    struct client c;
    uint8_t buf[CLIENT_BUF];
    size_t n, two;

    (void)state;
    loop_start(&l, 2, 4);
    ws_open(&c, "c");
    client_subscribe(&c, "t", 0);
    n = packet_publish(buf, "t", "hello", 5, 0, 0);
    for (size_t i = 0; i < n; i++)
        client_send(&c, buf + i, 1);
    client_expect(&c, buf, n);
    two = n + packet_publish(buf + n, "t", "again", 5, 0, 0);
    client_send(&c, buf, two);
    client_expect(&c, buf, two);
    client_close(&c);
}

static void a_ping_comes_back(void **state)
{
    struct client c;

    (void)state;
    loop_start(&l, 1, 4);
    ws_open(&c, "c");
    c.is_ws = false;
    client_send(&c, "\x89\x83\0\0\0\0abc", 9);
    client_expect(&c,
                  "\x8a\x03"
                  "abc",
                  5);
    client_close(&c);
}

static void closing_is_answered(void **state)
{
    struct client c;

    (void)state;
    loop_start(&l, 1, 4);
    ws_open(&c, "c");
    c.is_ws = false;
    client_send(&c, "\x88\x82\0\0\0\0\x03\xe8", 8);
    client_expect(&c, "\x88\x02\x03\xe8", 4);
    client_expect_eof(&c);
    client_close(&c);
}

static void a_disconnect_closes_with_1000(void **state)
{
    struct client c;

    (void)state;
    loop_start(&l, 1, 4);
    ws_open(&c, "c");
    client_send(&c, "\xe0\0", 2);
    c.is_ws = false;
    client_expect(&c, "\x88\x02\x03\xe8", 4);
    client_expect_eof(&c);
    client_close(&c);
}

/* [MQTT-6.0.0-1] */
static void a_text_frame_is_told_1003(void **state)
{
    struct client c;

    (void)state;
    loop_start(&l, 1, 4);
    ws_open(&c, "c");
    c.is_ws = false;
    client_send(&c, "\x81\x82\0\0\0\0hi", 8);
    client_expect(&c, "\x88\x02\x03\xeb", 4);
    client_expect_eof(&c);
    client_close(&c);
    for (unsigned f = 0; io_fault_name(f); f++)
        assert_int_equal(loop_stats(&l).faults[f], strcmp(io_fault_name(f), "ws_text") == 0);
}

static void a_wrong_path_gets_its_status(void **state)
{
    static const char wrong[] = "GET /other HTTP/1.1\r\nHost: x\r\n\r\n";
    static const char answer[] = "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    struct client c;

    (void)state;
    loop_start(&l, 1, 4);
    client_open(&c, loop_port(&l, WS_LISTENER));
    client_send(&c, wrong, sizeof wrong - 1);
    client_expect(&c, answer, sizeof answer - 1);
    client_expect_eof(&c);
    client_close(&c);
    assert_int_equal(loop_logged(&l, "reason=ws_path"), 1);
}

static void mqtt_on_the_websocket_port_is_refused(void **state)
{
    struct client c;
    uint8_t buf[CLIENT_BUF];

    (void)state;
    loop_start(&l, 1, 4);
    client_open(&c, loop_port(&l, WS_LISTENER));
    client_send(&c, buf, packet_connect(buf, 4, "c", 2));
    client_expect_gone(&c);
    client_close(&c);
    assert_int_equal(loop_logged(&l, "reason=ws_not_http"), 1);
}

static void a_head_that_never_ends_times_out(void **state)
{
    struct client c;

    (void)state;
    l.settings.idle_timeout_ms = 200;
    loop_start(&l, 1, 4);
    client_open(&c, loop_port(&l, WS_LISTENER));
    client_send(&c, "GET /mqtt HTTP/1.1\r\nA: ", 23);
    client_expect_gone(&c);
    client_close(&c);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(packets_of_any_size_pass),
        T(a_packet_may_be_spread_over_frames_and_a_frame_over_packets),
        T(a_ping_comes_back),
        T(closing_is_answered),
        T(a_disconnect_closes_with_1000),
        T(a_text_frame_is_told_1003),
        T(a_wrong_path_gets_its_status),
        T(mqtt_on_the_websocket_port_is_refused),
        T(a_head_that_never_ends_times_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
