/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/histograms.h"
#include "node/admin/http.h"
#include "node/admin/process.h"

/* /metrics for Prometheus, in its text format 0.0.4: the figures that ctl and $SYS show, named covey_..., and
 * of the process what Prometheus' own clients call the same. It asks each worker once; nobody's message waits
 * for it longer than for a turn. */

/* Figures that are no counts of what happened. */
static bool is_gauge(const char *name)
{
    size_t n = strlen(name);
    return (n > 4 && strcmp(name + n - 4, ".max") == 0) || (n > 5 && strcmp(name + n - 5, ".last") == 0);
}

static void name_put(struct text *out, const char *name)
{
    text_add(out, "covey_");
    for (; *name; name++)
        text_printf(out, "%c", *name == '.' || *name == '-' ? '_' : *name);
}

static void figure_put(struct text *out, const struct sys_figure *f, bool is_count)
{
    const char *end = is_count ? "_total" : "";
    text_add(out, "# TYPE ");
    name_put(out, f->name);
    text_printf(out, "%s %s\n", end, is_count ? "counter" : "gauge");
    name_put(out, f->name);
    text_printf(out, "%s %llu\n", end, (unsigned long long)f->value);
}

static void gauge_put(struct text *out, const char *name, uint64_t value)
{
    text_printf(out, "# TYPE %s gauge\n%s %llu\n", name, name, (unsigned long long)value);
}

/* A value of a label. */
static void label_put(struct text *out, const char *value)
{
    for (; *value; value++)
        text_printf(out, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
}

static void node_put(struct text *out, const struct admin_env *env)
{
    const struct node_conf *nc = node_conf(env->conf.node);
    text_add(out, "# TYPE covey_node_info gauge\ncovey_node_info{node=\"");
    label_put(out, nc->name);
    text_printf(out, "\",version=\"%s\"} 1\n", nc->version);
    gauge_put(out, "covey_workers", nc->shards);
}

static void alarms_put(struct text *out, const struct alarms *a)
{
    text_add(out, "# TYPE covey_alarm gauge\n");
    for (uint32_t i = 0; i < a->active_n; i++) {
        text_add(out, "covey_alarm{name=\"");
        label_put(out, a->active[i].name);
        text_add(out, "\"} 1\n");
    }
    gauge_put(out, "covey_alarms", a->active_n);
}

static void process_put(struct text *out, const struct admin_env *env)
{
    struct process_info p;
    process_info(&p);
    gauge_put(out, "process_resident_memory_bytes", p.resident_bytes);
    gauge_put(out, "process_virtual_memory_bytes", p.virtual_bytes);
    gauge_put(out, "process_open_fds", p.fds);
    gauge_put(out, "process_max_fds", p.fds_max);
    gauge_put(out, "process_threads", p.threads);
    gauge_put(out, "process_start_time_seconds", (admin_wall_ms() - admin_uptime_ms(env)) / 1000);
}

static void metrics(struct admin_env *env, const char *query, struct http_answer *out)
{
    struct figures *f = &env->figures;
    (void)query;
    figures_gather(f);
    node_put(&out->body, env);
    for (uint32_t i = 0; i < f->stats_n; i++)
        figure_put(&out->body, &f->stats[i], false);
    for (uint32_t i = 0; i < f->metrics_n; i++)
        figure_put(&out->body, &f->metrics[i], !is_gauge(f->metrics[i].name));
    histograms_put(&out->body, env);
    alarms_put(&out->body, &env->alarms);
    process_put(&out->body, env);
}

const struct http_route http_routes_metrics[] = {{"/metrics", metrics}, {0}};
