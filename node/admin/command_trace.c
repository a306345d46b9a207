/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/command.h"
#include "node/admin/tracing.h"
#include "proto/base/clock.h"

#include <stdio.h>
#include <string.h>

/* Traces of a client, a topic or an address into files. */

enum { DURATION_S = 30 * 60, DURATION_S_MAX = 7 * 24 * 3600 };

struct wish {
    struct trace_rule rule;
    const char *name; /* NULL: one is made */
    uint64_t seconds;
};

static bool option_take(struct wish *w, const char *name, const char *value)
{
    uint64_t ms;
    if (strcmp(name, "--to") == 0)
        w->name = value;
    else if (strcmp(name, "--duration") == 0 && duration_read(value, &ms))
        w->seconds = ms / 1000;
    else
        return strcmp(name, "--payload") == 0 && trace_payload_find(value, &w->rule.payload);
    return w->seconds <= DURATION_S_MAX;
}

static bool wish_read(const struct call *c, struct wish *w)
{
    *w = (struct wish){.seconds = DURATION_S};
    if (!trace_by_find(c->args[0], &w->rule.by))
        return false;
    w->rule.value = bytes_str(c->args[1]);
    for (uint32_t i = 2; i + 1 < c->args_n; i += 2)
        if (!option_take(w, c->args[i], c->args[i + 1]))
            return false;
    return c->args_n % 2 == 0;
}

static void start(struct call *c)
{
    struct wish w;
    char made[32], path[4096];
    const char *why;
    if (!wish_read(c, &w)) {
        call_fail(c, "Usage: trace start client|topic|ip_address VALUE [--to NAME] [--duration 90s|5m|2h|7d] "
                     "[--payload hidden|text|hex]");
        return;
    }
    if (!w.name) {
        snprintf(made, sizeof made, "trace-%llu", (unsigned long long)wall_ms());
        w.name = made;
    }
    if (tracing_start(c->env, w.name, &w.rule, wall_ms() + w.seconds * 1000, &why) != OK) {
        c->status = 1;
        text_printf(&c->out, "Not started: %s.\n", why);
        return;
    }
    text_printf(&c->out, "%s\n", traces_path(c->env->conf.traces, w.name, path, sizeof path));
}

static void list(struct call *c)
{
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        struct trace_info t;
        char from[TEXT_TIME_N], to[TEXT_TIME_N], path[4096];
        traces_info(c->env->conf.traces, i, &t);
        if (t.state == TRACE_FREE)
            continue;
        text_printf(&c->out, "Trace(%s=", trace_by_name(t.rule.by));
        text_escaped(&c->out, t.rule.value, ",()");
        text_printf(&c->out, ", name=%s, status=%s, start_at=%s, end_at=%s, bytes=%llu, missing=%llu", t.name,
                    t.state == TRACE_RUNS ? "running" : "stopped", text_time(from, t.start_ms),
                    text_time(to, t.end_ms), (unsigned long long)t.bytes, (unsigned long long)t.dropped);
        if (t.ended)
            text_printf(&c->out, ", ended=\"%s\"", t.ended);
        text_printf(&c->out, ", destination=\"%s\")\n",
                    traces_path(c->env->conf.traces, t.name, path, sizeof path));
    }
}

static void answer(struct call *c, enum err e)
{
    if (e == OK)
        text_add(&c->out, "ok\n");
    else
        call_fail(c, "Not Found.");
}

static void stop(struct call *c)
{
    answer(c, tracing_stop(c->env, c->args[0]));
}

static void del(struct call *c)
{
    answer(c, tracing_delete(c->env, c->args[0]));
}

const struct command commands_trace[] = {
    {"trace", "list", "", "List the traces of this node", 0, 0, COMMAND_LOOKS, list},
    {"trace", "start", "<by> <value> [--to NAME] [--duration TIME] [--payload HOW]",
     "Write what happens to a client, topic or ip_address to a file", 2, 8, COMMAND_CHANGES, start},
    {"trace", "stop", "<name>", "End a trace; its file stays", 1, 1, COMMAND_CHANGES, stop},
    {"trace", "delete", "<name>", "End a trace and delete its file", 1, 1, COMMAND_CHANGES, del},
    {0},
};
