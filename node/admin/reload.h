/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_RELOAD_H
#define COVEY_ADMIN_RELOAD_H

/* Reading the configuration again, as the admin thread asks for it: the whole of it counts, or nothing. */

#include "node/admin/admin.h"

struct admin_change {
    const char *key;
    const char *before, *after; /* as they would be written, or that there is none */
};

/* What a reload has come to. Lives until the next one. */
struct admin_reload {
    bool is_good;
    const char *fault; /* what is wrong, one line each: "covey.yaml:12: mqtt.max_inflght: unknown key" */
    const struct admin_change *changed; /* in force now */
    size_t changed_n;
    const struct admin_change *restart; /* not in force until the node is started again */
    size_t restart_n;
    const struct admin_setting *settings; /* all that is in force; of a good one */
    size_t settings_n;
    uint32_t sys_interval_ms;
    uint32_t sys_heartbeat_ms;
};

struct admin_env;
/* Reads the configuration, and what it names, again. On the admin thread. */
const struct admin_reload *admin_reload(struct admin_env *env);

#endif
