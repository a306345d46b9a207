/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/command.h"

#include "proto/base/check.h"
#include "proto/base/clock.h"

#include <stdlib.h>
#include <stdio.h>

static const struct command *const tables[] = {
    commands_node,     commands_clients, commands_topics, commands_retainer, commands_listeners,
    commands_cluster,  commands_alarms,  commands_bans,   commands_overload, commands_auth,
    commands_watch,    commands_delayed, commands_acl,    commands_reload,   commands_trace,
    commands_transfer, commands_why,     commands_admins};

const struct command *command_at(size_t i)
{
    for (size_t t = 0; t < array_len(tables); t++) {
        for (const struct command *m = tables[t]; m->group; m++) {
            if (i-- == 0)
                return m;
        }
    }
    return NULL;
}

bool duration_read(const char *text, uint64_t *out_ms)
{
    static const struct {
        char unit;
        uint64_t ms;
    } units[] = {{'s', 1000}, {'m', 60 * 1000}, {'h', 3600 * 1000}, {'d', 24 * 3600 * 1000}};
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    uint64_t unit = *end == 0 ? 1000 : 0;
    for (size_t i = 0; i < array_len(units); i++) {
        if (end[0] == units[i].unit && end[1] == 0)
            unit = units[i].ms;
    }
    *out_ms = v * unit;
    return text[0] >= '0' && text[0] <= '9' && v > 0 && v <= 100000000 && unit > 0;
}

void command_usage_put(struct text *out, const struct command *m)
{
    char left[96];
    snprintf(left, sizeof left, "%s%s%s%s%s", m->group, m->verb ? " " : "", m->verb ? m->verb : "",
             m->args[0] ? " " : "", m->args);
    text_printf(out, "%-46s # %s\n", left, m->help);
}

/* One line a command of the group, or of all groups when it is NULL. */
static bool usage_put(struct call *c, const char *group)
{
    bool found = false;
    const struct command *m;
    for (size_t i = 0; (m = command_at(i)); i++) {
        if (group && strcmp(m->group, group) != 0)
            continue;
        command_usage_put(&c->out, m);
        found = true;
    }
    return found;
}

static void usage_fail(struct call *c, const char *group)
{
    c->status = 1;
    if (!usage_put(c, group))
        usage_put(c, NULL);
}

void call_fail(struct call *c, const char *line)
{
    c->status = 1;
    text_add(&c->out, line);
    text_add(&c->out, "\n");
}

/* The command that the words name: one with their second word as its verb, else one without verb. */
static const struct command *command_find(const char *const *words, uint32_t n)
{
    const struct command *bare = NULL, *m;
    for (size_t i = 0; (m = command_at(i)); i++) {
        if (strcmp(m->group, words[0]) != 0)
            continue;
        if (!m->verb)
            bare = m;
        else if (n > 1 && strcmp(m->verb, words[1]) == 0)
            return m;
    }
    return bare;
}

static bool is_help(const char *word)
{
    return strcmp(word, "help") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* Who reads the log is to see what was done by hand. */
static void call_log(const struct call *c, const struct command *m)
{
    struct log_sink *log = c->env->conf.log;
    struct text args = {0};
    uint32_t n = m->effect == COMMAND_SECRET && c->args_n ? 1 : c->args_n;
    if (m->effect == COMMAND_LOOKS || !log_is_on(log, LOG_NOTICE))
        return;
    for (uint32_t i = 0; i < n; i++) {
        text_add(&args, " ");
        text_escaped(&args, bytes_str(c->args[i]), " ");
    }
    log_line(log, LOG_NOTICE, "ctl run command=\"%s%s%s%.*s\"", m->group, m->verb ? " " : "",
             m->verb ? m->verb : "", (int)args.n, args.n ? args.p : "");
    text_fini(&args);
}

static void call_run(struct call *c)
{
    if (c->words_n == 0) {
        usage_fail(c, NULL);
        return;
    }
    if (is_help(c->words[0])) {
        const char *group = c->words_n > 1 ? c->words[1] : NULL;
        if (!usage_put(c, group))
            usage_fail(c, NULL);
        return;
    }
    if (c->words_n == 2 && is_help(c->words[1])) {
        if (!usage_put(c, c->words[0]))
            usage_fail(c, NULL);
        return;
    }
    const struct command *m = command_find(c->words, c->words_n);
    uint32_t own = m && m->verb ? 2 : 1;
    if (!m || c->words_n - own < m->args_min || c->words_n - own > m->args_max) {
        usage_fail(c, c->words[0]);
        return;
    }
    c->args = c->words + own;
    c->args_n = c->words_n - own;
    call_log(c, m);
    m->run(c);
}

void call_init(struct call *c, struct admin_env *env, const char *const *words, uint32_t words_n)
{
    *c = (struct call){.env = env, .words = words, .words_n = words_n};
    call_run(c);
}

void call_fini(struct call *c)
{
    inspect_buf_fini(&c->listing.buf);
    retained_walk_end(&c->listing.retained);
    transfer_free(c->transfer);
    why_ask_free(c->why);
    admins_wait_free(c->admins);
    text_fini(&c->out);
}
