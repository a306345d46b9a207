/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/io/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <unistd.h>

enum { TIMEOUT_S = 20 };

void client_open(struct client *c, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval tv = {.tv_sec = TIMEOUT_S};
    int on = 1;

    *c = (struct client){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(c->fd >= 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&in, sizeof in), 0);
}

void client_close(struct client *c)
{
    SSL_free(c->tls);
    if (c->fd >= 0)
        close(c->fd);
    *c = (struct client){.fd = -1};
}

/* ---- bytes ----------------------------------------------------------------------------------------- */

static void raw_send(struct client *c, const uint8_t *p, size_t n)
{
    while (n) {
        size_t k = 0;
        if (c->tls) {
            assert_int_equal(SSL_write_ex(c->tls, p, n, &k), 1);
        } else {
            ssize_t r = send(c->fd, p, n, MSG_NOSIGNAL);
            assert_true(r > 0);
            k = (size_t)r;
        }
        p += k;
        n -= k;
    }
}

/* 0: the end; -1: reset. */
static ssize_t raw_recv(struct client *c, uint8_t *p, size_t n)
{
    ssize_t r;

    if (c->tls) {
        size_t k = 0;
        return SSL_read_ex(c->tls, p, n, &k) == 1 ? (ssize_t)k : 0;
    }
    r = recv(c->fd, p, n, 0);
    if (r < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        fail_msg("nothing came in time");
    return r;
}

static void raw_recv_all(struct client *c, uint8_t *p, size_t n)
{
    while (n) {
        ssize_t r = raw_recv(c, p, n);
        assert_true(r > 0);
        p += r;
        n -= (size_t)r;
    }
}

void client_send(struct client *c, const void *p, size_t n)
{
    uint8_t header[14] = {0x82, 0x80 | 127};

    if (c->is_ws) {
        /* A mask of zeros leaves the payload as it is. */
        memset(be64_put(header + 2, n), 0, 4);
        if (n < 65536) {
            header[1] = n < 126 ? (uint8_t)(0x80 | n) : 0x80 | 126;
            memset(n < 126 ? header + 2 : be16_put(header + 2, (uint16_t)n), 0, 4);
        }
        raw_send(c, header, n < 126 ? 6 : n < 65536 ? 8 : 14);
    }
    raw_send(c, p, n);
}

/* The header of a frame of the server. */
static uint32_t ws_frame(struct client *c)
{
    uint8_t h[10];

    raw_recv_all(c, h, 2);
    assert_int_equal(h[0], 0x82);
    if (h[1] < 126)
        return h[1];
    raw_recv_all(c, h + 2, h[1] == 126 ? 2 : 8);
    return h[1] == 126 ? be16_get(h + 2) : (uint32_t)be64_get(h + 2);
}

void client_recv(struct client *c, void *p, size_t n)
{
    uint8_t *out = p;

    while (c->is_ws && n) {
        if (!c->ws_left)
            c->ws_left = ws_frame(c);
        uint32_t k = n < c->ws_left ? (uint32_t)n : c->ws_left;
        raw_recv_all(c, out, k);
        c->ws_left -= k;
        out += k;
        n -= k;
    }
    raw_recv_all(c, out, n);
}

void client_expect(struct client *c, const void *p, size_t n)
{
    uint8_t *got = malloc(n);

    assert_non_null(got);
    client_recv(c, got, n);
    assert_memory_equal(got, p, n);
    free(got);
}

void client_expect_eof(struct client *c)
{
    uint8_t byte;

    assert_int_equal(raw_recv(c, &byte, 1), 0);
}

void client_expect_gone(struct client *c)
{
    uint8_t byte;

    assert_true(raw_recv(c, &byte, 1) <= 0);
}

/* ---- packets --------------------------------------------------------------------------------------- */

static uint8_t *put_length(uint8_t *p, size_t n)
{
    do {
        *p = n & 127;
        n >>= 7;
        if (n)
            *p |= 128;
        p++;
    } while (n);
    return p;
}

static uint8_t *put_string(uint8_t *p, const char *s)
{
    return bytes_put(be16_put(p, (uint16_t)strlen(s)), bytes_str(s));
}

size_t packet_connect(uint8_t *out, uint8_t level, const char *client_id, uint8_t flags)
{
    uint8_t *p = out;

    *p++ = 0x10;
    p = put_length(p, 12 + strlen(client_id) + (level == 5 ? 1 : 0));
    p = put_string(p, "MQTT");
    *p++ = level;
    *p++ = flags;
    p = be16_put(p, 60);
    if (level == 5)
        *p++ = 0;
    return (size_t)(put_string(p, client_id) - out);
}

size_t packet_publish(uint8_t *out, const char *topic, const void *payload, size_t n, unsigned qos,
                      uint16_t id)
{
    uint8_t *p = out;

    *p++ = (uint8_t)(0x30 | qos << 1);
    p = put_length(p, 2 + strlen(topic) + (qos ? 2 : 0) + n);
    p = put_string(p, topic);
    if (qos)
        p = be16_put(p, id);
    return (size_t)(bytes_put(p, bytes_of(payload, n)) - out);
}

size_t packet_subscribe(uint8_t *out, const char *filter, unsigned qos)
{
    uint8_t *p = out;

    *p++ = 0x82;
    p = put_length(p, 5 + strlen(filter));
    p = put_string(be16_put(p, 1), filter);
    *p++ = (uint8_t)qos;
    return (size_t)(p - out);
}

void client_hello(struct client *c, const char *client_id)
{
    uint8_t buf[CLIENT_BUF];

    client_send(c, buf, packet_connect(buf, 4, client_id, 2));
    client_expect(c, "\x20\2\0\0", 4);
}

void client_connect(struct client *c, uint16_t port, const char *client_id)
{
    client_open(c, port);
    client_hello(c, client_id);
}

void client_subscribe(struct client *c, const char *filter, unsigned qos)
{
    uint8_t buf[CLIENT_BUF];
    uint8_t suback[] = {0x90, 3, 0, 1, (uint8_t)qos};

    client_send(c, buf, packet_subscribe(buf, filter, qos));
    client_expect(c, suback, sizeof suback);
}

void client_relay(struct client *from, struct client *to, const char *topic, size_t payload_n)
{
    uint8_t *payload = malloc(payload_n + 1), *packet = malloc(payload_n + 300);
    size_t n;

    assert_non_null(payload);
    assert_non_null(packet);
    for (size_t i = 0; i < payload_n; i++)
        payload[i] = (uint8_t)(i * 7 >> 4);
    n = packet_publish(packet, topic, payload, payload_n, 0, 0);
    client_send(from, packet, n);
    client_expect(to, packet, n);
    free(payload);
    free(packet);
}
