/* SPDX-License-Identifier: Apache-2.0 */
/* TLS over TCP: handshakes, data, resumption, what is no TLS, certificates that change. */
#include "tests/io/tls_files.h"

#include <stdlib.h>

enum { SSL_LISTENER = 2, WSS_LISTENER = 3 };

static struct loop l;
static struct tls_files files;

static int setup(void **state)
{
    (void)state;
    loop_init(&l);
    tls_files_init(&files);
    tls_files_write(&files, "first");
    for (int i = SSL_LISTENER; i <= WSS_LISTENER; i++) {
        l.listeners[i].kind = i == SSL_LISTENER ? IO_SSL : IO_WSS;
        l.listeners[i].tls.certfile = files.cert;
        l.listeners[i].tls.keyfile = files.key;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_stop(&l);
    tls_files_fini(&files);
    return 0;
}

static SSL_CTX *version(int v)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    assert_non_null(ctx);
    SSL_CTX_set_min_proto_version(ctx, v);
    SSL_CTX_set_max_proto_version(ctx, v);
    return ctx;
}

static void connect_tls(struct client *c, SSL_CTX *ctx, const char *client_id)
{
    client_open(c, loop_port(&l, SSL_LISTENER));
    client_tls(c, ctx, NULL);
    client_hello(c, client_id);
}

/* ---- data ------------------------------------------------------------------------------------------ */

static void both_versions_carry_packets_of_any_size(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    static const size_t sizes[] = {0, 100, 16300, 16384, 16400, 100000, 300000, 2000000};
    struct client a, b, plain;

    (void)state;
    loop_start(&l, 2, 3);
    client_connect(&plain, loop_port(&l, 0), "plain");
    client_subscribe(&plain, "p", 0);
    for (int v = 0; v < 2; v++) {
        SSL_CTX *ctx = version(versions[v]);
        connect_tls(&a, ctx, "a");
        client_subscribe(&a, "t", 0);
        connect_tls(&b, ctx, "b");
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            client_relay(&b, &a, "t", sizes[i]);
        client_relay(&b, &plain, "p", 1000);
        client_relay(&plain, &a, "t", 1000);
        client_close(&a);
        client_close(&b);
        SSL_CTX_free(ctx);
    }
    client_close(&plain);
}

/* Many packets in one record, and more records than one read takes: none may stay behind in the TLS layer. */
static void nothing_stays_behind_in_the_tls_layer(void **state)
{
    enum { N = 30000 };
    struct client a, b;
    uint8_t *all = malloc(N * 32);
    size_t n = 0;

    (void)state;
    assert_non_null(all);
    loop_start(&l, 2, 3);
    connect_tls(&a, NULL, "a");
    client_subscribe(&a, "t", 0);
    connect_tls(&b, NULL, "b");
    for (int i = 0; i < N; i++)
        n += packet_publish(all + n, "t", "0123456789", 10, 0, 0);
    client_send(&b, all, n);
    client_expect(&a, all, n);
    free(all);
    client_close(&a);
    client_close(&b);
}

static bool has_sent_no_more(struct loop *loop, void *arg)
{
    uint64_t *before = arg, now = loop_stats(loop).send_bytes;
    bool same = now == *before && now > 100000;

    *before = now;
    return same;
}

static void a_slow_reader_gets_everything(void **state)
{
    enum { N = 100, PAYLOAD = 100000 };
    struct client slow, pub;
    uint8_t *packet = malloc(PAYLOAD + 100), *payload = calloc(1, PAYLOAD);
    uint64_t sent = 0;

    (void)state;
    assert_non_null(packet);
    assert_non_null(payload);
    loop_start(&l, 2, 3);
    connect_tls(&slow, NULL, "slow");
    client_subscribe(&slow, "t", 0);
    client_connect(&pub, loop_port(&l, 0), "pub");
    for (int i = 0; i < N; i++) {
        payload[0] = (uint8_t)i;
        client_send(&pub, packet, packet_publish(packet, "t", payload, i % 2 ? PAYLOAD : 10, 0, 0));
    }
    loop_wait(&l, has_sent_no_more, &sent);
    for (int i = 0; i < N; i++) {
        payload[0] = (uint8_t)i;
        client_expect(&slow, packet, packet_publish(packet, "t", payload, i % 2 ? PAYLOAD : 10, 0, 0));
    }
    free(packet);
    free(payload);
    client_close(&slow);
    client_close(&pub);
}

