/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/cli_command.h"

#include "node/app/config_show.h"
#include "node/app/config_suggest.h"

#include <string.h>
#include <unistd.h>

#define DEFAULT_FILE "/etc/covey/covey.yaml"

const char *cli_env(const struct cli *cli, const char *name)
{
    size_t n = strlen(name);
    for (const char *const *env = cli->env; *env; env++) {
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return *env + n + 1;
    }
    return NULL;
}

const char *cli_config_file(const struct cli *cli)
{
    const char *named = cli->config_file ? cli->config_file : cli_env(cli, "COVEY_CONFIG");
    if (named)
        return *named ? named : NULL;
    return access(DEFAULT_FILE, F_OK) == 0 ? DEFAULT_FILE : NULL;
}

static struct config *load(const struct cli *cli, enum config_files files, struct config_report *report)
{
    struct config_source source = {
        .file = cli_config_file(cli), .env = cli->env, .is_root = geteuid() == 0, .files = files};
    return config_load(&source, report);
}

struct config *cli_config_load(const struct cli *cli, enum config_files files)
{
    struct config_report report;
    config_report_init(&report);
    struct config *conf = load(cli, files, &report);
    if (report.errors || files == CONFIG_FILES_CHECKED)
        config_report_print(&report, stderr);
    config_report_fini(&report);
    return conf;
}

int cli_check_config(const struct cli *cli)
{
    struct config_report report;
    struct cli with_file = *cli;
    if (cli->args_n)
        with_file.config_file = cli->args[0];
    const char *file = cli_config_file(&with_file);
    config_report_init(&report);
    struct config *conf = load(&with_file, CONFIG_FILES_CHECKED, &report);
    config_report_print(&report, stderr);
    if (!file)
        file = "no file, defaults and environment only";
    if (report.errors)
        printf("%s: %zu error%s\n", file, report.errors, report.errors == 1 ? "" : "s");
    else if (report.n)
        printf("%s: OK, %zu warning%s\n", file, report.n, report.n == 1 ? "" : "s");
    else
        printf("%s: OK\n", file);
    int status = conf ? 0 : 1;
    config_free(conf);
    config_report_fini(&report);
    return status;
}

static void explain_fail(const char *path)
{
    char escaped[LOG_ESCAPED_MAX];
    struct config_arena *arena = config_arena_new();
    const char *instead = config_suggest_instead(path);
    const char *near = config_suggest(path, arena);
    fprintf(stderr, "%s: unknown key", log_escape(escaped, bytes_str(path)));
    if (instead)
        fprintf(stderr, "; %s\n", instead);
    else if (near)
        fprintf(stderr, "; did you mean %s?\n", near);
    else
        fprintf(stderr, "; \"covey config keys\" lists those there are\n");
    config_arena_free(arena);
}

static int explain(const struct cli *cli)
{
    struct config *conf = cli_config_load(cli, CONFIG_FILES_IGNORED);
    const char *path = cli->args_n > 1 ? cli->args[1] : "";
    if (!conf)
        return 1;
    enum err e = config_explain(conf, path, stdout);
    if (e)
        explain_fail(path);
    config_free(conf);
    return e ? 1 : 0;
}

static int show(const struct cli *cli)
{
    struct config *conf = cli_config_load(cli, CONFIG_FILES_IGNORED);
    if (!conf)
        return 1;
    config_show(conf, stdout);
    config_free(conf);
    return 0;
}

int cli_config(const struct cli *cli)
{
    const char *word = cli->args_n ? cli->args[0] : "";
    if (strcmp(word, "explain") == 0)
        return explain(cli);
    if (cli->args_n == 1 && strcmp(word, "show") == 0)
        return show(cli);
    if (cli->args_n == 1 && strcmp(word, "keys") == 0)
        config_keys_show(stdout);
    else if (cli->args_n == 1 && strcmp(word, "default") == 0)
        config_default_show(stdout);
    else {
        fprintf(stderr,
                "covey config: one of show, explain KEY, keys, default; see \"covey config --help\"\n");
        return 1;
    }
    return 0;
}
