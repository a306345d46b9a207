/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_SIM_WORLD_I_H
#define COVEY_SIM_WORLD_I_H

/* The inside of a world, for the files that make it up. */

#include "node/mesh/mesh.h"
#include "tests/sim/world.h"

enum { PIPES_MAX = 64, BOOT_WALL_MS = 1700000000, STREAMS_MAX = 64 };

struct commit {
    struct store_batch batch;
    bool under_way;
    uint64_t due_ms;
};

struct world_node {
    struct world *world;
    uint32_t number;
    uint32_t shards;
    struct settings settings;
    struct store *store;
    struct node *node; /* NULL: down */
    struct mesh *mesh; /* NULL: down, or the only node */
    struct log_sink log;
    char name[16];
    uint64_t epoch;
    struct net_addr addr;
    uint64_t stalled_until_ms;
    int64_t clock_ms; /* what the wall clock is off */
    struct commit commits[SIM_SHARDS_MAX];
    /* First in, first out, by pair; the last of each is the cluster thread. */
    struct mailbag *mail[SIM_SHARDS_MAX + 1][SIM_SHARDS_MAX + 1];
};

struct datagram {
    uint64_t due_ms;
    struct net_addr from, to;
    uint32_t n;
    uint8_t b[MEMBER_DATAGRAM_MAX];
    struct datagram *next;
};

/* A connection between two nodes. */
struct stream_end {
    struct wire wire;
    bool is_open;
    uint32_t node;
    struct wbuf in; /* on the way to this end */
    uint64_t in_due_ms;
};
struct stream {
    struct stream_end ends[2];
    bool is_broken;
};

struct world {
    uint64_t random;
    uint64_t now_ms;
    uint32_t nodes_n;
    unsigned fault_percent;
    struct world_node nodes[SIM_NODES_MAX];
    struct pipe_end *pipes[PIPES_MAX];
    struct datagram *datagrams;
    struct stream *streams[STREAMS_MAX];
    bool cut[SIM_NODES_MAX][SIM_NODES_MAX];
    unsigned loss_percent;
    uint32_t delay_ms;
    bool is_whole;
    uint64_t breaches;
    uint64_t timeouts;
    uint8_t next_address;
    char disagreement[200];
    struct trace *trace;
};

/* ---- world_node.c --------------------------------------------------------------------------------- */
void world_node_init(struct world_node *n, struct world *w, uint32_t number, uint32_t shards);
void world_node_fini(struct world_node *n);
void world_node_start(struct world_node *n, uint32_t shards_before);
void world_node_drop(struct world_node *n); /* what was not committed goes with it */
void world_node_turn(struct world_node *n);
bool world_node_is_busy(const struct world_node *n);
static inline uint64_t world_node_wall_ms(const struct world_node *n)
{
    return (uint64_t)((int64_t)(BOOT_WALL_MS + n->world->now_ms) + n->clock_ms);
}

/* ---- world_pipe.c --------------------------------------------------------------------------------- */
void pipes_turn(struct world_node *n, struct shard *sh);
void pipes_flush(struct world_node *n, struct shard *sh);
void pipes_cut(struct world_node *n);

/* ---- world_net.c ---------------------------------------------------------------------------------- */
void net_mesh_start(struct world_node *n);
void net_mesh_drop(struct world_node *n);
void net_turn(struct world_node *n);
void net_deliver(struct world *w);
void net_free(struct world *w);
void net_look_whole(struct world *w);
void net_explain(const struct world *w);
bool net_is_busy(const struct world *w);

/* ---- world_retained.c ----------------------------------------------------------------------------- */
/* NULL: all nodes have the same. Otherwise what differs. */
const char *retained_disagreement(struct world *w);

#endif
