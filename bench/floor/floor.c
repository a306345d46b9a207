/* SPDX-License-Identifier: Apache-2.0 */
/*
 * covey-floor: the least that relaying MQTT over libevent can cost. One thread, plain events, one shared
 * receive buffer, one send per connection with something to say at the end of a loop turn. Exact topics, QoS
 * 0, bytes are copied as they came: no sessions, no checks worth the name. It is a measuring rod, not a
 * broker: what a real broker needs above it is the price of its promises, what it needs below does not exist.
 */
#include "bench/floor/topics.h"

#include <event2/event.h>
#include <event2/event_struct.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRATCH_BYTES (256u * 1024)

struct floor {
    struct event_base *base;
    struct event accept, interrupt, terminate;
    struct floor_conn *dirty;
    struct topics topics;
    uint8_t scratch[SCRATCH_BYTES];
};

struct floor_conn {
    struct floor *floor;
    struct event read;
    struct event *write; /* made at the first EAGAIN */
    struct floor_conn *dirty_next;
    uint8_t *out, *tail;
    uint32_t out_len, out_off, out_cap, tail_len;
    bool is_dirty, is_blocked, is_dead, is_subscriber;
};

static void *floor_alloc(void *old, size_t size)
{
    void *p = realloc(old, size);
    if (!p)
        abort();
    return p;
}

static void conn_mark(struct floor_conn *c)
{
    if (c->is_dirty)
        return;
    c->is_dirty = true;
    c->dirty_next = c->floor->dirty;
    c->floor->dirty = c;
}

static void conn_append(struct floor_conn *c, const uint8_t *data, size_t len)
{
    if (c->out_len + len > c->out_cap) {
        size_t cap = c->out_cap ? c->out_cap : 512;
        while (cap < c->out_len + len)
            cap *= 2;
        c->out = floor_alloc(c->out, cap);
        c->out_cap = (uint32_t)cap;
    }
    memcpy(c->out + c->out_len, data, len);
    c->out_len += (uint32_t)len;
    conn_mark(c);
}

/* Freed at the end of the turn, when nothing points to it any more. */
static void conn_kill(struct floor_conn *c)
{
    c->is_dead = true;
    conn_mark(c);
}

static void conn_free(struct floor_conn *c)
{
    int fd = event_get_fd(&c->read);
    if (c->is_subscriber)
        topics_forget(&c->floor->topics, c);
    event_del(&c->read);
    if (c->write)
        event_free(c->write);
    close(fd);
    free(c->out);
    free(c->tail);
    free(c);
}

static void conn_on_writable(evutil_socket_t fd, short what, void *arg)
{
    struct floor_conn *c = arg;
    (void)fd, (void)what;
    c->is_blocked = false;
    conn_mark(c);
}

static void conn_flush(struct floor_conn *c)
{
    int fd = event_get_fd(&c->read);
    while (c->out_off < c->out_len) {
        ssize_t n = send(fd, c->out + c->out_off, c->out_len - c->out_off, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            if (!c->write)
                c->write = event_new(c->floor->base, fd, EV_WRITE, conn_on_writable, c);
            c->is_blocked = true;
            event_add(c->write, NULL);
            return;
        }
        if (n < 0) {
            c->is_dead = true;
            return;
        }
        c->out_off += (uint32_t)n;
    }
    c->out_len = c->out_off = 0;
}

static void floor_flush(struct floor *f)
{
    struct floor_conn *c;
    while ((c = f->dirty)) {
        f->dirty = c->dirty_next;
        c->is_dirty = false;
        if (!c->is_dead && !c->is_blocked)
            conn_flush(c);
        if (c->is_dead)
            conn_free(c);
    }
}

static void conn_on_publish(struct floor_conn *c, const uint8_t *frame, size_t len, const uint8_t *body,
                            size_t n)
{
    size_t topic_len = n < 2 ? SIZE_MAX : (size_t)body[0] << 8 | body[1];
    if (topic_len > n - 2 || n < 2) {
        conn_kill(c);
        return;
    }
    const struct topic *t = topics_find(&c->floor->topics, body + 2, topic_len);
    if (!t)
        return;
    for (uint32_t i = 0; i < t->listener_count; i++)
        conn_append(t->listeners[i], frame, len);
}

