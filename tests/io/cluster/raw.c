/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/sockaddr.h"
#include "tests/io/cluster/rig.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

enum { TIMEOUT_S = 20 };

void raw_open(struct raw *c, struct rig *r, uint8_t from)
{
    struct net_addr to = net_addr_v4(127, 0, 0, 1, cluster_io_port(r->io));
    struct net_addr me = net_addr_v4(127, 0, 0, from, 0);
    struct sockaddr_storage sa;
    struct timeval tv = {.tv_sec = TIMEOUT_S};
    socklen_t n = sockaddr_of(&sa, &me, AF_UNSPEC);

    memset(c, 0, sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(c->fd >= 0);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
    assert_int_equal(bind(c->fd, (struct sockaddr *)&sa, n), 0);
    n = sockaddr_of(&sa, &to, AF_UNSPEC);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&sa, n), 0);
}

void raw_close(struct raw *c)
{
    seal_fini(&c->tx);
    seal_fini(&c->rx);
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

void raw_reset(struct raw *c)
{
    struct linger l = {.l_onoff = 1, .l_linger = 0};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    raw_close(c);
}

void raw_send(struct raw *c, const void *p, size_t n)
{
    assert_int_equal(send(c->fd, p, n, MSG_NOSIGNAL), n);
}

void raw_recv(struct raw *c, void *p, size_t n)
{
    assert_int_equal(recv(c->fd, p, n, MSG_WAITALL), n);
}

void raw_expect_end(struct raw *c)
{
    char b[4096];
    ssize_t n;

    while ((n = recv(c->fd, b, sizeof b, 0)) > 0)
        ;
    if (n < 0 && errno == EAGAIN)
        fail_msg("the connection does not end");
}

struct secret raw_secret(const struct rig *r)
{
    struct secret s;

    if (r->folder[0])
        assert_int_equal(secret_load(&s, r->secret_file, NULL, NULL), OK);
    else
        secret_from_name(&s, r->conf.mesh.cluster);
    return s;
}

void raw_shake(struct raw *c, struct rig *r)
{
    uint8_t random[HANDSHAKE_RANDOM_N], in[HANDSHAKE_MESSAGE_MAX], out[HANDSHAKE_MESSAGE_MAX];
    struct secret s = raw_secret(r);
    struct handshake h;
    uint32_t n;

    randombytes_buf(random, sizeof random);
    handshake_dial(&h, &s, random, out);
    raw_send(c, out, HANDSHAKE_HELLO_N);
    raw_recv(c, in, HANDSHAKE_REPLY_N);
    assert_int_equal(handshake_on_message(&h, &s, in, out, &n), HANDSHAKE_OK);
    raw_send(c, out, n);
    handshake_keys(&h, &c->tx, &c->rx);
}

void raw_send_record(struct raw *c, const char *text)
{
    uint8_t record[256];
    uint32_t n = (uint32_t)strlen(text);

    memcpy(record + SEAL_LENGTH_N, text, n);
    raw_send(c, record, seal_put(&c->tx, record, n));
}

void raw_expect_record(struct raw *c, const char *text)
{
    uint8_t record[256];
    struct bytes plain;
    uint32_t used;

    raw_recv(c, record, SEAL_LENGTH_N);
    assert_int_equal(be32_get(record), strlen(text) + SEAL_TAG_N);
    raw_recv(c, record + SEAL_LENGTH_N, be32_get(record));
    assert_int_equal(seal_open(&c->rx, record, SEAL_LENGTH_N + be32_get(record), &plain, &used), OK);
    assert_true(bytes_eq(plain, bytes_str(text)));
}

void raw_datagram(struct rig *r, const void *p, size_t n)
{
    struct net_addr to = net_addr_v4(127, 0, 0, 1, cluster_io_port(r->io));
    struct sockaddr_storage sa;
    socklen_t sa_n = sockaddr_of(&sa, &to, AF_UNSPEC);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(sendto(fd, p, n, 0, (struct sockaddr *)&sa, sa_n), n);
    close(fd);
}
