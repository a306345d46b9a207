/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/figures.h"

#include "node/admin/ask.h"
#include "proto/base/check.h"

#include <stdio.h>
#include <stdlib.h>

struct totals {
    struct inspect_totals t;
    uint64_t routes;
};

static void totals_call(struct shard *sh, void *arg)
{
    struct totals *t = arg;
    inspect_totals_add(sh, &t->t);
    t->routes = inspect_routes(sh);
}

static void stat_add(struct figures *f, const char *name, uint64_t value)
{
    CHECK(f->stats_n < FIGURES_STATS_MAX);
    f->stats[f->stats_n++] = (struct sys_figure){name, value};
}

static void metric_add(struct figures *f, const char *name, uint64_t value)
{
    CHECK(f->metrics_n < FIGURES_METRICS_MAX);
    f->metrics[f->metrics_n++] = (struct sys_figure){name, value};
}

static void add_counters(struct figures *f, const struct counters *c)
{
    uint64_t dropped = 0;
    static const char drops[] = "messages.dropped.";
    for (int i = 0; i < COUNTERS; i++) {
        const char *name = counter_name((enum counter)i);
        metric_add(f, name, c->v[i]);
        if (strncmp(name, drops, sizeof drops - 1) == 0)
            dropped += c->v[i];
    }
    metric_add(f, "messages.dropped", dropped);
    metric_add(f, "messages.publish", c->v[C_MESSAGES_RECEIVED] + c->v[C_WILL_PUBLISHED]);
}

static void add_io(struct figures *f)
{
    struct io_stats s;
    io_stats(f->io, &s);
    stat_add(f, "connections.half_open", s.half_open);
    metric_add(f, "io.turns", s.turns);
    metric_add(f, "io.wakes", s.wakes);
    metric_add(f, "io.bytes.received", s.recv_bytes);
    metric_add(f, "io.bytes.sent", s.send_bytes);
    metric_add(f, "io.handed_over", s.handed_over);
    metric_add(f, "io.lag_ms.max", s.lag_ms_max);
    for (unsigned i = 1; i < IO_FAULTS_MAX; i++) { /* 0 is none */
        const char *name = io_fault_name(i);
        if (!name)
            break;
        snprintf(f->fault_names[i], FIGURES_NAME_MAX, "io.faults.%s", name);
        metric_add(f, f->fault_names[i], s.faults[i]);
    }
}

void figures_writer(struct figures *f, struct writer_stats *out)
{
    writer_stats(f->writer, out);
    if (out->commit_us_max > f->commit_us_max)
        f->commit_us_max = out->commit_us_max;
    out->commit_us_max = f->commit_us_max;
}

static void add_storage(struct figures *f)
{
    struct writer_stats w;
    uint64_t used, max;
    figures_writer(f, &w);
    store_usage(f->store, &used, &max);
    stat_add(f, "retained.count", store_count(f->store, STORE_RETAINED));
    stat_add(f, "delayed.count", store_count(f->store, STORE_DELAYED));
    stat_add(f, "storage.bytes.used", used);
    stat_add(f, "storage.bytes.max", max);
    metric_add(f, "storage.commits", w.commits);
    metric_add(f, "storage.commits.failed", w.commits_failed);
    metric_add(f, "storage.operations", w.ops);
    metric_add(f, "storage.commit_us.last", w.commit_us_last);
    metric_add(f, "storage.commit_us.max", w.commit_us_max);
}

struct mesh_figures {
    uint64_t counters[MESH_COUNTERS_N];
    uint64_t nodes, ring_bytes, routes;
};

static void mesh_call(struct mesh *m, void *arg)
{
    struct mesh_figures *t = arg;
    struct mesh_info info;
    for (int i = 0; i < MESH_COUNTERS_N; i++)
        t->counters[i] = mesh_counter(m, (enum mesh_counter)i);
    mesh_info(m, &info);
    t->nodes = 1;
    for (uint32_t i = 0; i < info.peers_n; i++) {
        t->nodes += info.peers[i].is_linked;
        t->ring_bytes += info.peers[i].ring_bytes;
        t->routes += info.peers[i].routes;
    }
    free(info.peers);
}

static void add_cluster_io(struct figures *f)
{
    struct cluster_io_stats s;
    f->cluster->io_stats(f->cluster->ctx, &s);
    metric_add(f, "cluster.io.bytes.received", s.recv_bytes);
    metric_add(f, "cluster.io.bytes.sent", s.send_bytes);
    metric_add(f, "cluster.io.datagrams.received", s.datagrams_received);
    metric_add(f, "cluster.io.datagrams.sent", s.datagrams_sent);
    metric_add(f, "cluster.io.datagrams.unsent", s.datagrams_unsent);
    metric_add(f, "cluster.io.dials", s.dials);
    metric_add(f, "cluster.io.dials.failed", s.dials_failed);
    metric_add(f, "cluster.io.established", s.established);
    metric_add(f, "cluster.io.resolves.failed", s.resolves_failed);
    for (int i = 0; i < CLUSTER_FAULTS_N; i++) {
        snprintf(f->cluster_fault_names[i], FIGURES_NAME_MAX, "cluster.io.faults.%s",
                 cluster_fault_name((enum cluster_fault)i));
        metric_add(f, f->cluster_fault_names[i], s.faults[i]);
    }
}

/* Zeros once the thread has ended, so that the names stay the same. */
static void add_cluster(struct figures *f)
{
    struct mesh_figures t = {0};
    if (!f->cluster)
        return;
    enum err e = f->cluster->ask(f->cluster->ctx, mesh_call, &t);
    (void)e;
    stat_add(f, "cluster.nodes.count", t.nodes);
    stat_add(f, "cluster.routes.count", t.routes);
    stat_add(f, "cluster.ring.bytes", t.ring_bytes);
    for (int i = 0; i < MESH_COUNTERS_N; i++)
        metric_add(f, mesh_counter_name((enum mesh_counter)i), t.counters[i]);
    add_cluster_io(f);
}

void figures_gather(struct figures *f)
{
    struct totals t = {0};
    for (uint32_t i = 0; i < io_workers(f->io); i++)
        shard_ask(f->io, i, totals_call, &t);
    f->stats_n = f->metrics_n = 0;
    stat_add(f, "connections.count", t.t.connections);
    stat_add(f, "live_connections.count", t.t.online);
    stat_add(f, "sessions.count", t.t.sessions);
    stat_add(f, "subscriptions.count", t.t.subscriptions);
    stat_add(f, "topics.count", t.routes);
    stat_add(f, "overload_protection.level", t.t.load_level);
    add_counters(f, &t.t.counters);
    add_io(f);
    add_storage(f);
    add_cluster(f);
}
