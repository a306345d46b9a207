/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_build.h"
#include "node/auth/hook.h"
#include "node/core/auto_subscribe.h"
#include "node/core/mount.h"
#include "node/core/rewrite.h"
#include "node/core/topic_metrics.h"
#include "node/io/access.h"
#include "node/io/authn_jwt.h"
#include "node/io/unix_socket.h"
#include "proto/base/check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

void config_build_note(struct config_build *b, enum config_severity severity, const struct config_item *item,
                       const char *message)
{
    const char *where = item->origin == CONFIG_FROM_DEFAULT ? "" : item->where;
    config_report_add(b->report, severity, where, item->path, "%s", message);
}

/* A certificate or key: a regular file that can be read. */
void config_build_file_check(struct config_build *b, const struct config_item *item)
{
    struct stat st;
    int trouble = 0;
    if (*item->text == 0 || b->source->files != CONFIG_FILES_CHECKED)
        return;
    if (stat(item->text, &st) != 0 || access(item->text, R_OK) != 0)
        trouble = errno;
    else if (!S_ISREG(st.st_mode))
        trouble = EINVAL;
    if (trouble)
        config_build_note(b, CONFIG_ERROR, item,
                          config_arena_printf(b->report->arena, "cannot read %s: %s", item->text,
                                              trouble == EINVAL ? "not a file" : strerror(trouble)));
}

static void ssl_check(struct config_build *b, size_t at)
{
    const struct config_listener *l = &b->conf->listeners[at];
    const struct config_item *certfile = config_build_listener_item(b, at, "ssl_options.certfile");
    const struct config_item *keyfile = config_build_listener_item(b, at, "ssl_options.keyfile");
    const struct config_item *cacertfile = config_build_listener_item(b, at, "ssl_options.cacertfile");
    const struct config_item *crlfile = config_build_listener_item(b, at, "ssl_options.crlfile");
    if (*certfile->text == 0 && !*l->ssl.psk_file)
        config_build_note(b, CONFIG_ERROR, certfile,
                          "must be given, or psk_file, since the listener is enabled");
    else if (*certfile->text && *keyfile->text == 0)
        config_build_note(b, CONFIG_ERROR, keyfile, "must be given with ssl_options.certfile");
    config_build_file_check(b, certfile);
    config_build_file_check(b, keyfile);
    config_build_file_check(b, cacertfile);
    config_build_file_check(b, crlfile);
    config_build_file_check(b, config_build_listener_item(b, at, "ssl_options.psk_file"));
    if (l->ssl.verify == VERIFY_PEER && *cacertfile->text == 0)
        config_build_note(b, CONFIG_ERROR, cacertfile, "must be given with ssl_options.verify verify_peer");
    if (l->ssl.verify == VERIFY_NONE && *crlfile->text)
        config_build_note(b, CONFIG_ERROR, crlfile, "needs ssl_options.verify verify_peer");
    if (l->ssl.verify == VERIFY_NONE && l->ssl.peer_cert_as_username != CERT_NAME_DISABLED)
        config_build_note(b, CONFIG_ERROR,
                          config_build_listener_item(b, at, "ssl_options.peer_cert_as_username"),
                          "needs ssl_options.verify verify_peer");
    if (l->ssl.verify == VERIFY_NONE && l->ssl.fail_if_no_peer_cert)
        config_build_note(b, CONFIG_ERROR,
                          config_build_listener_item(b, at, "ssl_options.fail_if_no_peer_cert"),
                          "needs ssl_options.verify verify_peer");
}

/* Whether anything of the listener was set by the user. */
static bool is_touched(struct config_build *b, size_t at)
{
    for (size_t i = 0; i < b->conf->items_n; i++) {
        if (b->conf->items[i].listener == at && b->conf->items[i].origin != CONFIG_FROM_DEFAULT)
            return true;
    }
    return false;
}

static void list_judge(struct config_build *b, size_t at, const char *key, const struct config_list *list,
                       const char *(*judge)(const char *text))
{
    for (size_t i = 0; i < list->n; i++) {
        const char *fault = judge(list->v[i]);
        if (fault)
            config_build_note(b, CONFIG_ERROR, config_build_listener_item(b, at, key),
                              config_arena_printf(b->report->arena, "\"%s\" %s", list->v[i], fault));
    }
}

