/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CPUS_H
#define COVEY_APP_CPUS_H

/* How many processors this process may use at once: those of its affinity mask, and no more than the CPU
 * quota of its control group lets it use (a container with two CPUs on a machine with sixty-four). */

#include <stdint.h>

enum { CPUS_MAX = 64 };

uint64_t cpus_usable(void); /* 1..CPUS_MAX */

/* The processors that a cgroup v2 "cpu.max" line ("200000 100000", "max 100000") allows, rounded up; 0 for
 * no limit. */
uint64_t cpus_of_quota(const char *line);

#endif
