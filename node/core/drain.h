/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_DRAIN_H
#define COVEY_CORE_DRAIN_H

/* Moving clients off a node, the shards' side. Connected 5.0 clients are told to use another server (0x9C,
 * with a Server Reference when one is known), 3.x connections are closed; wherever they come back, their
 * session follows them. Sessions without a connection are named, for another node to adopt them. */

#include "proto/base/bytes.h"

struct shard;
struct mesh;

enum { DRAIN_IDS_MAX = 256, DRAIN_REFERENCE_MAX = 256 };

/* One step on one shard, by MAIL_CALL drain_step(); it comes back by a call of done() on the cluster thread,
 * which owns it then. */
struct drain_step {
    uint32_t shard;
    uint32_t clients; /* at most so many of each kind */
    char reference[DRAIN_REFERENCE_MAX];
    void (*done)(struct mesh *m, void *step);
    uint32_t at;                     /* where the look through the sessions goes on */
    uint32_t connected_left;         /* out: connections that are still here */
    uint32_t offline_left;           /* out: persistent sessions without one, about */
    uint32_t ids_n;                  /* out: of them, to be adopted */
    struct bytes ids[DRAIN_IDS_MAX]; /* owned: free() each */
};
void drain_step(struct shard *sh, void *step);
void drain_step_free(void *step);

#endif
