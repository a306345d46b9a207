/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/cli_command.h"

#include "node/app/ctl.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* The node works in another folder: the file of export and import is named from the root for it. False: the
 * name is too long. */
static bool file_absolute(const char **words, size_t n, char out[PATH_MAX])
{
    const char *verb = n == 3 && strcmp(words[0], "data") == 0 ? words[1] : n == 2 ? words[0] : "";
    char here[PATH_MAX];
    if ((strcmp(verb, "export") != 0 && strcmp(verb, "import") != 0) || words[n - 1][0] == '/')
        return true;
    if (!getcwd(here, sizeof here) || snprintf(out, PATH_MAX, "%s/%s", here, words[n - 1]) >= PATH_MAX)
        return false;
    words[n - 1] = out;
    return true;
}

int cli_ctl(const struct cli *cli)
{
    static const char *const help[] = {"help"};
    char file[PATH_MAX];
    const char **own = cli->args_n ? mem_dup(cli->args, cli->args_n * sizeof *own) : NULL;
    const char *const *words = own ? own : help;
    size_t n = cli->args_n ? cli->args_n : 1;
    struct config *conf = cli_config_load(cli, CONFIG_ERRORS_IGNORED);
    int status = 1;
    enum err e = !conf ? ERR_INVALID : own && !file_absolute(own, n, file) ? ERR_INVALID : OK;
    if (e == OK)
        e = ctl_call(conf->node.ctl_socket, words, n, SILENCE_MAX_MS, stdout, &status);
    if (conf && e == ERR_CLOSED && strcmp(words[0], "help") == 0)
        status = help_offline(conf);
    else if (conf && e)
        status = fail(conf, e);
    config_free(conf);
    free(own);
    return status;
}
