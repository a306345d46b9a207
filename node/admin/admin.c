/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/admin.h"

#include "node/admin/herald.h"
#include "node/admin/http.h"
#include "node/admin/reload.h"
#include "node/admin/server.h"
#include "node/admin/watch.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct admin {
    struct admin_env env;
    struct event_base *base;
    struct event *stop_event;
    int stop_fd; /* written to when the loop is to end */
    struct event *reload_event;
    int reload_fd; /* written to when the configuration is to be read again */
    struct server *server;
    struct http *http; /* NULL: not wanted */
    struct herald *herald;
    struct watch *watch;
    pthread_t thread;
    bool has_thread;
};

static void *admin_main(void *arg)
{
    struct admin *a = arg;
    event_base_dispatch(a->base);
    return NULL;
}

static void on_stop(evutil_socket_t fd, short what, void *arg)
{
    struct admin *a = arg;
    (void)fd;
    (void)what;
    event_base_loopbreak(a->base);
}

const struct admin_reload *admin_reload(struct admin_env *env)
{
    struct admin *a = container_of(env, struct admin, env);
    struct admin_conf *conf = &env->conf;
    const struct admin_reload *r = conf->reload(conf->reload_ctx);
    bool has_other_times =
        conf->sys_interval_ms != r->sys_interval_ms || conf->sys_heartbeat_ms != r->sys_heartbeat_ms;
    env->reload = r;
    conf->settings = r->settings;
    conf->settings_n = r->settings_n;
    conf->sys_interval_ms = r->sys_interval_ms;
    conf->sys_heartbeat_ms = r->sys_heartbeat_ms;
    if (has_other_times) {
        herald_free(a->herald);
        a->herald = herald_new(env, a->base);
    }
    return r;
}

static void on_reload(evutil_socket_t fd, short what, void *arg)
{
    struct admin *a = arg;
    uint64_t times;
    (void)what;
    if (read(fd, &times, sizeof times) == sizeof times)
        admin_reload(&a->env);
}

void admin_reload_soon(struct admin *a)
{
    uint64_t one = 1;
    ssize_t n = write(a->reload_fd, &one, sizeof one);
    (void)n; /* full: it is on its way already */
}

static struct event_base *base_new(void)
{
    struct event_config *conf = event_config_new();
    CHECK(conf);
    /* Everything of this loop happens on one thread. */
    event_config_set_flag(conf, EVENT_BASE_FLAG_NOLOCK);
    struct event_base *base = event_base_new_with_config(conf);
    event_config_free(conf);
    return base;
}

static enum err admin_open(struct admin *a)
{
    a->base = base_new();
    a->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    a->reload_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!a->base || a->stop_fd < 0 || a->reload_fd < 0)
        return ERR_LIMIT;
    a->stop_event = event_new(a->base, a->stop_fd, EV_READ, on_stop, a);
    CHECK(a->stop_event && event_add(a->stop_event, NULL) == 0);
    a->reload_event = event_new(a->base, a->reload_fd, EV_READ | EV_PERSIST, on_reload, a);
    CHECK(a->reload_event && event_add(a->reload_event, NULL) == 0);
    enum err e = OK;
    if (a->env.conf.http[ADMIN_HTTP].addr_n || a->env.conf.http[ADMIN_HTTPS].addr_n)
        e = http_new(&a->http, &a->env, a->base);
    if (e == OK) /* The last to listen: who finds it open finds all else open. */
        e = server_new(&a->server, &a->env, a->base);
    if (e != OK)
        return e;
    a->herald = herald_new(&a->env, a->base);
    a->watch = watch_new(&a->env, a->base);
    a->has_thread = pthread_create(&a->thread, NULL, admin_main, a) == 0;
    return a->has_thread ? OK : ERR_LIMIT;
}

enum err admin_new(struct admin **out, const struct admin_conf *conf)
{
    struct admin *a = mem_zalloc(sizeof *a);
    a->stop_fd = a->reload_fd = -1;
    uint64_t now_ms = wall_ms();
    a->env.conf = *conf;
    a->env.figures = (struct figures){
        .io = conf->io, .writer = conf->writer, .store = conf->store, .cluster = conf->cluster};
    a->env.started_ms = mono_ms() - (now_ms > conf->boot_wall_ms ? now_ms - conf->boot_wall_ms : 0);
    enum err e = admin_open(a);
    if (e != OK) {
        LOG(conf->log, LOG_ERROR, "admin not started error=\"%s\"", err_name(e));
        admin_free(a);
        return e;
    }
    *out = a;
    return OK;
}

void admin_free(struct admin *a)
{
    uint64_t one = 1;
    if (!a)
        return;
    if (a->has_thread) {
        CHECK(write(a->stop_fd, &one, sizeof one) == sizeof one);
        pthread_join(a->thread, NULL);
    }
    watch_free(a->watch);
    herald_free(a->herald);
    http_free(a->http);
    server_free(a->server);
    if (a->stop_event)
        event_free(a->stop_event);
    if (a->reload_event)
        event_free(a->reload_event);
    if (a->stop_fd >= 0)
        close(a->stop_fd);
    if (a->reload_fd >= 0)
        close(a->reload_fd);
    if (a->base)
        event_base_free(a->base);
    free(a);
}
