/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_IO_H
#define COVEY_CLUSTER_IO_H

/* The cluster thread: one pthread with an event loop that owns a struct mesh (node/mesh) and does for it what
 * the mesh itself never does: UDP, TCP, encryption, DNS, clocks. What stands here is for the program that
 * wires a node together, for its workers (cluster_io_post_bag()) and for its admin thread.
 *
 *     cluster_io_new() -> cluster_io_start() -> ... post_bag, call, ask, stats ... -> cluster_io_stop()
 *                      -> cluster_io_free()
 *
 * UDP and TCP share one port. Everything on both is sealed with a secret that all nodes have
 * (docs/decisions/0010-link-encryption.md); who does not have it learns nothing and costs little. */

#include "node/mesh/mesh.h"

struct cluster_io;

enum cluster_dns {
    CLUSTER_DNS_NONE,
    CLUSTER_DNS_A,    /* IPv4 addresses of dns_name, with dns_port */
    CLUSTER_DNS_AAAA, /* IPv6 addresses */
    CLUSTER_DNS_SRV,  /* hosts and ports, as a headless service gives them */
};

/* Strings and arrays are the caller's and outlive the cluster_io. */
struct cluster_io_conf {
    /* As for mesh_new(), but advertise may have port 0: then bind is advertised with the port that it really
     * has; when bind is 0.0.0.0 or ::, the address from which this machine would send to the first seed that
     * is given as a number, or else to the world, or else the first one of an interface. The choice is
     * logged; behind NAT it is wrong and has to be configured. */
    struct mesh_conf mesh;
    uint32_t shards;      /* outboxes of the mesh to look at: as many as the node has */
    struct net_addr bind; /* port 0: any, for tests; "::" takes IPv4 as well */
    const char *const *seeds;
    uint32_t seeds_n; /* "10.0.0.1:7946", "[::1]:7946", "node2:7946"; without a port: bind's */
    enum cluster_dns dns;
    const char *dns_name;
    uint16_t dns_port;        /* for A and AAAA; 0: bind's */
    const char *dns_servers;  /* "10.0.0.10:53,..."; NULL or "": as resolv.conf says */
    const char *secret_file;  /* NULL or "": none, which only a loopback bind may do */
    uint32_t resolve_ms;      /* between two resolutions while members are missing; 0: 5000 */
    uint32_t resolve_idle_ms; /* otherwise; 0: 60000 */
    /* Takes a bag for a shard. Called on the cluster thread; does not block. */
    void (*post)(void *ctx, uint32_t shard, struct mailbag *bag);
    void *post_ctx;
    struct log_sink *log;
};

/* Reads the secret and binds both sockets; makes the mesh. ERR_EXISTS: the address is in use; ERR_DENIED: not
 * permitted, or the secret is missing or readable by others; ERR_INVALID: not an address of this machine, a
 * malformed seed or secret; ERR_NOTFOUND: no such secret file; ERR_LIMIT: no descriptors. Logged with the
 * address or the file. */
MUST_USE enum err cluster_io_new(struct cluster_io **out, const struct cluster_io_conf *conf);
MUST_USE enum err cluster_io_start(struct cluster_io *c); /* ERR_LIMIT: no thread to be had */
/* Tells the others that this node leaves, goes on until they know or deadline_ms has passed, writes what the
 * connections still hold and ends them. Returns when the thread has ended. Does nothing when none runs. */
void cluster_io_stop(struct cluster_io *c, uint32_t deadline_ms);
/* As cluster_io_stop() but says nothing to anybody: to the others this node has died. For tests. */
void cluster_io_cut(struct cluster_io *c);
/* After cluster_io_stop(), on a thread that RCU does not know; NULL is fine. */
void cluster_io_free(struct cluster_io *c);

/* The port that is really bound, and what is advertised. */
uint16_t cluster_io_port(const struct cluster_io *c);
struct net_addr cluster_io_advertise(const struct cluster_io *c);

