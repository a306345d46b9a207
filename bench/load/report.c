/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load/bench.h"

#include "bench/load/die.h"

#include <stdio.h>
#include <string.h>

void report_add(struct report *r, const char *name, double value)
{
    if (r->count == REPORT_METRICS_MAX)
        die("too many figures in one report");
    snprintf(r->metric[r->count].name, sizeof(r->metric[0].name), "%.39s", name);
    r->metric[r->count++].value = value;
}

static void report_put(struct report *r, const char *prefix, const char *name, double value)
{
    char full[64];
    snprintf(full, sizeof(full), "%s%s", prefix, name);
    report_add(r, full, value);
}

void report_usage(struct report *r, const char *prefix, uint64_t count, const struct broker_usage *from,
                  const struct broker_usage *to)
{
    double wall_s = (double)(to->wall_ns - from->wall_ns) / 1e9;
    double cpu_s = (double)(to->cpu_ns - from->cpu_ns) / 1e9;
    double user = (double)(to->stat_user_ns - from->stat_user_ns);
    double sys = (double)(to->stat_sys_ns - from->stat_sys_ns);
    report_put(r, prefix, "count", (double)count);
    report_put(r, prefix, "wall_s", wall_s);
    report_put(r, prefix, "rate_wall", (double)count / wall_s);
    report_put(r, prefix, "generator_busy", (double)(to->self_ns - from->self_ns) / 1e9 / wall_s);
    if (cpu_s <= 0)
        return;
    report_put(r, prefix, "cpu_s", cpu_s);
    report_put(r, prefix, "cpu_stat_s", (user + sys) / 1e9);
    report_put(r, prefix, "cpu_busy", cpu_s / wall_s);
    report_put(r, prefix, "user_share", user + sys > 0 ? user / (user + sys) : 0);
    report_put(r, prefix, "rate_cpu", (double)count / cpu_s);
    report_put(r, prefix, "cpu_us_each", count ? cpu_s * 1e6 / (double)count : 0);
    report_put(r, prefix, "switches_each",
               count ? (double)(to->switches - from->switches) / (double)count : 0);
}

void report_memory(struct report *r, uint64_t count, const struct broker_memory *from,
                   const struct broker_memory *to)
{
    if (!to->rss_bytes)
        return;
    report_add(r, "rss_bytes_each", ((double)to->rss_bytes - (double)from->rss_bytes) / (double)count);
    report_add(r, "pss_bytes_each", ((double)to->pss_bytes - (double)from->pss_bytes) / (double)count);
    report_add(r, "rss_kb_before", (double)from->rss_bytes / 1024);
    report_add(r, "rss_kb_after", (double)to->rss_bytes / 1024);
}

void report_latency(struct report *r, const struct hist *h)
{
    report_add(r, "latency_samples", (double)h->count);
    report_add(r, "p50_us", (double)hist_percentile(h, 5000) / 1e3);
    report_add(r, "p90_us", (double)hist_percentile(h, 9000) / 1e3);
    report_add(r, "p99_us", (double)hist_percentile(h, 9900) / 1e3);
    report_add(r, "p999_us", (double)hist_percentile(h, 9990) / 1e3);
    report_add(r, "max_us", (double)h->max / 1e3);
}

struct verdict_row {
    const char *name;
    uint64_t count;
};

#define VERDICT_ROWS 9

static void verdict_rows(const struct verdict *v, struct verdict_row rows[VERDICT_ROWS])
{
    const struct verdict_row all[VERDICT_ROWS] = {
        {"gaps", v->gaps},       {"repeats", v->repeats},     {"misrouted", v->misrouted},
        {"corrupt", v->corrupt}, {"ack_order", v->ack_order}, {"refused", v->refused},
        {"closed", v->closed},   {"malformed", v->malformed}, {"missing", v->missing},
    };
    memcpy(rows, all, sizeof(all));
}

int verdict_is_clean(const struct verdict *v)
{
    struct verdict_row rows[VERDICT_ROWS];
    int is_clean = 1;
    verdict_rows(v, rows);
    for (int i = 0; i < VERDICT_ROWS; i++)
        is_clean &= rows[i].count == 0;
    return is_clean;
}

static void report_print_json(const struct bench *b, const struct verdict_row *rows)
{
    const struct report *r = &b->report;
    printf("{\"scenario\": \"%s\", \"label\": \"%s\", \"mqtt\": %d, \"ok\": %s, \"broken\": {",
           b->opts.scenario, b->opts.label, (int)b->opts.version,
           verdict_is_clean(&b->verdict) ? "true" : "false");
    const char *comma = "";
    for (int i = 0; i < VERDICT_ROWS; i++) {
        if (rows[i].count)
            printf("%s\"%s\": %llu", comma, rows[i].name, (unsigned long long)rows[i].count);
        comma = rows[i].count ? ", " : comma;
    }
    printf("}, \"figures\": {");
    for (unsigned i = 0; i < r->count; i++)
        printf("%s\"%s\": %.6g", i ? ", " : "", r->metric[i].name, r->metric[i].value);
    puts("}}");
}

void report_print(const struct bench *b)
{
    const struct report *r = &b->report;
    struct verdict_row rows[VERDICT_ROWS];
    verdict_rows(&b->verdict, rows);
    if (b->opts.json) {
        report_print_json(b, rows);
        return;
    }
    printf("%s %s\n", b->opts.scenario, b->opts.label);
    for (unsigned i = 0; i < r->count; i++) {
        double v = r->metric[i].value;
        printf("  %-24s %.*f\n", r->metric[i].name, v >= 1000 ? 0 : v >= 10 ? 1 : 3, v);
    }
    for (int i = 0; i < VERDICT_ROWS; i++)
        if (rows[i].count)
            printf("  BROKEN %-17s %llu\n", rows[i].name, (unsigned long long)rows[i].count);
}
