/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/cli.h"

#include "node/app/cli_command.h"
#include "node/app/config_number.h"
#include "node/app/config_suggest.h"
#include "proto/base/check.h"

#include <argp.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_DEFAULT_S = 15, WAIT_MAX_S = 86400, TYPOS_MAX = 2 };

/* Words of other brokers' command lines that have no meaning here, and what to do instead. */
#define NO_SHELL "there is no Erlang shell; \"covey ctl help\" lists what a node can be asked"
#define NO_RELUP "install the other executable and run \"covey restart\""

static const struct {
    const char *name;
    const char *instead;
} refused[] = {
    {"remote_console", NO_SHELL},
    {"attach", NO_SHELL},
    {"remote", NO_SHELL},
    {"rpc", NO_SHELL},
    {"rpcterms", NO_SHELL},
    {"eval", NO_SHELL},
    {"eval-ex", NO_SHELL},
    {"escript", "there is no Erlang to run scripts with"},
    {"ertspath", "there is no Erlang runtime"},
    {"root_dir", "the broker is one executable; \"covey config explain node.data_dir\" tells where data is"},
    {"install", NO_RELUP},
    {"upgrade", NO_RELUP},
    {"downgrade", NO_RELUP},
    {"versions", "one executable is one version; \"covey version\" prints it"},
};

struct parse {
    struct cli *cli;
    const struct cli_command *command; /* NULL while the words before it are read */
    int next;                          /* where the command stands in argv */
};

static const struct argp_option options_top[] = {
    {"config", 'c', "FILE", 0, "Configuration file (else $COVEY_CONFIG, else /etc/covey/covey.yaml)", 0},
    {"version", 'V', NULL, 0, "Print the version", 0},
    {0},
};
static const struct argp_option options_plain[] = {
    {"config", 'c', "FILE", 0, "Configuration file (else $COVEY_CONFIG, else /etc/covey/covey.yaml)", 0},
    {0},
};
static const struct argp_option options_wait[] = {
    {"config", 'c', "FILE", 0, "Configuration file (else $COVEY_CONFIG, else /etc/covey/covey.yaml)", 0},
    {"wait", 'w', "SECONDS", 0, "How long to wait until the node answers (default 15)", 0},
    {0},
};

int cli_version(const struct cli *cli)
{
    (void)cli;
    printf(CLI_TITLE "\n");
    return 0;
}

static error_t on_top(int key, char *arg, struct argp_state *state)
{
    struct parse *p = state->input;
    switch (key) {
    case 'c':
        p->cli->config_file = arg;
        return 0;
    case 'V':
        cli_version(p->cli);
        exit(0);
    case ARGP_KEY_ARG:
        p->next = state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_state_help(state, stderr, ARGP_HELP_STD_USAGE | ARGP_HELP_PRE_DOC | ARGP_HELP_POST_DOC);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t on_command(int key, char *arg, struct argp_state *state)
{
    struct parse *p = state->input;
    uint64_t seconds;
    switch (key) {
    case 'c':
        p->cli->config_file = arg;
        return 0;
    case 'w':
        if (!config_number_int(arg, &seconds) || seconds == 0 || seconds > WAIT_MAX_S)
            argp_error(state, "\"%s\" is not a number of seconds from 1 to %d", arg, WAIT_MAX_S);
        else
            p->cli->wait_s = (unsigned long)seconds;
        return 0;
    case ARGP_KEY_ARGS:
        p->cli->args = (const char *const *)state->argv + state->next;
        p->cli->args_n = (size_t)(state->argc - state->next);
        if (!(p->command->flags & CLI_WORDS) && p->cli->args_n > p->command->args_max)
            argp_error(state, "too many arguments");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The list of commands under the help of the whole. */
static char *on_help_filter(int key, const char *text, void *input)
{
    char *out = NULL;
    size_t n = 0;
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)(uintptr_t)text;
    FILE *f = open_memstream(&out, &n);
    CHECK(f != NULL);
    fprintf(f, "Commands:\n");
    for (size_t i = 0; i < cli_commands_n; i++)
        fprintf(f, "  %-13s %s\n", cli_commands[i].name, cli_commands[i].meaning);
    fprintf(f, "%s", text);
    fclose(f);
    return out;
}

static const struct argp argp_top = {
    .options = options_top,
    .parser = on_top,
    .args_doc = "COMMAND [ARGUMENT...]",
    .doc = CLI_TITLE ", an MQTT broker.\v\n\"covey COMMAND --help\" says more about one.\n\nExamples:\n"
                     "  covey start\n"
                     "  covey ctl clients list\n"
                     "  covey config explain listeners.tcp.default.bind",
    .help_filter = on_help_filter,
};

/* Reads what is behind the command; runs it. argv[0] is the command. */
static int command_run(struct parse *p, int argc, char **argv)
{
    const struct cli_command *c = p->command;
    char name[64];
    char *doc = NULL;
    size_t doc_n;
    FILE *f = open_memstream(&doc, &doc_n);
    CHECK(f != NULL);
    fprintf(f, "covey %s: %s\v%s", c->name, c->meaning, c->help);
    fclose(f);
    struct argp argp = {
        .options = c->flags & CLI_WAIT ? options_wait : options_plain,
        .parser = on_command,
        .args_doc = c->args,
        .doc = doc,
    };
    snprintf(name, sizeof name, "covey %s", c->name);
    argv[0] = name;
    error_t e = argp_parse(&argp, argc, argv, c->flags & CLI_WORDS ? ARGP_IN_ORDER : 0, NULL, p);
    free(doc);
    return e ? 1 : c->run(p->cli);
}

int cli_help(const struct cli *cli)
{
    char program[] = "covey", help[] = "--help", word[64];
    char *argv[] = {program, help, NULL};
    struct cli copy = *cli;
    struct parse p = {.cli = &copy};
    if (cli->args_n == 0)
        return argp_parse(&argp_top, 2, argv, 0, NULL, &p) ? 1 : 0;
    p.command = cli_command_find(cli->args[0]);
    if (!p.command) {
        fprintf(stderr, "covey help: unknown command; \"covey help\" lists them\n");
        return 1;
    }
    snprintf(word, sizeof word, "%s", p.command->name);
    argv[0] = word;
    return command_run(&p, 2, argv);
}

static int unknown_command(const char *word)
{
    char escaped[LOG_ESCAPED_MAX];
    for (size_t i = 0; i < array_len(refused); i++) {
        if (strcmp(refused[i].name, word) == 0) {
            fprintf(stderr, "covey %s: %s.\n", word, refused[i].instead);
            return 1;
        }
    }
    fprintf(stderr, "covey: unknown command \"%s\"", log_escape(escaped, bytes_str(word)));
    for (size_t i = 0; i < cli_commands_n; i++) {
        if (config_suggest_distance(cli_commands[i].name, word, TYPOS_MAX) <= TYPOS_MAX) {
            fprintf(stderr, "; did you mean %s?\n", cli_commands[i].name);
            return 1;
        }
    }
    fprintf(stderr, "; \"covey help\" lists them\n");
    return 1;
}

int cli_main(int argc, char **argv, const char *const *env, cli_node_fn *node_run)
{
    struct cli cli = {.env = env, .node_run = node_run, .wait_s = WAIT_DEFAULT_S};
    struct parse p = {.cli = &cli};
    if (argp_parse(&argp_top, argc, argv, ARGP_IN_ORDER, NULL, &p) || p.next == 0)
        return 1;
    p.command = cli_command_find(argv[p.next]);
    if (!p.command)
        return unknown_command(argv[p.next]);
    return command_run(&p, argc - p.next, argv + p.next);
}
