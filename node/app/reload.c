/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/reload.h"

#include "node/admin/ask.h"
#include "node/app/settings.h"
#include "node/core/shard.h"
#include "node/io/acl_file.h"
#include "node/io/authn.h"
#include "node/io/io.h"
#include "proto/base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One reading of the configuration, and what was made of it; kept to the end. */
struct generation {
    struct generation *before;
    struct config *owned;      /* NULL: the caller's */
    const struct config *conf; /* as it was read */
    struct settings node;
    struct settings *listeners; /* by number in io; of those that are not changed, the name is NULL */
    struct admin_setting *shown;
    size_t shown_n;
};

struct reload {
    struct reload_conf conf;
    struct generation *now;
};

/* ---- what differs --------------------------------------------------------------------------------- */

struct diff {
    struct text *report;
    bool wants_restart; /* keys that need one are told, not those that do not */
    uint32_t n;
    const char *of_listener; /* only of this one ("listeners.tcp.default."); NULL: of all */
};

static bool changes_at_once(const struct config_item *i)
{
    return i->key->flags & CONFIG_F_RELOAD;
}

static void on_differs(void *ctx, const struct config_item *before, const struct config_item *after)
{
    struct diff *d = ctx;
    const struct config_item *any = before ? before : after;
    /* A listener that comes or goes does so with all its keys. */
    bool at_once = before && after && changes_at_once(any);
    if (at_once == d->wants_restart ||
        (before && after && before->is_auto && after->is_auto)) /* follows from another */
        return;
    if (d->of_listener && strncmp(any->path, d->of_listener, strlen(d->of_listener)) != 0)
        return;
    d->n++;
    if (d->report)
        text_printf(d->report, "%s %s: %s -> %s\n", d->wants_restart ? "restart" : "changed", any->path,
                    before ? before->text : "(not there)", after ? after->text : "(not there)");
}

static uint32_t diff(const struct config *before, const struct config *after, bool wants_restart,
                     const char *of_listener, struct text *report)
{
    struct diff d = {report, wants_restart, 0, of_listener};
    config_diff(before, after, on_differs, &d);
    return d.n;
}

/* ---- generations ---------------------------------------------------------------------------------- */

/* What has a value. */
static void shown_make(struct generation *g)
{
    g->shown = mem_zalloc((g->conf->items_n + 1) * sizeof *g->shown);
    for (size_t i = 0; i < g->conf->items_n; i++) {
        const struct config_item *item = &g->conf->items[i];
        if (item->given)
            g->shown[g->shown_n++] = (struct admin_setting){item->path, item->text, item->where};
    }
}

static struct generation *generation_new(const struct config *conf, struct generation *before)
{
    struct generation *g = mem_zalloc(sizeof *g);
    g->before = before;
    g->conf = conf;
    g->node = settings_of(conf);
    shown_make(g);
    return g;
}

static const struct config_listener *listener_find(const struct config *conf, const char *id)
{
    for (size_t i = 0; i < conf->listeners_n; i++)
        if (strcmp(conf->listeners[i].id, id) == 0)
            return &conf->listeners[i];
    return NULL;
}

/* A listener of which something waits for a restart keeps what it has: its keys go together. */
static void listeners_make(const struct reload *r, struct generation *g)
{
    char prefix[300];
    g->listeners = mem_zalloc((r->conf.listeners_n + 1) * sizeof *g->listeners);
    for (uint32_t i = 0; i < r->conf.listeners_n; i++) {
        const struct config_listener *old = r->conf.listeners[i], *l = listener_find(g->conf, old->id);
        const char *name = strchr(old->id, ':') + 1;
        snprintf(prefix, sizeof prefix, "listeners.%.*s.%s.", (int)(name - old->id - 1), old->id, name);
        if (!l || diff(r->conf.conf, g->conf, true, prefix, NULL))
            continue;
        g->listeners[i] = settings_of_listener(g->conf, l);
        g->listeners[i].listener = old->id;
        g->listeners[i].vet = old->vet;
        io_limits_set(r->conf.io, i, l->max_connections >= UINT32_MAX ? 0 : (uint32_t)l->max_connections,
                      l->max_conn_rate >= UINT32_MAX ? 0 : (uint32_t)l->max_conn_rate);
    }
}

struct swap {
    struct reload *r;
    const struct generation *g;
    uint32_t worker;
};

