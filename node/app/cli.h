/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CLI_H
#define COVEY_APP_CLI_H

/* The command line: `covey [OPTION...] COMMAND [ARGUMENT...]`. The node is an argument, so that all commands
 * can be tested with a node that does nothing. */

#include "node/app/config_load.h"

typedef int cli_node_fn(const struct config *conf, const char *const *env, struct log_sink *log);

/* What main() returns. env is as environ; node_run as in node/app/node.h. */
int cli_main(int argc, char **argv, const char *const *env, cli_node_fn *node_run);

#endif
