/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_SIM_ACTOR_H
#define COVEY_SIM_ACTOR_H

/* A client whose every step is written down, for scenarios. It answers what it gets by itself. */

#include "tests/sim/world.h"

enum { ACTORS_MAX = 12, GOT_MAX = 20000, OPEN_PUBLISHES_MAX = 20000 };

struct stage;

struct actor {
    struct stage *stage;
    char id[16];
    uint32_t node;
    struct pipe_end *pipe; /* NULL: not connected */
    bool is_online, session_present;
    uint16_t next_id;
    bool rx2[65536];
    uint32_t got[GOT_MAX]; /* numbers of messages, in the order in which they came */
    uint32_t got_n;
    char last_topic[64], last_payload[64];
    uint32_t number_of[65536]; /* of what was published under this id */
    bool acked[OPEN_PUBLISHES_MAX];
    uint32_t acked_n, refused_n;
    uint32_t suback_n;
};

/* A world and the clients in it. A scenario that fails says why, once. */
struct stage {
    struct world *world;
    struct actor *actors[ACTORS_MAX];
    uint32_t actors_n;
    char verdict[200];
};

struct stage *stage_new(uint64_t seed, uint32_t nodes);
void stage_free(struct stage *s);
__attribute__((format(printf, 2, 3))) void stage_fail(struct stage *s, const char *fmt, ...);
/* Time goes on: everybody reads what has come. */
void stage_turn(struct stage *s);
void stage_run(struct stage *s, uint64_t ms);
/* Until is(arg), at most ms; else the scenario has failed. */
bool stage_until(struct stage *s, bool (*is)(void *arg), void *arg, uint64_t ms, const char *what);
/* Until all nodes are linked and agree on routes. */
void stage_whole(struct stage *s);

struct actor *actor_new(struct stage *s, const char *id);
/* Waits for the CONNACK; begin does not. */
void actor_connect_begin(struct actor *a, uint32_t node, bool clean);
void actor_connect(struct actor *a, uint32_t node, bool clean);
void actor_drop(struct actor *a); /* the connection, without DISCONNECT */
void actor_subscribe(struct actor *a, const char *filter, unsigned qos); /* waits for the SUBACK */
/* The number is the payload. Does not wait. */
void actor_publish(struct actor *a, const char *topic, uint32_t number, unsigned qos);
void actor_retain(struct actor *a, const char *topic, const char *payload);
/* Fails unless it got the numbers [0, n) once each and in order, within ms. */
void actor_expect_all(struct actor *a, uint32_t n, uint64_t ms);

#endif
