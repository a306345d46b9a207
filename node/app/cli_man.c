/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/command.h"
#include "node/app/cli_command.h"
#include "node/app/config_show.h"
#include "node/app/config_value.h"
#include "proto/base/check.h"

#include <string.h>

/* Pages of the manual, from the tables of commands and keys. */

/* Text as it is: a dot or a quote at the start of a line would be a request, a hyphen another character. */
static void roff_put(FILE *out, const char *text)
{
    bool at_start = true;
    for (; *text; text++) {
        if (at_start && (*text == '.' || *text == '\''))
            fputs("\\&", out);
        at_start = *text == '\n';
        if (*text == '\\')
            fputs("\\e", out);
        else if (*text == '-')
            fputs("\\-", out);
        else
            fputc(*text, out);
    }
}

static void line_put(FILE *out, const char *before, const char *text, const char *behind)
{
    fputs(before, out);
    roff_put(out, text);
    fputs(behind, out);
}

static void title_put(FILE *out, const char *name, int section, const char *meaning)
{
    fprintf(out, ".\\\" from `covey man`: not to be edited\n.TH %s %d \"\" \"" CLI_TITLE "\"\n.SH NAME\n",
            name, section);
    line_put(out, "", name, " \\- ");
    line_put(out, "", meaning, "\n");
}

/* Paragraphs, with what is set in columns kept so. */
static void help_put(FILE *out, const char *help)
{
    for (const char *p = help; *p;) {
        const char *end = strstr(p, "\n\n");
        size_t n = end ? (size_t)(end - p) : strlen(p);
        char text[2048];
        snprintf(text, sizeof text, "%.*s", (int)n, p);
        bool is_table = strstr(text, "  ") || strchr(text, '\n');
        fputs(is_table ? ".PP\n.nf\n" : ".PP\n", out);
        roff_put(out, text);
        fputs(is_table ? "\n.fi\n" : "\n", out);
        p += n;
        p += strspn(p, "\n");
    }
}

/* ---- covey(1) ------------------------------------------------------------------------------------- */

static void covey_put(FILE *out)
{
    title_put(out, "covey", 1, "a clustered MQTT broker");
    fputs(
        ".SH SYNOPSIS\n.B covey\n[\\fB\\-\\-config\\fR \\fIFILE\\fR] \\fICOMMAND\\fR [\\fIARGUMENT\\fR...]\n"
        ".SH DESCRIPTION\n"
        "Runs a node, asks it and tells it something. Any number of nodes are one broker.\n"
        ".SH OPTIONS\n"
        ".TP\n\\fB\\-c\\fR, \\fB\\-\\-config\\fR \\fIFILE\\fR\n"
        "Configuration file, see \\fBcovey.yaml\\fR(5).\n"
        ".TP\n\\fB\\-w\\fR, \\fB\\-\\-wait\\fR \\fISECONDS\\fR\n"
        "Of start and restart: how long to wait until the node answers.\n"
        ".TP\n\\fB\\-V\\fR, \\fB\\-\\-version\\fR\nPrint the version.\n"
        ".TP\n\\fB\\-\\-help\\fR\nSay more, also about one command.\n"
        ".SH COMMANDS\n",
        out);
    for (size_t i = 0; i < cli_commands_n; i++) {
        const struct cli_command *c = &cli_commands[i];
        line_put(out, ".SS ", c->name, c->args[0] ? " " : "\n");
        if (c->args[0])
            line_put(out, "", c->args, "\n");
        line_put(out, "To ", c->meaning, ".\n");
        help_put(out, c->help);
    }
    fputs(".SH ENVIRONMENT\n"
          ".TP\n.B COVEY_CONFIG\nThe configuration file, where no option names one.\n"
          ".TP\n.B COVEY_SECTION__KEY\nOverrides a key of the file: COVEY_MQTT__MAX_INFLIGHT=64 is "
          "mqtt.max_inflight.\n"
          ".TP\n.B NOTIFY_SOCKET\\fR, \\fBWATCHDOG_USEC\\fR, \\fBJOURNAL_STREAM\n"
          "Set by systemd: the node tells it when it is ready and well, and gives lines of the log a "
          "priority.\n"
          ".SH FILES\n"
          ".TP\n.I /etc/covey/covey.yaml\nThe configuration, if there is no other.\n"
          ".TP\n.I /var/lib/covey\nWhat is kept, where root starts the node or the package does.\n"
          ".SH SIGNALS\n"
          ".TP\n.B SIGTERM\\fR, \\fBSIGINT\nThe node stops: clients are told, what is on its way is stored.\n"
          ".TP\n.B SIGHUP\nWhat covey ctl reload does; the log file is opened again.\n"
          ".SH EXIT STATUS\n0: done; 1: not done, with the reason on standard error; 78, of "
          "\\fBforeground\\fR: "
          "the configuration, or a file that it names, is wrong, and trying again would not help.\n"
          ".SH SEE ALSO\n\\fBcovey\\-ctl\\fR(1), \\fBcovey.yaml\\fR(5)\n",
          out);
}

