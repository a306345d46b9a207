/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_DAEMON_H
#define COVEY_APP_DAEMON_H

/* Becoming a daemon, and the wire between the daemon and the command that started it: the command learns the
 * daemon's process id, and that it ended, without asking anybody. */

#include "proto/base/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct daemon_watch {
    int fd; /* readable, with end of file, when the daemon is gone */
    pid_t pid;
};

enum daemon_role { DAEMON_PARENT, DAEMON_CHILD };

/* Forks twice. Returns in both processes: in the parent with *watch filled, in the child, which leads no
 * session, with standard input from /dev/null and umask 027; the child's stdout and stderr are untouched.
 * ERR_IO, with errno, only in the parent. */
MUST_USE enum err daemon_start(enum daemon_role *role, struct daemon_watch *watch);

/* Parent: waits up to timeout_ms; true when the daemon has ended. */
bool daemon_has_ended(const struct daemon_watch *watch, int timeout_ms);
void daemon_watch_fini(struct daemon_watch *watch);

#endif
