/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_build.h"

#include "node/app/cpus.h"
#include "node/app/memory_limit.h"
#include "proto/base/check.h"

#include <stdlib.h>
#include <string.h>

static const char *env_find(struct config_build *b, const char *name)
{
    size_t n = strlen(name);
    for (const char *const *env = b->source->env; env && *env; env++) {
        if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
            return *env + n + 1;
    }
    return "";
}

static bool is_auto(struct config_build *b, const char *path)
{
    const struct config_item *item = config_build_item(b, path);
    CHECK(item != NULL);
    return item->is_auto;
}

/* Root's node is the one of this machine; anybody else's is his own (XDG Base Directory Specification). */
static const char *data_dir(struct config_build *b)
{
    const char *xdg = env_find(b, "XDG_DATA_HOME"), *home = env_find(b, "HOME");
    if (b->source->is_root)
        return "/var/lib/covey";
    if (*xdg == '/')
        return config_arena_printf(b->conf->arena, "%s/covey", xdg);
    if (*home == '/')
        return config_arena_printf(b->conf->arena, "%s/.local/share/covey", home);
    config_report_add(b->report, CONFIG_ERROR, "", "node.data_dir",
                      "must be given, since the environment has no HOME");
    return "/nonexistent";
}

static void node_resolve(struct config_build *b)
{
    struct config *conf = b->conf;
    if (is_auto(b, "node.data_dir") || *conf->node.data_dir == 0)
        conf->node.data_dir = data_dir(b);
    if (is_auto(b, "node.ctl_socket"))
        conf->node.ctl_socket = config_arena_printf(conf->arena, "%s/ctl.sock", conf->node.data_dir);
    if (is_auto(b, "node.pid_file"))
        conf->node.pid_file = config_arena_printf(conf->arena, "%s/covey.pid", conf->node.data_dir);
    if (is_auto(b, "log.file"))
        conf->log.file = config_arena_printf(conf->arena, "%s/log/covey.log", conf->node.data_dir);
    if (conf->node.workers == 0) {
        conf->node.workers = cpus_usable();
        config_build_item(b, "node.workers")->is_auto = true;
    }
}

static void overload_resolve(struct config_build *b)
{
    struct config_overload *o = &b->conf->overload;
    uint64_t percent = memory_usable() / 100;
    if (is_auto(b, "overload_protection.max_memory"))
        o->max_memory = 80 * percent;
    if (is_auto(b, "overload_protection.critical_memory"))
        o->critical_memory = 90 * percent;
}

/* Methods by enum vet_step. */
static const char *const steps[] = {
    [VET_CERTIFICATE] = "certificate",     [VET_PSK] = "psk",   [VET_JWT] = "jwt",
    [VET_PASSWORD_FILE] = "password_file", [VET_HTTP] = "http",
};

bool config_has_jwt(const struct config *conf)
{
    return *conf->auth.jwt_secret_file || *conf->auth.jwt_public_key_file || *conf->auth.jwt_jwks_file;
}

static bool step_is_configured(const struct config *conf, const struct config_listener *l, enum vet_step step)
{
    switch (step) {
    case VET_CERTIFICATE:
        return l->ssl.peer_cert_as_username != CERT_NAME_DISABLED;
    case VET_PSK:
        return l->ssl.psk_file && *l->ssl.psk_file;
    case VET_JWT:
        return config_has_jwt(conf);
    case VET_PASSWORD_FILE:
        return *conf->auth.password_file != 0;
    case VET_HTTP:
        return *conf->auth.http.url != 0;
    }
    return false;
}

static void step_add(struct vet_chain *chain, size_t step)
{
    for (uint32_t i = 0; i < chain->n; i++) {
        if (chain->step[i] == step)
            return;
    }
    chain->step[chain->n++] = (uint8_t)step;
}

static void step_resolve(struct config_build *b, size_t at, const char *name)
{
    struct config_listener *l = &b->conf->listeners[at];
    struct config_item *item = config_build_listener_item(b, at, "authentication");
    bool is_auto = strcmp(name, "auto") == 0, found = is_auto;
    for (size_t i = 0; i < array_len(steps); i++) {
        bool is_this = strcmp(name, steps[i]) == 0;
        found |= is_this;
        if (step_is_configured(b->conf, l, (enum vet_step)i) && (is_this || is_auto))
            step_add(&l->vet, i);
        else if (is_this)
            config_build_note(b, CONFIG_ERROR, item,
                              config_arena_printf(b->conf->arena, "%s is not configured", name));
    }
    if (!found)
        config_build_note(b, CONFIG_ERROR, item,
                          config_arena_printf(b->conf->arena, "no such method: %s", name));
}

static void unix_resolve(struct config_listener *l)
{
    l->is_loopback = true;
    l->bind_text = l->path;
    l->mode = (unsigned)strtoul(l->mode_text, NULL, 8);
}

static void listener_resolve(struct config_build *b, size_t at)
{
    struct config_listener *l = &b->conf->listeners[at];
    enum config_auto anonymous = b->conf->mqtt.allow_anonymous;
    if (l->kind == LISTENER_UNIX)
        unix_resolve(l);
    else
        l->bind_text = l->bind.len ? config_addr_text(&l->bind, b->conf->arena) : "";
    l->is_loopback |= l->bind.len != 0 && config_addr_is_loopback(&l->bind);
    if (config_build_listener_item(b, at, "enable")->is_auto)
        l->enable = l->path ? *l->path != 0 : *l->ssl.certfile || *l->ssl.psk_file;
    if (config_build_listener_item(b, at, "max_packet_size")->is_auto)
        l->max_packet_size = b->conf->mqtt.max_packet_size;
    for (size_t i = 0; i < l->authentication.n; i++)
        step_resolve(b, at, l->authentication.v[i]);
    if (config_build_listener_item(b, at, "allow_anonymous")->is_auto)
        l->allow_anonymous = anonymous == CONFIG_AUTO ? l->is_loopback && !l->vet.n : anonymous == CONFIG_YES;
}

void config_resolve(struct config_build *b)
{
    node_resolve(b);
    config_cluster_resolve(b);
    overload_resolve(b);
    b->conf->http.bind_text = config_addr_text(&b->conf->http.bind, b->conf->arena);
    b->conf->https.bind_text = config_addr_text(&b->conf->https.bind, b->conf->arena);
    for (size_t i = 0; i < b->conf->listeners_n; i++)
        listener_resolve(b, i);
    for (size_t i = 0; i < b->conf->items_n; i++) {
        struct config_item *item = &b->conf->items[i];
        struct config_value v;
        config_value_fetch(item->key, &v, config_build_base(b, item));
        if (item->key->type == CONFIG_ADDR && v.addr.len == 0)
            continue;
        /* The store and the cluster thread make their own choice. */
        v.is_auto = item->is_auto && ((item->key->type == CONFIG_SIZE && v.u == 0) ||
                                      (item->key->type == CONFIG_STRING && *v.s == 0));
        item->text = config_value_text(item->key, &v, b->conf->arena);
    }
}
