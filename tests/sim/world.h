/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_SIM_WORLD_H
#define COVEY_SIM_WORLD_H

/* Whole nodes without any I/O: shards that take their turns in a random order, mail that takes its time,
 * commits that take theirs and sometimes fail, connections as byte pipes that deliver in pieces, crashes that
 * leave only what was committed. With more than one node they form a cluster over a network that delays,
 * loses, doubles and reorders datagrams, breaks connections and splits. Time is virtual; everything follows
 * from the seed. */

#include "node/core/node.h"
#include "storage/mem.h"
#include "tests/sim/wire.h"

enum { SIM_NODES_MAX = 5, SIM_SHARDS_MAX = 4 };

struct world;
struct world_node;

/* A connection of a simulated client. */
struct pipe_end {
    struct conn core; /* the broker's side */
    struct world *world;
    uint32_t node;
    bool is_open;      /* the broker's side lives */
    bool is_gone;      /* the client has dropped it */
    bool broker_ended; /* the client may see the end once it has read `down` */
    struct wbuf up;    /* on the way to the broker */
    struct wbuf held;  /* arrived, but not a whole packet yet */
    struct wbuf down;  /* on the way to the client */
};

struct world *world_new(uint64_t seed, uint32_t nodes, uint32_t shards);
void world_free(struct world *w);

uint64_t world_random(struct world *w, uint64_t below);
bool world_chance(struct world *w, unsigned percent);
uint64_t world_now_ms(const struct world *w);
uint32_t world_nodes(const struct world *w);

/* A new connection to a node, to the home shard of the id; the caller frees it with pipe_free() after
 * pipe_drop(). The node is up. */
struct pipe_end *pipe_new(struct world *w, uint32_t node, const char *client_id);
/* The client is gone; what was on its way up may be lost. */
void pipe_drop(struct pipe_end *p);
void pipe_free(struct pipe_end *p);

/* One step of time: every shard takes a turn. */
void world_step(struct world *w);
/* Commits fail with this chance in per cent, from now on. */
void world_faults(struct world *w, unsigned commit_percent);
/* The node dies and comes back with `shards` shards: what was not committed is gone, connections end. */
void world_crash(struct world *w, uint32_t node, uint32_t shards);
/* Is anything on its way: mail, commits, bytes? */
bool world_is_busy(const struct world *w);
/* The sum of a counter over all nodes that are up since their last start. */
uint64_t world_counter(const struct world *w, const char *name);
/* Does a session of this client id exist on the node? */
bool world_has_session(const struct world *w, uint32_t node, const char *client_id);

/* Calls fn with the payload of each QoS 2 message that is stored on some node, up or down, for another node.
 */
void world_handoffs(const struct world *w, void (*fn)(void *ctx, struct bytes payload), void *ctx);

/* ---- a cluster's faults --------------------------------------------------------------------------- */

/* The node dies and stays away; back with the disk as it was committed, at another address when moved. */
void world_down(struct world *w, uint32_t node);
enum world_return { WORLD_SAME_ADDRESS, WORLD_OTHER_ADDRESS };
void world_up(struct world *w, uint32_t node, enum world_return how);
bool world_is_up(const struct world *w, uint32_t node);
/* Nothing passes from a to b any more, until world_heal(). */
void world_cut(struct world *w, uint32_t a, uint32_t b);
void world_heal(struct world *w);
/* The connections between two nodes break; they may dial again. */
void world_break(struct world *w, uint32_t a, uint32_t b);
/* Datagrams are lost and doubled with this chance in per cent; everything takes up to delay_ms. */
void world_network(struct world *w, unsigned loss_percent, uint32_t delay_ms);
/* The node does nothing for so long (as under SIGSTOP). */
void world_stall(struct world *w, uint32_t node, uint32_t ms);
/* Its wall clock jumps. */
void world_clock_jump(struct world *w, uint32_t node, int64_t ms);
/* Every node is up, linked with every other and has all of its routes, and that has been so since all of them
 * had confirmed all routes. Always true with one node that is up. */
bool world_is_whole(const struct world *w);
/* How often it has ceased to be whole. */
uint64_t world_breaches(const struct world *w);
/* NULL: all nodes agree on members, routes and the holders of sessions; otherwise what differs. To be asked
 * when it is whole and quiet. */
/* Prints what the nodes' links are doing. */
void world_explain(const struct world *w);
const char *world_disagreement(struct world *w);

/* The last lines of what happened; equal seeds give equal hashes. */
void world_trace(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void world_trace_print(const struct world *w);
uint64_t world_trace_hash(const struct world *w);
void world_trace_live(struct world *w); /* print each line as it comes */

#endif
