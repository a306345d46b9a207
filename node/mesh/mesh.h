/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_MESH_MESH_H
#define COVEY_MESH_MESH_H

/* The cluster side of a node: what its cluster thread runs. It ties the protocol machines of cluster/core to
 * the node's route table and, by mail, to its shards. Pure: bytes, datagrams, time and random numbers are
 * arguments, so a test runs five of these and their nodes in one process.
 *
 *     turn: mesh_set_time() -> whatever happened: wire_feed(), mesh_on_datagram(), mesh_on_mail(),
 * mesh_tick()
 *           -> mesh_flush() -> carry out what it left: mesh_datagram_take(), mesh_dial_take(),
 *              mesh_wire_take(), mesh_outbox_take()
 *
 * One thread uses a mesh; that thread is a reader of the route table (RCU) like a worker. */

#include "cluster/core/member.h"
#include "node/core/node.h"
#include "proto/rpc/net_addr.h"
#include "proto/rpc/node_id.h"
#include "proto/base/hist.h"

struct mesh;

enum { MESH_ADDRESS_MAX = 256 };

/* Durations in milliseconds. */
struct rpc_admin; /* proto/rpc/messages.h */

struct mesh_conf {
    struct node *node;
    struct node_id id;
    uint64_t epoch; /* grows with each start of the node */
    const char *name;
    const char *cluster;
    struct net_addr advertise; /* where others reach us, UDP and TCP */
    const char *mqtt_address;  /* host:port for Server Reference; "": none */
    struct members_conf members;
    uint64_t seed;
    uint64_t ring_bytes_max;  /* unacknowledged bytes of one link; 64 MiB */
    uint32_t frame_bytes_max; /* longer ones end the connection; above the largest MQTT packet */
    uint32_t ping_ms;         /* 500 */
    uint32_t silent_ms;       /* 1400: then the link counts as broken */
    uint32_t barrier_ms;      /* 250: SUBACK waits so long for the peers; 0: not at all */
    uint32_t claim_ms;        /* 500: CONNECT waits so long for arbiter and holder */
    uint32_t forward_ms;      /* 5000: PUBACK and PUBREC wait so long for a peer's answer */
    uint32_t redial_ms;       /* 500: between two attempts at one address; doubles up to 10 s */
    struct log_sink *log;
};
void mesh_conf_default(struct mesh_conf *c);

/* conf and what it points at outlive the mesh; so does the node. */
struct mesh *mesh_new(const struct mesh_conf *conf, uint64_t mono_ms, uint64_t wall_ms);
void mesh_free(struct mesh *m); /* all wires are finished; NULL is fine */

void mesh_set_time(struct mesh *m, uint64_t mono_ms, uint64_t wall_ms);
/* Timers. Every 20 ms or so. */
void mesh_tick(struct mesh *m);
/* Turns what gathered into frames, datagrams and mail. At the end of every turn. */
void mesh_flush(struct mesh *m);

/* ---- mail ----------------------------------------------------------------------------------------- */

/* From a shard's outbox for MAIL_TO_CLUSTER; works it off and frees it. */
void mesh_on_mail(struct mesh *m, struct mailbag *bag);
/* The bag for a shard, ownership to the caller; NULL: nothing. */
struct mailbag *mesh_outbox_take(struct mesh *m, uint32_t shard);

/* ---- who to talk to ------------------------------------------------------------------------------- */

/* Addresses where other nodes may be found, as configured or resolved; replaces the earlier ones. */
void mesh_seeds_set(struct mesh *m, const struct net_addr *v, uint32_t n);
/* Is it worth resolving names again: no other member yet, or some are missing? */
bool mesh_wants_seeds(const struct mesh *m);
/* An address to dial now; false: none. The caller answers with a wire, or mesh_on_dial_failed(). */
bool mesh_dial_take(struct mesh *m, struct net_addr *to);
void mesh_on_dial_failed(struct mesh *m, const struct net_addr *to);

void mesh_on_datagram(struct mesh *m, const struct net_addr *from, struct bytes d);
bool mesh_datagram_take(struct mesh *m, struct member_datagram *out);

/* ---- connections ---------------------------------------------------------------------------------- */

/* One connection to a peer, behind encryption: bytes in, bytes out. The I/O layer embeds it. */
enum wire_side { WIRE_DIALED, WIRE_ACCEPTED };
enum wire_state { WIRE_HELLO, WIRE_RESUME, WIRE_UP, WIRE_CLOSING };
struct wire {
    struct mesh *mesh;
    struct peer *peer; /* once HELLO told who it is */
    struct list all_link;
    struct list dirty_link;
    struct net_addr addr; /* of the other side of the connection; of a dialled one, as dialled */
    uint8_t side;
    uint8_t state;
    uint32_t version; /* that both speak */
    uint64_t features;
    uint64_t opened_ms;
    uint64_t rx_ms; /* when bytes last came */
    uint64_t tx_ms;
    uint64_t peer_epoch;
    uint64_t rx_number;    /* of the last sequenced frame */
    uint64_t conversation; /* that our RESUME named */
    uint64_t nonce;
    struct frame_buf *out; /* control frames before the link is attached */
    uint32_t out_at;
    uint8_t *in; /* the beginning of a frame */
    uint32_t in_n, in_cap;
};
/* A connection is there, handshake done. w is the caller's memory. HELLO is ready to be sent. */
void wire_init(struct wire *w, struct mesh *m, enum wire_side side, const struct net_addr *addr);
/* The connection is gone, whoever ended it. */
void wire_fini(struct wire *w);
/* Bytes from the peer. Afterwards the wire may be WIRE_CLOSING. */
void wire_feed(struct wire *w, struct bytes b);
/* What is to be written next; n 0: nothing. Valid until the next call on the mesh. */
struct bytes wire_out_peek(struct wire *w);
/* The same as up to `max` pieces to be written in order; answers how many. */
uint32_t wire_out_iov(struct wire *w, struct bytes *v, uint32_t max);
void wire_out_done(struct wire *w, uint32_t n);
/* The next wire that has bytes to send or is WIRE_CLOSING (write what wire_out_peek() gives, if it can be
 * written, and end it with wire_fini()); NULL: none. A wire that could not send everything is offered again
 * when there is more; the caller watches for writability meanwhile. */
