/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_IO_H
#define COVEY_IO_IO_H

/* The I/O side of a node: worker threads with one shard each, the listeners, the transports. What stands here
 * is for the program that wires a node together and for its admin thread; nothing of it is called on a hot
 * path.
 *
 *     io_new() -> io_start() -> ... io_listener_*(), io_call(), io_stats() ... -> io_stop() -> io_free()
 *
 * The node, the writer and everything in io_conf outlive the io. */

#include "node/core/node.h"
#include "storage/writer.h"
#include "proto/base/hist.h"

#include <sys/socket.h>

struct io;
struct cluster_io;

enum io_kind { IO_TCP, IO_SSL, IO_WS, IO_WSS, IO_UNIX };
const char *io_kind_name(enum io_kind k); /* "tcp", "ssl", "ws", "wss", "unix" */

/* Bits of io_tls_conf.versions. */
enum { IO_TLS_1_2 = 1, IO_TLS_1_3 = 2 };
enum io_tls_verify { IO_VERIFY_NONE, IO_VERIFY_OPTIONAL /* if there is one */, IO_VERIFY_REQUIRED };

enum io_cert_name {
    IO_CERT_NONE,
    IO_CERT_CN,
    IO_CERT_DN,
    IO_CERT_SAN /* first URI, else DNS name, else e-mail */
};

struct io_tls_conf {
    const char *certfile; /* PEM, the chain in order */
    const char *keyfile;
    const char *cafile;       /* to verify clients with; NULL or "": none */
    const char *crlfile;      /* PEM, certificates that are revoked; NULL or "": none */
    const char *pskfile;      /* IDENTITY:KEY lines, see psk.h; NULL or "": none */
    unsigned versions;        /* 0: both */
    const char *ciphers;      /* TLS 1.2, OpenSSL's syntax; NULL or "": OpenSSL's choice */
    const char *ciphersuites; /* TLS 1.3; the same */
    enum io_tls_verify verify;
    enum io_cert_name user_from;   /* what of a verified certificate is the user name */
    uint32_t handshake_timeout_ms; /* 0: 15 s */
};

enum io_ws_subprotocol { IO_WS_SUBPROTOCOL_REQUIRED, IO_WS_SUBPROTOCOL_OPTIONAL };

struct io_ws_conf {
    const char *path;         /* "/mqtt" */
    uint64_t frame_bytes_max; /* 0: the listener's packet_size_max and a little */
    enum io_ws_subprotocol subprotocol;
};

struct io_listener_conf {
    enum io_kind kind;
    const char *name;             /* "tcp:default"; one of a kind */
    struct sockaddr_storage addr; /* port 0: any; "::" takes IPv4 as well; not of IO_UNIX */
    struct {
        const char *path;     /* absolute */
        unsigned mode;        /* of the file */
        const char *group;    /* NULL or "": that of the process */
    } file;                   /* of IO_UNIX */
    uint32_t connections_max; /* 0: no limit */
    uint32_t conn_rate_max;   /* new connections a second, the rest waits in the backlog; 0: no limit */
    uint32_t half_open_max;   /* connections without CONNECT of one worker; 0: 20,000. The oldest gives way */
    int backlog;              /* 0: 1024 */
    bool has_nagle;           /* small packets may wait for more: TCP_NODELAY off */
    bool is_enabled;          /* started by io_start() */
    const char *const *access_rules; /* see access.h; good ones */
    size_t access_rules_n;
    const char *const *proxies; /* networks that send a header of the PROXY protocol; none: nobody does */
    size_t proxies_n;
    uint32_t proxy_timeout_ms; /* for that header */
    struct io_tls_conf tls;
    struct io_ws_conf ws;
    const struct settings *settings;
};

struct io_conf {
    struct node *node;     /* with as many shards as there are to be workers */
    struct writer *writer; /* where the shards' batches go */
    const struct io_listener_conf *listeners;
    uint32_t listeners_n;
    struct cluster_io *cluster;  /* where mail for the cluster thread goes; NULL: the node is alone */
    uint32_t commit_interval_ms; /* how long what nobody waits for may gather; 0: 2 */
    struct log_sink *log;
};

/* ERR_LIMIT: no descriptors or threads to be had; ERR_INVALID: a certificate cannot be used, or two listeners
 * have one name. Logged. */
MUST_USE enum err io_new(struct io **out, const struct io_conf *conf);
/* Binds the enabled listeners and starts the workers. ERR_EXISTS: an address is in use, ERR_DENIED: not
 * permitted, ERR_INVALID: not an address of this machine. Logged; nothing runs after an error. */
MUST_USE enum err io_start(struct io *io);
/* Stops accepting, tells every client, writes what waits, stores what is to be stored; what has not ended
 * after deadline_ms is cut. Returns when all workers have ended. Does nothing when none runs. */
void io_stop(struct io *io, uint32_t deadline_ms);
void io_free(struct io *io); /* after io_stop(); NULL is fine */

uint32_t io_workers(const struct io *io);
/* Turns of its loop since it started: grows with each tick of a timer at least, unless the worker is stuck.
 */