static void conn_on_subscribe(struct floor_conn *c, const uint8_t *body, size_t n)
{
    size_t filter_len = n < 5 ? SIZE_MAX : (size_t)body[2] << 8 | body[3];
    if (n < 5 || filter_len != n - 5) { /* one filter, MQTT 3.1.1 */
        conn_kill(c);
        return;
    }
    const uint8_t suback[] = {0x90, 3, body[0], body[1], 0};
    topics_add(&c->floor->topics, body + 4, filter_len, c);
    c->is_subscriber = true;
    conn_append(c, suback, sizeof(suback));
}

static void conn_on_frame(struct floor_conn *c, const uint8_t *frame, size_t len, const uint8_t *body,
                          size_t n)
{
    static const uint8_t connack[] = {0x20, 2, 0, 0};
    static const uint8_t pong[] = {0xd0, 0};
    switch (frame[0] >> 4) {
    case 1:
        conn_append(c, connack, sizeof(connack));
        break;
    case 3:
        conn_on_publish(c, frame, len, body, n);
        break;
    case 8:
        conn_on_subscribe(c, body, n);
        break;
    case 12:
        conn_append(c, pong, sizeof(pong));
        break;
    default:
        conn_kill(c);
        break;
    }
}

/* Returns the bytes of whole frames that were handled. */
static size_t conn_parse(struct floor_conn *c, const uint8_t *p, size_t len)
{
    size_t used = 0;
    while (len - used >= 2 && !c->is_dead) {
        const uint8_t *frame = p + used;
        size_t have = len - used, n = 0, at = 1;
        do {
            if (at == 5 || at >= have)
                return used;
            n |= (size_t)(frame[at] & 0x7f) << (7 * (at - 1));
        } while (frame[at++] & 0x80);
        if (have < at + n)
            return used;
        conn_on_frame(c, frame, at + n, frame + at, n);
        used += at + n;
    }
    return used;
}

static void conn_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct floor_conn *c = arg;
    uint8_t *buf = c->floor->scratch;
    (void)what;
    if (c->tail_len)
        memcpy(buf, c->tail, c->tail_len);
    ssize_t n = recv(fd, buf + c->tail_len, SCRATCH_BYTES - c->tail_len, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        conn_kill(c);
        return;
    }
    size_t len = c->tail_len + (size_t)n;
    size_t used = conn_parse(c, buf, len);
    c->tail_len = 0;
    if (c->is_dead || used == len)
        return;
    if (len - used > SCRATCH_BYTES / 2) {
        conn_kill(c);
        return;
    }
    c->tail_len = (uint32_t)(len - used);
    c->tail = floor_alloc(c->tail, c->tail_len);
    memcpy(c->tail, buf + used, c->tail_len);
}

static void floor_on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct floor *f = arg;
    int one = 1;
    (void)what;
    int conn_fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (conn_fd < 0)
        return;
    setsockopt(conn_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct floor_conn *c = floor_alloc(NULL, sizeof(*c));
    memset(c, 0, sizeof(*c));
    c->floor = f;
    event_assign(&c->read, f->base, conn_fd, EV_READ | EV_PERSIST, conn_on_readable, c);
    event_add(&c->read, NULL);
}

static void floor_on_signal(evutil_socket_t sig, short what, void *arg)
{
    struct floor *f = arg;
    (void)sig, (void)what;
    event_base_loopbreak(f->base);
}

static int floor_listen(uint16_t port)
{
    int one = 1;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 4096)) {
        fprintf(stderr, "covey-floor: port %u: %s\n", port, strerror(errno));
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    long port = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    struct rlimit files;
    if (port < 1 || port > 65535) {
        fprintf(stderr, "usage: covey-floor PORT\n");
        return 1;
    }
    if (!getrlimit(RLIMIT_NOFILE, &files)) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct floor *f = floor_alloc(NULL, sizeof(*f));
    memset(f, 0, sizeof(*f));
    f->base = event_base_new();
    if (!f->base)
        return 1;
    event_assign(&f->accept, f->base, floor_listen((uint16_t)port), EV_READ | EV_PERSIST, floor_on_accept, f);
    evsignal_assign(&f->interrupt, f->base, SIGINT, floor_on_signal, f);
    evsignal_assign(&f->terminate, f->base, SIGTERM, floor_on_signal, f);
    event_add(&f->accept, NULL);
    event_add(&f->interrupt, NULL);
    event_add(&f->terminate, NULL);
    while (!event_base_got_break(f->base)) {
        event_base_loop(f->base, EVLOOP_ONCE);
        floor_flush(f);
    }
    return 0;
}
