/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/cpus.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

uint64_t cpus_of_quota(const char *line)
{
    char *behind;
    uint64_t quota = strtoull(line, &behind, 10); /* 0 for "max" */
    uint64_t period = strtoull(behind, NULL, 10);
    if (quota == 0 || period == 0)
        return 0;
    return quota / period + (quota % period != 0);
}

/* In a container the group's own files are at the root of the mount; elsewhere the root has no cpu.max. */
static uint64_t cpus_of_cgroup(void)
{
    char line[64] = "";
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (!f)
        return 0;
    if (!fgets(line, sizeof line, f))
        line[0] = 0;
    fclose(f);
    return cpus_of_quota(line);
}

uint64_t cpus_usable(void)
{
    cpu_set_t set;
    uint64_t n = 0, quota = cpus_of_cgroup();
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = (uint64_t)CPU_COUNT(&set);
    else if (online > 0)
        n = (uint64_t)online;
    if (quota && quota < n)
        n = quota;
    if (n == 0)
        n = 1;
    return n < CPUS_MAX ? n : CPUS_MAX;
}
