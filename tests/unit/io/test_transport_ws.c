/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/transport_ws.h"

#include "tests/unit/io/pipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static const char request[] = "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Protocol: mqtt\r\n\r\n";
static const struct io_ws_conf conf = {.path = "/mqtt", .frame_bytes_max = 100000};

struct fixture {
    struct transport_env env;
    struct pipe_end pipe;
    struct transport *ws;
    uint8_t got[300000];
    size_t got_n;
    ssize_t end; /* what recv said when it gave no more */
};
static struct fixture f;

static void read_all(void)
{
    ssize_t r;

    while ((r = transport_recv(f.ws, -1, &f.env, f.got + f.got_n, sizeof f.got - f.got_n)) > 0)
        f.got_n += (size_t)r;
    f.end = r;
}

static int setup_raw(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    transport_env_init(&f.env);
    pipe_init(&f.pipe);
    f.ws = transport_ws_new(&conf, -1, &f.pipe.t);
    return f.ws ? 0 : -1;
}

static int setup(void **state)
{
    setup_raw(state);
    pipe_give(&f.pipe, request, sizeof request - 1);
    read_all();
    if (!transport_is_open(f.ws) || transport_send(f.ws, -1, &f.env, NULL, 0) != 0)
        return -1;
    f.pipe.out_n = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    transport_free(f.ws, &f.env);
    transport_env_fini(&f.env);
    return 0;
}

/* One masked frame; how long it is. */
static size_t frame(uint8_t *out, uint8_t first, const uint8_t *payload, size_t n)
{
    static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
    uint8_t *p = out;

    *p++ = first;
    if (n < 126) {
        *p++ = (uint8_t)(0x80 | n);
    } else if (n < 65536) {
        *p++ = 0x80 | 126;
        p = be16_put(p, (uint16_t)n);
    } else {
        *p++ = 0x80 | 127;
        p = be64_put(p, n);
    }
    memcpy(p, mask, 4);
    p += 4;
    for (size_t i = 0; i < n; i++)
        *p++ = payload[i] ^ mask[i % 4];
    return (size_t)(p - out);
}

static void give_frame(uint8_t first, const void *payload, size_t n)
{
    static uint8_t wire[300000];

    pipe_give(&f.pipe, wire, frame(wire, first, payload, n));
    read_all();
}

static void expect_close(enum transport_fault fault, uint16_t code)
{
    assert_int_equal(f.end, TRANSPORT_FAULT);
    assert_int_equal(f.env.fault, fault);
    assert_int_equal(transport_shutdown(f.ws, &f.env), 0);
    assert_int_equal(f.pipe.out_n, 4);
    assert_int_equal(f.pipe.out[0], 0x88);
    assert_int_equal(f.pipe.out[1], 2);
    assert_int_equal(be16_get(f.pipe.out + 2), code);
}

/* ---- the upgrade ----------------------------------------------------------------------------------- */

static void the_request_may_come_in_pieces_and_with_frames_behind_it(void **state)
{
    uint8_t wire[sizeof request + 64];
    size_t n = sizeof request - 1;

    memcpy(wire, request, n);
    n += frame(wire + n, 0x82, (const uint8_t *)"hello", 5);
    for (size_t step = 1; step <= n; step++) {
        if (step > 1)
            setup_raw(state);
        f.pipe.in_step = step;
        pipe_give(&f.pipe, wire, n);
        /* AGAIN may stand for bytes that were only the head's, or a frame's. */
        do
            read_all();
        while (f.end == TRANSPORT_AGAIN && f.pipe.in_n);
        assert_true(transport_is_open(f.ws));
        assert_int_equal(f.got_n, 5);
        assert_memory_equal(f.got, "hello", 5);
        assert_true(transport_wants_write(f.ws));
        assert_int_equal(transport_send(f.ws, -1, &f.env, NULL, 0), 0);
        assert_memory_equal(f.pipe.out, "HTTP/1.1 101", 12);
        if (step < n)
            teardown(state);
    }
}

