/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_SERVER_H
#define COVEY_ADMIN_SERVER_H

/* The control socket: one request a connection, answered piece by piece as it is read. Runs in the admin
 * thread's event loop. Nobody there can hold up another: sockets do not block, requests are bounded, and who
 * neither asks nor reads for a while is cut. */

#include "node/admin/command.h"

struct event_base;
struct server;

enum {
    SERVER_REQUEST_BYTES_MAX = 64 * 1024, /* what the command line sends at most */
    SERVER_CONNS_MAX = 32,                /* others wait in the backlog */
    SERVER_TIMEOUT_MS = 10000,            /* for a whole request; for the next bytes to be taken */
    SERVER_PIECE_BYTES = 64 * 1024,       /* with so much waiting, nothing more is produced */
    SERVER_WORDS_MAX = 64,
};

/* Makes the socket at env->conf.ctl_socket, mode 0600, in place of one that is left over. ERR_INVALID: not a
 * path for a socket; ERR_EXISTS: something else is there; ERR_IO. Logged. */
MUST_USE enum err server_new(struct server **out, struct admin_env *env, struct event_base *base);
/* Ends every connection and removes the socket. NULL is fine. */
void server_free(struct server *s);

#endif
