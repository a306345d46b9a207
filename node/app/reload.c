/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/reload.h"

#include "node/admin/ask.h"
#include "node/app/config_load.h"
#include "node/app/logger.h"
#include "node/io/acl_file.h"
#include "node/io/authn.h"
#include "node/io/authn_files.h"
#include "node/io/authz.h"
#include "proto/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SETTLE_MS = 20, SETTLE_TIMES_MAX = 10 };

struct reload {
    const struct config *boot;
    const char *const *env;
    struct log_sink *log;
    struct reload_parts parts;
    struct generation *now;
    struct generation *past;    /* that connections still use */
    struct config_arena *arena; /* of result */
    struct admin_reload result;
    struct admin_change *changed, *restart; /* of result */
    bool has_changed;
    bool has_authn_server_changed, has_authz_server_changed;
    struct config_pin *pins;
    size_t pins_n;
};

/* ---- what is in force ----------------------------------------------------------------------------- */

static bool is_live(const struct config_item *item)
{
    return item->key->flags & CONFIG_F_RELOAD;
}

static const char *text_shown(const struct config_item *item)
{
    bool is_set = item->origin != CONFIG_FROM_DEFAULT;
    return item->key->flags & CONFIG_F_SECRET && is_set ? "(hidden)" : item->text;
}

/* An item as it was at the start or as it is now, whichever counts. */
static const struct config_item *item_in_force(const struct reload *r, const struct config_item *boot)
{
    const struct config_item *now = is_live(boot) ? config_item_find(r->now->conf, boot->path) : NULL;
    return now ? now : boot;
}

static void settings_show(struct reload *r)
{
    const struct config *boot = r->boot;
    struct admin_setting *shown = config_arena_alloc(r->arena, (boot->items_n + 1) * sizeof *shown);
    size_t n = 0;
    for (size_t i = 0; i < boot->items_n; i++) {
        const struct config_item *item = item_in_force(r, &boot->items[i]);
        if (item->given)
            shown[n++] = (struct admin_setting){item->path, text_shown(item), item->where};
    }
    r->result.settings = shown;
    r->result.settings_n = n;
    r->result.sys_interval_ms = (uint32_t)r->now->conf->sys.sys_msg_interval_ms;
    r->result.sys_heartbeat_ms = (uint32_t)r->now->conf->sys.sys_heartbeat_interval_ms;
}

/* ---- what is different ---------------------------------------------------------------------------- */

static void pin(struct reload *r, const char *path, const char *text)
{
    r->pins = mem_realloc(r->pins, (r->pins_n + 1) * sizeof *r->pins);
    r->pins[r->pins_n++] = (struct config_pin){config_arena_str(r->arena, path), text};
}

static void change_add(struct reload *r, struct admin_change **list, size_t *n,
                       const struct config_item *before, const struct config_item *after)
{
    *list = mem_realloc(*list, (*n + 1) * sizeof **list);
    (*list)[(*n)++] = (struct admin_change){
        .key = config_arena_str(r->arena, before ? before->path : after->path),
        .before = before ? config_arena_str(r->arena, text_shown(before)) : "(not there)",
        .after = after ? config_arena_str(r->arena, text_shown(after)) : "(not there)",
    };
}

/* What the node cannot change while it runs stays as it was at the start. A listener that the file has no
 * more stays whole; one that is new there is as good as disabled. */
static void on_fixed(void *ctx, const struct config_item *before, const struct config_item *after)
{
    struct reload *r = ctx;
    if (before && after && is_live(before))
        return;
    if (before && after && before->is_auto && after->is_auto)
        return;
    if (before && before->given)
        pin(r, before->path,
            before->key->type == CONFIG_PATH && !before->is_auto ? before->text : before->given);
    else if (!before && strcmp(strrchr(after->path, '.'), ".enable") == 0)
        pin(r, after->path, "false");
    if ((before ? before : after)->origin != CONFIG_FROM_DEFAULT || (before && after))
        change_add(r, &r->restart, &r->result.restart_n, before, after);
}

static bool is_below(const struct config_item *item, const char *prefix)
{
    return strncmp(item->path, prefix, strlen(prefix)) == 0;
}

static void on_live(void *ctx, const struct config_item *before, const struct config_item *after)
{
    struct reload *r = ctx;
    if (!before || !after || !is_live(before))
        return;
    r->has_changed = true;
    r->has_authn_server_changed |= is_below(before, "authentication.http.");
    r->has_authz_server_changed |= is_below(before, "authorization.http.");
    if (!before->is_auto || !after->is_auto) /* what follows from another is not told */
        change_add(r, &r->changed, &r->result.changed_n, before, after);
}

/* ---- checking ------------------------------------------------------------------------------------- */

struct file {
    char *text; /* from malloc(); NULL: there is no file */
    size_t n;
};