static void what_is_no_http_is_refused_without_an_answer(void **state)
{
    (void)state;
    pipe_give(&f.pipe, "\x10\x0d\0\4MQTT", 8);
    read_all();
    assert_int_equal(f.end, TRANSPORT_FAULT);
    assert_int_equal(f.env.fault, TRANSPORT_FAULT_WS_NOT_HTTP);
    assert_int_equal(transport_shutdown(f.ws, &f.env), 0);
    assert_int_equal(f.pipe.out_n, 0);
}

static void a_head_without_end_is_refused_at_its_bound(void **state)
{
    static char head[10000];

    (void)state;
    memset(head, 'A', sizeof head);
    pipe_give(&f.pipe, head, 8191);
    read_all();
    assert_int_equal(f.end, TRANSPORT_AGAIN);
    pipe_give(&f.pipe, head, 1);
    read_all();
    assert_int_equal(f.end, TRANSPORT_FAULT);
    assert_int_equal(f.env.fault, TRANSPORT_FAULT_WS_REQUEST);
    assert_int_equal(transport_shutdown(f.ws, &f.env), 0);
    assert_memory_equal(f.pipe.out, "HTTP/1.1 431", 12);
}

static void a_wrong_path_is_told(void **state)
{
    static const char wrong[] = "GET /x HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";

    (void)state;
    pipe_give(&f.pipe, wrong, sizeof wrong - 1);
    read_all();
    assert_int_equal(f.end, TRANSPORT_FAULT);
    assert_int_equal(f.env.fault, TRANSPORT_FAULT_WS_PATH);
    assert_false(transport_is_open(f.ws));
    assert_int_equal(transport_shutdown(f.ws, &f.env), 0);
    assert_memory_equal(f.pipe.out, "HTTP/1.1 404", 12);
}

/* ---- frames in ------------------------------------------------------------------------------------- */

/* Fragments of every size, with a ping between them, cut at every step: the same bytes come out. */
static void fragments_of_any_size_join(void **state)
{
    static uint8_t data[70000], wire[900000];
    static const size_t sizes[] = {1, 2, 0, 125, 126, 127, 1000, 65535, 0, 3081};
    size_t n = 0, at = 0, count = sizeof sizes / sizeof *sizes;

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 31 >> 3);
    for (size_t i = 0; i < count; i++) {
        uint8_t first = (uint8_t)((i == 0 ? 0x02 : 0x00) | (i + 1 == count ? 0x80 : 0x00));
        n += frame(wire + n, first, data + at, sizes[i]);
        at += sizes[i];
        n += frame(wire + n, 0x89, (const uint8_t *)"ping", 4);
    }
    for (size_t step = 1; step < 9000; step = step * 3 + 1) {
        f.got_n = 0;
        f.pipe.in_step = step;
        pipe_give(&f.pipe, wire, n);
        do {
            read_all();
            assert_true(f.end == TRANSPORT_AGAIN);
        } while (f.pipe.in_n);
        assert_int_equal(f.got_n, at);
        assert_memory_equal(f.got, data, at);
        assert_int_equal(transport_send(f.ws, -1, &f.env, NULL, 0), 0);
    }
    (void)state;
}

static void an_idle_connection_keeps_no_decoder(void **state)
{
    uint8_t wire[64];
    size_t n = frame(wire, 0x82, (const uint8_t *)"abcdef", 6);

    (void)state;
    assert_int_equal(f.env.codecs_n, 0);
    for (size_t i = 1; i < n; i++) {
        pipe_give(&f.pipe, wire, i);
        read_all();
        assert_int_equal(f.env.codecs_n, 0);
        pipe_give(&f.pipe, wire + i, n - i);
        read_all();
        assert_int_equal(f.env.codecs_n, 1);
    }
}

static void a_ping_is_answered_with_its_payload(void **state)
{
    (void)state;
    give_frame(0x89, "abc", 3);
    assert_int_equal(f.end, TRANSPORT_AGAIN);
    assert_true(transport_wants_write(f.ws));
    assert_int_equal(transport_send(f.ws, -1, &f.env, NULL, 0), 0);
    assert_int_equal(f.pipe.out_n, 5);
    assert_memory_equal(f.pipe.out,
                        "\x8a\x03"
                        "abc",
                        5);
    assert_false(transport_wants_write(f.ws));
    f.pipe.out_n = 0;
    give_frame(0x8a, "unasked", 7);
    assert_int_equal(f.end, TRANSPORT_AGAIN);
    assert_false(transport_wants_write(f.ws));
}

