/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/watched.h"

#include "node/admin/ask.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* ---- topics --------------------------------------------------------------------------------------- */

static void sum_add(struct topic_metric *to, const struct topic_metric *m)
{
    for (int i = 0; i < 3; i++) {
        to->in[i] += m->in[i];
        to->out[i] += m->out[i];
    }
    to->dropped += m->dropped;
}

/* The workers have the same topics in the same order, unless one is being registered now. */
static void topics_call(struct shard *sh, void *arg)
{
    struct watched_topics *t = arg;
    uint32_t i = 0;
    for (const struct topic_metric *m = topic_metrics_first(sh); m; m = m->next, i++) {
        if (i == t->n) {
            t->v = mem_realloc(t->v, (t->n + 1) * sizeof(struct topic_metric *));
            t->v[t->n++] = mem_dup(m, sizeof *m + m->topic_n);
        } else if (bytes_eq(watched_topic(t->v[i]), watched_topic(m))) {
            sum_add(t->v[i], m);
        }
    }
}

void watched_topics_get(struct io *io, struct watched_topics *out)
{
    for (uint32_t i = 0; i < io_workers(io); i++)
        shard_ask(io, i, topics_call, out);
}

void watched_topics_fini(struct watched_topics *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        free(t->v[i]);
    free(t->v);
    *t = (struct watched_topics){0};
}

struct change {
    struct bytes topic;
    const char *why;
    bool is_done;
};

static void add_call(struct shard *sh, void *arg)
{
    struct change *c = arg;
    c->is_done = topic_metrics_register(sh, c->topic, &c->why);
}

static void del_call(struct shard *sh, void *arg)
{
    struct change *c = arg;
    c->is_done = topic_metrics_unregister(sh, c->topic);
}

static bool change(struct io *io, struct change *c, void (*fn)(struct shard *sh, void *arg))
{
    bool is_done = true;
    for (uint32_t i = 0; i < io_workers(io) && is_done; i++) {
        shard_ask(io, i, fn, c);
        is_done = c->is_done;
    }
    return is_done;
}

bool watched_topic_add(struct io *io, struct bytes topic, const char **why)
{
    struct change c = {.topic = topic};
    bool is_done = change(io, &c, add_call);
    *why = c.why;
    return is_done;
}

bool watched_topic_del(struct io *io, struct bytes topic)
{
    return change(io, &(struct change){.topic = topic}, del_call);
}

/* ---- slow subscribers ----------------------------------------------------------------------------- */

static void slow_call(struct shard *sh, void *arg)
{
    struct watched_slow *s = arg;
    const struct slow_subs *t = slow_subs_of(sh);
    s->v = mem_realloc(s->v, (s->n + t->n + 1) * sizeof(struct slow_sub *));
    for (uint32_t i = 0; i < t->n; i++)
        s->v[s->n++] = mem_dup(t->v[i], sizeof *t->v[i] + t->v[i]->client_id_n + t->v[i]->topic_n);
}

static int slow_cmp(const void *a, const void *b)
{
    const struct slow_sub *x = *(const struct slow_sub *const *)a, *y = *(const struct slow_sub *const *)b;
    return x->took_ms > y->took_ms ? -1 : x->took_ms < y->took_ms;
}

void watched_slow_get(struct io *io, struct watched_slow *out, uint32_t max)
{
    for (uint32_t i = 0; i < io_workers(io); i++)
        shard_ask(io, i, slow_call, out);
    if (out->n)
        qsort(out->v, out->n, sizeof out->v[0], slow_cmp);
    while (out->n > max)
        free(out->v[--out->n]);
}

void watched_slow_fini(struct watched_slow *s)
{
    for (uint32_t i = 0; i < s->n; i++)
        free(s->v[i]);
    free(s->v);
    *s = (struct watched_slow){0};
}

static void clear_call(struct shard *sh, void *arg)
{
    (void)arg;
    slow_subs_clear(sh);
}

void watched_slow_clear(struct io *io)
{
    for (uint32_t i = 0; i < io_workers(io); i++)
        shard_ask(io, i, clear_call, NULL);
}