static void jwt_files_check(struct config_build *b)
{
    static const char *const files[] = {"authentication.jwt.secret_file",
                                        "authentication.jwt.public_key_file", "authentication.jwt.jwks_file"};
    const struct config_list *claims = &b->conf->auth.jwt_verify_claims;
    const char *fault;
    size_t n = 0;
    for (size_t i = 0; i < array_len(files); i++) {
        const struct config_item *item = config_build_item(b, files[i]);
        config_build_file_check(b, item);
        n += *item->text != 0;
        if (*item->text && n > 1)
            config_build_note(b, CONFIG_ERROR, item,
                              "is one file too many: one of the files of jwt is enough");
    }
    for (size_t i = 0; i < claims->n; i++)
        if ((fault = authn_jwt_claim_judge(claims->v[i])))
            config_build_note(b, CONFIG_ERROR, config_build_item(b, "authentication.jwt.verify_claims"),
                              config_arena_printf(b->report->arena, "\"%s\" %s", claims->v[i], fault));
}

/* A server that is asked: its keys are below `under`. */
static void hook_check(struct config_build *b, const char *under, enum hook_use use,
                       const struct config_hook *h)
{
    struct config_arena *arena = b->report->arena;
    const char *fault = *h->url ? hook_url_judge(h->url, use) : NULL;
    if (fault)
        config_build_note(b, CONFIG_ERROR, config_build_item(b, config_arena_printf(arena, "%s.url", under)),
                          fault);
    if ((fault = hook_template_judge(h->body, use)))
        config_build_note(b, CONFIG_ERROR, config_build_item(b, config_arena_printf(arena, "%s.body", under)),
                          fault);
    for (size_t i = 0; i < h->headers.n; i++)
        if ((fault = hook_header_judge(h->headers.v[i])))
            config_build_note(b, CONFIG_ERROR,
                              config_build_item(b, config_arena_printf(arena, "%s.headers", under)),
                              config_arena_printf(arena, "\"%s\" %s", h->headers.v[i], fault));
    config_build_file_check(b, config_build_item(b, config_arena_printf(arena, "%s.ssl.cacertfile", under)));
}

static void path_check(struct config_build *b, const struct config_item *item)
{
    if (!unix_socket_path_fits(item->text))
        config_build_note(b, CONFIG_ERROR, item,
                          config_arena_printf(b->report->arena,
                                              "the path of a socket has at most %zu bytes: %s",
                                              sizeof((struct sockaddr_un *)0)->sun_path - 1, item->text));
}

static void access_check(struct config_build *b, size_t at)
{
    const struct config_listener *l = &b->conf->listeners[at];
    list_judge(b, at, "access_rules", &l->access_rules, access_rule_judge);
    list_judge(b, at, "proxy_protocol_trusted", &l->proxy_protocol_trusted, access_net_judge);
    if (l->proxy_protocol && !l->proxy_protocol_trusted.n)
        config_build_note(b, CONFIG_ERROR, config_build_listener_item(b, at, "proxy_protocol_trusted"),
                          "must be given with proxy_protocol: who else could say whose connection it is");
}

static void path_taken(struct config_build *b, size_t at, const char *by)
{
    config_build_note(
        b, CONFIG_ERROR, config_build_listener_item(b, at, "bind"),
        config_arena_printf(b->report->arena, "%s is taken by %s", b->conf->listeners[at].path, by));
}

static void unix_check(struct config_build *b, size_t at)
{
    const struct config_listener *l = &b->conf->listeners[at];
    gid_t group;
    if (strlen(l->mode_text) != 4 || l->mode_text[0] != '0' || strspn(l->mode_text, "01234567") != 4)
        config_build_note(b, CONFIG_ERROR, config_build_listener_item(b, at, "mode"),
                          "must be an octal number of four digits such as 0660");
    if (*l->group && b->source->files == CONFIG_FILES_CHECKED && !unix_socket_group(l->group, &group))
        config_build_note(b, CONFIG_ERROR, config_build_listener_item(b, at, "group"),
                          config_arena_printf(b->report->arena, "there is no group %s", l->group));
    path_check(b, config_build_listener_item(b, at, "bind"));
    if (strcmp(l->path, b->conf->node.ctl_socket) == 0)
        path_taken(b, at, "node.ctl_socket");
    for (size_t i = 0; i < at; i++) {
        const struct config_listener *other = &b->conf->listeners[i];
        if (other->enable && other->path && strcmp(other->path, l->path) == 0)
            path_taken(b, at, config_arena_printf(b->report->arena, "the listener %s", other->id));
    }
}

