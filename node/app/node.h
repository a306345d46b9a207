/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_NODE_H
#define COVEY_APP_NODE_H

/* The running broker, as the command line sees it. */

#include "node/app/config.h"

/* Runs the node until SIGTERM or SIGINT and returns the exit status of the process: 0 after an orderly end.
 * Both arguments outlive the call. The process is already a daemon, holds the pid file, and has its data
 * directory; the node opens conf->node.ctl_socket (node/app/ctl.h has the protocol) and answers "ping" there
 * once clients can connect, which is what `covey start` waits for. SIGHUP reads
 * the configuration again and opens the log file again. */
int node_run(const struct config *conf, struct log_sink *log);

#endif
