/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_SIM_WORLD_H
#define COVEY_SIM_WORLD_H

/* One node without any I/O: shards that take their turns in a random order, mail that takes its time, commits
 * that take theirs and sometimes fail, connections as byte pipes that deliver in pieces, crashes that leave
 * only what was committed. Time is virtual; everything follows from the seed. */

#include "node/core/node.h"
#include "storage/mem.h"
#include "tests/sim/wire.h"

struct world;

/* A connection of a simulated client. */
struct pipe_end {
    struct conn core; /* the broker's side */
    struct world *world;
    bool is_open;      /* the broker's side lives */
    bool is_gone;      /* the client has dropped it */
    bool broker_ended; /* the client may see the end once it has read `down` */
    struct wbuf up;    /* on the way to the broker */
    struct wbuf held;  /* arrived, but not a whole packet yet */
    struct wbuf down;  /* on the way to the client */
};

struct world *world_new(uint64_t seed, uint32_t shards);
void world_free(struct world *w);

uint64_t world_random(struct world *w, uint64_t below);
bool world_chance(struct world *w, unsigned percent);
uint64_t world_now_ms(const struct world *w);

/* A new connection to the home shard of the id; the caller frees it with pipe_free() after pipe_drop(). */
struct pipe_end *pipe_new(struct world *w, const char *client_id);
/* The client is gone; what was on its way up may be lost. */
void pipe_drop(struct pipe_end *p);
void pipe_free(struct pipe_end *p);

/* One step of time: every shard takes a turn. */
void world_step(struct world *w);
/* Commits fail with this chance in per cent, from now on. */
void world_faults(struct world *w, unsigned commit_percent);
/* The node dies and comes back with `shards` shards: what was not committed is gone, connections end. */
void world_crash(struct world *w, uint32_t shards);
/* Is anything on its way: mail, commits, bytes? */
bool world_is_busy(const struct world *w);
/* The sum of a counter over all shards since the last start. */
uint64_t world_counter(const struct world *w, const char *name);

/* The last lines of what happened; equal seeds give equal hashes. */
void world_trace(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void world_trace_print(const struct world *w);
uint64_t world_trace_hash(const struct world *w);
void world_trace_live(struct world *w); /* print each line as it comes */

#endif
