/* SPDX-License-Identifier: Apache-2.0 */
/* The WebSocket filter over a filter that gives the fuzzer's bytes. The first byte says how many come at
 * once, how much room there is for what is sent, and whether an upgrade stands before the rest. Whatever
 * comes: what the filter gives never exceeds what it got, cutting the input elsewhere changes nothing, and
 * what it sends is whole frames. */
#include "node/io/transport_ws.h"

#include "tests/unit/io/pipe.h"

static const char request[] = "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                              "Sec-WebSocket-Protocol: mqtt\r\n\r\n";
static const struct io_ws_conf conf = {.path = "/mqtt", .frame_bytes_max = 65536};

#define REQUIRE(cond) \
    do {              \
        if (!(cond))  \
            abort();  \
    } while (0)

struct result {
    uint8_t *got;
    size_t n;
    ssize_t end;
    enum transport_fault fault;
    bool is_open;
};

/* Walks what was sent: one HTTP response, then frames from a server. */
static void check_sent(const uint8_t *p, size_t n, bool is_open)
{
    const uint8_t *body = n ? memmem(p, n, "\r\n\r\n", 4) : NULL;
    bool closed = false;

    if (!n)
        return;
    REQUIRE(body && memcmp(p, "HTTP/1.1 ", 9) == 0);
    n -= (size_t)(body + 4 - p);
    p = body + 4;
    REQUIRE(is_open || n == 0);
    while (n) {
        size_t len;
        REQUIRE(!closed && n >= 2);
        REQUIRE(p[0] == 0x8a || p[0] == 0x88 || p[0] == 0x82);
        closed = p[0] == 0x88;
        len = p[1];
        REQUIRE(len < 126 && n >= 2 + len);
        p += 2 + len;
        n -= 2 + len;
    }
}

static void echo(struct transport *ws, struct transport_env *env, struct pipe_end *pipe, size_t room)
{
    static uint8_t byte = 'x';
    struct iovec iov = {&byte, 1};
    ssize_t r;

    for (int i = 0; i < 2000; i++) {
        pipe->room = room;
        r = transport_send(ws, -1, env, &iov, 1);
        if (r != TRANSPORT_AGAIN)
            return;
    }
    abort(); /* there was room for it long ago */
}

static struct result run(const uint8_t *data, size_t n, size_t step, size_t room)
{
    struct result r = {.got = malloc(n + 1), .end = TRANSPORT_AGAIN};
    struct transport_env env;
    struct pipe_end pipe;
    struct transport *ws;

    REQUIRE(r.got);
    transport_env_init(&env);
    pipe_init(&pipe);
    ws = transport_ws_new(&conf, -1, &pipe.t);
    REQUIRE(ws);
    pipe_give(&pipe, data, n);
    pipe.in_step = step;
    while (pipe.in_n || transport_has_input(ws)) {
        ssize_t k = transport_recv(ws, -1, &env, r.got + r.n, n + 1 - r.n);
        if (k > 0) {
            r.n += (size_t)k;
            echo(ws, &env, &pipe, room);
        } else if (k != TRANSPORT_AGAIN) {
            r.end = k;
            r.fault = k == TRANSPORT_FAULT ? env.fault : TRANSPORT_FAULT_NONE;
            break;
        }
    }
    REQUIRE(r.n <= n);
    r.is_open = transport_is_open(ws);
    pipe.room = SIZE_MAX;
    REQUIRE(transport_shutdown(ws, &env) == 0);
    check_sent(pipe.out, pipe.out_n, r.is_open);
    transport_free(ws, &env);
    transport_env_fini(&env);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t prefix = n && (data[0] & 0x80) ? sizeof request - 1 : 0;
    size_t step = n ? (data[0] & 0x0fu) + 1u : 1;
    size_t room = n && (data[0] & 0x40) ? 3 : SIZE_MAX;
    struct result whole, pieces;
    uint8_t *all;

    if (n == 0)
        return 0;
    all = malloc(prefix + n);
    REQUIRE(all);
    memcpy(all, request, prefix);
    memcpy(all + prefix, data + 1, n - 1);
    n += prefix - 1;
    whole = run(all, n, SIZE_MAX, SIZE_MAX);
    pieces = run(all, n, step, room);
    REQUIRE(whole.n == pieces.n && memcmp(whole.got, pieces.got, whole.n) == 0);
    REQUIRE(whole.end == pieces.end && whole.fault == pieces.fault && whole.is_open == pieces.is_open);
    free(whole.got);
    free(pieces.got);
    free(all);
    return 0;
}
