/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/api_i.h"
#include "node/admin/api/numbers.h"
#include "node/admin/api/routes.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Figures: stats are what there is now, metrics what was counted since the start, monitor their way over
 * time. */

static json_t *figures_of(const struct sys_figure *v, uint32_t n)
{
    json_t *o = json_object();
    for (uint32_t i = 0; i < n; i++)
        json_put(o, v[i].name, json_of_u64(v[i].value));
    return o;
}

static json_t *stats_here(struct api_call *c)
{
    figures_gather(&c->env->figures);
    return figures_of(c->env->figures.stats, c->env->figures.stats_n);
}

static json_t *metrics_here(struct api_call *c)
{
    figures_gather(&c->env->figures);
    return figures_of(c->env->figures.metrics, c->env->figures.metrics_n);
}

/* [{"node": ..., figures}] */
static void list_answer(struct api_call *c, json_t *o)
{
    json_t *all = json_array();
    json_put(o, "node", json_of_str(api_node_name(c)));
    json_push(all, o);
    api_reply(c, 200, all);
}

static void stats(struct api_call *c)
{
    list_answer(c, stats_here(c));
}

static void metrics(struct api_call *c)
{
    list_answer(c, metrics_here(c));
}

/* One object of sums with aggregate=true, else one object a node. */
static void figures_merge(struct api_call *c)
{
    json_t *all = json_array(), *part, *o;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)c->parts, i, part)
        json_array_extend(all, json_object_get(part, "answer"));
    if (!json_bool(c->query, "aggregate", false)) {
        api_reply(c, 200, all);
        return;
    }
    json_t *sum = json_object();
    json_array_foreach(all, i, o) numbers_add(sum, o);
    json_decref(all);
    api_reply(c, 200, sum);
}

static void node_stats(struct api_call *c)
{
    api_reply(c, 200, stats_here(c));
}

static void node_metrics(struct api_call *c)
{
    api_reply(c, 200, metrics_here(c));
}

/* ---- monitor -------------------------------------------------------------------------------------- */

static void current(struct api_call *c)
{
    api_reply(c, 200, monitor_current(c->api->monitor));
}

/* What every node holds is not added up. */
static void sample_add(json_t *sum, const json_t *from)
{
    static const char *const common[] = {"topics", "retained_msg_count"};
    int64_t before[2];
    for (size_t i = 0; i < 2; i++)
        before[i] = json_int(sum, common[i], 0);
    numbers_add(sum, from);
    for (size_t i = 0; i < 2; i++) {
        int64_t v = json_int(from, common[i], 0);
        json_put(sum, common[i], json_integer(v > before[i] ? v : before[i]));
    }
}

static void current_merge(struct api_call *c)
{
    json_t *sum = json_object(), *part;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)c->parts, i, part)
        sample_add(sum, json_object_get(part, "answer"));
    api_reply(c, 200, sum);
}

static void history(struct api_call *c)
{
    api_reply(c, 200, monitor_history(c->api->monitor, (uint64_t)json_int(c->query, "latest", 3600)));
}

static int by_time(const void *a, const void *b)
{
    int64_t x = json_int(*(json_t *const *)a, "time_stamp", 0),
            y = json_int(*(json_t *const *)b, "time_stamp", 0);
    return (x > y) - (x < y);
}

/* Samples of one time are added up. */
static void history_merge(struct api_call *c)
{
    json_t *times = json_object(), *part, *sample, *o;
    size_t i, k;
    char at[24];
    const char *name;
    json_array_foreach((json_t *)(uintptr_t)c->parts, i, part)
    {
        json_array_foreach(json_object_get(part, "answer"), k, sample)
        {
            int64_t stamp = json_int(sample, "time_stamp", 0);
            snprintf(at, sizeof at, "%lld", (long long)stamp);
            o = json_object_get(times, at);
            if (!o)
                json_put(times, at, o = json_object());
            sample_add(o, sample);
            json_put(o, "time_stamp", json_integer(stamp));
        }
    }
    size_t n = json_object_size(times), used = 0;
    json_t **v = mem_alloc(sizeof(json_t *) * (n + 1)), *all = json_array();
    json_object_foreach(times, name, o) v[used++] = o;
    qsort(v, n, sizeof *v, by_time);
    for (i = 0; i < n; i++)
        json_push(all, json_incref(v[i]));
    free(v);
    json_decref(times);
    api_reply(c, 200, all);
}

