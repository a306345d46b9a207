/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_SIM_CLIENT_H
#define COVEY_SIM_CLIENT_H

/* Simulated clients that follow the protocol, and the promises they are judged by: each message that was
 * acknowledged reaches every persistent session that had confirmed a matching subscription before it was
 * sent; QoS 2 never twice; the order of a publisher's messages on a topic; nothing that no subscription asked
 * for. */

#include "tests/sim/world.h"

enum { CLIENTS = 5, TOPICS = 4, FILTERS = 6, OPEN_MAX = 12 };

struct sim;

struct sim *sim_new(uint64_t seed, uint32_t nodes, uint32_t shards);
void sim_free(struct sim *s);
struct world *sim_world(struct sim *s);

/* Commits fail with this chance in per cent, until the drain. */
void sim_faults(struct sim *s, unsigned commit_percent);
/* One step: every client does something at random, the world moves on. */
/* Until the nodes are linked, without clients. */
void sim_gather(struct sim *s);
void sim_step(struct sim *s);
/* No more faults and no new messages; all persistent clients return and everything flows until nothing moves.
 */
void sim_drain(struct sim *s);
/* NULL: every promise was kept. Otherwise which one was not. */
const char *sim_verdict(const struct sim *s);
/* The node crashes; clients find their connections gone. */
void sim_crash(struct sim *s, uint32_t node, uint32_t shards);
/* Every client reads what has come. */
void sim_read_all(struct sim *s);
/* A random fault of a cluster, or the end of one (trouble.c). */
void sim_trouble(struct sim *s);
/* Everybody is up again, everything heals. */
void sim_trouble_end(struct sim *s);
/* Every client stays with one node. */
void sim_sticky(struct sim *s);
uint64_t sim_acked(const struct sim *s);
uint64_t sim_delivered(const struct sim *s);

#endif