static void a_flood_of_pings_stays_bounded(void **state)
{
    static uint8_t payload[125];

    (void)state;
    f.pipe.room = 0;
    for (int i = 0; i < 10000; i++)
        give_frame(0x89, payload, sizeof payload);
    f.pipe.room = SIZE_MAX;
    assert_int_equal(transport_send(f.ws, -1, &f.env, NULL, 0), 0);
    assert_true(f.pipe.out_n > 0 && f.pipe.out_n <= 1024 + 127);
    assert_int_equal(f.pipe.out_n % 127, 0);
}

static void frames_that_break_the_rules_are_refused(void **state)
{
    static const struct {
        uint8_t first;
        const char *payload;
        size_t n;
        enum transport_fault fault;
        uint16_t code;
    } cases[] = {
        {0x81, "text", 4, TRANSPORT_FAULT_WS_TEXT, 1003},
        {0xc2, "rsv1", 4, TRANSPORT_FAULT_WS_PROTOCOL, 1002},
        {0x80, "lone", 4, TRANSPORT_FAULT_WS_PROTOCOL, 1002},
        {0x83, "op 3", 4, TRANSPORT_FAULT_WS_PROTOCOL, 1002},
        {0x8b, "op b", 4, TRANSPORT_FAULT_WS_PROTOCOL, 1002},
        {0x09, "cut", 3, TRANSPORT_FAULT_WS_PROTOCOL, 1002},
        {0x88, "\x03", 1, TRANSPORT_FAULT_WS_PROTOCOL, 1002},
        {0x88, "\x03\xed", 2, TRANSPORT_FAULT_WS_PROTOCOL, 1002}, /* 1005 is not for the wire */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (i)
            setup(state);
        give_frame(cases[i].first, cases[i].payload, cases[i].n);
        expect_close(cases[i].fault, cases[i].code);
        assert_int_equal(f.got_n, 0);
        if (i + 1 < sizeof cases / sizeof *cases)
            teardown(state);
    }
}

static void an_unmasked_frame_is_refused(void **state)
{
    (void)state;
    pipe_give(&f.pipe, "\x82\x02hi", 4);
    read_all();
    expect_close(TRANSPORT_FAULT_WS_PROTOCOL, 1002);
}

static void a_long_control_frame_is_refused(void **state)
{
    static uint8_t payload[126];

    (void)state;
    give_frame(0x89, payload, sizeof payload);
    expect_close(TRANSPORT_FAULT_WS_PROTOCOL, 1002);
}

static void a_gigabyte_announced_is_refused_at_its_first_byte(void **state)
{
    (void)state;
    pipe_give(&f.pipe, "\x82\xff\0\0\0\0\x40\0\0\0\1\2\3\4x", 15);
    read_all();
    expect_close(TRANSPORT_FAULT_WS_TOO_BIG, 1009);
}

static void what_came_before_a_fault_is_still_read(void **state)
{
    uint8_t wire[64];
    size_t n = frame(wire, 0x82, (const uint8_t *)"good", 4);

    (void)state;
    n += frame(wire + n, 0x81, (const uint8_t *)"bad", 3);
    pipe_give(&f.pipe, wire, n);
    assert_int_equal(transport_recv(f.ws, -1, &f.env, f.got, sizeof f.got), 4);
    assert_true(transport_has_input(f.ws));
    read_all();
    expect_close(TRANSPORT_FAULT_WS_TEXT, 1003);
}

/* ---- the end --------------------------------------------------------------------------------------- */

static void a_close_frame_is_answered_and_ends_the_stream(void **state)
{
    (void)state;
    give_frame(0x88, "\x03\xe8 bye", 6);
    assert_int_equal(f.end, TRANSPORT_EOF);
    assert_int_equal(transport_shutdown(f.ws, &f.env), 0);
    assert_int_equal(f.pipe.out_n, 4);
    assert_memory_equal(f.pipe.out, "\x88\x02\x03\xe8", 4);
}

