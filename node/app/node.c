/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/node.h"

#include "node/admin/admin.h"
#include "node/app/cluster.h"
#include "node/app/core_dumps.h"
#include "node/app/logger.h"
#include "node/app/notify.h"
#include "node/app/reload.h"
#include "node/io/acl_file.h"
#include "node/io/authn.h"
#include "node/io/authz.h"
#include "node/io/io.h"
#include "node/io/traces.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"
#include "storage/writer.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { CLUSTER_STOP_MS = 2000 };

/* The parts of a running node, in the order in which they start; they end in the opposite one. */
struct parts {
    const struct config *conf;
    struct log_sink *log;
    struct reload *reload;
    struct traces *traces;
    char *trace_folder;
    struct store *store;
    struct writer *writer;
    struct node *node;
    struct cluster_io *cluster; /* NULL: the node is alone */
    struct cluster_view_ops cluster_view;
    struct authn *authn;
    struct authz *authz; /* NULL: no server is asked */
    struct acl_file *acl_file;
    struct io *io;
    struct admin *admin;
    struct notify *notify; /* NULL: no service manager listens */
    uint64_t boot_wall_ms;
    struct node_id id;
    uint64_t boot_epoch;
    uint8_t home_key[16];
    uint32_t workers_before;
};

/* A broker needs descriptors: as many as it may have. */
static void descriptors_raise(struct log_sink *log)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &r) != 0)
            LOG(log, LOG_WARNING, "node descriptors kept limit=%llu", (unsigned long long)r.rlim_cur);
    }
}

/* The identity of the data directory: a random id made once, and an epoch that grows at each start. */
static enum err identity_load(struct parts *p)
{
    struct store_reader *r;
    struct bytes v;
    uint8_t epoch[8];
    struct store_batch b;
    const struct store_batch *batches[1] = {&b};
    enum err e = store_reader_new(&r, p->store);
    if (e != OK)
        return e;
    e = store_read_begin(r);
    if (e != OK) {
        store_reader_free(r);
        return e;
    }
    store_batch_init(&b);
    if (store_get(r, STORE_META, bytes_str("node_id"), &v) != OK || !node_id_read(&p->id, v)) {
        randombytes_buf(p->id.b, sizeof p->id.b);
        store_batch_put(&b, STORE_META, bytes_str("node_id"), node_id_bytes(&p->id));
    }
    if (store_get(r, STORE_META, bytes_str("boot_epoch"), &v) == OK && v.n == 8)
        p->boot_epoch = be64_get(v.p);
    be64_put(epoch, ++p->boot_epoch);
    store_batch_put(&b, STORE_META, bytes_str("boot_epoch"), bytes_of(epoch, sizeof epoch));
    if (store_get(r, STORE_META, bytes_str("home_key"), &v) == OK && v.n == sizeof p->home_key) {
        memcpy(p->home_key, v.p, v.n);
    } else {
        randombytes_buf(p->home_key, sizeof p->home_key);
        store_batch_put(&b, STORE_META, bytes_str("home_key"), bytes_of(p->home_key, sizeof p->home_key));
    }
    if (store_get(r, STORE_META, bytes_str("workers"), &v) == OK && v.n == 4)
        p->workers_before = be32_get(v.p);
    store_read_end(r);
    store_reader_free(r);
    e = store_commit(p->store, batches, 1);
    store_batch_fini(&b);
    /* A full disk must not keep a node from serving what it has. */
    if (e != OK)
        LOG(p->log, LOG_WARNING, "node boot epoch not stored error=\"%s\"", err_name(e));
    return OK;
}

static enum err store_start(struct parts *p)
{
    const struct config_storage *s = &p->conf->storage;
    struct store_conf sc = {.dir = p->conf->node.data_dir,
                            .sync = s->sync,
                            .interval_ms = (uint32_t)s->sync_interval_ms,
                            .map_bytes_max = s->map_size,
                            .log = p->log};
    enum err e = store_open_lmdb(&p->store, &sc);
    if (e == OK)
        e = identity_load(p);
    if (e == OK)
        e = writer_new(&p->writer, p->store, &sc);
    return e;
}

