/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the broker under test has used so far: CPU and memory of one process, by its pid.
 *
 * CPU is read from the process's CPU clock (clock_getcpuclockid): nanoseconds, user and system, of all
 * threads including those that have ended. /proc/PID/stat is read beside it as a check (10 ms ticks) and for
 * the share of user time.
 */
#ifndef BENCH_LOAD_BROKER_H
#define BENCH_LOAD_BROKER_H

#include <stdint.h>
#include <sys/types.h>

struct broker_usage {
    uint64_t wall_ns;
    uint64_t self_ns;      /* the load generator's own CPU */
    uint64_t cpu_ns;       /* user + system of the broker; 0 without a pid */
    uint64_t stat_user_ns; /* the same from /proc/PID/stat */
    uint64_t stat_sys_ns;
    uint64_t switches; /* context switches of its main thread */
};

struct broker_memory {
    uint64_t rss_bytes;
    uint64_t pss_bytes;
};

/* Reads what `pid` has used; with pid 0 only the wall clock and the generator's own CPU. Dies when pid is
 * gone. */
void broker_usage_get(pid_t pid, struct broker_usage *u);

/*
 * Adds to `u` the CPU of what the broker still does behind a finished phase (deleting, committing): waits
 * until it has been idle for 100 ms, at most 3 s. The wall clock of `u` stays. No-op with pid 0.
 */
void broker_usage_add_trailing(pid_t pid, struct broker_usage *u);

/* CPU of these processes, numbers with commas between, counts in broker_usage_get() too, when that has a pid.
 */
void broker_others_set(const char *pids);

/* Sums from /proc/PID/smaps_rollup; zeros with pid 0. */
void broker_memory_get(pid_t pid, struct broker_memory *m);

#endif
