/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_PROCESS_H
#define COVEY_ADMIN_PROCESS_H

/* What the system knows of this process. */

#include <stdint.h>

struct process_info {
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
    uint64_t machine_bytes; /* memory of the machine */
    uint64_t threads;
    uint64_t fds;
    uint64_t fds_max;
    double load[3]; /* of the machine: 1, 5 and 15 minutes */
};
/* What cannot be told is 0. */
void process_info(struct process_info *out);

#endif
