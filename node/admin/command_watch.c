/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/command.h"
#include "node/admin/watched.h"

/* What is looked at by topic, and who is slow. */

/* ---- topic metrics -------------------------------------------------------------------------------- */

static void metric_put(struct text *out, const struct topic_metric *m)
{
    char since[TEXT_TIME_N];
    text_add(out, "TopicMetrics(");
    text_escaped(out, watched_topic(m), ",()");
    unsigned long long in = m->in[0] + m->in[1] + m->in[2], sent = m->out[0] + m->out[1] + m->out[2];
    text_printf(out, ", messages.in=%llu, messages.out=%llu", in, sent);
    for (int i = 0; i < 3; i++)
        text_printf(out, ", messages.qos%d.in=%llu, messages.qos%d.out=%llu", i, (unsigned long long)m->in[i],
                    i, (unsigned long long)m->out[i]);
    text_printf(out, ", messages.dropped=%llu, since=%s)\n", (unsigned long long)m->dropped,
                text_time(since, m->since_ms));
}

static void metrics_list(struct call *c)
{
    struct watched_topics t = {0};
    watched_topics_get(c->env->conf.io, &t);
    for (uint32_t i = 0; i < t.n; i++)
        metric_put(&c->out, t.v[i]);
    watched_topics_fini(&t);
}

static void changed(struct call *c, bool is_done, const char *why)
{
    if (is_done)
        text_add(&c->out, "ok\n");
    else
        call_fail(c, why);
}

static void metrics_register(struct call *c)
{
    const char *why;
    bool is_done = watched_topic_add(c->env->conf.io, bytes_str(c->args[0]), &why);
    changed(c, is_done, why);
}

static void metrics_unregister(struct call *c)
{
    changed(c, watched_topic_del(c->env->conf.io, bytes_str(c->args[0])), "Not Found.");
}

/* ---- slow subscribers ----------------------------------------------------------------------------- */

static void slow_put(struct text *out, const struct slow_sub *e)
{
    char last[TEXT_TIME_N];
    text_add(out, "SlowSub(clientid=");
    text_escaped(out, watched_slow_client(e), ",()");
    text_add(out, ", topic=");
    text_escaped(out, watched_slow_topic(e), ",()");
    text_printf(out, ", timespan=%llu, last_update_time=%s)\n", (unsigned long long)e->took_ms,
                text_time(last, e->last_ms));
}

static void slow_list(struct call *c)
{
    struct watched_slow s = {0};
    watched_slow_get(c->env->conf.io, &s, node_settings(c->env->conf.node)->slow_subs_max);
    for (uint32_t i = 0; i < s.n; i++)
        slow_put(&c->out, s.v[i]);
    watched_slow_fini(&s);
}

static void slow_clear(struct call *c)
{
    watched_slow_clear(c->env->conf.io);
    text_add(&c->out, "ok\n");
}

const struct command commands_watch[] = {
    {"topic_metrics", "list", "", "Show what went in and out under the topics that are looked at", 0, 0,
     COMMAND_LOOKS, metrics_list},
    {"topic_metrics", "register", "<topic>", "Look at a topic, from zero, until the node stops", 1, 1,
     COMMAND_CHANGES, metrics_register},
    {"topic_metrics", "unregister", "<topic>", "Do not look at it any more", 1, 1, COMMAND_CHANGES,
     metrics_unregister},
    {"slow_subs", "list", "", "List the clients that took longest to acknowledge", 0, 0, COMMAND_LOOKS,
     slow_list},
    {"slow_subs", "clear", "", "Begin that list anew", 0, 0, COMMAND_CHANGES, slow_clear},
    {0},
};
