/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/listener.h"

#include "node/io/access.h"
#include "node/io/certs.h"
#include "node/io/io_private.h"
#include "node/io/transport_proxy.h"
#include "node/io/transport_tls.h"
#include "node/io/transport_ws.h"
#include "proto/base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

/* A TLS handshake takes as long as many packets. */
enum { ACCEPTS_A_TURN = 64, ACCEPTS_A_TURN_TLS = 8 };

/* ---- who it is ------------------------------------------------------------------------------------- */

/* inet_ntop() formats with printf, which is felt when clients come by the ten thousand a second. */
static void format_v4(char *out, const uint8_t a[4])
{
    for (int i = 0; i < 4; i++) {
        unsigned v = a[i];
        if (v >= 100)
            *out++ = (char)('0' + v / 100);
        if (v >= 10)
            *out++ = (char)('0' + v / 10 % 10);
        *out++ = (char)('0' + v % 10);
        *out++ = i < 3 ? '.' : '\0';
    }
}

static void peer_set(struct conn_peer *peer, const struct sockaddr_storage *addr)
{
    if (addr->ss_family == AF_UNIX) {
        memcpy(peer->address, "unix", sizeof "unix");
    } else if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
        peer->port = ntohs(in6->sin6_port);
        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
            format_v4(peer->address, in6->sin6_addr.s6_addr + 12);
        else
            inet_ntop(AF_INET6, &in6->sin6_addr, peer->address, sizeof peer->address);
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
        peer->port = ntohs(in->sin_port);
        format_v4(peer->address, (const uint8_t *)&in->sin_addr);
    }
}

/* The filters of this kind of listener; false: no memory. */
static bool stack_new(struct acceptor *a, const struct listener_conf *lc, int fd, struct transport **top)
{
    const struct listener *l = a->listener;
    struct transport *t = NULL;

    *top = NULL;
    if (lc->proxies && !(t = transport_proxy_new(fd)))
        return false;
    if (l->kind == IO_SSL || l->kind == IO_WSS) {
        struct transport *tls = transport_tls_new(l->certs, fd, t);
        if (!tls) {
            transport_free(t, &a->worker->env);
            return false;
        }
        t = tls;
    }
    if (l->kind == IO_WS || l->kind == IO_WSS) {
        *top = transport_ws_new(&lc->c.ws, fd, t);
        if (!*top)
            transport_free(t, &a->worker->env);
        return *top != NULL;
    }
    *top = t;
    return true;
}

/* ---- accepting ------------------------------------------------------------------------------------- */

static void refuse(struct acceptor *a, int fd, enum io_refusal why)
{
    stat_add(&a->refused[why], 1);
    if (fd >= 0)
        close(fd);
}

static void half_open_make_room(struct acceptor *a)
{
    for (int i = 0; i < WAITS && a->waiting_n >= listener_conf(a->listener)->c.half_open_max; i++) {
        if (!list_is_empty(&a->waiting[i])) {
            stat_add(&a->refused[IO_REFUSED_HALF_OPEN], 1);
            ioconn_cut(container_of(a->waiting[i].next, struct ioconn, u.bare.link));
        }
    }
}

/* Whose process it is: the system knows it for sure. */
static void log_process(struct acceptor *a, int fd)
{
    struct ucred who;
    socklen_t n = sizeof who;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0)
        LOG(a->worker->io->log, LOG_INFO, "listener accepted name=%s pid=%ld uid=%lu gid=%lu",
            a->listener->name, (long)who.pid, (unsigned long)who.uid, (unsigned long)who.gid);
}

static void admit(struct acceptor *a, int fd, const struct sockaddr_storage *addr)
{
    struct listener *l = a->listener;
    struct listener_conf *lc = listener_conf(l);
    struct conn_peer peer = {.port = 0};
    struct transport *transport;
    struct ioconn *ic;

    if (!access_allows(lc->access, addr) || !access_allows(lc->proxies, addr)) {
        refuse(a, fd, access_allows(lc->access, addr) ? IO_REFUSED_PROXY : IO_REFUSED_ADDRESS);
        return;
    }
    if (unlikely(a->worker->is_critical)) {
        refuse(a, fd, IO_REFUSED_OVERLOAD);
        return;
    }
    if (atomic_fetch_add_explicit(&l->connections, 1, memory_order_relaxed) >= lc->c.connections_max &&
        lc->c.connections_max) {
        atomic_fetch_sub_explicit(&l->connections, 1, memory_order_relaxed);
        refuse(a, fd, IO_REFUSED_CONNECTIONS_MAX);
        return;
    }
    half_open_make_room(a);
    peer_set(&peer, addr);
    if (l->kind == IO_UNIX)
        log_process(a, fd);
    ic = stack_new(a, lc, fd, &transport) ? ioconn_new(a, lc, fd, &peer, transport) : NULL;
    if (!ic) {
        atomic_fetch_sub_explicit(&l->connections, 1, memory_order_relaxed);
        refuse(a, fd, IO_REFUSED_MEMORY);
        return;
    }
    stat_add(&a->accepted, 1);
    /* The first packet is often here already. Then this connection needs no event for it, and none at all on
     * this worker when its home is another. */
    ioconn_read(ic);
}

