/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/command.h"
#include "node/admin/process.h"
#include "node/io/certs.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"

#include <stdlib.h>

/* The commands about the node as a whole. */

static void ping(struct call *c)
{
    text_add(&c->out, "pong\n");
}

static void status(struct call *c)
{
    const struct node_conf *nc = node_conf(c->env->conf.node);
    text_printf(&c->out, "Node '%s' %s is started\n", nc->name, nc->version);
}

/* ---- broker --------------------------------------------------------------------------------------- */

static void broker(struct call *c)
{
    char uptime[SYS_TEXT_MAX], datetime[SYS_TEXT_MAX];
    struct text *out = &c->out;
    text_printf(out, "%-10s: %s\n", "sysdescr", SYS_DESCRIPTION);
    text_printf(out, "%-10s: %s\n", "version", node_conf(c->env->conf.node)->version);
    text_printf(out, "%-10s: %s\n", "uptime", sys_uptime_text(uptime, admin_uptime_ms(c->env)));
    text_printf(out, "%-10s: %s\n", "datetime", sys_datetime_text(datetime, wall_ms()));
}

static int figure_cmp(const void *a, const void *b)
{
    return strcmp(((const struct sys_figure *)a)->name, ((const struct sys_figure *)b)->name);
}

static void put_figure(struct text *out, const char *name, uint64_t value)
{
    text_printf(out, "%-30s: %llu\n", name, (unsigned long long)value);
}

/* v is the gathered list itself, which $SYS wants in its own order: it is gathered again each time. */
static void put_sorted(struct text *out, struct sys_figure *v, uint32_t n, const char *prefix)
{
    qsort(v, n, sizeof *v, figure_cmp);
    for (uint32_t i = 0; i < n; i++)
        if (strncmp(v[i].name, prefix, strlen(prefix)) == 0)
            put_figure(out, v[i].name, v[i].value);
}

static void broker_stats(struct call *c)
{
    figures_gather(&c->env->figures);
    put_sorted(&c->out, c->env->figures.stats, c->env->figures.stats_n, "");
}

void figures_put(struct call *c, const char *prefix)
{
    figures_gather(&c->env->figures);
    put_sorted(&c->out, c->env->figures.metrics, c->env->figures.metrics_n, prefix);
}

static void broker_metrics(struct call *c)
{
    figures_put(c, "");
}

/* ---- process and store ---------------------------------------------------------------------------- */

static void vm(struct call *c)
{
    struct process_info p;
    process_info(&p);
    put_figure(&c->out, "memory.resident", p.resident_bytes);
    put_figure(&c->out, "memory.virtual", p.virtual_bytes);
    put_figure(&c->out, "threads", p.threads);
    put_figure(&c->out, "fds", p.fds);
    put_figure(&c->out, "fds.max", p.fds_max);
    text_printf(&c->out, "%-30s: %.2f\n%-30s: %.2f\n%-30s: %.2f\n", "load1", p.load[0], "load5", p.load[1],
                "load15", p.load[2]);
}

static void storage(struct call *c)
{
    static const char *const names[] = {
        [STORE_META] = "records.meta",       [STORE_SESSIONS] = "records.sessions",
        [STORE_SUBS] = "records.subs",       [STORE_QUEUE] = "records.queue",
        [STORE_STATE] = "records.state",     [STORE_RETAINED] = "records.retained",
        [STORE_HANDOFF] = "records.handoff", [STORE_RETAINED_META] = "records.retained.stamps",
        [STORE_SEEN] = "records.seen",       [STORE_PARCELS] = "records.parcels",
        [STORE_BANS] = "records.bans",       [STORE_DELAYED] = "records.delayed",
    };
    _Static_assert(array_len(names) == STORE_TABLES, "every table has a name");
    struct writer_stats w;
    uint64_t used, max;
    store_usage(c->env->conf.store, &used, &max);
    figures_writer(&c->env->figures, &w);
    put_figure(&c->out, "bytes.used", used);
    put_figure(&c->out, "bytes.max", max);
    put_figure(&c->out, "commits", w.commits);
    put_figure(&c->out, "commits.failed", w.commits_failed);
    put_figure(&c->out, "operations", w.ops);
    put_figure(&c->out, "commit_us.last", w.commit_us_last);
    put_figure(&c->out, "commit_us.max", w.commit_us_max);
    for (int i = 0; i < STORE_TABLES; i++)
        put_figure(&c->out, names[i], store_count(c->env->conf.store, (enum store_table)i));
}

