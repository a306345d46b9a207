/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/cli_command.h"

#include "node/admin/command.h"
#include "node/app/cli_admins.h"
#include "node/app/ctl.h"
#include "proto/base/mem.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Long enough for a node that has a million clients to list. */
enum { SILENCE_MAX_MS = 60000 };

static int help_offline(const struct config *conf)
{
    struct text out = {0};
    const struct command *m;
    printf("Node '%s' is not running. A running node can be asked and told:\n\n", conf->node.name);
    for (size_t i = 0; (m = command_at(i)); i++)
        command_usage_put(&out, m);
    fwrite(out.p, 1, out.n, stdout);
    text_fini(&out);
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

/* What is sent for the words that were given: own, or what admins has of them. NULL: said. */
static const char *const *words_sent(const char **own, size_t *n, struct cli_admins *admins,
                                     char file[PATH_MAX])
{
    const char *fault = NULL;
    if (cli_admins_concerns(own, *n)) {
        fault = cli_admins_read(admins, own, *n);
        *n = admins->n;
        own = admins->words;
    } else if (!file_absolute(own, *n, file)) {
        fault = "the name of the file is too long";
    }
    if (fault)
        fprintf(stderr, "covey ctl: %s\n", fault);
    return fault ? NULL : own;
}

int cli_ctl(const struct cli *cli)
{
    static const char *const help[] = {"help"};
    char file[PATH_MAX];
    struct cli_admins admins;
    const char **own = cli->args_n ? mem_dup(cli->args, cli->args_n * sizeof *own) : NULL;
    size_t n = cli->args_n ? cli->args_n : 1;
    const char *const *words = own ? words_sent(own, &n, &admins, file) : help;
    struct config *conf = words ? cli_config_load(cli, CONFIG_ERRORS_IGNORED) : NULL;
    int status = 1;
    enum err e = conf ? ctl_call(conf->node.ctl_socket, words, n, SILENCE_MAX_MS, stdout, &status) : OK;
    if (conf && e == ERR_CLOSED && strcmp(words[0], "help") == 0)
        status = help_offline(conf);
    else if (conf && e)
        status = fail(conf, e);
    config_free(conf);
    free(own);
    return status;
}