/* Noted once what the old number of workers was needed for is done. */
static enum err workers_store(struct parts *p)
{
    uint8_t workers[4];
    struct store_batch b;
    const struct store_batch *batches[1] = {&b};
    if (p->workers_before == p->conf->node.workers)
        return OK;
    be32_put(workers, (uint32_t)p->conf->node.workers);
    store_batch_init(&b);
    store_batch_put(&b, STORE_META, bytes_str("workers"), bytes_of(workers, sizeof workers));
    enum err e = store_commit(p->store, batches, 1);
    store_batch_fini(&b);
    if (e != OK)
        LOG(p->log, LOG_WARNING, "node number of workers not stored error=\"%s\"", err_name(e));
    return OK;
}

/* Before anything else runs: with a file that cannot be used the node does not start. */
static enum err rights_make(struct parts *p)
{
    struct acl_file_conf acl = {
        .path = p->conf->authorization.file,
        .no_match = p->conf->authorization.no_match,
        .log = p->log,
    };
    struct authn_conf authn = authn_conf_of(p->conf, p->log);
    struct authz_conf authz = authz_conf_of(p->conf);
    enum err e = acl_file_new(&p->acl_file, &acl);
    if (e == OK)
        e = authn_new(&p->authn, &authn);
    if (e == OK)
        p->authz = authz_new(&authz, (uint32_t)p->conf->node.workers, p->log);
    return e;
}

static enum err core_start(struct parts *p)
{
    struct acl *acl = acl_file_acl(p->acl_file);
    size_t folder_n = strlen(p->conf->node.data_dir) + sizeof "/trace";
    p->trace_folder = mem_alloc(folder_n);
    snprintf(p->trace_folder, folder_n, "%s/trace", p->conf->node.data_dir);
    p->traces = traces_new(&(struct traces_conf){.folder = p->trace_folder,
                                                 .bytes_max = p->conf->trace.max_file_size,
                                                 .shards = (uint32_t)p->conf->node.workers,
                                                 .log = p->log});
    const struct config_authorization *az = &p->conf->authorization;
    struct node_conf nc = {
        .name = p->conf->node.name,
        .version = COVEY_VERSION,
        .shards = (uint32_t)p->conf->node.workers,
        .boot_wall_ms = p->boot_wall_ms,
        .shards_before = p->workers_before,
        .id = p->id,
        .epoch = p->boot_epoch,
        .is_clustered = p->conf->cluster.enable,
        .commit_ops = (uint32_t)p->conf->storage.commit_ops,
        .settings = &reload_generation(p->reload)->settings,
        .acl = acl,
        .acl_slots = az->cache_enable ? (uint32_t)az->cache_max_size : 0,
        .store = p->store,
        .trace = traces_sink(p->traces),
        .vet = authn_ops(p->authn),
        .asks = authz_ops(p->authz),
        .log = p->log,
        .defer_free = io_defer_free,
    };
    randombytes_buf(&nc.seed, sizeof nc.seed);
    memcpy(nc.home_key, p->home_key, sizeof nc.home_key);
    enum err e = node_new(&p->node, &nc);
    acl_unref(acl); /* the shards have their own */
    if (e == OK)
        e = node_load(p->node);
    if (e != OK)
        LOG(p->log, LOG_ERROR, "node data not usable dir=\"%s\" error=\"%s\"", p->conf->node.data_dir,
            err_name(e));
    else
        traces_resume(p->traces, p->node);
    return e == OK ? workers_store(p) : e;
}

static void to_worker(void *ctx, uint32_t shard, struct mailbag *bag)
{
    struct parts *p = ctx;
    io_post(p->io, shard, bag);
}

