/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_WHEEL_H
#define COVEY_CORE_WHEEL_H

/* A hashed timing wheel: coarse timers (a tick is WHEEL_TICK_MS) for keep alive, session expiry, wills.
 * Starting, moving and stopping are O(1); a timer further away than one turn of the wheel is looked at once a
 * turn. Time is monotonic milliseconds, given by the caller. A timer fires at the first tick at or after its
 * deadline, never before. */

#include "proto/base/list.h"

#include <stdint.h>

enum { WHEEL_TICK_MS = 100, WHEEL_SLOTS = 1024 };

struct wheel_timer {
    struct list link;
    uint64_t deadline_ms;
};

struct wheel {
    uint64_t tick; /* the last one that was worked off */
    struct list slots[WHEEL_SLOTS];
    struct list due;
};

void wheel_init(struct wheel *w, uint64_t now_ms);
void wheel_timer_init(struct wheel_timer *t);
static inline bool wheel_timer_is_set(const struct wheel_timer *t)
{
    return !list_is_empty(&t->link);
}
/* Starts t or moves it. */
void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t deadline_ms);
void wheel_stop(struct wheel_timer *t);
/* The next timer that is due at now_ms, stopped; NULL when there is none left. Call until NULL. */
struct wheel_timer *wheel_pop(struct wheel *w, uint64_t now_ms);

#endif
