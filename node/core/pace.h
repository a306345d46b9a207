/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_PACE_H
#define COVEY_CORE_PACE_H

/* How fast one client may send: messages and bytes a second. What comes faster is not dropped but not read:
 * the client's own socket fills up, until as much time has passed as what it sent was worth. A second's worth
 * may come at once (GCRA: the time at which the next byte is in turn, held against a clock).
 *
 *     RUNNING --more than a second ahead--> PAUSED --in turn again, at a tick--> RUNNING
 *
 * A connection without limits has none of this and pays one branch for it. */

#include "proto/base/list.h"

#include <stddef.h>
#include <stdint.h>

struct conn;
struct shard;

struct pace {
    struct list link; /* PAUSED: in the shard's list */
    struct conn *conn;
    uint64_t message_ns; /* when the next one is in turn, monotonic */
    uint64_t byte_ns;    /* the same */
    uint64_t until_ms;   /* PAUSED; 0: RUNNING */
};

/* For a connection that is let in: nothing when its listener has no such limits. */
void pace_init(struct conn *c);
/* NULL is fine. */
void pace_free(struct pace *p);
/* It has sent a packet of so many bytes, with so many messages (0 or 1); c->pace is there. Reading may be
 * paused afterwards. */
void pace_take(struct conn *c, size_t bytes, uint32_t messages);
/* Goes on with those that are in turn again; once a tick. */
void pace_tick(struct shard *sh);

#endif
