/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_MONO_H
#define COVEY_IO_MONO_H

#include <stdint.h>
#include <time.h>

/* Milliseconds of the monotonic clock, for threads that have no loop with a time of its own. */
static inline uint64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

#endif
