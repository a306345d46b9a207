/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_RELOAD_H
#define COVEY_APP_RELOAD_H

/* Reads the configuration again while the node runs. All of it is checked first, with the files that it
 * names: passwords, rules, certificates. Then what is marked CONFIG_F_RELOAD changes and the rest stays as it
 * was at the start, as if the file still said so; or nothing changes at all. One thread, the admin's. */

#include "node/admin/reload.h"
#include "node/app/generation.h"

struct acl_file;
struct authn;
struct authz;
struct reload;

/* What the node starts with: boot, which outlives it, as is log, a logger's. env: of the process. */
struct reload *reload_new(const struct config *boot, const char *const *env, struct log_sink *log);
/* After the io, whose connections use what it keeps. NULL is fine. */
void reload_free(struct reload *r);
const struct generation *reload_generation(const struct reload *r);
/* For the admin, what is in force at the start. */
const struct admin_reload *reload_shown(struct reload *r);

/* The parts that are told of changes; they outlive the last reload_run(). */
struct reload_parts {
    struct io *io; /* running */
    struct node *node;
    struct authn *authn;
    struct authz *authz;
    struct acl_file *acl_file;
};
void reload_start(struct reload *r, const struct reload_parts *parts);
/* The result lives until the next one. For admin_conf.reload. */
const struct admin_reload *reload_run(void *r);

#endif
