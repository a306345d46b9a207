/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_show.h"

#include "node/app/config_value.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Whether YAML reads the text as itself without quotes. */
static bool is_plain(const char *text)
{
    size_t n = strlen(text);
    if (n == 0 || strcasecmp(text, "null") == 0 || text[n - 1] == ':')
        return false;
    if (!isalnum((unsigned char)text[0]) && text[0] != '/')
        return false;
    for (; *text; text++) {
        if (!isalnum((unsigned char)*text) && !strchr("_./@:+-", *text))
            return false;
    }
    return true;
}

/* Values hold no control characters, so quotes and backslashes are all there is to escape. */
static void yaml_put(const struct config_key *key, const char *text, FILE *out)
{
    bool is_list = key->type == CONFIG_LIST || key->type == CONFIG_SET;
    /* With an address in brackets a list is a list to us, but something else to YAML. */
    if (is_list ? !strchr(text + 1, '[') : is_plain(text)) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

/* Items that are not set and have no default have nothing to show. */
static bool item_has_value(const struct config_item *item)
{
    return item->given != NULL;
}

void config_show(const struct config *conf, FILE *out)
{
    for (size_t i = 0; i < conf->items_n; i++) {
        const struct config_item *item = &conf->items[i];
        if (!item_has_value(item))
            continue;
        fprintf(out, "%s: ", item->path);
        yaml_put(item->key, item->text, out);
        fprintf(out, "  # %s%s\n", item->where, item->is_auto ? ", auto" : "");
    }
}

static void key_explain(const struct config *conf, const struct config_key *key, const char *path, FILE *out)
{
    struct config_arena *arena = config_arena_new();
    const struct config_item *item = config_item_find(conf, path);
    char env[CONFIG_ENV_MAX];
    fprintf(out, "%s\n    %s\n\n", path, key->meaning);
    if (item && item_has_value(item)) {
        fprintf(out, "  value:        ");
        yaml_put(key, item->text, out);
        fprintf(out, "%s\n  comes from:   %s\n", item->is_auto ? " (auto)" : "", item->where);
    } else {
        fprintf(out, "  value:        none, there is no such listener\n");
    }
    fprintf(out, "  default:      ");
    if (config_key_has_default(key, path))
        yaml_put(key, key->def, out);
    else
        fprintf(out, "none, it must be given");
    fprintf(out, "\n  allowed:      %s\n", config_value_allowed(key, arena));
    fprintf(out, "  a change:     takes effect %s\n",
            key->flags & CONFIG_F_RELOAD ? "with covey ctl reload" : "when the node is started again");
    fprintf(out, "  environment:  %s\n", config_env_name(env, path));
    config_arena_free(arena);
}

static void section_explain(const struct config *conf, const char *path, FILE *out)
{
    for (size_t i = 0; i < conf->items_n; i++) {
        const struct config_item *item = &conf->items[i];
        size_t n = strlen(path);
        bool is_under = n == 0 || (strncmp(item->path, path, n) == 0 && item->path[n] == '.');
        if (!is_under || !item_has_value(item))
            continue;
        fprintf(out, "%s: ", item->path);
        yaml_put(item->key, item->text, out);
        fprintf(out, "  # %s\n", item->key->meaning);
    }
}

enum err config_explain(const struct config *conf, const char *path, FILE *out)
{
    char plain[CONFIG_PATH_MAX + 8];
    const char *mark = strstr(path, "<name>");
    /* The path as the list of keys has it. */
    if (mark && strlen(path) < CONFIG_PATH_MAX) {
        snprintf(plain, sizeof plain, "%.*sdefault%s", (int)(mark - path), path, mark + strlen("<name>"));
        path = plain;
    }
    const struct config_key *key = config_key_find(path);
    if (key)
        key_explain(conf, key, path, out);
    else if (config_key_is_section(path))
        section_explain(conf, path, out);
    else
        return ERR_NOTFOUND;
    return OK;
}

void config_keys_show(FILE *out)
{
    for (size_t i = 0; i < config_keys_n; i++) {
        fprintf(out, "%s: ", config_keys[i].path);
        yaml_put(&config_keys[i], config_keys[i].def, out);
        fprintf(out, "  # %s\n", config_keys[i].meaning);
    }
}

/* The place behind <name> in a path, or NULL. */
static const char *behind_name(const char *path)
{
    const char *mark = strchr(path, '>');
    return mark ? mark + 2 : NULL;
}

bool config_key_is_said(size_t at)
{
    const char *rest = behind_name(config_keys[at].path);
    for (size_t i = 0; rest && i < at; i++) {
        const char *other = behind_name(config_keys[i].path);
        if (other && strcmp(other, rest) == 0 && strcmp(config_keys[i].meaning, config_keys[at].meaning) == 0)
            return true;
    }
    return false;
}

static void indent(size_t depth, FILE *out)
{
    fprintf(out, "%*s", (int)(2 * depth), "");
}

/* Prints the lines of the sections that path is in and before was not; returns how deep the key stands. */
static size_t sections_put(const char *before, const char *path, FILE *out)
{
    size_t depth = 0;
    bool is_same = true;
    for (;;) {
        size_t n = strcspn(path, "."), m = strcspn(before, ".");
        if (path[n] == 0)
            return depth;
        is_same = is_same && n == m && before[m] == '.' && strncmp(path, before, n) == 0;
        if (!is_same) {
            if (depth == 0)
                fputc('\n', out);
            indent(depth, out);
            if (*path == '<')
                fprintf(out, "default:\n");
            else
                fprintf(out, "%.*s:\n", (int)n, path);
        }
        path += n + 1;
        before += m + (before[m] == '.');
        depth++;
    }
}

void config_default_show(FILE *out)
{
    struct config_arena *arena = config_arena_new();
    const char *before = "";
    fprintf(
        out,
        "# The configuration of a Covey node: every key with its default, commented out. Remove the \"#\"\n"
        "# of a line to change it. \"covey check-config\" checks this file, \"covey config show\" prints "
        "what\n"
        "# is in force, \"covey config explain KEY\" tells all about a key. A variable such as\n"
        "# COVEY_MQTT__MAX_INFLIGHT=64 overrides mqtt.max_inflight. Relative paths start at the folder of\n"
        "# this file. Further listeners go beside \"default\", under a name of your choice. The node reads\n"
        "# the file when it starts, and by \"covey ctl reload\" takes what is marked (reload).\n");
    for (size_t i = 0; i < config_keys_n; i++) {
        const struct config_key *key = &config_keys[i];
        size_t depth = sections_put(before, key->path, out);
        before = key->path;
        if (!config_key_is_said(i)) {
            indent(depth, out);
            fprintf(out, "# %s\n", key->meaning);
            indent(depth, out);
            fprintf(out, "# %s%s\n", config_value_allowed(key, arena),
                    key->flags & CONFIG_F_RELOAD ? " (reload)" : "");
        }
        indent(depth, out);
        fprintf(out, "#%s: ", strrchr(key->path, '.') + 1);
        yaml_put(key, key->def, out);
        fputc('\n', out);
    }
    config_arena_free(arena);
}