/* ---- from other threads --------------------------------------------------------------------------- */

/* A shard's bag for MAIL_TO_CLUSTER; ownership passes. Bags of one thread arrive in order. Never blocks. */
void cluster_io_post_bag(struct cluster_io *c, struct mailbag *bag);
/* Runs fn(mesh, arg) on the cluster thread soon; what was not run when the thread ends runs in
 * cluster_io_free(). */
void cluster_io_call(struct cluster_io *c, void (*fn)(struct mesh *m, void *arg), void *arg);
/* The same, and waits for it. Any thread but the cluster thread; a worker must not wait so. ERR_CLOSED: the
 * thread does not run, fn was not called. */
MUST_USE enum err cluster_io_ask(struct cluster_io *c, void (*fn)(struct mesh *m, void *arg), void *arg);

/* ---- what it did ---------------------------------------------------------------------------------- */

/* Why something from the network was refused. Each is counted, and logged at most once a second. */
#define CLUSTER_FAULTS(X)                                                                        \
    X(HANDSHAKE_MALFORMED, "handshake_malformed")   /* not our protocol */                       \
    X(HANDSHAKE_VERSION, "handshake_version")       /* a version of it that is not known */      \
    X(HANDSHAKE_KEY, "handshake_key")               /* made with another secret */               \
    X(HANDSHAKE_FORGED, "handshake_forged")         /* names our key but does not prove it */    \
    X(HANDSHAKE_TIMEOUT, "handshake_timeout")       /* not done in time */                       \
    X(HANDSHAKE_CLOSED, "handshake_closed")         /* the other side ended it; as dialler: */   \
                                                    /* most often it has another secret */       \
    X(HALF_OPEN_MAX, "half_open_max")               /* too many at once: the oldest was cut */   \
    X(HALF_OPEN_SOURCE_MAX, "half_open_source_max") /* the same, of one address */               \
    X(DESCRIPTORS, "descriptors")                   /* none left to accept with */               \
    X(RECORD_LENGTH, "record_length")               /* an impossible one announced */            \
    X(RECORD_FORGED, "record_forged")               /* does not open */                          \
    X(DATAGRAM_MALFORMED, "datagram_malformed")     /* too short, too long, unknown version */   \
    X(DATAGRAM_KEY, "datagram_key")                 /* made with another secret */               \
    X(DATAGRAM_FORGED, "datagram_forged")           /* does not open */                          \
    X(DATAGRAM_REPLAYED, "datagram_replayed")       /* seen before, or older than what counts */ \
    X(SECRET_UNUSABLE, "secret_unusable")           /* the changed file; the old keys stay */
enum cluster_fault {
#define X(id, name) CLUSTER_FAULT_##id,
    CLUSTER_FAULTS(X)
#undef X
        CLUSTER_FAULTS_N
};
const char *cluster_fault_name(enum cluster_fault f);

struct cluster_io_stats {
    uint64_t turns;
    uint64_t wakes;
    uint64_t datagrams_sent, datagrams_received;
    uint64_t datagrams_unsent;       /* the socket did not take them */
    uint64_t datagrams_own;          /* of our own making that came back; ignored */
    uint64_t recv_bytes, send_bytes; /* of connections, sealed */
    uint64_t records_sent, records_received;
    uint64_t dials, dials_failed;
    uint64_t accepted;
    uint64_t established; /* handshakes done, of both sides */
    uint64_t resolves, resolves_failed;
    uint64_t secret_reloads;
    uint64_t lag_ms_max;  /* the longest turn since the last call */
    uint32_t connections; /* now, handshake done */
    uint32_t half_open;   /* now, accepted ones */
    uint64_t faults[CLUSTER_FAULTS_N];
};
/* Any thread. */
void cluster_io_stats(struct cluster_io *c, struct cluster_io_stats *out);

#endif