/* ---- the table ------------------------------------------------------------------------------------ */

static const struct api_field aggregate_query[] = {
    API_MAY("aggregate", BOOL, "true: one object with the sums of all nodes"), {0}};
static const struct api_field latest_query[] = {
    {"latest", API_INT, 0, 1, 86400, NULL, NULL, "Of the last so many seconds; an hour is kept"}, {0}};
static const struct api_shape figures_shape = {
    "figures",
    (const struct api_field[]){API_MAY("node", STRING, "Whose figures they are"), {0}},
    API_OPEN_REST,
    API_INT,
};
#define COUNT_FIELDS                                                                                         \
    API_HAS("connections", INT, "Connected clients"), API_HAS("live_connections", INT, "Connected clients"), \
        API_HAS("cluster_sessions", INT, "Sessions, connected or not"),                                      \
        API_HAS("subscriptions", INT, "Subscriptions"), API_HAS("topics", INT, "Filters with subscribers"),  \
        API_HAS("retained_msg_count", INT, "Retained messages")
API_SHAPE(rates_shape, "rates", API_HAS("received_msg_rate", INT, "Messages from clients a second"),
          API_HAS("sent_msg_rate", INT, "Messages to clients a second"),
          API_HAS("dropped_msg_rate", INT, "Messages dropped a second"),
          API_HAS("persisted_rate", INT, "Messages stored a second"),
          API_HAS("received_bytes_rate", INT, "Bytes from clients a second"),
          API_HAS("sent_bytes_rate", INT, "Bytes to clients a second"), COUNT_FIELDS);
API_SHAPE(sample_shape, "sample", API_HAS("time_stamp", INT, "Milliseconds since 1970"),
          API_HAS("received", INT, "Messages from clients since the sample before"),
          API_HAS("sent", INT, "Messages to clients"), API_HAS("dropped", INT, "Messages dropped"),
          API_HAS("persisted", INT, "Messages stored"), API_HAS("received_bytes", INT, "Bytes from clients"),
          API_HAS("sent_bytes", INT, "Bytes to clients"), COUNT_FIELDS);

#define READ(path_, scope_, run_, merge_, query_, answer_, shape_, summary_)                             \
    .method = API_GET, .path = path_, .scope = scope_, .role = API_VIEWER, .run = run_, .merge = merge_, \
    .query = query_, .answer = answer_, .shape = shape_, .tag = "Figures", .summary = summary_,          \
    .refusals = (scope_) == API_NODE ? "404 NOT_FOUND, 503 SERVICE_UNAVAILABLE" : NULL
const struct api_route api_routes_stats[] = {
    {READ("/stats", API_ALL, stats, figures_merge, aggregate_query, API_LIST, &figures_shape,
          "What there is now"),
     .also_one = true},
    {READ("/metrics", API_ALL, metrics, figures_merge, aggregate_query, API_LIST, &figures_shape,
          "What has been counted since the start"),
     .also_one = true},
    {READ("/nodes/{node}/stats", API_NODE, node_stats, NULL, NULL, API_ONE, &figures_shape,
          "What one node has now")},
    {READ("/nodes/{node}/metrics", API_NODE, node_metrics, NULL, NULL, API_ONE, &figures_shape,
          "What one node has counted")},
    {READ("/monitor_current", API_ALL, current, current_merge, NULL, API_ONE, &rates_shape,
          "Rates and counts now")},
    {READ("/monitor_current/nodes/{node}", API_NODE, current, NULL, NULL, API_ONE, &rates_shape,
          "Rates and counts of one node")},
    {READ("/monitor", API_ALL, history, history_merge, latest_query, API_LIST, &sample_shape,
          "Rates and counts over time")},
    {READ("/monitor/nodes/{node}", API_NODE, history, NULL, latest_query, API_LIST, &sample_shape,
          "Rates and counts of one node over time")},
    {0},
};
