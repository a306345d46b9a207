/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_IO_PRIVATE_H
#define COVEY_CLUSTER_IO_PRIVATE_H

/* struct cluster_io, for the files of this folder. Its turn:
 *
 *     wait -> every ready socket: open what came and feed it to the mesh
 *          -> mail of the shards -> the timers of the mesh -> mesh_flush()
 *          -> datagrams, dials, what connections have to send -> bags to the shards
 *
 * Between two turns it holds no reference to what RCU protects: it is offline while it waits. */

#include "cluster/io/cluster_io.h"
#include "cluster/io/datagram.h"
#include "node/mail/mailbox.h"
#include "proto/base/list.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>

enum {
    CLUSTER_SCRATCH = 256 * 1024,
    CLUSTER_TICK_MS = 20,
    CLUSTER_DIAL_MS = 3000,      /* until TCP is connected */
    CLUSTER_HANDSHAKE_MS = 3000, /* and from there to the end of the handshake */
    CLUSTER_LINGER_MS = 500,     /* for the peer to read the last bytes and to end after us */
    CLUSTER_USER_TIMEOUT_MS = 5000,
    CLUSTER_HALF_OPEN_MAX = 64,
    CLUSTER_HALF_OPEN_SOURCE_MAX = 16,
    CLUSTER_OUT_MAX = 256 * 1024,         /* sealed and unsent, of one connection */
    CLUSTER_TURN_BYTES_MAX = 1024 * 1024, /* what one connection sends before the others have their turn */
    CLUSTER_FAULT_LOG_MS = 1000,
    CLUSTER_SECRET_MS = 2000, /* between two looks at the secret file */
};

/* A closure for the cluster thread. */
struct cluster_call {
    uintptr_t mail;
    void (*fn)(struct mesh *m, void *arg);
    void *arg;
    struct cluster_ask *ask; /* somebody waits for it */
};

enum cluster_phase { CLUSTER_RUNS, CLUSTER_LEAVES, CLUSTER_ENDS };

/* Written by the cluster thread, read by anybody. */
struct cluster_counters {
    _Atomic uint64_t turns;
    _Atomic uint64_t datagrams_sent, datagrams_received, datagrams_unsent, datagrams_own;
    _Atomic uint64_t recv_bytes, send_bytes, records_sent, records_received;
    _Atomic uint64_t dials, dials_failed, accepted, established;
    _Atomic uint64_t resolves, resolves_failed, secret_reloads;
    _Atomic uint64_t lag_ms_max;
    _Atomic uint64_t connections, half_open;
    _Atomic uint64_t faults[CLUSTER_FAULTS_N];
};
/* One writer: a plain load and store will do. */
static inline void counter_add(_Atomic uint64_t *v, uint64_t n)
{
    atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + n, memory_order_relaxed);
}
static inline void counter_sub(_Atomic uint64_t *v, uint64_t n)
{
    atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) - n, memory_order_relaxed);
}

struct cluster_io {
    struct cluster_io_conf conf;
    struct log_sink *log;
    struct mesh *mesh;
    struct event_base *base;
    struct resolver *resolver;
    uint64_t now_ms, wall_ms; /* as of this turn */
    bool in_turn, is_offline, tick_due;
    uint8_t *scratch;

    struct secret secret;
    struct secret_mark secret_mark;
    bool has_secret_file;
    uint64_t secret_ms; /* when to look at the file again */

    int family; /* of both sockets */
    struct net_addr bound;
    int udp_fd, tcp_fd;
    bool accept_paused;
    uint64_t datagram_counter;
    struct udp_batch *udp;
    struct replay replay;

    struct list connecting; /* struct cconn by link, each in the order of deadlines */
    struct list shaking;
    struct list open; /* in no order */
    struct list lingering;
    bool is_closing; /* no new connections, the others end */

    uint64_t fault_ms[CLUSTER_FAULTS_N]; /* when the next one of a kind is logged */
    struct cluster_counters counters;

    struct event mail_event, tick_event, udp_event, accept_event;
    struct mailbox mailbox;
    pthread_t thread;
    pthread_mutex_t lock; /* is_running changes under it */
    bool is_running;
    bool is_leaving;
    atomic_int phase;  /* enum cluster_phase, set by others */
    uint32_t leave_ms; /* how long that may take; set before phase */
    uint64_t leave_until_ms;
};

/* ---- thread.c ------------------------------------------------------------------------------------- */

MUST_USE enum err cluster_thread_init(struct cluster_io *c); /* ERR_LIMIT: no descriptors */
void cluster_thread_fini(struct cluster_io *c);
void *cluster_thread_main(void *arg);
/* The first thing that every callback of an event does. */
void cluster_begin_turn(struct cluster_io *c);
static inline void cluster_enter(struct cluster_io *c)
{
    if (!c->in_turn)
        cluster_begin_turn(c);
}
/* Counts it and, once a second of each kind, logs it. addr, detail: may be NULL. */
void cluster_count_fault(struct cluster_io *c, enum cluster_fault f, const struct net_addr *addr,
                         const char *detail);

/* ---- udp.c ---------------------------------------------------------------------------------------- */

void udp_open(struct cluster_io *c); /* watches the socket */
void udp_close(struct cluster_io *c);
/* Seals and sends what the mesh has. */
void udp_flush(struct cluster_io *c);

/* ---- tcp.c ---------------------------------------------------------------------------------------- */

/* Makes and binds both sockets. Logged, errors as cluster_io_new(). */
MUST_USE enum err tcp_bind(struct cluster_io *c);
void tcp_open(struct cluster_io *c); /* watches the listening socket */
void tcp_close(struct cluster_io *c);
/* After there were no descriptors. */
void tcp_accept_again(struct cluster_io *c);
/* Options of every connection. */
void tcp_options_set(int fd);

#endif
