/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/monitor.h"

#include "node/admin/api/numbers.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <event2/event.h>
#include <stdlib.h>

enum { LOOK_MS_MIN = 1000 };

/* What is counted since the start, in the order of `flows`, and what there is now, in that of `counts`. */
enum { RECEIVED, SENT, DROPPED, PERSISTED, RECEIVED_BYTES, SENT_BYTES, FLOWS };
enum { COUNTS = 6 };
static const char *const flows[FLOWS] = {"messages.received", "messages.sent",  "messages.dropped",
                                         "messages.stored",   "bytes.received", "bytes.sent"};
static const char *const rate_names[FLOWS] = {"received_msg_rate", "sent_msg_rate",       "dropped_msg_rate",
                                              "persisted_rate",    "received_bytes_rate", "sent_bytes_rate"};
static const char *const sample_names[FLOWS] = {"received",  "sent",           "dropped",
                                                "persisted", "received_bytes", "sent_bytes"};
static const char *const count_stats[COUNTS] = {"live_connections.count", "live_connections.count",
                                                "sessions.count",         "subscriptions.count",
                                                "topics.count",           "retained.count"};
static const char *const count_names[COUNTS] = {"connections",   "live_connections", "cluster_sessions",
                                                "subscriptions", "topics",           "retained_msg_count"};

struct look {
    uint64_t mono_ms;
    uint64_t wall_ms;
    uint64_t flow[FLOWS];
    uint64_t count[COUNTS];
};

struct monitor {
    struct admin_env *env;
    struct event *tick;
    struct look looks[MONITOR_SAMPLES_MAX + 1]; /* a ring: samples are differences of two */
    uint64_t n;
    struct look before, last; /* for rates of now */
};

static void look(struct monitor *m, struct look *l)
{
    const struct figures *f = &m->env->figures;
    figures_gather(&m->env->figures);
    l->mono_ms = mono_ms();
    l->wall_ms = wall_ms();
    for (int i = 0; i < FLOWS; i++)
        l->flow[i] = numbers_find(f->metrics, f->metrics_n, flows[i]);
    for (int i = 0; i < COUNTS; i++)
        l->count[i] = numbers_find(f->stats, f->stats_n, count_stats[i]);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct monitor *m = arg;
    (void)fd;
    (void)what;
    look(m, &m->looks[m->n++ % (MONITOR_SAMPLES_MAX + 1)]);
}

struct monitor *monitor_new(struct admin_env *env, struct event_base *base)
{
    static const struct timeval tv = {MONITOR_INTERVAL_MS / 1000, 0};
    struct monitor *m = mem_zalloc(sizeof *m);
    m->env = env;
    look(m, &m->looks[m->n++]);
    m->last = m->before = m->looks[0];
    m->tick = event_new(base, -1, EV_PERSIST, on_tick, m);
    CHECK(m->tick && event_add(m->tick, &tv) == 0);
    return m;
}

void monitor_free(struct monitor *m)
{
    if (!m)
        return;
    event_free(m->tick);
    free(m);
}

static void counts_put(json_t *o, const struct look *l)
{
    for (int i = 0; i < COUNTS; i++)
        json_put(o, count_names[i], json_of_u64(l->count[i]));
}

json_t *monitor_current(struct monitor *m)
{
    json_t *o = json_object();
    if (mono_ms() - m->last.mono_ms >= LOOK_MS_MIN) {
        m->before = m->last;
        look(m, &m->last);
    }
    uint64_t ms = m->last.mono_ms - m->before.mono_ms;
    for (int i = 0; i < FLOWS; i++)
        json_put(o, rate_names[i], json_of_u64(ms ? (m->last.flow[i] - m->before.flow[i]) * 1000 / ms : 0));
    counts_put(o, &m->last);
    return o;
}

json_t *monitor_history(const struct monitor *m, uint64_t seconds)
{
    json_t *all = json_array();
    uint64_t ring = MONITOR_SAMPLES_MAX + 1, from = m->n > ring ? m->n - ring : 0, now = wall_ms();
    for (uint64_t i = from + 1; i < m->n; i++) {
        const struct look *l = &m->looks[i % ring], *b = &m->looks[(i - 1) % ring];
        if (l->wall_ms + seconds * 1000 < now)
            continue;
        json_t *o = json_object();
        json_put(o, "time_stamp", json_of_u64(l->wall_ms / MONITOR_INTERVAL_MS * MONITOR_INTERVAL_MS));
        for (int k = 0; k < FLOWS; k++)
            json_put(o, sample_names[k], json_of_u64(l->flow[k] - b->flow[k]));
        counts_put(o, l);
        json_push(all, o);
    }
    return all;
}
