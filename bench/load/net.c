/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load/net.h"

#include "bench/load/die.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NET_EVENTS_MAX 4096

void net_init(struct net *n, const char *host, uint16_t port, uint32_t source_count)
{
    memset(n, 0, sizeof(*n));
    n->addr.sin_family = AF_INET;
    n->addr.sin_port = htons(port);
    if (inet_pton(AF_INET, host, &n->addr.sin_addr) != 1)
        die("--host must be an IPv4 address, not '%s'", host);
    n->source_count = source_count;
    n->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (n->epoll_fd < 0)
        die("epoll_create1: %s", strerror(errno));
    n->scratch = die_calloc(1, NET_SCRATCH_BYTES);
}

void net_fini(struct net *n)
{
    close(n->epoll_fd);
    free(n->scratch);
}

static void conn_watch(struct conn *c, int op, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = c};
    if (epoll_ctl(c->net->epoll_fd, op, c->fd, &ev))
        die("epoll_ctl: %s", strerror(errno));
}

/* Many addresses of 127/8 as sources, so that neither ports nor TIME_WAIT run out. */
static void conn_bind_source(struct conn *c)
{
    struct net *n = c->net;
    int one = 1;
    struct sockaddr_in source = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(0x7f000002u + n->source_next);
    n->source_next = (n->source_next + 1) % n->source_count;
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    if (bind(c->fd, (struct sockaddr *)&source, sizeof(source)))
        die("bind: %s", strerror(errno));
}

void conn_open(struct conn *c, struct net *n, const struct conn_ops *ops)
{
    int one = 1;
    memset(c, 0, sizeof(*c));
    c->net = n;
    c->ops = ops;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket: %s (ulimit -n?)", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (n->source_count)
        conn_bind_source(c);
    if (connect(c->fd, (struct sockaddr *)&n->addr, sizeof(n->addr)) && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    conn_watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void net_undirty(struct net *n, struct conn *c)
{
    struct conn **at = &n->dirty;
    while (*at && *at != c)
        at = &(*at)->dirty_next;
    if (*at)
        *at = c->dirty_next;
    c->is_dirty = false;
}

static void conn_release(struct conn *c)
{
    if (c->is_dirty)
        net_undirty(c->net, c);
    close(c->fd);
    c->fd = -1;
    free(c->out);
    free(c->tail);
    c->out = c->tail = NULL;
    c->out_len = c->out_off = c->out_cap = c->tail_len = c->tail_cap = 0;
}

static void conn_fail(struct conn *c, int error)
{
    conn_release(c);
    c->ops->on_close(c, error);
}

/* Returns 0, or the error the connection died of. */
static int conn_send(struct conn *c)
{
    while (c->out_off < c->out_len) {
        ssize_t sent = send(c->fd, c->out + c->out_off, c->out_len - c->out_off, MSG_NOSIGNAL);
        c->net->send_calls++;
        if (sent < 0 && errno != EAGAIN && errno != ENOTCONN)
            return errno;
        if (sent < 0) {
            if (!c->is_blocked)
                conn_watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            c->is_blocked = true;
            return 0;
        }
        c->out_off += (uint32_t)sent;
    }
    c->out_len = c->out_off = 0;
    return 0;
}

void conn_close(struct conn *c)
{
    if (c->fd < 0)
        return;
    (void)conn_send(c);
    conn_release(c);
}

uint8_t *conn_reserve(struct conn *c, size_t len)
{
    size_t need = c->out_len + len;
    if (need > c->out_cap) {
        size_t cap = c->out_cap ? c->out_cap : 256;
        while (cap < need)
            cap *= 2;
        if (cap > UINT32_MAX / 2)
            die("a connection's out buffer grew beyond 2 GiB");
        c->out = die_realloc(c->out, cap);
        c->out_cap = (uint32_t)cap;
    }
    return c->out + c->out_len;
}

static void conn_keep_tail(struct conn *c, const uint8_t *data, size_t len)
{
    if (len > c->tail_cap) {
        c->tail_cap = (uint32_t)(len < 512 ? 512 : len);
        c->tail = die_realloc(c->tail, c->tail_cap);
    }
    memcpy(c->tail, data, len);
    c->tail_len = (uint32_t)len;
}

static void conn_read(struct conn *c)
{
    uint8_t *buf = c->net->scratch;
    size_t have = c->tail_len;
    if (have)
        memcpy(buf, c->tail, have);
    ssize_t got = recv(c->fd, buf + have, NET_SCRATCH_BYTES - have, 0);
    c->net->recv_calls++;
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        conn_fail(c, got < 0 ? errno : 0);
        return;
    }
    size_t len = have + (size_t)got;
    size_t used = c->ops->on_bytes(c, buf, len);
    if (c->fd < 0)
        return;
    c->tail_len = 0;
    if (used < len) {
        if (len - used >= NET_SCRATCH_BYTES / 2)
            die("a packet larger than %u bytes arrived", NET_SCRATCH_BYTES / 2);
        conn_keep_tail(c, buf + used, len - used);
    }
}

int net_wait(struct net *n, uint64_t timeout_ns)
{
    struct epoll_event events[NET_EVENTS_MAX];
    struct timespec ts = {.tv_sec = (time_t)(timeout_ns / 1000000000u),
                          .tv_nsec = (long)(timeout_ns % 1000000000u)};
    int count = epoll_pwait2(n->epoll_fd, events, NET_EVENTS_MAX, &ts, NULL);
    n->wait_calls++;
    if (count < 0 && errno != EINTR)
        die("epoll_pwait2: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        struct conn *c = events[i].data.ptr;
        if (c->fd >= 0 && (events[i].events & EPOLLOUT)) {
            c->is_blocked = false;
            conn_watch(c, EPOLL_CTL_MOD, EPOLLIN);
            conn_commit(c, 0);
        }
        if (c->fd >= 0 && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            conn_read(c);
    }
    return count;
}

void net_flush(struct net *n)
{
    struct conn *c;
    while ((c = n->dirty)) {
        n->dirty = c->dirty_next;
        c->is_dirty = false;
        int error = c->is_blocked ? 0 : conn_send(c);
        if (error)
            conn_fail(c, error);
    }
}
