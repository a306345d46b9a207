/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/command.h"
#include "node/app/cli_command.h"
#include "proto/base/check.h"

#include <string.h>

/* Scripts for shells, from the tables of commands. All three work alike: what has been typed without its
 * options is a path, such as "ctl clients", and a path has words that may follow. */

enum { WORD_MAX = 64 };

/* Where they go, one after the other, those of one path together. */
struct words {
    FILE *out;
    char path[WORD_MAX]; /* of the word before */
    void (*word)(struct words *w, const char *path, const char *word, const char *meaning);
};

/* "show | explain [KEY] | keys": the first word of each alternative outside of brackets, if it is one to
 * type. */
static void each_of_args(struct words *w, const char *path, const char *args)
{
    int depth = 0;
    bool is_first = true;
    for (const char *p = args; *p; p++) {
        depth += *p == '[';
        depth -= *p == ']';
        if (*p == '|' && depth == 0)
            is_first = true;
        else if (is_first && *p != ' ') {
            char word[WORD_MAX];
            size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz-.");
            is_first = false;
            if (n == 0 || n >= sizeof word || *p == '-')
                continue;
            snprintf(word, sizeof word, "%.*s", (int)n, p);
            w->word(w, path, word, "");
        }
    }
}

static void each_of_group(struct words *w, const char *group)
{
    char path[WORD_MAX];
    const struct command *m;
    snprintf(path, sizeof path, "ctl %s", group);
    for (size_t i = 0; (m = command_at(i)); i++) {
        if (m->verb && strcmp(m->group, group) == 0)
            w->word(w, path, m->verb, m->help);
    }
}

static bool is_new_group(size_t at)
{
    const char *group = command_at(at)->group;
    for (size_t i = 0; i < at; i++) {
        if (strcmp(command_at(i)->group, group) == 0)
            return false;
    }
    return true;
}

static void each_of_ctl(struct words *w)
{
    const struct command *m;
    for (size_t i = 0; (m = command_at(i)); i++) {
        if (is_new_group(i))
            w->word(w, "ctl", m->group, m->verb ? "" : m->help);
    }
    w->word(w, "ctl", "help", "");
    for (size_t i = 0; (m = command_at(i)); i++) {
        if (is_new_group(i))
            each_of_group(w, m->group);
    }
}

static void each(struct words *w)
{
    for (size_t i = 0; i < cli_commands_n; i++)
        w->word(w, "", cli_commands[i].name, cli_commands[i].meaning);
    for (size_t i = 0; i < cli_commands_n; i++)
        w->word(w, "help", cli_commands[i].name, cli_commands[i].meaning);
    for (size_t i = 0; i < cli_commands_n; i++)
        each_of_args(w, cli_commands[i].name, cli_commands[i].args);
    each_of_ctl(w);
}

/* ---- bash ----------------------------------------------------------------------------------------- */

static void bash_word(struct words *w, const char *path, const char *word, const char *meaning)
{
    (void)meaning;
    if (strcmp(path, w->path) == 0)
        fprintf(w->out, " %s", word);
    else
        fprintf(w->out, "\" ;;\n    \"%s\") words=\"%s", path, word);
    snprintf(w->path, sizeof w->path, "%s", path);
}

static void bash_put(FILE *out)
{
    struct words w = {.out = out, .path = "config explain", .word = bash_word};
    fputs("# bash completion of covey, from `covey completion bash`\n"
          "_covey() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} path= words= i\n"
          "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
          "        case ${COMP_WORDS[i]} in\n"
          "        -c | --config | -w | --wait | --file) ((i++)) ;;\n"
          "        -*) ;;\n"
          "        *) path+=${path:+ }${COMP_WORDS[i]} ;;\n"
          "        esac\n"
          "    done\n"
          "    COMPREPLY=()\n"
          "    case $prev in\n"
          "    -c | --config | --file)\n"
          "        compopt -o filenames\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
          "        return ;;\n"
          "    esac\n"
          "    case $path in\n"
          "    check-config)\n"
          "        compopt -o filenames\n"
          "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
          "        return ;;\n"
          "    \"config explain\") words=\"$(covey config keys 2>/dev/null | sed 's/: .*//')",
          out);
    each(&w);
    fputs("\" ;;\n"
          "    esac\n"
          "    case $cur in\n"
          "    -*) words=\"--config --help\"\n"
          "        case $path in\n"
          "        \"\") words+=\" --version\" ;;\n"
          "        start | restart) words+=\" --wait\" ;;\n"
          "        passwd*) words+=\" --file --scram --iterations --batch\" ;;\n"
          "        esac ;;\n"
          "    esac\n"
          "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
          "}\n"
          "complete -F _covey covey\n",
          out);
}

/* ---- zsh and fish --------------------------------------------------------------------------------- */

