/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_NODE_H
#define COVEY_APP_NODE_H

/* The running broker, as the command line sees it. */

#include "node/app/config.h"

/* Runs the node until SIGTERM or SIGINT and returns the exit status of the process: 0 after an orderly end.
 * The arguments outlive the call; env is as environ, for reading the configuration again. The process is
 * already a daemon, holds the pid file, and has its data directory; the node opens conf->node.ctl_socket
 * (node/app/ctl.h has the protocol) and answers "ping" there once clients can connect, which is what `covey
 * start` waits for. SIGHUP reopens the log file and reads the configuration again. */
int node_run(const struct config *conf, const char *const *env, struct log_sink *log);

#endif