/* ---- log, certificates, the rest ------------------------------------------------------------------- */

static void log_level_show(struct call *c)
{
    const struct log_sink *log = c->env->conf.log;
    int level = log ? __atomic_load_n(&log->level, __ATOMIC_RELAXED) : LOG_ERROR;
    text_printf(&c->out, "%s\n", log_level_name((enum log_level)level));
}

static void log_level_set(struct call *c)
{
    struct log_sink *log = c->env->conf.log;
    enum log_level level;
    if (c->args_n == 0) {
        log_level_show(c);
        return;
    }
    if (!log || !log_level_find(c->args[0], &level)) {
        call_fail(c, "The level must be debug, info, notice, warning or error.");
        return;
    }
    __atomic_store_n(&log->level, (int)level, __ATOMIC_RELAXED);
    log_level_show(c);
}

static void log_handlers(struct call *c)
{
    const struct log_sink *log = c->env->conf.log;
    if (strcmp(c->args[0], "list") != 0) {
        call_fail(c, "Usage: log handlers list");
        return;
    }
    if (!log || !log->destination)
        return;
    int level = __atomic_load_n(&log->level, __ATOMIC_RELAXED);
    bool is_failing = __atomic_load_n(&log->is_failing, __ATOMIC_RELAXED);
    text_printf(&c->out,
                "LogHandler(id=default, level=%s, destination=", log_level_name((enum log_level)level));
    text_escaped(&c->out, bytes_str(log->destination), ",()");
    text_printf(&c->out, ", status=%s, lost=%llu)\n", is_failing ? "failing" : "started",
                (unsigned long long)__atomic_load_n(&log->lost, __ATOMIC_RELAXED));
}

static void pem_cache_clean(struct call *c)
{
    io_certs_check(c->env->conf.io);
    if (c->env->https_certs)
        certs_check(c->env->https_certs);
    text_add(&c->out, "ok\n");
}

static void telemetry(struct call *c)
{
    text_add(&c->out, "This broker sends nothing.\n");
}

const struct command commands_node[] = {
    {"ping", NULL, "", "Answer pong", 0, 0, COMMAND_LOOKS, ping},
    {"status", NULL, "", "Show whether the node runs", 0, 0, COMMAND_LOOKS, status},
    {"broker", NULL, "", "Show version, uptime and time", 0, 0, COMMAND_LOOKS, broker},
    {"broker", "stats", "", "Show how many connections, sessions, topics.. there are", 0, 0, COMMAND_LOOKS,
     broker_stats},
    {"broker", "metrics", "", "Show what has been counted since the start", 0, 0, COMMAND_LOOKS,
     broker_metrics},
    {"vm", NULL, "", "Show memory, threads and descriptors of the process", 0, 0, COMMAND_LOOKS, vm},
    {"vm", "memory", "", "The same", 0, 0, COMMAND_LOOKS, vm},
    {"memory", NULL, "", "The same", 0, 0, COMMAND_LOOKS, vm},
    {"storage", NULL, "", "Show what the store holds and how it keeps up", 0, 0, COMMAND_LOOKS, storage},
    {"log", "level", "", "Show the log level", 0, 0, COMMAND_LOOKS, log_level_show},
    {"log", "set-level", "<level>", "Set the log level until the node stops", 1, 1, COMMAND_CHANGES,
     log_level_set},
    {"log", "primary-level", "[<level>]", "Show or set the log level", 0, 1, COMMAND_CHANGES, log_level_set},
    {"log", "handlers", "list", "Show where the log goes, and how many lines were lost", 1, 1, COMMAND_LOOKS,
     log_handlers},
    {"pem_cache", "clean", "[all|node]", "Look for changed certificates now", 0, 1, COMMAND_CHANGES,
     pem_cache_clean},
    {"telemetry", NULL, "[<anything>]", "Tell what is reported home", 0, 1, COMMAND_LOOKS, telemetry},
    {0},
};
