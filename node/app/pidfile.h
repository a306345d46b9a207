/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_PIDFILE_H
#define COVEY_APP_PIDFILE_H

/* The pid file. Its number is for people; what counts is the lock on it, which the kernel takes away with
 * the process: so a stale file never points at a stranger. */

#include "proto/base/err.h"

#include <sys/types.h>

/* Makes the file, locks it for the life of the process and writes the process id. The descriptor stays open
 * and is not inherited by programs that are executed. ERR_LOCKED: another process holds it. ERR_IO, with
 * errno: it cannot be made or written. A lock is not inherited over fork(): take it after. */
MUST_USE enum err pidfile_take(const char *path, int *fd);
/* Removes the file and gives the lock back. */
void pidfile_release(const char *path, int fd);

/* The process that holds the lock; 0: none. ERR_IO, with errno: that cannot be told. */
MUST_USE enum err pidfile_holder(const char *path, pid_t *pid);

#endif