static void the_server_closes_with_1000_and_only_once(void **state)
{
    (void)state;
    f.pipe.room = 1;
    assert_int_equal(transport_shutdown(f.ws, &f.env), TRANSPORT_AGAIN);
    f.pipe.room = SIZE_MAX;
    assert_int_equal(transport_shutdown(f.ws, &f.env), 0);
    assert_int_equal(transport_shutdown(f.ws, &f.env), 0);
    assert_int_equal(f.pipe.out_n, 4);
    assert_memory_equal(f.pipe.out, "\x88\x02\x03\xe8", 4);
}

static void a_stream_cut_without_close_frame_is_lost(void **state)
{
    (void)state;
    f.pipe.in_ended = true;
    read_all();
    assert_int_equal(f.end, TRANSPORT_LOST);
}

/* ---- frames out ------------------------------------------------------------------------------------ */

/* Whatever the socket takes at once, one send is one frame, and a pong waits for its end. */
static void a_frame_goes_out_whole_through_any_bottleneck(void **state)
{
    static uint8_t data[70000];

    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i >> 2);
    for (size_t step = 1; step < sizeof data; step = step * 5 + 2) {
        size_t off = 0;
        if (step > 1)
            setup(state);
        while (off < sizeof data) {
            struct iovec iov[2] = {{data + off, (sizeof data - off) / 2}};
            iov[1] = (struct iovec){data + off + iov[0].iov_len, sizeof data - off - iov[0].iov_len};
            f.pipe.room = step;
            ssize_t r = transport_send(f.ws, -1, &f.env, iov, 2);
            assert_true(r > 0 || r == TRANSPORT_AGAIN);
            if (off == 0 && r == TRANSPORT_AGAIN)
                give_frame(0x89, "p", 1);
            off += r > 0 ? (size_t)r : 0;
        }
        f.pipe.room = SIZE_MAX;
        assert_int_equal(transport_send(f.ws, -1, &f.env, NULL, 0), 0);
        assert_memory_equal(f.pipe.out, "\x82\x7f\0\0\0\0\0\x01\x11\x70", 10);
        assert_memory_equal(f.pipe.out + 10, data, sizeof data);
        if (step < 10)
            assert_memory_equal(f.pipe.out + 10 + sizeof data, "\x8a\x01p", 3);
        teardown(state);
    }
    setup(state);
}

static void short_frames_have_short_headers(void **state)
{
    static const struct {
        size_t n;
        const char *header;
        size_t header_n;
    } cases[] = {
        {1, "\x82\x01", 2}, {125, "\x82\x7d", 2}, {126, "\x82\x7e\0\x7e", 4}, {65535, "\x82\x7e\xff\xff", 4}};
    static uint8_t data[65535];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct iovec iov = {data, cases[i].n};
        f.pipe.out_n = 0;
        assert_int_equal(transport_send(f.ws, -1, &f.env, &iov, 1), cases[i].n);
        assert_int_equal(f.pipe.out_n, cases[i].n + cases[i].header_n);
        assert_memory_equal(f.pipe.out, cases[i].header, cases[i].header_n);
    }
}

#define T(fn)     cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define T_RAW(fn) cmocka_unit_test_setup_teardown(fn, setup_raw, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T_RAW(the_request_may_come_in_pieces_and_with_frames_behind_it),
        T_RAW(what_is_no_http_is_refused_without_an_answer),
        T_RAW(a_head_without_end_is_refused_at_its_bound),
        T_RAW(a_wrong_path_is_told),
        T(fragments_of_any_size_join),
        T(an_idle_connection_keeps_no_decoder),
        T(a_ping_is_answered_with_its_payload),
        T(a_flood_of_pings_stays_bounded),
        T(frames_that_break_the_rules_are_refused),
        T(an_unmasked_frame_is_refused),
        T(a_long_control_frame_is_refused),
        T(a_gigabyte_announced_is_refused_at_its_first_byte),
        T(what_came_before_a_fault_is_still_read),
        T(a_close_frame_is_answered_and_ends_the_stream),
        T(the_server_closes_with_1000_and_only_once),
        T(a_stream_cut_without_close_frame_is_lost),
        T(a_frame_goes_out_whole_through_any_bottleneck),
        T(short_frames_have_short_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
