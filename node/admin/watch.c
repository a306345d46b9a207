/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/watch.h"

#include "node/admin/process.h"
#include "node/admin/reload.h"
#include "node/admin/tracing.h"
#include "node/io/acl_file.h"
#include "node/io/certs.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

enum { NEARLY_PERCENT = 90 };

struct watch {
    struct admin_env *env;
    struct event *tick;
};

static bool is_nearly(uint64_t used, uint64_t max)
{
    return max && used / NEARLY_PERCENT >= max / 100;
}

static void store_look(struct admin_env *env, uint64_t wall_ms)
{
    struct writer_stats w = {0};
    uint64_t used, max;
    figures_writer(&env->figures, &w);
    if (w.failed_in_row)
        alarm_on(&env->alarms, wall_ms, "store_failing",
                 "What clients send cannot be stored; %llu commits in a row failed",
                 (unsigned long long)w.failed_in_row);
    store_usage(env->conf.store, &used, &max);
    if (is_nearly(used, max))
        alarm_on(&env->alarms, wall_ms, "store_nearly_full", "The store has %llu of at most %llu MB",
                 (unsigned long long)(used >> 20), (unsigned long long)(max >> 20));
}

static void process_look(struct admin_env *env, uint64_t wall_ms)
{
    struct process_info p;
    process_info(&p);
    if (is_nearly(p.fds, p.fds_max))
        alarm_on(&env->alarms, wall_ms, "descriptors_nearly_used",
                 "%llu of at most %llu descriptors are used", (unsigned long long)p.fds,
                 (unsigned long long)p.fds_max);
}

/* The listener whose certificates cannot be used; NULL: none. */
static const char *certs_look(struct admin_env *env)
{
    if (env->https_certs)
        certs_check(env->https_certs);
    return env->https_certs && certs_is_stale(env->https_certs) ? "https" : io_certs_stale(env->conf.io);
}

static void log_look(struct admin_env *env, uint64_t wall_ms)
{
    struct log_sink *log = env->conf.log;
    if (log && __atomic_load_n(&log->is_failing, __ATOMIC_RELAXED))
        alarm_on(&env->alarms, wall_ms, "log_failing", "The log cannot be written; %llu lines are lost",
                 (unsigned long long)__atomic_load_n(&log->lost, __ATOMIC_RELAXED));
}

static void secrets_look(struct admin_env *env, uint64_t wall_ms)
{
    const struct admin_conf *conf = &env->conf;
    const char *listener = certs_look(env);
    if (conf->auth_is_down && conf->auth_is_down(conf->auth_ctx))
        alarm_on(&env->alarms, wall_ms, "authentication_server",
                 "The server of authentication.http does not answer; the log says why");
    if (conf->authz_is_down && conf->authz_is_down(conf->auth_ctx))
        alarm_on(&env->alarms, wall_ms, "authorization_server",
                 "The server of authorization.http does not answer; the log says why");
    if (conf->auth_is_stale && conf->auth_is_stale(conf->auth_ctx))
        alarm_on(&env->alarms, wall_ms, "password_file",
                 "The password file cannot be used, the users read before stay in force; the log says why");
    if (listener)
        alarm_on(&env->alarms, wall_ms, "certificates",
                 "New certificates of the listener %s cannot be used, those read before stay in use; the log "
                 "says why",
                 listener);
}

static void config_look(struct admin_env *env, uint64_t wall_ms)
{
    const struct admin_reload *r = env->reload;
    if (r && !r->is_good)
        alarm_on(&env->alarms, wall_ms, "configuration",
                 "The configuration cannot be used, what was read before stays in force: %.*s",
                 (int)strcspn(r->fault, "\n"), r->fault);
}

static void acl_look(struct admin_env *env, uint64_t wall_ms)
{
    struct acl_fault fault;
    if (env->conf.acl_file && acl_file_is_stale(env->conf.acl_file, &fault))
        alarm_on(&env->alarms, wall_ms, "authorization_file",
                 "The file of rules cannot be used, those read before stay in force: line %u: %s",
                 (unsigned)fault.line, fault.what);
}

static void peer_look(struct admin_env *env, uint64_t wall_ms, const struct mesh_peer_info *p)
{
    char name[ALARM_NAME_MAX];
    if (p->member.state == MEMBER_LEFT)
        return;
    bool is_alive = p->member.state <= MEMBER_SUSPECT;
    if (is_alive && (p->is_linked || !p->linked_since_ms))
        return;
    snprintf(name, sizeof name, "%s/%s", is_alive ? "node_unlinked" : "node_down", p->member.name);
    alarm_on(&env->alarms, wall_ms, name, is_alive ? "No connection to the node%s%s" : "The node is down%s%s",
             p->link_why[0] ? ": " : "", p->link_why);
}

static void cluster_look(struct admin_env *env, uint64_t wall_ms)
{
    struct mesh_info info;
    if (cluster_view_info(env->conf.cluster, &info))
        for (uint32_t i = 0; i < info.peers_n; i++)
            peer_look(env, wall_ms, &info.peers[i]);
    free(info.peers);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    const struct watch *w = arg;
    struct admin_env *env = w->env;
    uint64_t now_ms = wall_ms();
    (void)fd;
    (void)what;
    alarms_begin(&env->alarms);
    store_look(env, now_ms);
    process_look(env, now_ms);
    config_look(env, now_ms);
    log_look(env, now_ms);
    acl_look(env, now_ms);
    secrets_look(env, now_ms);
    cluster_look(env, now_ms);
    alarms_end(&env->alarms, now_ms);
    tracing_tick(env);
}

struct watch *watch_new(struct admin_env *env, struct event_base *base)
{
    static const struct timeval every = {1, 0};
    struct watch *w = mem_zalloc(sizeof *w);
    w->env = env;
    env->alarms.log = env->conf.log;
    w->tick = event_new(base, -1, EV_PERSIST, on_tick, w);
    CHECK(w->tick && event_add(w->tick, &every) == 0);
    return w;
}

void watch_free(struct watch *w)
{
    if (!w)
        return;
    event_free(w->tick);
    free(w);
}
