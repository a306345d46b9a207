/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_BASE_CLOCK_H
#define COVEY_BASE_CLOCK_H

/* Readings of the system's clocks. Cores are told the time; those who tell it, and threads that have no loop
 * with a time of its own, read it here. */

#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t id)
{
    struct timespec t;
    return clock_gettime(id, &t) == 0 ? (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec : 0;
}

static inline uint64_t clock_us(clockid_t id)
{
    return clock_ns(id) / 1000;
}

static inline uint64_t clock_ms(clockid_t id)
{
    return clock_ns(id) / 1000000;
}

/* Of the monotonic clock: for intervals. */
static inline uint64_t mono_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

/* Since 1970: to be shown, stored or told to another machine. */
static inline uint64_t wall_ms(void)
{
    return clock_ms(CLOCK_REALTIME);
}

/* The monotonic time in ms milliseconds, for pthread_cond_clockwait(): a wait that the wall clock cannot
 * lengthen when somebody sets it. */
static inline struct timespec mono_in_ms(uint64_t ms)
{
    uint64_t ns = clock_ns(CLOCK_MONOTONIC) + ms * 1000000;
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
}

#endif
