/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_ADMIN_H
#define COVEY_ADMIN_ADMIN_H

/* The admin thread: answers `covey ctl` on a Unix socket (node/app/ctl.h has the protocol) and publishes
 * $SYS. It asks workers by mail and never touches what is theirs. */

#include "node/io/io.h"

struct store;
struct admin;

struct admin_conf {
    struct io *io; /* running; it and the others outlive the admin */
    struct node *node;
    struct writer *writer;
    struct store *store;
    const char *ctl_socket;
    uint64_t boot_wall_ms;
    uint32_t sys_interval_ms;  /* of $SYS; 0: not published */
    uint32_t sys_heartbeat_ms; /* of its uptime and datetime; 0: not published */
    struct log_sink *log;
};

/* Opens the socket (0600; one that is left over is removed) and starts the thread. Errors are logged. */
MUST_USE enum err admin_new(struct admin **out, const struct admin_conf *conf);
/* Ends the thread, removes the socket. NULL is fine. Before the io stops. */
void admin_free(struct admin *a);

#endif
