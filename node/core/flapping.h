/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_FLAPPING_H
#define COVEY_CORE_FLAPPING_H

/* Finds clients that connect and disconnect all the time, and has them banned for a while. Each shard counts
 * the ends of connections by client id within a window, in a table of fixed size: of those that meet in one
 * place, the one with the fewest ends gives way. */

#include <stdint.h>

struct conn;
struct shard;
struct flap;
struct flap_victim;

struct flapping {
    struct flap *places; /* made when first needed */
    struct flap_victim *victims;
};

void flapping_fini(struct flapping *f);
/* A client that was let in is gone, for whatever reason. */
void flapping_note(struct conn *c);
/* Has those banned that were found since. Once a tick. */
void flapping_tick(struct shard *sh);

#endif
