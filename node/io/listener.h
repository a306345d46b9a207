/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_LISTENER_H
#define COVEY_IO_LISTENER_H

/* A place where clients connect: one address, and one listening socket on it for each worker, so that the
 * kernel spreads connections without anybody handing them on. What is limited for the whole listener is
 * counted in struct listener with atomics; what a worker does is in its own struct acceptor. */

#include "node/io/io.h"
#include "node/io/unix_socket.h"
#include "proto/base/list.h"

#include <event2/event_struct.h>
#include <stdatomic.h>

struct access;
struct certs;
struct worker;
struct listener;

/* Connections that have not sent their CONNECT wait in two lists, each in the order of its deadlines. */
enum acceptor_wait { WAIT_HANDSHAKE, WAIT_CONNECT, WAITS };

/* One worker's socket of a listener, and its connections that are not yet the core's. */
struct acceptor {
    struct listener *listener;
    struct worker *worker;
    struct event event;
    int fd;         /* -1: not listening */
    bool is_paused; /* until the next tick: descriptors or rate exhausted */
    bool is_fd_limit_told;
    struct list waiting[WAITS]; /* struct ioconn by u.bare.link */
    uint32_t waiting_n;
    uint32_t wait_ms[WAITS];
    _Atomic uint64_t accepted;
    _Atomic uint64_t refused[IO_REFUSALS];
    _Atomic uint64_t rate_pauses;
    _Atomic uint64_t shut_before_connect;
};

/* What a listener does with connections: never changed, a reload makes another one. Connections keep the one
 * that they were accepted with, those of the past are freed when nobody has them any more (reload.c). */
struct listener_conf {
    struct io_listener_conf c; /* complete */
    struct access *access;     /* NULL: for all addresses */
    struct access *proxies;    /* whose connections begin with a header; NULL: nobody's do */
    _Atomic uint32_t users;    /* connections */
    struct listener_conf *next;
};

struct listener {
    _Atomic(struct listener_conf *) conf; /* of new connections, see listener_conf() */
    const char *name;
    enum io_kind kind;
    struct io *io;
    struct certs *certs; /* of ssl and wss; else NULL */
    atomic_uint connections;
    _Atomic uint64_t rate_us;   /* when the next connection is in turn, see listener_rate_take() */
    struct acceptor *acceptors; /* one a worker */
    /* The rest belongs to whoever holds io's listener lock. */
    struct listener_conf *past; /* that connections may still have */
    bool is_running;
    char bind[IO_BIND_MAX];
    uint16_t port;
    struct unix_socket file; /* of IO_UNIX, while it runs */
};

static inline struct listener_conf *listener_conf(const struct listener *l)
{
    return atomic_load_explicit(&l->conf, memory_order_acquire);
}

struct listener_conf *listener_conf_new(const struct io_listener_conf *conf);
void listener_conf_free(struct listener_conf *lc); /* NULL is fine */

MUST_USE enum err listener_init(struct listener *l, struct io *io, const struct io_listener_conf *conf);
void listener_fini(struct listener *l);

/* Makes and binds n sockets, logged when it cannot. The sockets listen already. A Unix socket cannot be bound
 * n times: there the workers share one, of which each has a descriptor; whoever is first takes a connection.
 */
MUST_USE enum err listener_bind(struct listener *l, int *fds, uint32_t n);
/* What is left to do when the sockets are closed. */
void listener_unbind(struct listener *l);
/* One more connection within conn_rate_max? */
bool listener_rate_take(struct listener *l, uint64_t now_ms);

/* ---- on the worker's thread ----------------------------------------------------------------------- */

void acceptor_init(struct acceptor *a, struct listener *l, struct worker *w);
/* Takes up the listener's present time-outs, for those that come from now on. */
void acceptor_follow(struct acceptor *a);
void acceptor_open(struct acceptor *a, int fd); /* takes fd */
void acceptor_close(struct acceptor *a);        /* harmless when it is not open */
/* Ends what has waited too long and goes on after a pause. */
void acceptor_on_tick(struct acceptor *a);
/* Ends everything that waits. */
void acceptor_drop_waiting(struct acceptor *a);

#endif