/* Its thread starts later, when there are workers to send to. */
static enum err cluster_make(struct parts *p)
{
    struct cluster_io_conf cc;
    if (!p->conf->cluster.enable)
        return OK;
    cluster_conf_of(&cc, p->conf);
    cc.mesh.node = p->node;
    cc.mesh.id = p->id;
    cc.mesh.epoch = p->boot_epoch;
    randombytes_buf(&cc.mesh.seed, sizeof cc.mesh.seed);
    cc.mesh.log = cc.log = p->log;
    cc.shards = (uint32_t)p->conf->node.workers;
    cc.post = to_worker;
    cc.post_ctx = p;
    return cluster_io_new(&p->cluster, &cc);
}

static enum err io_part_start(struct parts *p)
{
    const struct generation *g = reload_generation(p->reload);
    struct io_conf ic = {
        .node = p->node,
        .writer = p->writer,
        .listeners = g->listeners,
        .listeners_n = g->listeners_n,
        .cluster = p->cluster,
        .commit_interval_ms = (uint32_t)((p->conf->storage.commit_interval_us + 999) / 1000),
        .log = p->log,
    };
    enum err e = io_new(&p->io, &ic);
    if (e == OK)
        e = authn_start(p->authn, to_worker, p);
    if (e == OK)
        e = authz_start(p->authz, to_worker, p);
    if (e == OK)
        acl_file_start(p->acl_file, (uint32_t)p->conf->node.workers, to_worker, p);
    if (e == OK)
        e = io_start(p->io);
    return e == OK && p->cluster ? cluster_io_start(p->cluster) : e;
}

static enum err view_ask(void *ctx, void (*fn)(struct mesh *m, void *arg), void *arg)
{
    return cluster_io_ask(ctx, fn, arg);
}

static void view_io_stats(void *ctx, struct cluster_io_stats *out)
{
    cluster_io_stats(ctx, out);
}

static bool auth_is_down(void *ctx)
{
    struct parts *p = ctx;
    return authn_is_server_down(p->authn);
}

static bool authz_on(void *ctx)
{
    struct parts *p = ctx;
    return authz_is_on(p->authz);
}

static bool authz_down(void *ctx)
{
    struct parts *p = ctx;
    return authz_is_down(p->authz);
}

static bool auth_is_stale(void *ctx)
{
    struct parts *p = ctx;
    return authn_is_stale(p->authn);
}

static enum err auth_reload(void *ctx)
{
    struct parts *p = ctx;
    return authn_reload(p->authn);
}

static const struct admin_reload *on_reload(void *ctx)
{
    const struct parts *p = ctx;
    notify_reload_begins(p->notify);
    const struct admin_reload *r = reload_run(p->reload);
    notify_reload_ends(p->notify);
    return r;
}

static struct admin_http http_of(const struct config_http *conf)
{
    struct admin_http h = {.addr_n = conf->bind.len,
                           .text = conf->bind_text,
                           .tls.certfile = conf->certfile,
                           .tls.keyfile = conf->keyfile};
    memcpy(&h.addr, &conf->bind.u, conf->bind.len);
    return h;
}

static enum err admin_start(struct parts *p)
{
    const struct admin_reload *shown = reload_shown(p->reload);
    reload_start(p->reload, &(struct reload_parts){p->io, p->node, p->authn, p->authz, p->acl_file});
    p->cluster_view = (struct cluster_view_ops){view_ask, view_io_stats, p->cluster};
    p->notify = notify_new(p->io, p->cluster ? &p->cluster_view : NULL, p->log);
    struct admin_conf ac = {
        .io = p->io,
        .node = p->node,
        .writer = p->writer,
        .store = p->store,
        .cluster = p->cluster ? &p->cluster_view : NULL,
        .cluster_name = p->conf->cluster.name,
        .secret_file = p->conf->cluster.secret_file,
        .drain_rate = (uint32_t)p->conf->cluster.drain_rate,
        .ctl_socket = p->conf->node.ctl_socket,
        .reload = on_reload,
        .reload_ctx = p,
        .auth_reload = auth_reload,
        .auth_is_stale = auth_is_stale,
        .auth_is_down = auth_is_down,
        .authz_is_on = authz_on,
        .authz_is_down = authz_down,
        .auth_ctx = p,
        .acl_file = p->acl_file,
        .traces = p->traces,
        .boot_wall_ms = p->boot_wall_ms,
        .settings = shown->settings,
        .settings_n = shown->settings_n,
        .sys_interval_ms = shown->sys_interval_ms,
        .sys_heartbeat_ms = shown->sys_heartbeat_ms,
        .log = p->log,
    };
    if (p->conf->http.enable)
        ac.http[ADMIN_HTTP] = http_of(&p->conf->http);
    if (p->conf->https.enable)
        ac.http[ADMIN_HTTPS] = http_of(&p->conf->https);
    if (p->conf->http.enable || p->conf->https.enable) {
        ac.data_dir = p->conf->node.data_dir;
        ac.token_idle_ms = p->conf->token_expired_time_ms;
    }
    return admin_new(&p->admin, &ac);
}