static void listener_check(struct config_build *b, size_t at)
{
    const struct config_listener *l = &b->conf->listeners[at];
    const struct config_item *bind = config_build_listener_item(b, at, "bind");
    bool has_ssl = l->kind == LISTENER_SSL || l->kind == LISTENER_WSS;
    bool has_ws = l->kind == LISTENER_WS || l->kind == LISTENER_WSS;
    const char *fault;
    if (!l->enable) {
        if (has_ssl && is_touched(b, at) && config_build_listener_item(b, at, "enable")->is_auto)
            config_build_note(
                b, CONFIG_WARNING, config_build_listener_item(b, at, "enable"),
                "the listener is not enabled, since neither ssl_options.certfile nor psk_file is given");
        return;
    }
    if (l->path ? !*l->path : l->bind.len == 0) {
        config_build_note(b, CONFIG_ERROR, bind, "must be given: the address that the listener listens on");
        return;
    }
    if ((fault = mount_judge(l->mountpoint)))
        config_build_note(b, CONFIG_ERROR, config_build_listener_item(b, at, "mountpoint"), fault);
    if (l->path) {
        unix_check(b, at);
        return;
    }
    access_check(b, at);
    for (size_t i = 0; i < at; i++) {
        const struct config_listener *other = &b->conf->listeners[i];
        if (other->enable && other->bind.len && config_addr_collides(&other->bind, &l->bind))
            config_build_note(b, CONFIG_ERROR, bind,
                              config_arena_printf(b->report->arena, "%s is taken by the listener %s on %s",
                                                  l->bind_text, other->id, other->bind_text));
    }
    if (has_ssl)
        ssl_check(b, at);
    if (has_ws && l->ws.max_frame_size < l->max_packet_size)
        config_build_note(
            b, CONFIG_WARNING, config_build_listener_item(b, at, "websocket.max_frame_size"),
            "is less than max_packet_size: clients must split large packets into several frames");
    if (!l->is_loopback && !l->allow_anonymous && !l->vet.n)
        config_build_note(
            b, CONFIG_WARNING, bind,
            "can be reached from other machines, and no authentication is configured: clients are refused; "
            "see allow_anonymous");
    if (!l->is_loopback && l->allow_anonymous)
        config_build_note(b, CONFIG_WARNING, config_build_listener_item(b, at, "allow_anonymous"),
                          "anybody who can reach the listener may publish and subscribe");
}

static void node_check(struct config_build *b)
{
    const struct config_node *node = &b->conf->node;
    const char *at = strchr(node->name, '@');
    /* The name is a level of topics under $SYS, and is printed in single quotes. */
    if (!at || at == node->name || at[1] == 0 || strchr(at + 1, '@') || strpbrk(node->name, "/+#' \"\\"))
        config_build_note(b, CONFIG_ERROR, config_build_item(b, "node.name"),
                          "must be name@host without blanks, quotes, /, + or #");
    path_check(b, config_build_item(b, "node.ctl_socket"));
}

/* Paths that must lead somewhere. */
static void paths_check(struct config_build *b)
{
    static const char *const paths[] = {"node.data_dir", "node.ctl_socket", "node.pid_file", "log.file"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const struct config_item *item = config_build_item(b, paths[i]);
        if (*item->text == 0)
            config_build_note(b, CONFIG_ERROR, item, "must not be empty");
    }
}

static void mqtt_check(struct config_build *b)
{
    const struct config_mqtt *m = &b->conf->mqtt;
    if (m->receive_maximum > m->max_awaiting_rel)
        config_build_note(b, CONFIG_WARNING, config_build_item(b, "mqtt.receive_maximum"),
                          "is more than mqtt.max_awaiting_rel; the lower of the two is in force");
    if (m->server_keepalive_ms % 1000)
        config_build_note(b, CONFIG_ERROR, config_build_item(b, "mqtt.server_keepalive"),
                          "must be whole seconds");
    if (m->keepalive_multiplier_percent < 150)
        config_build_note(b, CONFIG_WARNING, config_build_item(b, "mqtt.keepalive_multiplier"),
                          "is less than the 1.5 that MQTT lets clients rely on");
}

