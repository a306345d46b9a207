/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_MONITOR_H
#define COVEY_ADMIN_API_MONITOR_H

/* Rates and counts of this node over time: a sample every MONITOR_INTERVAL_MS, kept for an hour, in memory.
 */

#include "node/admin/api/json.h"
#include "node/admin/command.h"

struct event_base;
struct monitor;

enum { MONITOR_INTERVAL_MS = 10000, MONITOR_SAMPLES_MAX = 360 };

struct monitor *monitor_new(struct admin_env *env, struct event_base *base);
void monitor_free(struct monitor *m); /* NULL is fine */

/* Rates a second since an earlier look, which was a second ago or more, and counts. */
json_t *monitor_current(struct monitor *m);
/* [{"time_stamp" (ms, a multiple of the interval), counts, and what came since the sample before}] of the
 * last `seconds`, oldest first. */
json_t *monitor_history(const struct monitor *m, uint64_t seconds);

#endif
