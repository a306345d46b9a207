/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_build.h"

#include "node/app/config_suggest.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *config_build_base(struct config_build *b, const struct config_item *item)
{
    if (item->listener == SIZE_MAX)
        return b->conf;
    return &b->conf->listeners[item->listener];
}

struct config_item *config_build_item(struct config_build *b, const char *path)
{
    for (size_t i = 0; i < b->conf->items_n; i++) {
        if (strcmp(b->conf->items[i].path, path) == 0)
            return &b->conf->items[i];
    }
    return NULL;
}

struct config_item *config_build_listener_item(struct config_build *b, size_t listener, const char *suffix)
{
    for (size_t i = 0; i < b->conf->items_n; i++) {
        struct config_item *item = &b->conf->items[i];
        const char *of_listener = strchr(item->key->path, '>');
        if (item->listener == listener && of_listener && strcmp(of_listener + 2, suffix) == 0)
            return item;
    }
    check_failed(__FILE__, __LINE__, "a listener has all keys of its kind");
}

static void item_add(struct config_build *b, const struct config_key *key, const char *path, size_t listener,
                     const char *def)
{
    struct config *conf = b->conf;
    conf->items = mem_realloc(conf->items, (conf->items_n + 1) * sizeof *conf->items);
    struct config_item *item = &conf->items[conf->items_n++];
    *item = (struct config_item){
        .key = key, .path = path, .given = def, .text = "", .where = "default", .listener = listener};
    struct config_value v = {.s = ""};
    if (def)
        CHECK(config_value_parse(&v, key, def, conf->arena));
    item->is_auto = v.is_auto;
    config_value_store(key, &v, config_build_base(b, item));
}

static void listener_add(struct config_build *b, enum config_listener_kind kind, const char *name)
{
    struct config *conf = b->conf;
    const char *word = config_listener_kind_name(kind);
    size_t at = conf->listeners_n++;
    conf->listeners = mem_realloc(conf->listeners, conf->listeners_n * sizeof *conf->listeners);
    struct config_listener *l = &conf->listeners[at];
    *l = (struct config_listener){.kind = kind, .bind_text = ""};
    l->name = config_arena_str(conf->arena, name);
    l->id = config_arena_printf(conf->arena, "%s:%s", word, name);
    l->ssl.certfile = l->ssl.keyfile = l->ssl.cacertfile = l->ws.mqtt_path = "";
    for (size_t i = 0; i < config_keys_n; i++) {
        const struct config_key *key = &config_keys[i];
        if (!config_key_is_named(key) || config_key_kind(key) != kind)
            continue;
        const char *rest = strchr(key->path, '>') + 2;
        const char *path = config_arena_printf(conf->arena, "listeners.%s.%s.%s", word, name, rest);
        item_add(b, key, path, at, config_key_has_default(key, path) ? key->def : NULL);
    }
}

void config_build_init(struct config_build *b, const struct config_source *source,
                       struct config_report *report)
{
    *b = (struct config_build){.source = source, .report = report};
    b->conf = mem_zalloc(sizeof *b->conf);
    b->conf->arena = config_arena_new();
    for (size_t i = 0; i < config_keys_n; i++) {
        if (!config_key_is_named(&config_keys[i]))
            item_add(b, &config_keys[i], config_keys[i].path, SIZE_MAX, config_keys[i].def);
    }
    for (int kind = LISTENER_TCP; kind <= LISTENER_UNIX; kind++)
        listener_add(b, (enum config_listener_kind)kind, "default");
}

bool config_build_listener(struct config_build *b, const char *where, const char *path)
{
    char name[CONFIG_NAME_MAX + 1] = "";
    char kind[5] = "";
    /* The widths are those of the arrays: CONFIG_NAME_MAX is 64. */
    if (sscanf(path, "listeners.%4[a-z].%64[^.]", kind, name) != 2)
        return true;
    for (int k = LISTENER_TCP; k <= LISTENER_UNIX; k++) {
        if (strcmp(config_listener_kind_name((enum config_listener_kind)k), kind) != 0)
            continue;
        for (size_t i = 0; i < b->conf->listeners_n; i++) {
            const struct config_listener *l = &b->conf->listeners[i];
            if ((int)l->kind == k && strcmp(l->name, name) == 0)
                return true;
        }
        if (b->conf->listeners_n == CONFIG_LISTENERS_MAX) {
            config_report_add(b->report, CONFIG_ERROR, where, path, "more than %d listeners",
                              CONFIG_LISTENERS_MAX);
            return false;
        }
        listener_add(b, (enum config_listener_kind)k, name);
    }
    return true;
}

/* Relative paths are made absolute, so that they mean the same after a daemon has changed its folder. */
static void path_make_absolute(struct config_build *b, enum config_origin origin, struct config_value *v)
{
    const char *dir = origin == CONFIG_FROM_FILE ? b->file_dir : b->work_dir;
    const char *rest = v->s;
    if (*rest == 0 || *rest == '/')
        return;
    while (strncmp(rest, "./", 2) == 0)
        rest += 2;
    v->s = config_arena_printf(b->conf->arena, "%s%s%s", dir, strcmp(dir, "/") ? "/" : "", rest);
}

void config_build_set(struct config_build *b, enum config_origin origin, const char *where, const char *path,
                      const char *text)
{
    char escaped[LOG_ESCAPED_MAX];
    struct config_value v;
    if (!config_build_listener(b, where, path))
        return;
    struct config_item *item = config_build_item(b, path);
    CHECK(item != NULL);
    if (origin == CONFIG_FROM_FILE && item->origin == CONFIG_FROM_FILE) {
        const char *first = strrchr(item->where, ':');
        config_report_add(b->report, CONFIG_ERROR, where, path, "given twice, first in line %s",
                          first ? first + 1 : "?");
        return;
    }
    item->origin = origin;
    item->where = config_arena_str(b->conf->arena, where);
    item->given = config_arena_str(b->conf->arena, text);
    if (!config_value_parse(&v, item->key, text, b->conf->arena)) {
        config_report_add(b->report, CONFIG_ERROR, where, path, "\"%s\" is not %s",
                          log_escape(escaped, bytes_str(text)),
                          config_value_allowed(item->key, b->report->arena));
        return;
    }
    item->is_auto = v.is_auto;
    if (item->key->type == CONFIG_PATH)
        path_make_absolute(b, origin, &v);
    config_value_store(item->key, &v, config_build_base(b, item));
}

void config_build_unknown(struct config_build *b, enum config_origin origin, const char *where,
                          const char *path)
{
    char env[CONFIG_ENV_MAX];
    const char *instead = config_suggest_instead(path);
    const char *near = instead ? NULL : config_suggest(path, b->report->arena);
    if (near && origin == CONFIG_FROM_ENV && !strchr(near, '<'))
        near = config_env_name(env, near);
    if (instead)
        config_report_add(b->report, CONFIG_ERROR, where, path, "unknown key; %s", instead);
    else if (near)
        config_report_add(b->report, CONFIG_ERROR, where, path, "unknown key; did you mean %s?", near);
    else
        config_report_add(b->report, CONFIG_ERROR, where, path,
                          "unknown key; \"covey config keys\" lists those there are");
}
