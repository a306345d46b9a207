/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/command.h"

static void put(struct call *c, const struct alarm *m)
{
    text_printf(&c->out, "Alarm(%s, message=", m->name);
    text_escaped(&c->out, bytes_str(m->message), "");
    text_printf(&c->out, ", since=%llu", (unsigned long long)m->since_ms);
    if (m->until_ms)
        text_printf(&c->out, ", until=%llu", (unsigned long long)m->until_ms);
    text_add(&c->out, ")\n");
}

static void list(struct call *c)
{
    const struct alarms *a = &c->env->alarms;
    for (uint32_t i = 0; i < a->active_n; i++)
        put(c, &a->active[i]);
}

static void history(struct call *c)
{
    const struct alarm *m;
    for (uint32_t i = 0; (m = alarms_past(&c->env->alarms, i)); i++)
        put(c, m);
}

const struct command commands_alarms[] = {
    {"alarms", NULL, "", "What is wrong with this node now", 0, 0, COMMAND_LOOKS, list},
    {"alarms", "list", "", "The same", 0, 0, COMMAND_LOOKS, list},
    {"alarms", "history", "", "What was, the last first", 0, 0, COMMAND_LOOKS, history},
    {0},
};
