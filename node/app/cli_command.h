/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CLI_COMMAND_H
#define COVEY_APP_CLI_COMMAND_H

/* The commands of the command line, for cli.c. A command gets its arguments without its own name and without
 * --config, and returns the exit status. */

#include "node/app/cli.h"

struct cli {
    const char *const *env;
    cli_node_fn *node_run;
    const char *config_file; /* of --config; NULL: look it up */
    unsigned long wait_s;    /* of --wait */
    const char *const *args;
    size_t args_n;
};

struct cli_command {
    const char *name;
    const char *const *aliases; /* ends with NULL; NULL: none */
    const char *args;           /* for the usage line, "" for none */
    const char *meaning;        /* one line */
    const char *help;           /* more, with examples */
    unsigned args_max;
    unsigned flags; /* CLI_* */
    int (*run)(const struct cli *cli);
};

/* CLI_WORDS: everything behind the command is its own, options too. CLI_WAIT: has --wait. */
enum { CLI_WORDS = 1, CLI_WAIT = 2 };

extern const struct cli_command cli_commands[];
extern const size_t cli_commands_n;
const struct cli_command *cli_command_find(const char *name); /* by name or alias; NULL: none */

/* The configuration that the command line and the environment ask for, problems printed to stderr; NULL when
 * it has errors. Warnings are printed when files are checked. */
struct config *cli_config_load(const struct cli *cli, enum config_files files);
/* The file that will be read; NULL: none. */
const char *cli_config_file(const struct cli *cli);
const char *cli_env(const struct cli *cli, const char *name); /* NULL: not set */

/* The process of the node, 0 when it does not run. False, with a message, when that cannot be told. */
bool cli_node_find(const struct config *conf, pid_t *pid);
void cli_say_not_responding(const struct config *conf);

/* cli_start.c */
int cli_start(const struct cli *cli);
int cli_foreground(const struct cli *cli);
int cli_console(const struct cli *cli);
/* cli_stop.c */
int cli_stop(const struct cli *cli);
int cli_restart(const struct cli *cli);
int cli_ping(const struct cli *cli);
int cli_pid(const struct cli *cli);
/* cli_config.c */
int cli_check_config(const struct cli *cli);
int cli_config(const struct cli *cli);
/* cli_ctl.c */
int cli_ctl(const struct cli *cli);
/* cli_passwd.c */
int cli_passwd(const struct cli *cli);
/* cli_completion.c */
int cli_completion(const struct cli *cli);
/* cli_man.c */
int cli_man(const struct cli *cli);
/* cli.c */
int cli_help(const struct cli *cli);
int cli_version(const struct cli *cli);

#define CLI_TITLE "Covey " COVEY_VERSION

#endif