static bool file_eq(const struct file *a, const struct file *b)
{
    return a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

/* One that is just being written may be well formed and yet lack its end: it counts when it is the same twice
 * and its last line has ended. */
static bool file_read(const struct reload *r, struct file *f, struct config_report *report)
{
    const char *name = r->boot->file;
    struct file again = {0};
    if (!name)
        return true;
    f->text = config_file_read(name, &f->n, report);
    for (int times = 0; f->text && times < SETTLE_TIMES_MAX; times++) {
        usleep(SETTLE_MS * 1000);
        again.text = config_file_read(name, &again.n, report);
        if (!again.text || file_eq(f, &again))
            break;
        free(f->text);
        *f = again;
        again.text = NULL;
    }
    if (f->text && again.text && (f->n == 0 || f->text[f->n - 1] != '\n'))
        config_report_add(report, CONFIG_ERROR, name, "", "%s",
                          f->n ? "its last line does not end: is it whole?" : "is empty");
    else if (f->text && !again.text && !report->errors)
        config_report_add(report, CONFIG_ERROR, name, "", "keeps changing while it is read");
    free(again.text);
    return !report->errors;
}

static struct config *file_load(struct reload *r, const struct file *f, enum config_files files,
                                struct config_report *report)
{
    struct config_source source = {
        .file = r->boot->file,
        .text = f->text,
        .text_n = f->n,
        .env = r->env,
        .is_root = geteuid() == 0,
        .files = files,
        .pins = r->pins,
        .pins_n = r->pins_n,
    };
    return config_load(&source, report);
}

static const char *fault_text(struct reload *r, const struct config_report *report)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    if (!out)
        return "no memory\n";
    config_report_print(report, out);
    fclose(out);
    const char *kept = config_arena_dup(r->arena, text, n);
    free(text);
    return kept;
}

/* What is to be in force: as the file says, and where that needs a restart as it is. NULL: *fault says why.
 */
static struct config *conf_read(struct reload *r)
{
    struct config_report report;
    struct file file = {0};
    config_report_init(&report);
    struct config *conf =
        file_read(r, &file, &report) ? file_load(r, &file, CONFIG_FILES_CHECKED, &report) : NULL;
    if (conf) {
        config_diff(r->boot, conf, on_fixed, r);
        config_free(conf);
        conf = file_load(r, &file, CONFIG_FILES_IGNORED, &report);
    }
    free(file.text);
    if (!conf)
        r->result.fault = fault_text(r, &report);
    config_report_fini(&report);
    return conf;
}

/* What a configuration names, read and started but not yet in force. */
struct fresh {
    struct acl *acl;
    struct authn_conf authn;
    struct authn_files *users;
    struct hook_pool *authn_server, *authz_server; /* NULL: none, or as before */
    struct io_reload *listeners;
};

static void fresh_drop(struct fresh *f)
{
    acl_unref(f->acl);
    if (f->users)
        authn_files_free(f->users);
    hook_pool_free(f->authn_server);
    hook_pool_free(f->authz_server);
    io_reload_free(f->listeners);
}

/* An unchanged server stays, with what it is known to have said and whether it answers. */
static enum err servers_start(struct reload *r, const struct generation *g, struct fresh *f)
{
    struct authz_conf authz = authz_conf_of(g->conf);
    enum err e = OK;
    if (r->has_authn_server_changed)
        e = authn_server_new(r->parts.authn, &f->authn, &f->authn_server);
    if (e == OK && r->has_authz_server_changed)
        e = authz_server_new(r->parts.authz, &authz, &f->authz_server);
    return e;
}

static bool fresh_make(struct reload *r, const struct generation *g, struct fresh *f)
{
    const struct config_authorization *az = &g->conf->authorization;
    struct acl_fault fault;
    f->authn = authn_conf_of(g->conf, r->log);
    if (acl_read(r->parts.acl_file, az->file, az->no_match, &f->acl, &fault) != OK)
        r->result.fault =
            config_arena_printf(r->arena, "%s:%u: %s\n", az->file, (unsigned)fault.line, fault.what);
    else if (authn_read(r->parts.authn, &f->authn, &f->users) != OK)
        r->result.fault = "authentication.*: a file cannot be used; the log says which line is wrong\n";
    else if (io_reload_new(&f->listeners, r->parts.io, g->listeners, g->listeners_n) != OK)
        r->result.fault = "listeners.*.ssl_options: a file cannot be used; the log says which\n";
    else if (servers_start(r, g, f) != OK)
        r->result.fault = "authentication.http, authorization.http: there are no threads to be had\n";
    return !r->result.fault;
}

/* ---- changing ------------------------------------------------------------------------------------- */

static void on_settings(struct shard *sh, void *arg)
{
    shard_settings_set(sh, arg);
}

static void past_sweep(struct reload *r)
{
    struct generation **at = &r->past;
    while (*at) {
        struct generation *g = *at;
        if (generation_is_used(g, r->parts.io)) {
            at = &g->next;
        } else {
            *at = g->next;
            generation_free(g);
        }
    }
}

/* A shard is never without both, the file and the server, when there was one and will be one. Listeners come
 * last: their chains name methods that must be there. */
