/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/ask.h"
#include "node/admin/command.h"
#include "node/core/overload.h"

/* What the workers do not keep up with: `olp` as EMQX says. */

static void load_call(struct shard *sh, void *arg)
{
    shard_load(sh, arg);
}

static void limits_put(struct text *out, const struct overload_limits *l)
{
    static const char *const names[] = {"busy", "critical"};
    for (int i = 0; i < 2; i++) {
        text_printf(out, "  %-16s: lag_ms=%llu, memory=", names[i], (unsigned long long)l->lag_ms[i]);
        if (l->memory_bytes[i])
            text_printf(out, "%llu\n", (unsigned long long)l->memory_bytes[i]);
        else
            text_add(out, "infinity\n");
    }
}

static void status(struct call *c)
{
    const struct overload_limits *limits = &node_settings(c->env->conf.node)->overload;
    struct text *out = &c->out;
    char since[TEXT_TIME_N];
    text_printf(out, "Overload protection is %s\n", limits->is_on ? "enabled" : "disabled");
    if (!limits->is_on)
        return;
    limits_put(out, limits);
    for (uint32_t i = 0; i < io_workers(c->env->conf.io); i++) {
        struct overload o;
        shard_ask(c->env->conf.io, i, load_call, &o);
        text_printf(out, "Worker(%u, level=%s, lag_ms=%llu, memory=%llu, since=%s)\n", i,
                    overload_level_name((enum overload_level)o.level), (unsigned long long)o.lag_ms,
                    (unsigned long long)o.memory_bytes, o.since_ms ? text_time(since, o.since_ms) : "start");
    }
}

const struct command commands_overload[] = {
    {"olp", NULL, "", "Show what the workers do not keep up with", 0, 0, COMMAND_LOOKS, status},
    {"olp", "status", "", "The same", 0, 0, COMMAND_LOOKS, status},
    {0},
};
