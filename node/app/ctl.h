/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CTL_H
#define COVEY_APP_CTL_H

/* The client of the control socket: what `covey ctl`, `ping` and `stop` talk to a running node with.
 *
 * Protocol, on a Unix stream socket that only the node's user and root may open, one request a connection:
 *   request  = words, each ended by a NUL, then one more NUL; "clients\0show\0c1\0\0"
 *   response = the exit status in decimal and a newline, then text until the server closes; "0\npong\n"
 *              a NUL in the text ends it, and what follows is the status instead: "0\nleft=3\n\0" "1"
 * The word "ping" alone is answered with status 0 and "pong\n" once clients can connect. A request larger
 * than CTL_REQUEST_BYTES_MAX is refused. */

#include "proto/base/err.h"

#include <stdio.h>
#include <sys/types.h>

enum { CTL_REQUEST_BYTES_MAX = 64 * 1024 };

/* Sends the words and copies the text of the answer to out as it comes (out may be NULL). ERR_CLOSED: nobody
 * listens there; ERR_DENIED: no right to connect; ERR_INVALID: the request is too large, or a word is
 * empty; ERR_AGAIN: silent for timeout_ms; ERR_IO: the answer is broken off or is none. */
MUST_USE enum err ctl_call(const char *socket_path, const char *const *words, size_t n, int timeout_ms,
                           FILE *out, int *status);

/* OK when the node answers a ping. *pid is the process that does (0 when it cannot be told); may be NULL. */
MUST_USE enum err ctl_ping(const char *socket_path, int timeout_ms, pid_t *pid);

#endif
