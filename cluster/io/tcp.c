/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/conn.h"
#include "cluster/io/sockaddr.h"
#include "proto/base/check.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum { BACKLOG = 128, ACCEPTS_MAX = 64 /* in one turn */, BIND_TRIES = 16, UDP_BUFFER = 1 << 20 };

/* ---- binding --------------------------------------------------------------------------------------- */

/* A bound socket, or -1 with errno. */
static int socket_at(const struct net_addr *at, int type)
{
    struct sockaddr_storage sa;
    socklen_t n = sockaddr_of(&sa, at, AF_UNSPEC);
    int on = 1, off = 0, room = UDP_BUFFER, error;
    int fd = socket(sa.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (sa.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (type == SOCK_STREAM)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    else
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(fd, (struct sockaddr *)&sa, n) == 0 && (type != SOCK_STREAM || listen(fd, BACKLOG) == 0))
        return fd;
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

static void note_port(int fd, struct net_addr *at)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;

    CHECK(getsockname(fd, (struct sockaddr *)&sa, &n) == 0 && sockaddr_read(at, &sa));
}

static bool try_bind(struct cluster_io *c, const struct net_addr *want, const char **what)
{
    struct net_addr at = *want;
    int error;

    *what = "tcp";
    c->tcp_fd = socket_at(&at, SOCK_STREAM);
    if (c->tcp_fd < 0)
        return false;
    note_port(c->tcp_fd, &at);
    *what = "udp";
    c->udp_fd = socket_at(&at, SOCK_DGRAM);
    if (c->udp_fd >= 0) {
        c->bound = at;
        return true;
    }
    error = errno;
    close(c->tcp_fd);
    c->tcp_fd = -1;
    errno = error;
    return false;
}

enum err tcp_bind(struct cluster_io *c)
{
    const struct net_addr *want = &c->conf.bind;
    char text[NET_ADDR_TEXT_N];
    const char *what = "";
    bool ok = false;

    c->family = net_addr_is_v4(want) ? AF_INET : AF_INET6;
    /* A port that the system chose for TCP may be taken for UDP. */
    for (int i = 0; i < BIND_TRIES && !ok; i++) {
        ok = try_bind(c, want, &what);
        if (!ok && (want->port != 0 || errno != EADDRINUSE))
            break;
    }
    if (ok)
        return OK;
    int error = errno;
    LOG(c->log, LOG_ERROR, "cluster bind_failed transport=%s address=%s error=\"%s\"", what,
        net_addr_text(text, want), strerror(error));
    return err_of_bind(error);
}

void tcp_options_set(int fd)
{
    int on = 1;
    unsigned timeout_ms = CLUSTER_USER_TIMEOUT_MS;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

/* ---- half open connections ------------------------------------------------------------------------- */

/* A source is an IPv4 address, or what one customer of IPv6 has at least: 64 bits. */
static bool same_source(const struct net_addr *a, const struct net_addr *b)
{
    size_t n = net_addr_is_v4(a) ? 16 : 8;

    return net_addr_is_v4(a) == net_addr_is_v4(b) && memcmp(a->ip, b->ip, n) == 0;
}

static void give_way(struct cconn *cc, enum cluster_fault f)
{
    cluster_count_fault(cc->c, f, &cc->addr, NULL);
    cconn_cut(cc);
}

/* The oldest gives way: an honest handshake takes one round trip, so it is the last one to be hit. */
static void make_room(struct cluster_io *c, const struct net_addr *from)
{
    struct cconn *oldest = NULL, *oldest_same = NULL;
    uint32_t n = 0, n_same = 0;

    list_each(it, &c->shaking)
    {
        struct cconn *cc = container_of(it, struct cconn, link);
        if (cc->side != WIRE_ACCEPTED)
            continue;
        n++;
        oldest = oldest ? oldest : cc;
        if (same_source(&cc->addr, from)) {
            n_same++;
            oldest_same = oldest_same ? oldest_same : cc;
        }
    }
    if (n_same >= CLUSTER_HALF_OPEN_SOURCE_MAX)
        give_way(oldest_same, CLUSTER_FAULT_HALF_OPEN_SOURCE_MAX);
    else if (n >= CLUSTER_HALF_OPEN_MAX)
        give_way(oldest, CLUSTER_FAULT_HALF_OPEN_MAX);
}

/* ---- accepting ------------------------------------------------------------------------------------- */

static bool accept_one(struct cluster_io *c)
{
    struct sockaddr_storage sa;
    struct net_addr from;
    socklen_t n = sizeof sa;
    int fd = accept4(c->tcp_fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            cluster_count_fault(c, CLUSTER_FAULT_DESCRIPTORS, NULL, strerror(errno));
            event_del(&c->accept_event); /* until the next tick: it would be ready all the time */
            c->accept_paused = true;
            return false;
        }
        return errno != EAGAIN;
    }
    if (!sockaddr_read(&from, &sa)) {
        close(fd);
        return true;
    }
    tcp_options_set(fd);
    make_room(c, &from);
    cconn_accept(c, fd, &from);
    return true;
}

static void on_accept_event(evutil_socket_t fd, short what, void *arg)
{
    struct cluster_io *c = arg;

    (void)fd;
    (void)what;
    cluster_enter(c);
    for (int i = 0; i < ACCEPTS_MAX && accept_one(c); i++)
        ;
}

void tcp_accept_again(struct cluster_io *c)
{
    if (c->accept_paused && c->tcp_fd >= 0)
        event_add(&c->accept_event, NULL);
    c->accept_paused = false;
}

void tcp_open(struct cluster_io *c)
{
    event_assign(&c->accept_event, c->base, c->tcp_fd, EV_READ | EV_PERSIST, on_accept_event, c);
    event_add(&c->accept_event, NULL);
}

void tcp_close(struct cluster_io *c)
{
    event_del(&c->accept_event);
    c->accept_paused = false;
}
