/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/listener.h"

#include "node/io/access.h"
#include "node/io/certs.h"
#include "node/io/io_private.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BACKLOG = 1024, HALF_OPEN_MAX = 20000, HANDSHAKE_MS = 15000 };

const char *io_kind_name(enum io_kind k)
{
    static const char *const names[] = {"tcp", "ssl", "ws", "wss", "unix"};
    CHECK((unsigned)k < array_len(names));
    return names[k];
}

const char *io_refusal_name(enum io_refusal r)
{
    static const char *const names[IO_REFUSALS] = {
        [IO_REFUSED_CONNECTIONS_MAX] = "connections_max",
        [IO_REFUSED_DESCRIPTORS] = "descriptors",
        [IO_REFUSED_HALF_OPEN] = "half_open",
        [IO_REFUSED_MEMORY] = "memory",
        [IO_REFUSED_OVERLOAD] = "overload",
        [IO_REFUSED_ADDRESS] = "address",
        [IO_REFUSED_PROXY] = "proxy",
    };
    CHECK((unsigned)r < IO_REFUSALS);
    return names[r];
}

struct listener_conf *listener_conf_new(const struct io_listener_conf *conf)
{
    struct listener_conf *lc = mem_zalloc(sizeof *lc);

    lc->c = *conf;
    if (!lc->c.backlog)
        lc->c.backlog = BACKLOG;
    if (!lc->c.half_open_max)
        lc->c.half_open_max = HALF_OPEN_MAX;
    if (!lc->c.tls.handshake_timeout_ms)
        lc->c.tls.handshake_timeout_ms = HANDSHAKE_MS;
    if (!lc->c.ws.frame_bytes_max)
        lc->c.ws.frame_bytes_max = (uint64_t)conf->settings->packet_size_max + 16;
    lc->access = access_new(conf->access_rules, conf->access_rules_n);
    lc->proxies = access_new_nets(conf->proxies, conf->proxies_n);
    return lc;
}

void listener_conf_free(struct listener_conf *lc)
{
    if (!lc)
        return;
    free(lc->access);
    free(lc->proxies);
    free(lc);
}

enum err listener_init(struct listener *l, struct io *io, const struct io_listener_conf *conf)
{
    struct listener_conf *lc = listener_conf_new(conf);
    enum err e = OK;

    memset(l, 0, sizeof *l);
    atomic_init(&l->conf, lc);
    l->name = conf->name;
    l->kind = conf->kind;
    l->io = io;
    if (conf->kind == IO_SSL || conf->kind == IO_WSS)
        e = certs_new(&l->certs, conf->name, &lc->c.tls, io->log);
    l->acceptors = mem_zalloc(io->workers_n * sizeof *l->acceptors);
    for (uint32_t i = 0; i < io->workers_n; i++)
        acceptor_init(&l->acceptors[i], l, &io->workers[i]);
    return e;
}

void listener_fini(struct listener *l)
{
    certs_free(l->certs);
    while (l->past) {
        struct listener_conf *lc = l->past;
        l->past = lc->next;
        listener_conf_free(lc);
    }
    listener_conf_free(listener_conf(l));
    free(l->acceptors);
    atomic_init(&l->conf, NULL);
    l->certs = NULL;
    l->acceptors = NULL;
}

/* ---- sockets --------------------------------------------------------------------------------------- */

static socklen_t addr_len(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

/* A socket that listens at addr, or -1 with errno. */
static int listen_at(const struct listener *l, const struct sockaddr_storage *addr, bool reuse_port)
{
    int on = 1, off = 0, no_delay = !listener_conf(l)->c.has_nagle;
    int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    /* Accepted sockets inherit TCP_NODELAY, which saves a call for each. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay) != 0 ||
        (addr->ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
        bind(fd, (const struct sockaddr *)addr, addr_len(addr)) != 0 ||
        listen(fd, listener_conf(l)->c.backlog) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/* Says where it really listens; keeps a port that the system has chosen. */
/* The text form of an address, with its port. */
static void bind_format(struct listener *l, const struct sockaddr_storage *addr)
{
    char text[INET6_ADDRSTRLEN] = "?";

    if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
        l->port = ntohs(in6->sin6_port);
        snprintf(l->bind, sizeof l->bind, "[%s]:%u", text, l->port);
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)addr;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        l->port = ntohs(in->sin_port);
        snprintf(l->bind, sizeof l->bind, "%s:%u", text, l->port);
    }
}