/* In single quotes; `quote` is how one is written there. */
static void quoted_put(FILE *out, const char *text, const char *quote)
{
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'')
            fputs(quote, out);
        else
            fputc(*text, out);
    }
    fputc('\'', out);
}

static void zsh_word(struct words *w, const char *path, const char *word, const char *meaning)
{
    char text[256];
    if (strcmp(path, w->path) != 0)
        fprintf(w->out, ") ;;\n    ('%s') choices=(", path);
    snprintf(w->path, sizeof w->path, "%s", path);
    snprintf(text, sizeof text, "%s%s%s", word, meaning[0] ? ":" : "", meaning);
    fputs("\n        ", w->out);
    quoted_put(w->out, text, "'\\''");
}

static void zsh_put(FILE *out)
{
    struct words w = {.out = out, .path = "config explain", .word = zsh_word};
    fputs("#compdef covey\n"
          "# zsh completion of covey, from `covey completion zsh`\n"
          "_covey() {\n"
          "    local -a typed choices\n"
          "    local i\n"
          "    for ((i = 2; i < CURRENT; i++)); do\n"
          "        case $words[i] in\n"
          "        (-c | --config | -w | --wait | --file) ((i++)) ;;\n"
          "        (-*) ;;\n"
          "        (*) typed+=($words[i]) ;;\n"
          "        esac\n"
          "    done\n"
          "    case $words[CURRENT-1] in\n"
          "    (-c | --config | --file) _files; return ;;\n"
          "    esac\n"
          "    case \"${(j: :)typed}\" in\n"
          "    (check-config) _files; return ;;\n"
          "    ('config explain') choices=(${(f)\"$(covey config keys 2>/dev/null | sed 's/: .*//')\"}",
          out);
    each(&w);
    fputs(") ;;\n"
          "    esac\n"
          "    case $words[CURRENT] in\n"
          "    (-*) choices=(--config --help)\n"
          "        case \"${(j: :)typed}\" in\n"
          "        ('') choices+=(--version) ;;\n"
          "        (start | restart) choices+=(--wait) ;;\n"
          "        (passwd*) choices+=(--file --scram --iterations --batch) ;;\n"
          "        esac ;;\n"
          "    esac\n"
          "    _describe word choices\n"
          "}\n"
          "_covey \"$@\"\n",
          out);
}

static void fish_word(struct words *w, const char *path, const char *word, const char *meaning)
{
    fprintf(w->out, "complete -c covey -n '__covey_at \"%s\"' -a %s", path, word);
    if (meaning[0]) {
        fputs(" -d ", w->out);
        quoted_put(w->out, meaning, "\\'");
    }
    fputc('\n', w->out);
}

static void fish_put(FILE *out)
{
    struct words w = {.out = out, .word = fish_word};
    fputs("# fish completion of covey, from `covey completion fish`\n"
          "function __covey_at -d 'Whether these words stand before, options apart'\n"
          "    set -l typed\n"
          "    set -l is_value 0\n"
          "    for word in (commandline -opc)[2..-1]\n"
          "        if test $is_value = 1\n"
          "            set is_value 0\n"
          "            continue\n"
          "        end\n"
          "        switch $word\n"
          "            case -c --config -w --wait --file\n"
          "                set is_value 1\n"
          "            case '-*'\n"
          "            case '*'\n"
          "                set -a typed $word\n"
          "        end\n"
          "    end\n"
          "    test \"$typed\" = \"$argv[1]\"\n"
          "end\n"
          "complete -c covey -f\n"
          "complete -c covey -s c -l config -r -F -d 'Configuration file'\n"
          "complete -c covey -l help -d 'Say more'\n"
          "complete -c covey -n '__covey_at \"\"' -l version -d 'Print the version'\n"
          "complete -c covey -n '__covey_at start; or __covey_at restart' -l wait -x -d 'How long to wait'\n"
          "complete -c covey -n '__covey_at check-config' -F\n"
          "complete -c covey -n '__covey_at \"config explain\"' -a '(covey config keys 2>/dev/null | "
          "string replace -r \": .*\" \"\")'\n",
          out);
    each(&w);
}

/* --------------------------------------------------------------------------------------------------- */

int cli_completion(const struct cli *cli)
{
    static const struct {
        const char *shell;
        void (*put)(FILE *out);
    } shells[] = {{"bash", bash_put}, {"zsh", zsh_put}, {"fish", fish_put}};
    for (size_t i = 0; cli->args_n && i < array_len(shells); i++) {
        if (strcmp(shells[i].shell, cli->args[0]) == 0) {
            shells[i].put(stdout);
            return 0;
        }
    }
    fprintf(stderr, "covey completion: for which shell? bash, zsh or fish\n");
    return 1;
}