static void the_server_says_goodbye(void **state)
{
    struct client c;

    (void)state;
    loop_start(&l, 2, 3);
    connect_tls(&c, NULL, "c");
    client_send(&c, "\xe0\0", 2);
    client_expect_eof(&c);
    assert_true(SSL_get_shutdown(c.tls) & SSL_RECEIVED_SHUTDOWN);
    client_close(&c);
}

static void websocket_stands_on_tls(void **state)
{
    static const char request[] =
        "GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    static const char response[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
        "Sec-WebSocket-Protocol: mqtt\r\n\r\n";
    static const size_t sizes[] = {0, 100, 16384, 70000, 2000000};
    struct client c;

    (void)state;
    loop_start(&l, 2, 4);
    client_open(&c, loop_port(&l, WSS_LISTENER));
    client_tls(&c, NULL, NULL);
    client_send(&c, request, sizeof request - 1);
    client_expect(&c, response, sizeof response - 1);
    c.is_ws = true;
    client_hello(&c, "c");
    client_subscribe(&c, "t", 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        client_relay(&c, &c, "t", sizes[i]);
    client_close(&c);
}

/* ---- sessions -------------------------------------------------------------------------------------- */

static SSL_SESSION *ticket;

static int on_ticket(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    SSL_SESSION_free(ticket);
    ticket = s;
    return 1;
}

static void sessions_are_resumed_by_ticket_on_any_worker(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct client c;

    (void)state;
    loop_start(&l, 2, 3);
    for (int v = 0; v < 2; v++) {
        SSL_CTX *ctx = version(versions[v]);
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
        SSL_CTX_sess_set_new_cb(ctx, on_ticket);
        for (int i = 0; i < 6; i++) {
            client_open(&c, loop_port(&l, SSL_LISTENER));
            client_tls(&c, ctx, i ? ticket : NULL);
            assert_int_equal(SSL_session_reused(c.tls), i > 0);
            client_hello(&c, "c");
            assert_non_null(ticket);
            SSL_shutdown(c.tls);
            client_close(&c);
        }
        SSL_SESSION_free(ticket);
        ticket = NULL;
        SSL_CTX_free(ctx);
    }
}

/* ---- what is refused ------------------------------------------------------------------------------- */

static uint64_t count(const char *fault)
{
    struct io_stats s = loop_stats(&l);

    for (unsigned f = 0; io_fault_name(f); f++)
        if (strcmp(io_fault_name(f), fault) == 0)
            return s.faults[f];
    fail();
    return 0;
}

static void what_is_no_tls_is_refused_and_counted(void **state)
{
    struct client c;
    uint8_t buf[CLIENT_BUF];

    (void)state;
    loop_start(&l, 1, 3);
    client_open(&c, loop_port(&l, SSL_LISTENER));
    client_send(&c, buf, packet_connect(buf, 4, "plain", 2));
    client_expect_gone(&c);
    client_close(&c);
    assert_int_equal(count("tls_plaintext"), 1);
    client_open(&c, loop_port(&l, SSL_LISTENER));
    client_send(&c, "GET / HTTP/1.1\r\n\r\n", 18);
    client_expect_gone(&c);
    client_close(&c);
    assert_int_equal(count("tls_plaintext"), 2);
    client_open(&c, loop_port(&l, SSL_LISTENER));
    client_send(&c, "\x16\x03\x01\x00\x05hello", 10);
    client_recv(&c, buf, 7); /* an alert */
    client_expect_gone(&c);
    client_close(&c);
    assert_int_equal(count("tls_handshake"), 1);
}

static void a_version_that_is_off_is_refused(void **state)
{
    SSL_CTX *ctx = version(TLS1_2_VERSION);
    struct client c;
    SSL *ssl = SSL_new(ctx);

    (void)state;
    l.listeners[SSL_LISTENER].tls.versions = IO_TLS_1_3;
    loop_start(&l, 1, 3);
    client_open(&c, loop_port(&l, SSL_LISTENER));
    SSL_set_fd(ssl, c.fd);
    assert_int_not_equal(SSL_connect(ssl), 1);
    SSL_free(ssl);
    client_close(&c);
    SSL_CTX_free(ctx);
}

static void a_slow_handshake_times_out(void **state)
{
    struct client c;

    (void)state;
    l.listeners[SSL_LISTENER].tls.handshake_timeout_ms = 200;
    loop_start(&l, 1, 3);
    client_open(&c, loop_port(&l, SSL_LISTENER));
    client_send(&c, "\x16\x03\x01", 3);
    client_expect_gone(&c);
    client_close(&c);
}

/* ---- certificates ---------------------------------------------------------------------------------- */

static void expect_name(const char *name)
{
    struct client c;
    char got[64];

    connect_tls(&c, NULL, "name");
    client_peer_name(&c, got);
    assert_string_equal(got, name);
    client_close(&c);
}

static bool has_logged(struct loop *loop, void *arg)
{
    return loop_logged(loop, arg) > 0;
}

static void a_new_certificate_is_taken_and_a_bad_one_is_not(void **state)
{
    struct client old;
    static char loaded[] = "certificate_loaded", kept[] = "certificate_kept";

    (void)state;
    loop_start(&l, 2, 3);
    connect_tls(&old, NULL, "old");
    client_subscribe(&old, "t", 0);
    expect_name("first");
    tls_files_write(&files, "second");
    io_certs_check(l.io);
    expect_name("second");
    client_relay(&old, &old, "t", 1000);
    tls_files_spoil(&files);
    io_certs_check(l.io);
    assert_int_equal(loop_logged(&l, kept), 1);
    io_certs_check(l.io);
    assert_int_equal(loop_logged(&l, kept), 1); /* told once, not at every look */
    expect_name("second");
    tls_files_write(&files, "third");
    loop_wait(&l, has_logged, loaded);
    /* Found without being asked, too. */
    while (loop_logged(&l, loaded) < 2)
        io_stats(l.io, &(struct io_stats){0});
    expect_name("third");
    client_relay(&old, &old, "t", 1000);
    client_close(&old);
}

static void a_certificate_that_is_missing_fails_at_start(void **state)
{
    struct io_conf conf;
    struct io *io;

    (void)state;
    loop_start(&l, 1, 1);
    tls_files_spoil(&files);
    conf = (struct io_conf){
        .node = l.node, .writer = l.writer, .listeners = l.listeners, .listeners_n = 3, .log = &l.log};
    assert_int_equal(io_new(&io, &conf), ERR_INVALID);
    assert_int_equal(loop_logged(&l, "certificate_unusable"), 1);
}

/* The client may learn of its refusal before the worker has counted it. */
static bool has_refused_one(struct loop *loop, void *arg)
{
    (void)loop;
    (void)arg;
    return count("tls_handshake") == 1;
}

static void clients_are_verified_when_that_is_asked_for(void **state)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct client c;
    SSL *ssl;
    uint8_t buf[CLIENT_BUF];

    (void)state;
    l.listeners[SSL_LISTENER].tls.verify = IO_VERIFY_REQUIRED;
    l.listeners[SSL_LISTENER].tls.cafile = files.cert; /* who has the server's own key may enter */
    loop_start(&l, 1, 3);
    client_open(&c, loop_port(&l, SSL_LISTENER));
    ssl = SSL_new(ctx);
    SSL_set_fd(ssl, c.fd);
    if (SSL_connect(ssl) == 1) { /* in TLS 1.3 the client learns it with its first read */
        size_t n;
        SSL_write_ex(ssl, buf, packet_connect(buf, 4, "c", 2), &n);
        assert_int_not_equal(SSL_read_ex(ssl, buf, sizeof buf, &n), 1);
    }
    SSL_free(ssl);
    client_close(&c);
    loop_wait(&l, has_refused_one, NULL);
    assert_int_equal(SSL_CTX_use_certificate_file(ctx, files.cert, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, files.key, SSL_FILETYPE_PEM), 1);
    connect_tls(&c, ctx, "c");
    client_close(&c);
    SSL_CTX_free(ctx);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(both_versions_carry_packets_of_any_size),
        T(nothing_stays_behind_in_the_tls_layer),
        T(a_slow_reader_gets_everything),
        T(the_server_says_goodbye),
        T(websocket_stands_on_tls),
        T(sessions_are_resumed_by_ticket_on_any_worker),
        T(what_is_no_tls_is_refused_and_counted),
        T(a_version_that_is_off_is_refused),
        T(a_slow_handshake_times_out),
        T(a_new_certificate_is_taken_and_a_bad_one_is_not),
        T(a_certificate_that_is_missing_fails_at_start),
        T(clients_are_verified_when_that_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
