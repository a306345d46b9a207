/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/ask.h"
#include "node/admin/command.h"
#include "node/core/slow_subs.h"
#include "node/core/topic_metrics.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* What is looked at by topic, and who is slow. All workers have a part of it. */

/* ---- topic metrics -------------------------------------------------------------------------------- */

struct metrics_ask {
    struct topic_metric **v; /* sums; owned */
    uint32_t n;
    struct bytes topic;
    const char *why;
    bool is_done;
};

static void sum_add(struct topic_metric *to, const struct topic_metric *m)
{
    for (int i = 0; i < 3; i++) {
        to->in[i] += m->in[i];
        to->out[i] += m->out[i];
    }
    to->dropped += m->dropped;
}

/* The workers have the same topics in the same order, unless one is being registered now. */
static void gather_call(struct shard *sh, void *arg)
{
    struct metrics_ask *a = arg;
    uint32_t i = 0;
    for (const struct topic_metric *m = topic_metrics_first(sh); m; m = m->next, i++) {
        if (i == a->n) {
            a->v = mem_realloc(a->v, (a->n + 1) * sizeof(struct topic_metric *));
            a->v[a->n++] = mem_dup(m, sizeof *m + m->topic_n);
        } else if (bytes_eq(bytes_of(a->v[i]->topic, a->v[i]->topic_n), bytes_of(m->topic, m->topic_n))) {
            sum_add(a->v[i], m);
        }
    }
}

static void metric_put(struct text *out, const struct topic_metric *m)
{
    char since[TEXT_TIME_N];
    text_add(out, "TopicMetrics(");
    text_escaped(out, bytes_of(m->topic, m->topic_n), ",()");
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
    struct metrics_ask a = {0};
    for (uint32_t i = 0; i < io_workers(c->env->conf.io); i++)
        shard_ask(c->env->conf.io, i, gather_call, &a);
    for (uint32_t i = 0; i < a.n; i++) {
        metric_put(&c->out, a.v[i]);
        free(a.v[i]);
    }
    free(a.v);
}

static void register_call(struct shard *sh, void *arg)
{
    struct metrics_ask *a = arg;
    a->is_done = topic_metrics_register(sh, a->topic, &a->why);
}

static void unregister_call(struct shard *sh, void *arg)
{
    struct metrics_ask *a = arg;
    a->is_done = topic_metrics_unregister(sh, a->topic);
}

static void metrics_change(struct call *c, void (*fn)(struct shard *sh, void *arg))
{
    struct metrics_ask a = {.topic = bytes_str(c->args[0]), .why = "Not Found."};
    for (uint32_t i = 0; i < io_workers(c->env->conf.io); i++) {
        shard_ask(c->env->conf.io, i, fn, &a);
        if (!a.is_done) {
            call_fail(c, a.why);
            return;
        }
    }
    text_add(&c->out, "ok\n");
}

static void metrics_register(struct call *c)
{
    metrics_change(c, register_call);
}

static void metrics_unregister(struct call *c)
{
    metrics_change(c, unregister_call);
}

/* ---- slow subscribers ----------------------------------------------------------------------------- */

struct slow_ask {
    struct slow_sub **v; /* copies; owned */
    uint32_t n;
};

static void slow_call(struct shard *sh, void *arg)
{
    struct slow_ask *a = arg;
    const struct slow_subs *t = slow_subs_of(sh);
    a->v = mem_realloc(a->v, (a->n + t->n + 1) * sizeof(struct slow_sub *));
    for (uint32_t i = 0; i < t->n; i++)
        a->v[a->n++] = mem_dup(t->v[i], sizeof *t->v[i] + t->v[i]->client_id_n + t->v[i]->topic_n);
}

static int slow_cmp(const void *a, const void *b)
{
    const struct slow_sub *x = *(const struct slow_sub *const *)a, *y = *(const struct slow_sub *const *)b;
    return x->took_ms > y->took_ms ? -1 : x->took_ms < y->took_ms;
}

static void slow_put(struct text *out, const struct slow_sub *e)
{
    char last[TEXT_TIME_N];
    text_add(out, "SlowSub(clientid=");
    text_escaped(out, bytes_of(e->text, e->client_id_n), ",()");
    text_add(out, ", topic=");
    text_escaped(out, bytes_of(e->text + e->client_id_n, e->topic_n), ",()");
    text_printf(out, ", timespan=%llu, last_update_time=%s)\n", (unsigned long long)e->took_ms,
                text_time(last, e->last_ms));
}

static void slow_list(struct call *c)
{
    struct slow_ask a = {0};
    uint32_t max = node_settings(c->env->conf.node)->slow_subs_max;
    for (uint32_t i = 0; i < io_workers(c->env->conf.io); i++)
        shard_ask(c->env->conf.io, i, slow_call, &a);
    if (a.n)
        qsort(a.v, a.n, sizeof a.v[0], slow_cmp);
    for (uint32_t i = 0; i < a.n; i++) {
        if (i < max)
            slow_put(&c->out, a.v[i]);
        free(a.v[i]);
    }
    free(a.v);
}

static void clear_call(struct shard *sh, void *arg)
{
    (void)arg;
    slow_subs_clear(sh);
}

static void slow_clear(struct call *c)
{
    for (uint32_t i = 0; i < io_workers(c->env->conf.io); i++)
        shard_ask(c->env->conf.io, i, clear_call, NULL);
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
