/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/wheel.h"

#include "proto/base/check.h"

void wheel_init(struct wheel *w, uint64_t now_ms)
{
    w->tick = now_ms / WHEEL_TICK_MS;
    for (unsigned i = 0; i < WHEEL_SLOTS; i++)
        list_init(&w->slots[i]);
    list_init(&w->due);
}

void wheel_timer_init(struct wheel_timer *t)
{
    list_init(&t->link);
    t->deadline_ms = 0;
}

/* The first tick that is not before the deadline, and never one that is worked off already. */
static uint64_t tick_of(const struct wheel *w, uint64_t deadline_ms)
{
    uint64_t tick = (deadline_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
    return tick > w->tick ? tick : w->tick + 1;
}

void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t deadline_ms)
{
    list_del(&t->link);
    t->deadline_ms = deadline_ms;
    list_push(&w->slots[tick_of(w, deadline_ms) % WHEEL_SLOTS], &t->link);
}

void wheel_stop(struct wheel_timer *t)
{
    list_del(&t->link);
}

/* Moves what is due in one slot to the due list; what has turns to go stays. */
static void slot_collect(struct wheel *w, struct list *slot, uint64_t tick)
{
    list_each_safe(it, slot)
    {
        struct wheel_timer *t = container_of(it, struct wheel_timer, link);
        if ((t->deadline_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS <= tick) {
            list_del(it);
            list_push(&w->due, it);
        }
    }
}

struct wheel_timer *wheel_pop(struct wheel *w, uint64_t now_ms)
{
    uint64_t now_tick = now_ms / WHEEL_TICK_MS;
    /* After a long stop one turn over all slots finds everything. */
    if (now_tick > w->tick + WHEEL_SLOTS) {
        w->tick = now_tick - 1;
        for (unsigned i = 0; i < WHEEL_SLOTS; i++)
            slot_collect(w, &w->slots[i], w->tick);
    }
    while (list_is_empty(&w->due)) {
        if (w->tick >= now_tick)
            return NULL;
        w->tick++;
        slot_collect(w, &w->slots[w->tick % WHEEL_SLOTS], w->tick);
    }
    return container_of(list_pop(&w->due), struct wheel_timer, link);
}