/* ---- covey-ctl(1) --------------------------------------------------------------------------------- */

static void ctl_put(FILE *out)
{
    const struct command *m;
    title_put(out, "covey-ctl", 1, "what a running node can be asked and told");
    fputs(".SH SYNOPSIS\n.B covey ctl\n\\fICOMMAND\\fR [\\fIARGUMENT\\fR...]\n"
          ".SH DESCRIPTION\n"
          "Talks to the node over its socket (node.ctl_socket of \\fBcovey.yaml\\fR(5)), which only its user "
          "and "
          "root may use. The exit status is 0 when the node has done it. What changes something is logged.\n"
          ".SH COMMANDS\n",
          out);
    for (size_t i = 0; (m = command_at(i)); i++) {
        line_put(out, ".TP\n\\fB", m->group, "");
        if (m->verb)
            line_put(out, " ", m->verb, "");
        fputs("\\fR", out);
        if (m->args[0])
            line_put(out, " ", m->args, "");
        line_put(out, "\n", m->help, "\n");
    }
    fputs(".SH SEE ALSO\n\\fBcovey\\fR(1), \\fBcovey.yaml\\fR(5)\n", out);
}

/* ---- covey.yaml(5) -------------------------------------------------------------------------------- */

static void key_put(FILE *out, const struct config_key *key, struct config_arena *arena)
{
    line_put(out, ".TP\n\\fB", key->path, "\\fR\n");
    line_put(out, "", key->meaning, ".\n");
    line_put(out, "Value: ", config_value_allowed(key, arena), "");
    if (key->def[0])
        line_put(out, "; default: ", key->def, "");
    fputs(".\n", out);
}

/* The part of a path before the first dot begins a section. */
static bool is_same_section(const char *a, const char *b)
{
    size_t n = strcspn(a, ".");
    return n == strcspn(b, ".") && strncmp(a, b, n) == 0;
}

static void yaml_put(FILE *out)
{
    struct config_arena *arena = config_arena_new();
    const char *before = "";
    title_put(out, "covey.yaml", 5, "configuration of a Covey node");
    fputs(
        ".SH DESCRIPTION\n"
        "A YAML file, read when the node starts and by \\fBcovey ctl reload\\fR: that of "
        "\\fB\\-\\-config\\fR, else of $COVEY_CONFIG, else\n"
        ".IR /etc/covey/covey.yaml .\n"
        "A key a.b.c stands in sections a and b. Relative paths start at the folder of the file. Variables "
        "such as "
        "COVEY_MQTT__MAX_INFLIGHT=64 override keys. A file with an error stops the start.\n"
        ".PP\n\\fBcovey check\\-config\\fR checks a file, \\fBcovey config show\\fR prints what is in force "
        "and "
        "where it came from, \\fBcovey config default\\fR writes a file with every key.\n"
        ".PP\nListeners of all kinds (tcp, ssl, ws, wss) share keys, which are described once. <name> is "
        "default, "
        "or one of your choice.\n",
        out);
    for (size_t i = 0; i < config_keys_n; i++) {
        const struct config_key *key = &config_keys[i];
        if (!is_same_section(before, key->path)) {
            char section[64];
            snprintf(section, sizeof section, "%.*s", (int)strcspn(key->path, "."), key->path);
            line_put(out, ".SH ", section, "\n");
        }
        before = key->path;
        if (!config_key_is_said(i))
            key_put(out, key, arena);
    }
    fputs(".SH EXAMPLE\n.nf\nnode:\n  name: covey@n1.example.org\nlisteners:\n  tcp:\n    default:\n"
          "      bind: \"0.0.0.0:1883\"\nmqtt:\n  max_inflight: 64\n.fi\n"
          ".SH SEE ALSO\n\\fBcovey\\fR(1), \\fBcovey\\-ctl\\fR(1)\n",
          out);
    config_arena_free(arena);
}

/* --------------------------------------------------------------------------------------------------- */

int cli_man(const struct cli *cli)
{
    static const struct {
        const char *name;
        void (*put)(FILE *out);
    } pages[] = {{"covey", covey_put}, {"covey-ctl", ctl_put}, {"covey.yaml", yaml_put}};
    for (size_t i = 0; cli->args_n && i < array_len(pages); i++) {
        if (strcmp(pages[i].name, cli->args[0]) == 0) {
            pages[i].put(stdout);
            return 0;
        }
    }
    fprintf(stderr, "covey man: which page? covey, covey-ctl or covey.yaml\n");
    return 1;
}