static void bind_taken(struct config_build *b, const char *path, const struct config_http *http,
                       const char *by, const char *by_text)
{
    config_build_note(b, CONFIG_ERROR, config_build_item(b, path),
                      config_arena_printf(b->report->arena, "%s is taken by the listener %s on %s",
                                          http->bind_text, by, by_text));
}

static void http_bind_check(struct config_build *b, const char *path, const struct config_http *http)
{
    for (size_t i = 0; i < b->conf->listeners_n; i++) {
        const struct config_listener *l = &b->conf->listeners[i];
        if (l->enable && l->bind.len && config_addr_collides(&l->bind, &http->bind))
            bind_taken(b, path, http, l->id, l->bind_text);
    }
}

static void https_check(struct config_build *b)
{
    const struct config_http *http = &b->conf->http, *https = &b->conf->https;
    static const char bind[] = "dashboard.listeners.https.bind";
    const struct config_item *certfile = config_build_item(b, "dashboard.listeners.https.certfile");
    const struct config_item *keyfile = config_build_item(b, "dashboard.listeners.https.keyfile");
    http_bind_check(b, bind, https);
    if (http->enable && config_addr_collides(&http->bind, &https->bind))
        bind_taken(b, bind, https, "dashboard.listeners.http", http->bind_text);
    if (!*certfile->text)
        config_build_note(b, CONFIG_ERROR, certfile, "must be given, since the listener is enabled");
    else if (!*keyfile->text)
        config_build_note(b, CONFIG_ERROR, keyfile, "must be given with certfile");
    config_build_file_check(b, certfile);
    config_build_file_check(b, keyfile);
}

static void http_check(struct config_build *b)
{
    if (b->conf->http.enable)
        http_bind_check(b, "dashboard.listeners.http.bind", &b->conf->http);
    if (b->conf->https.enable)
        https_check(b);
}

static void overload_check(struct config_build *b)
{
    const struct config_overload *o = &b->conf->overload;
    if (o->critical_lag_ms < o->max_lag_ms)
        config_build_note(b, CONFIG_ERROR, config_build_item(b, "overload_protection.critical_lag"),
                          "must not be less than overload_protection.max_lag");
    if (o->critical_memory < o->max_memory)
        config_build_note(b, CONFIG_ERROR, config_build_item(b, "overload_protection.critical_memory"),
                          "must not be less than overload_protection.max_memory");
}

static void rules_check(struct config_build *b)
{
    char why[256];
    if (!rewrite_check(b->conf->rewrite_rules, why, sizeof why))
        config_build_note(b, CONFIG_ERROR, config_build_item(b, "rewrite.rules"),
                          config_arena_printf(b->report->arena, "%s", why));
    if (!topic_metrics_check(b->conf->topic_metrics_topics, why, sizeof why))
        config_build_note(b, CONFIG_ERROR, config_build_item(b, "topic_metrics.topics"),
                          config_arena_printf(b->report->arena, "%s", why));
    if (!auto_subscribe_check(b->conf->auto_subscribe_topics, why, sizeof why))
        config_build_note(b, CONFIG_ERROR, config_build_item(b, "auto_subscribe.topics"),
                          config_arena_printf(b->report->arena, "%s", why));
}

void config_check(struct config_build *b)
{
    size_t enabled = 0;
    config_build_file_check(b, config_build_item(b, "authentication.password_file"));
    jwt_files_check(b);
    hook_check(b, "authentication.http", HOOK_AUTHN, &b->conf->auth.http);
    hook_check(b, "authorization.http", HOOK_AUTHZ, &b->conf->authorization.http);
    node_check(b);
    paths_check(b);
    config_build_file_check(b, config_build_item(b, "authorization.file"));
    mqtt_check(b);
    overload_check(b);
    rules_check(b);
    config_cluster_check(b);
    http_check(b);
    for (size_t i = 0; i < b->conf->listeners_n; i++) {
        listener_check(b, i);
        enabled += b->conf->listeners[i].enable;
    }
    if (enabled == 0)
        config_report_add(b->report, CONFIG_WARNING, "", "listeners", "none is enabled: nobody can connect");
}