static void swap(struct shard *sh, void *arg)
{
    const struct swap *s = arg;
    shard_settings_set(sh, &s->g->node);
    for (uint32_t i = 0; i < s->r->conf.listeners_n; i++)
        if (s->g->listeners[i].listener)
            io_settings_use(s->r->conf.io, s->worker, i, &s->g->listeners[i]);
}

static void generation_use(struct reload *r, struct generation *g)
{
    listeners_make(r, g);
    for (uint32_t i = 0; i < io_workers(r->conf.io); i++)
        shard_ask(r->conf.io, i, swap, &(struct swap){r, g, i});
    __atomic_store_n(&r->conf.log->level, (int)g->conf->log.level, __ATOMIC_RELAXED);
    r->now = g;
}

/* ---- reading -------------------------------------------------------------------------------------- */

/* Also into the log, a line for each. */
static void faults_tell(const struct reload *r, const struct config_report *report, struct text *out)
{
    for (size_t i = 0; i < report->n; i++) {
        const struct config_note *n = &report->notes[i];
        bool is_error = n->severity == CONFIG_ERROR;
        text_printf(out, "%s%s%s%s%s: %s\n", is_error ? "" : "warning: ", n->where,
                    *n->where && *n->path ? ": " : "", n->path, "", n->message);
        LOG(r->conf.log, is_error ? LOG_ERROR : LOG_WARNING, "config %s where=\"%s\" key=%s error=\"%s\"",
            is_error ? "wrong" : "doubtful", n->where, *n->path ? n->path : "-", n->message);
    }
}

static struct config *read_again(const struct reload *r, struct text *out)
{
    struct config_report report;
    struct config_source source = {.file = r->conf.conf->file,
                                   .env = r->conf.env,
                                   .is_root = geteuid() == 0,
                                   .files = CONFIG_FILES_CHECKED};
    config_report_init(&report);
    struct config *conf = config_load(&source, &report);
    faults_tell(r, &report, out);
    config_report_fini(&report);
    return conf;
}

static bool has_users(const struct config_auth *c)
{
    return *c->password_file || *c->jwt_secret_file || *c->jwt_public_key_file || *c->jwt_jwks_file;
}

/* Files that the configuration names; what cannot be used stays as it was, and has its alarm. */
static void files_reload(const struct reload *r, struct text *out)
{
    struct acl_fault fault;
    if (has_users(&r->conf.conf->auth))
        text_add(out, authn_reload(r->conf.authn) == OK
                          ? "read again: users and their keys\n"
                          : "kept: the files of users or keys cannot be used, see the log\n");
    if (r->conf.conf->authorization.file[0])
        text_add(out, acl_reload(r->conf.acl_file, &fault) == OK
                          ? "read again: the file of rules\n"
                          : "kept: the file of rules cannot be used, see the log\n");
    io_certs_check(r->conf.io);
    if (io_certs_stale(r->conf.io))
        text_printf(out, "kept: certificates of %s cannot be used, see the log\n",
                    io_certs_stale(r->conf.io));
}

enum err reload_run(struct reload *r, struct admin_reloaded *out)
{
    struct config *fresh = read_again(r, &out->report);
    if (!fresh) {
        LOG(r->conf.log, LOG_ERROR, "config not reloaded: what was in force stays so");
        return ERR_INVALID;
    }
    struct generation *g = generation_new(fresh, r->now);
    uint32_t changed = diff(r->now->conf, fresh, false, NULL, &out->report);
    uint32_t waiting = diff(r->conf.conf, fresh, true, NULL, &out->report);
    g->owned = fresh;
    generation_use(r, g);
    files_reload(r, &out->report);
    text_printf(&out->report, "%u changed, %u need%s a restart\n", changed, waiting, waiting == 1 ? "s" : "");
    LOG(r->conf.log, LOG_NOTICE, "config reloaded changed=%u need_restart=%u", changed, waiting);
    reload_shown(r, &out->settings, &out->settings_n);
    return OK;
}

void reload_shown(const struct reload *r, const struct admin_setting **settings, size_t *n)
{
    *settings = r->now->shown;
    *n = r->now->shown_n;
}

/* ---- life ----------------------------------------------------------------------------------------- */

struct reload *reload_new(const struct reload_conf *conf)
{
    struct reload *r = mem_zalloc(sizeof *r);
    r->conf = *conf;
    r->now = generation_new(conf->conf, NULL);
    return r;
}

void reload_free(struct reload *r)
{
    if (!r)
        return;
    for (struct generation *g = r->now, *before; g; g = before) {
        before = g->before;
        config_free(g->owned);
        free(g->listeners);
        free(g->shown);
        free(g);
    }
    free(r);
}
