/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/cli_command.h"

#include "node/app/ctl.h"
#include "proto/base/check.h"

#include <string.h>

/* Long enough for a node that has a million clients to list. */
enum { SILENCE_MAX_MS = 60000 };

/* What the node itself answers to "help", as far as it can be said without it. */
static const char *const offline_help[] = {
    "status                      whether the node runs, its name and version",
    "broker [stats|metrics]      version and uptime, or counters",
    "clients list|show|kick      connected clients and sessions",
    "subscriptions list|show     who is subscribed to what",
    "topics list|show            which topics somebody is subscribed to",
    "retainer info|topics|clean  retained messages",
    "listeners                   addresses and connection counts",
    "cluster status|join|leave   the other nodes",
    "log set-level LEVEL         what is logged from now on",
    "storage                     what is stored, and how commits go",
};

static int help_offline(const struct config *conf)
{
    printf(
        "Node '%s' is not running. A running node answers \"covey ctl help\" with all it knows; mostly:\n\n",
        conf->node.name);
    for (size_t i = 0; i < array_len(offline_help); i++)
        printf("  covey ctl %s\n", offline_help[i]);
    return 0;
}

static int fail(const struct config *conf, enum err e)
{
    switch (e) {
    case ERR_DENIED:
        fprintf(stderr, "%s: no right to talk to the node\n", conf->node.ctl_socket);
        break;
    case ERR_INVALID:
        fprintf(stderr, "covey ctl: too many words, or an empty one\n");
        break;
    case ERR_IO:
        fprintf(stderr, "Node '%s' broke off its answer.\n", conf->node.name);
        break;
    default:
        cli_say_not_responding(conf);
    }
    return 1;
}

int cli_ctl(const struct cli *cli)
{
    static const char *const help[] = {"help"};
    const char *const *words = cli->args_n ? cli->args : help;
    size_t n = cli->args_n ? cli->args_n : 1;
    struct config *conf = cli_config_load(cli, CONFIG_ERRORS_IGNORED);
    int status = 1;
    if (!conf)
        return 1;
    enum err e = ctl_call(conf->node.ctl_socket, words, n, SILENCE_MAX_MS, stdout, &status);
    if (e == ERR_CLOSED && strcmp(words[0], "help") == 0)
        status = help_offline(conf);
    else if (e)
        status = fail(conf, e);
    config_free(conf);
    return status;
}
