/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/exposition.h"
#include "node/admin/histograms.h"
#include "node/admin/http.h"
#include "node/admin/process.h"
#include "proto/base/clock.h"

/* /metrics for Prometheus, in its text format 0.0.4: the figures that ctl and $SYS show, named covey_..., and
 * of the process what Prometheus' own clients call the same. It asks each worker once; nobody's message waits
 * for it longer than for a turn. */

static void node_put(struct text *out, const struct admin_env *env)
{
    const struct node_conf *nc = node_conf(env->conf.node);
    exposition_head(out, "covey_node_info", "gauge", "Name and version of the node; always 1.");
    text_add(out, "covey_node_info{node=\"");
    exposition_label(out, nc->name);
    text_printf(out, "\",version=\"%s\"} 1\n", nc->version);
    exposition_gauge(out, "covey_workers", nc->shards, "Threads that serve clients.");
}

static void alarms_put(struct text *out, const struct alarms *a)
{
    exposition_head(out, "covey_alarm", "gauge", "1 for each alarm that is active.");
    for (uint32_t i = 0; i < a->active_n; i++) {
        text_add(out, "covey_alarm{name=\"");
        exposition_label(out, a->active[i].name);
        text_add(out, "\"} 1\n");
    }
    exposition_gauge(out, "covey_alarms", a->active_n, "Active alarms.");
}

static void process_put(struct text *out, const struct admin_env *env)
{
    struct process_info p;
    process_info(&p);
    exposition_gauge(out, "process_resident_memory_bytes", p.resident_bytes,
                     "Resident memory size in bytes.");
    exposition_gauge(out, "process_virtual_memory_bytes", p.virtual_bytes, "Virtual memory size in bytes.");
    exposition_gauge(out, "process_open_fds", p.fds, "Number of open file descriptors.");
    exposition_gauge(out, "process_max_fds", p.fds_max, "Maximum number of open file descriptors.");
    exposition_gauge(out, "process_threads", p.threads, "Number of OS threads in the process.");
    exposition_gauge(out, "process_start_time_seconds", (wall_ms() - admin_uptime_ms(env)) / 1000,
                     "Start time of the process since unix epoch in seconds.");
}

static void metrics(struct admin_env *env, const char *query, struct http_answer *out)
{
    struct figures *f = &env->figures;
    (void)query;
    figures_gather(f);
    node_put(&out->body, env);
    exposition_figures(&out->body, f->stats, f->stats_n);
    exposition_figures(&out->body, f->metrics, f->metrics_n);
    histograms_put(&out->body, env);
    alarms_put(&out->body, &env->alarms);
    process_put(&out->body, env);
}

const struct http_route http_routes_metrics[] = {{"/metrics", metrics}, {0}};