uint64_t io_worker_turns(const struct io *io, uint32_t worker);
/* Runs fn(shard, arg) on worker number `worker` soon. Any thread, while the io runs. Calls of one thread to
 * one worker run in the order in which they were made. */
void io_call(struct io *io, uint32_t worker, void (*fn)(struct shard *sh, void *arg), void *arg);
/* Hands a bag to a worker: for what is no shard itself, such as the links to other nodes. */
void io_post(struct io *io, uint32_t worker, struct mailbag *bag);

/* ---- listeners ------------------------------------------------------------------------------------ */

/* Why a connection was turned away before it was one. */
enum io_refusal {
    IO_REFUSED_CONNECTIONS_MAX,
    IO_REFUSED_DESCRIPTORS, /* EMFILE or ENFILE */
    IO_REFUSED_HALF_OPEN,   /* the oldest that had not sent CONNECT */
    IO_REFUSED_MEMORY,      /* unfinished CONNECTs hold too much */
    IO_REFUSED_OVERLOAD,    /* the worker is at its second limit, see node/core/overload.h */
    IO_REFUSED_ADDRESS,     /* by access_rules */
    IO_REFUSED_PROXY,       /* not one of the trusted proxies */
    IO_REFUSALS,
};
const char *io_refusal_name(enum io_refusal r);

enum { IO_BIND_MAX = 112 };
struct io_listener_info {
    enum io_kind kind;
    const char *name;
    char bind[IO_BIND_MAX]; /* "127.0.0.1:1883", "[::]:1883": with the port that it really has; a path */
    uint16_t port;
    bool is_running;
    uint32_t connections; /* now, with those that have not sent CONNECT yet */
    uint32_t connections_max;
    uint64_t accepted;
    uint64_t refused[IO_REFUSALS];
    uint64_t rate_pauses;         /* times accepting paused for conn_rate_max */
    uint64_t shut_before_connect; /* time-out or closed without a CONNECT */
};

/* Any thread but a worker's; they wait for the workers. */
uint32_t io_listeners(const struct io *io);
void io_listener_info(struct io *io, uint32_t i, struct io_listener_info *out);
/* ERR_NOTFOUND: no such name; ERR_EXISTS: it runs, or the address is in use; ERR_CLOSED: the io does not run;
 * ERR_DENIED, ERR_INVALID, ERR_LIMIT. */
MUST_USE enum err io_listener_start(struct io *io, const char *name);
/* Its connections stay. ERR_NOTFOUND: no such name, or it does not run; ERR_CLOSED: the io does not run. */
MUST_USE enum err io_listener_stop(struct io *io, const char *name);
/* Other configurations for listeners: those in confs that there are, by name; addresses stay what they are.
 * ERR_INVALID: certificates cannot be used, logged, nothing has changed. What confs point at outlives every
 * connection of them, see io_settings_used(). Calls of io_reload_*() come from one thread, while the io runs.
 */
struct io_reload;
MUST_USE enum err io_reload_new(struct io_reload **out, struct io *io, const struct io_listener_conf *confs,
                                uint32_t n);
/* New connections get them. Frees r. */
void io_reload_apply(struct io_reload *r);
void io_reload_free(struct io_reload *r); /* instead; NULL is fine */
/* Does a listener or a connection still have the configuration with these settings? */
bool io_settings_used(struct io *io, const struct settings *settings);
/* Looks at certificate files now instead of within a second or two. */
void io_certs_check(struct io *io);
/* A listener whose files could not be used at the last look; NULL: none. Lives as long as io. */
const char *io_certs_stale(struct io *io);

/* ---- what it did ---------------------------------------------------------------------------------- */

enum { IO_FAULTS_MAX = 16 };

struct io_stats {
    uint64_t turns;
    uint64_t wakes;      /* of sleeping workers by others */
    uint64_t recv_bytes; /* as the transports gave them: MQTT bytes */
    uint64_t send_bytes;
    uint64_t handed_over; /* connections that began on another worker than their client id's */
    uint64_t lag_ms_max;  /* the longest turn of the last 15 to 30 s, to a few milliseconds */
    uint32_t connections; /* with sessions, half open, or closing */
    uint32_t half_open;
    uint64_t faults[IO_FAULTS_MAX]; /* by enum transport_fault */
};
const char *io_fault_name(unsigned fault); /* NULL: there is no such fault */
/* How long one worker takes. */
struct io_worker_times {
    uint64_t lag_ms_max;   /* see io_stats */
    struct hist_sum turns; /* of a sample: from reading to what follows from it being sent */
    struct hist_sum
        acks; /* of a sample: from reading a PUBLISH to its PUBACK or PUBREC, when that had to wait */
};
void io_worker_times(struct io *io, uint32_t worker, struct io_worker_times *out);
/* The sum of all workers. Any thread. */
void io_stats(struct io *io, struct io_stats *out);

/* ---- deferred free -------------------------------------------------------------------------------- */

/* For node_conf.defer_free: frees p, from malloc(), when every worker has been between two turns. */
void io_defer_free(void *p);
/* Waits until all that was deferred is freed; for the end of the program and of tests. */
void io_defer_barrier(void);

#endif