static void note_bind(struct listener *l, int fd, struct sockaddr_storage *addr)
{
    socklen_t n = sizeof *addr;

    CHECK(getsockname(fd, (struct sockaddr *)addr, &n) == 0);
    bind_format(l, addr);
}

static enum err bind_failed(struct listener *l, int *fds, uint32_t n)
{
    int error = errno;

    bind_format(l, &listener_conf(l)->c.addr);
    LOG(l->io->log, LOG_ERROR, "listener bind_failed name=%s address=%s error=\"%s\"", l->name, l->bind,
        strerror(error));
    for (uint32_t i = 0; i < n; i++)
        close(fds[i]);
    return err_of_bind(error);
}

static enum err bind_unix(struct listener *l, int *fds, uint32_t n)
{
    const struct io_listener_conf *c = &listener_conf(l)->c;
    int error = unix_socket_listen(&l->file, &(struct unix_socket_conf){.path = c->file.path,
                                                                        .mode = (mode_t)c->file.mode,
                                                                        .group = c->file.group,
                                                                        .backlog = c->backlog});

    snprintf(l->bind, sizeof l->bind, "%s", c->file.path);
    fds[0] = l->file.fd;
    for (uint32_t i = 1; !error && i < n; i++) {
        fds[i] = fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
        if (fds[i] >= 0)
            continue;
        error = errno;
        while (i--)
            close(fds[i]);
        unix_socket_remove(&l->file, c->file.path);
    }
    if (!error)
        return OK;
    LOG(l->io->log, LOG_ERROR, "listener bind_failed name=%s path=%s error=\"%s\"", l->name, c->file.path,
        unix_socket_fault(error));
    return error == EEXIST ? ERR_EXISTS : err_of_bind(error);
}

void listener_unbind(struct listener *l)
{
    if (l->is_running && l->kind == IO_UNIX)
        unix_socket_remove(&l->file, l->bind);
    l->is_running = false;
}

enum err listener_bind(struct listener *l, int *fds, uint32_t n)
{
    struct sockaddr_storage addr = listener_conf(l)->c.addr;

    if (l->kind == IO_UNIX)
        return bind_unix(l, fds, n);
    /* The first socket is alone on the address: with SO_REUSEPORT a second broker of the same user would
     * share the port without either noticing. When that works, it makes room for those that share. */
    fds[0] = listen_at(l, &addr, false);
    if (fds[0] < 0)
        return bind_failed(l, fds, 0);
    note_bind(l, fds[0], &addr);
    if (n == 1)
        return OK;
    close(fds[0]);
    for (uint32_t i = 0; i < n; i++) {
        fds[i] = listen_at(l, &addr, true);
        if (fds[i] < 0)
            return bind_failed(l, fds, i);
    }
    return OK;
}

/* ---- limits ---------------------------------------------------------------------------------------- */

/* The time at which the next connection is in turn moves on by one interval with each; up to a tenth of a
 * second of them may come at once. */
bool listener_rate_take(struct listener *l, uint64_t now_ms)
{
    uint64_t now_us = now_ms * 1000;
    uint64_t old = atomic_load_explicit(&l->rate_us, memory_order_relaxed);
    uint32_t rate_max = listener_conf(l)->c.conn_rate_max;
    uint64_t next;

    if (!rate_max)
        return true;
    do {
        if (old > now_us + 100000)
            return false;
        next = (old > now_us ? old : now_us) + 1000000 / rate_max;
    } while (!atomic_compare_exchange_weak(&l->rate_us, &old, next));
    return true;
}
