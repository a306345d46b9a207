/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_UNIX_SOCKET_H
#define COVEY_IO_UNIX_SOCKET_H

/* A listening Unix socket and its file. The file of a process that is dead is replaced; that of one that
 * listens, and what is no socket, is left alone. It never has another mode than it is to have while somebody
 * could connect. */

#include "proto/base/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct unix_socket_conf {
    const char *path; /* absolute */
    mode_t mode;
    const char *group; /* its name or number; NULL or "": that of the process */
    int backlog;
};

struct unix_socket {
    int fd; /* listens; -1: does not */
    dev_t dev;
    ino_t ino;
};

/* 0 or an errno: ENAMETOOLONG, EADDRINUSE (a process listens there), EEXIST (a file that is no socket),
 * ESRCH (no such group), and what the system says. */
MUST_USE int unix_socket_listen(struct unix_socket *out, const struct unix_socket_conf *conf);
/* Removes the file if it is still the one that was made. */
void unix_socket_remove(const struct unix_socket *s, const char *path);

/* What an errno of unix_socket_listen() means. */
const char *unix_socket_fault(int error);
bool unix_socket_path_fits(const char *path);
/* False: there is no such group. */
bool unix_socket_group(const char *name, gid_t *out);

#endif