static void pause_accepting(struct acceptor *a)
{
    event_del(&a->event);
    a->is_paused = true;
}

/* No descriptors are left. One connection is taken with the reserve and closed, so that its client knows; the
 * others wait in the backlog until the next tick. */
static void on_fd_limit(struct acceptor *a)
{
    struct worker *w = a->worker;

    if (!a->is_fd_limit_told)
        LOG(w->io->log, LOG_ERROR, "listener no_descriptors name=%s connections=%u", a->listener->name,
            atomic_load(&a->listener->connections));
    a->is_fd_limit_told = true;
    if (w->fd_reserve >= 0) {
        close(w->fd_reserve);
        refuse(a, accept4(a->fd, NULL, NULL, SOCK_CLOEXEC), IO_REFUSED_DESCRIPTORS);
        w->fd_reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    pause_accepting(a);
}

static void on_accept_event(evutil_socket_t fd, short what, void *arg)
{
    struct acceptor *a = arg;

    int left = a->listener->certs ? ACCEPTS_A_TURN_TLS : ACCEPTS_A_TURN;

    (void)what;
    worker_enter(a->worker);
    while (left-- > 0) {
        struct sockaddr_storage addr;
        socklen_t n = sizeof addr;
        int client;

        if (!listener_rate_take(a->listener, a->worker->now_ms)) {
            stat_add(&a->rate_pauses, 1);
            pause_accepting(a);
            return;
        }
        client = accept4(fd, (struct sockaddr *)&addr, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                on_fd_limit(a);
            /* Others mean that this client has gone, or that there is none. */
            return;
        }
        a->is_fd_limit_told = false;
        admit(a, client, &addr);
    }
}

/* ---- life ------------------------------------------------------------------------------------------ */

void acceptor_init(struct acceptor *a, struct listener *l, struct worker *w)
{
    a->listener = l;
    a->worker = w;
    a->fd = -1;
    for (int i = 0; i < WAITS; i++)
        list_init(&a->waiting[i]);
    acceptor_follow(a);
}

void acceptor_follow(struct acceptor *a)
{
    const struct io_listener_conf *c = &listener_conf(a->listener)->c;
    uint32_t idle_ms = c->settings->idle_timeout_ms;

    a->wait_ms[WAIT_HANDSHAKE] = a->listener->certs  ? c->tls.handshake_timeout_ms
                                 : c->kind == IO_TCP ? c->proxy_timeout_ms
                                                     : idle_ms;
    a->wait_ms[WAIT_CONNECT] = idle_ms;
}

void acceptor_open(struct acceptor *a, int fd)
{
    CHECK(a->fd < 0);
    a->fd = fd;
    event_assign(&a->event, a->worker->base, fd, EV_READ | EV_PERSIST, on_accept_event, a);
    event_add(&a->event, NULL);
    a->is_paused = false;
}

void acceptor_close(struct acceptor *a)
{
    if (a->fd < 0)
        return;
    event_del(&a->event);
    close(a->fd);
    a->fd = -1;
    a->is_paused = false;
}

void acceptor_on_tick(struct acceptor *a)
{
    if (a->is_paused) {
        a->is_paused = false;
        event_add(&a->event, NULL);
        if (a->worker->fd_reserve < 0)
            a->worker->fd_reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    for (int i = 0; i < WAITS; i++) {
        while (!list_is_empty(&a->waiting[i])) {
            struct ioconn *ic = container_of(a->waiting[i].next, struct ioconn, u.bare.link);
            if (!worker_is_past(a->worker, ic->deadline_ms))
                break;
            ioconn_cut(ic);
        }
    }
}

void acceptor_drop_waiting(struct acceptor *a)
{
    for (int i = 0; i < WAITS; i++)
        while (!list_is_empty(&a->waiting[i]))
            ioconn_cut(container_of(a->waiting[i].next, struct ioconn, u.bare.link));
}