static void leave(struct mesh *m, void *arg)
{
    (void)arg;
    mesh_leave(m);
}

/* The others hear that this node goes before its clients are told, and what the workers do for them in the
 * end still goes over the links. */
static void parts_stop(struct parts *p)
{
    notify_free(p->notify);
    admin_free(p->admin);
    if (p->cluster && p->io)
        cluster_io_call(p->cluster, leave, NULL);
    if (p->io)
        io_stop(p->io, (uint32_t)p->conf->node.shutdown_timeout_ms);
    if (p->cluster)
        cluster_io_stop(p->cluster, CLUSTER_STOP_MS);
    authn_stop(p->authn);
    authz_stop(p->authz);
    writer_free(p->writer); /* its last reports still reach the workers' mailboxes */
    cluster_io_free(p->cluster);
    io_free(p->io);
    authn_free(p->authn);
    authz_free(p->authz);
    node_free(p->node);
    traces_free(p->traces);
    free(p->trace_folder);
    acl_file_free(p->acl_file);
    io_defer_barrier();
    store_close(p->store);
    reload_free(p->reload);
}

/* SIGTERM, SIGINT and SIGHUP are waited for here; every thread started later inherits that they are blocked.
 */
static void signals_block(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file size limit is a full disk, not a crash */
}

/* Until one that ends the node; returns it. A SIGHUP during the start has waited, one that comes later than
 * this changes nothing any more. */
static int signals_await(struct parts *p, const sigset_t *set)
{
    int number = 0;
    for (;;) {
        if (sigwait(set, &number) != 0)
            continue;
        if (number != SIGHUP)
            return number;
        logger_reopen_soon();
        admin_reload_soon(p->admin);
    }
}

int node_run(const struct config *conf, const char *const *env, struct log_sink *log)
{
    struct parts p = {.conf = conf, .log = log, .boot_wall_ms = wall_ms()};
    sigset_t set;
    if (sodium_init() < 0) {
        LOG(log, LOG_ERROR, "node no random numbers from the system");
        return 1;
    }
    if (!conf->node.core_dumps && !core_dumps_off()) {
        LOG(log, LOG_ERROR, "node core dumps cannot be turned off error=\"%s\"", strerror(errno));
        return 1;
    }
    signals_block(&set);
    descriptors_raise(log);
    p.reload = reload_new(conf, env, log);
    enum err e = rights_make(&p);
    if (e == OK)
        e = store_start(&p);
    if (e == OK)
        e = core_start(&p);
    if (e == OK)
        e = cluster_make(&p);
    if (e == OK)
        e = io_part_start(&p);
    if (e == OK)
        e = admin_start(&p);
    if (e == OK) {
        LOG(log, LOG_NOTICE, "node started name=%s version=%s workers=%llu boot=%llu", conf->node.name,
            COVEY_VERSION, (unsigned long long)conf->node.workers, (unsigned long long)p.boot_epoch);
        notify_start(p.notify);
        int number = signals_await(&p, &set);
        LOG(log, LOG_NOTICE, "node stopping signal=%d", number);
    } else {
        LOG(log, LOG_ERROR, "node did not start error=\"%s\"", err_name(e));
    }
    parts_stop(&p);
    LOG(log, LOG_NOTICE, "node stopped");
    return e == OK ? 0 : 1;
}
