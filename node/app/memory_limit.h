/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_MEMORY_LIMIT_H
#define COVEY_APP_MEMORY_LIMIT_H

/* How much memory this process may use: that of the machine, and no more than its control group lets it. */

#include <stdint.h>

uint64_t memory_usable(void); /* bytes; 0: not known */
/* Of a cgroup v2 "memory.max" line; 0 for no limit. */
uint64_t memory_of_limit(const char *line);

#endif
