/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_RELOAD_H
#define COVEY_APP_RELOAD_H

/* The configuration is read again while the node runs: what can change does, what cannot is named. A file
 * with an error in it changes nothing. */

#include "node/admin/admin.h"
#include "node/app/config_load.h"

struct acl_file;
struct authn;
struct io;
struct settings;

struct reload_conf {
    const struct config *conf; /* as the node was started with; outlives the reload, as all here does */
    const char *const *env;
    struct io *io;
    /* By the number of the listener in io: the one of the configuration. */
    const struct config_listener *const *listeners;
    uint32_t listeners_n;
    struct authn *authn;
    struct acl_file *acl_file;
    struct log_sink *log;
};

struct reload;

struct reload *reload_new(const struct reload_conf *conf);
/* After the node has ended: connections look into what was read until then. NULL is fine. */
void reload_free(struct reload *r);

/* The admin's thread. See struct admin_reloaded. */
enum err reload_run(struct reload *r, struct admin_reloaded *out);
/* What is in force now, for people. */
void reload_shown(const struct reload *r, const struct admin_setting **settings, size_t *n);

#endif