static void fresh_set(struct reload *r, const struct config *conf, struct fresh *f)
{
    if (f->authz_server)
        authz_server_set(r->parts.authz, f->authz_server);
    acl_set(r->parts.acl_file, conf->authorization.file, conf->authorization.no_match, f->acl);
    if (r->has_authz_server_changed && !f->authz_server)
        authz_server_set(r->parts.authz, NULL);
    authn_set(r->parts.authn, &f->authn, f->users);
    if (r->has_authn_server_changed)
        authn_server_set(r->parts.authn, f->authn_server);
    io_reload_apply(f->listeners);
}

/* Takes g. */
static void generation_set(struct reload *r, struct generation *g)
{
    struct generation *before = r->now;
    if (before->conf->log.level != g->conf->log.level)
        __atomic_store_n(&r->log->level, (int)g->conf->log.level, __ATOMIC_RELAXED);
    logger_set_format(r->log, g->conf->log.format);
    for (uint32_t i = 0; i < io_workers(r->parts.io); i++)
        shard_ask(r->parts.io, i, on_settings, &g->settings);
    node_set_settings(r->parts.node, &g->settings);
    r->now = g;
    before->next = r->past;
    r->past = before;
}

static void log_result(const struct reload *r)
{
    const struct admin_reload *a = &r->result;
    struct log_sink *log = r->log;
    char before[LOG_ESCAPED_MAX], after[LOG_ESCAPED_MAX];
    for (const char *line = a->fault; line && *line; line += strcspn(line, "\n"), line += *line == '\n')
        LOG(log, LOG_ERROR, "config not reloaded error=\"%s\"",
            log_escape(before, bytes_of(line, strcspn(line, "\n"))));
    for (size_t i = 0; i < a->changed_n; i++)
        LOG(log, LOG_NOTICE, "config changed key=%s before=\"%s\" after=\"%s\"", a->changed[i].key,
            log_escape(before, bytes_str(a->changed[i].before)),
            log_escape(after, bytes_str(a->changed[i].after)));
    for (size_t i = 0; i < a->restart_n; i++)
        LOG(log, LOG_WARNING, "config needs a restart key=%s before=\"%s\" after=\"%s\"", a->restart[i].key,
            log_escape(before, bytes_str(a->restart[i].before)),
            log_escape(after, bytes_str(a->restart[i].after)));
    if (a->is_good)
        LOG(log, LOG_NOTICE, "config reloaded changed=%zu need_restart=%zu", a->changed_n, a->restart_n);
}

/* What is shown of the last good one stays when this one fails. */
static void result_begin(struct reload *r, struct config_arena **before)
{
    *before = r->arena;
    r->arena = config_arena_new();
    free(r->changed);
    free(r->restart);
    free(r->pins);
    r->changed = r->restart = NULL;
    r->pins = NULL;
    r->pins_n = 0;
    r->result = (struct admin_reload){0};
}

/* Where nothing else differs the files are read again all the same. */
static bool conf_take(struct reload *r, struct config *conf)
{
    struct fresh fresh = {0};
    r->has_changed = r->has_authn_server_changed = r->has_authz_server_changed = false;
    config_diff(r->now->conf, conf, on_live, r);
    bool is_other = r->has_changed;
    struct generation *g = is_other ? generation_new(r->boot, conf, conf) : r->now;
    if (!is_other)
        config_free(conf);
    if (!fresh_make(r, g, &fresh)) {
        fresh_drop(&fresh);
        if (is_other)
            generation_free(g);
        return false;
    }
    if (is_other)
        generation_set(r, g);
    fresh_set(r, g->conf, &fresh);
    past_sweep(r);
    return true;
}

const struct admin_reload *reload_run(void *ctx)
{
    struct reload *r = ctx;
    struct config_arena *before;
    result_begin(r, &before);
    struct config *conf = conf_read(r);
    r->result.is_good = conf && conf_take(r, conf);
    if (!r->result.is_good)
        r->result.changed_n = r->result.restart_n = 0;
    settings_show(r);
    config_arena_free(before);
    r->result.changed = r->changed;
    r->result.restart = r->restart;
    log_result(r);
    return &r->result;
}

/* ---- life ----------------------------------------------------------------------------------------- */

struct reload *reload_new(const struct config *boot, const char *const *env, struct log_sink *log)
{
    struct reload *r = mem_zalloc(sizeof *r);
    *r = (struct reload){.boot = boot, .env = env, .log = log};
    r->now = generation_new(boot, boot, NULL);
    r->arena = config_arena_new();
    r->result.is_good = true;
    settings_show(r);
    return r;
}

const struct generation *reload_generation(const struct reload *r)
{
    return r->now;
}

const struct admin_reload *reload_shown(struct reload *r)
{
    return &r->result;
}

void reload_start(struct reload *r, const struct reload_parts *parts)
{
    r->parts = *parts;
}

void reload_free(struct reload *r)
{
    if (!r)
        return;
    generation_free(r->now);
    while (r->past) {
        struct generation *g = r->past;
        r->past = g->next;
        generation_free(g);
    }
    config_arena_free(r->arena);
    free(r->changed);
    free(r->restart);
    free(r->pins);
    free(r);
}
