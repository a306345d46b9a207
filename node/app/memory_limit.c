/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/memory_limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

uint64_t memory_of_limit(const char *line)
{
    return strtoull(line, NULL, 10); /* 0 for "max" */
}

static uint64_t memory_of_cgroup(void)
{
    char line[64] = "";
    FILE *f = fopen("/sys/fs/cgroup/memory.max", "re");
    if (!f)
        return 0;
    if (!fgets(line, sizeof line, f))
        line[0] = 0;
    fclose(f);
    return memory_of_limit(line);
}

uint64_t memory_usable(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t all = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    uint64_t limit = memory_of_cgroup();
    return limit && (!all || limit < all) ? limit : all;
}