struct wire *mesh_wire_take(struct mesh *m);

/* ---- operation ------------------------------------------------------------------------------------ */

/* Tells the others that we leave; done after a few gossip intervals, or at once when alone. */
void mesh_leave(struct mesh *m);
bool mesh_has_left(const struct mesh *m);
/* Joined (or alone by configuration) and every live peer's routes are complete. */
bool mesh_is_ready(const struct mesh *m);
/* Moves clients away, so many a second; 0 stops. Their sessions move to where they connect next, those that
 * are offline to the other nodes. */
void mesh_drain(struct mesh *m, uint32_t clients_per_s);
MUST_USE enum err mesh_forget(struct mesh *m, const struct node_id *id);
void mesh_join(struct mesh *m, const struct net_addr *seed);

/* What this node believes about a peer. */
struct mesh_peer_info {
    struct member member;
    bool is_linked;           /* a connection is up */
    uint64_t linked_since_ms; /* wall clock: or not linked since */
    char link_why[96];        /* how the last connection ended, "" : never */
    uint32_t version;
    uint64_t features;
    uint64_t routes; /* of the peer, here */
    bool routes_complete;
    uint64_t routes_acked; /* of our changes, by the peer */
    uint64_t ring_bytes;
    uint64_t forwarded, received; /* messages */
    uint64_t dropped;             /* QoS 0 that found the ring full */
    uint64_t resent;              /* frames */
};
struct mesh_info {
    struct member self;
    bool is_ready;
    bool is_draining;
    uint64_t drain_left; /* connections and sessions still to be moved */
    uint64_t route_seq, routes;
    uint64_t ids_arbitrated;
    uint32_t health;
    struct hist_sum
        forwards; /* from a frame of messages being sent to all of it being answered, in milliseconds */
    uint64_t partitions, merges; /* peers that came back from the dead; sessions merged by it */
    char last_partition[192];    /* "" : none yet */
    uint32_t peers_n;
    struct mesh_peer_info *peers; /* the caller's to free */
};
void mesh_info(struct mesh *m, struct mesh_info *out);

/* What administrators ask other nodes (rpc_admin of proto/rpc/messages.h). fn is called on the mesh's thread
 * with what another node sends, views that are valid during the call; NULL: such frames are dropped. */
void mesh_admin_hook(struct mesh *m, void (*fn)(void *ctx, const char *from, const struct rpc_admin *a),
                     void *ctx);
/* False: there is no link to a node of this name, or it is too old. */
bool mesh_admin_send(struct mesh *m, const char *node, const struct rpc_admin *a);

/* Counters, for ctl and metrics. */
#define MESH_COUNTERS(X)                                        \
    X(FORWARDED, "cluster.messages.forwarded")                  \
    X(FORWARD_RECEIVED, "cluster.messages.received")            \
    X(FORWARD_UNMATCHED, "cluster.messages.received.unmatched") \
    X(FORWARD_DROPPED, "cluster.messages.dropped.ring_full")    \
    X(FORWARD_TIMEOUTS, "cluster.messages.unanswered")          \
    X(FORWARD_REPEATED, "cluster.messages.repeated")            \
    X(SHARED_REDISPATCHED, "cluster.messages.redispatched")     \
    X(BARRIER_WAITS, "cluster.barrier.waits")                   \
    X(BARRIER_TIMEOUTS, "cluster.barrier.timeouts")             \
    X(CLAIMS, "cluster.claims")                                 \
    X(CLAIM_TIMEOUTS, "cluster.claims.timeouts")                \
    X(TAKEOVERS, "cluster.sessions.taken_over")                 \
    X(HANDOVERS, "cluster.sessions.handed_over")                \
    X(MERGES, "cluster.sessions.merged")                        \
    X(FRAMES_BAD, "cluster.frames.refused")                     \
    X(PEERS_FOREIGN, "cluster.peers.refused")                   \
    X(PARTITIONS, "cluster.partitions")                         \
    X(LINK_RESETS, "cluster.links.reset")                       \
    X(RETAINED_SENT, "cluster.retained.sent")                   \
    X(RETAINED_TAKEN, "cluster.retained.taken")                 \
    X(RETAINED_STALE, "cluster.retained.stale")                 \
    X(DIGESTS_FAILED, "cluster.digests.failed")
enum mesh_counter {
#define X(id, name) MC_##id,
    MESH_COUNTERS(X)
#undef X
        MESH_COUNTERS_N
};
const char *mesh_counter_name(enum mesh_counter c);
uint64_t mesh_counter(const struct mesh *m, enum mesh_counter c);

#endif
