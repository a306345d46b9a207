/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios about connections as such: many that say nothing, and many that come and go. */
#include "bench/load/scenario.h"

#include "bench/load/client.h"
#include "bench/load/clock.h"
#include "bench/load/die.h"

#include <stdio.h>
#include <stdlib.h>

#define REST_NS 500000000u

static const struct client_ops idle_ops = {NULL, NULL, NULL, NULL};

static int never(void *arg)
{
    const struct bench *b = arg;
    return b->verdict.closed != 0;
}

void run_idle(struct bench *b)
{
    uint32_t count = opts_or(b->opts.count, 15000);
    pid_t pid = (pid_t)b->opts.pid;
    struct broker_usage from, to;
    struct broker_memory before, after;
    struct client *clients = die_calloc(count + 1, sizeof(*clients));
    struct client **all = die_calloc(count + 1, sizeof(struct client *));
    for (uint32_t i = 0; i <= count; i++)
        all[i] = &clients[i];
    const char *role = b->opts.prefix ? b->opts.prefix : "idle";
    char first[80];
    snprintf(first, sizeof(first), "%s-first", role);
    clients_open(b, all, 1, &idle_ops, first, 1); /* whatever the first connection sets up is not counted */
    bench_until(b, never, b, REST_NS);
    broker_memory_get(pid, &before);
    broker_usage_get(pid, &from);
    clients_open(b, all + 1, count, &idle_ops, role, !b->opts.persistent);
    broker_usage_get(pid, &to);
    bench_until(b, never, b, REST_NS);
    broker_memory_get(pid, &after);
    report_usage(&b->report, "", count, &from, &to);
    report_memory(&b->report, count, &before, &after);
    broker_usage_get(pid, &from);
    bench_until(b, never, b, (uint64_t)b->opts.hold_ms * 1000000u);
    if (b->opts.hold_ms) {
        broker_usage_get(pid, &to);
        report_usage(&b->report, "hold_", count, &from, &to);
    }
    clients_close(all, count + 1);
    free(all);
    free(clients);
}

struct churn {
    struct bench *bench;
    struct client *clients;
    uint32_t count;
    uint64_t connected;
};

/* Who has its CONNACK says DISCONNECT, closes, and comes again. */
static void churn_until(struct churn *ch, uint64_t end_ns)
{
    while (clock_now_ns() < end_ns && !ch->bench->verdict.closed && !ch->bench->verdict.refused) {
        for (uint32_t i = 0; i < ch->count; i++) {
            struct client *c = &ch->clients[i];
            if (!c->is_up)
                continue;
            ch->connected++;
            client_close(c);
            client_open(c, ch->bench, &idle_ops, "churn", i, 1);
        }
        net_flush(&ch->bench->net);
        net_wait(&ch->bench->net, 10000000u);
    }
}

void run_connect(struct bench *b)
{
    struct churn ch = {.bench = b, .count = opts_or(b->opts.pubs, 50)};
    struct broker_usage from, to;
    ch.clients = die_calloc(ch.count, sizeof(*ch.clients));
    for (uint32_t i = 0; i < ch.count; i++)
        client_open(&ch.clients[i], b, &idle_ops, "churn", i, 1);
    net_flush(&b->net);
    churn_until(&ch, clock_now_ns() + (uint64_t)b->opts.warmup_ms * 1000000u);
    uint64_t before = ch.connected;
    broker_usage_get((pid_t)b->opts.pid, &from);
    churn_until(&ch, from.wall_ns + (uint64_t)b->opts.seconds_ms * 1000000u);
    broker_usage_get((pid_t)b->opts.pid, &to);
    report_usage(&b->report, "", ch.connected - before, &from, &to);
    for (uint32_t i = 0; i < ch.count; i++)
        client_close(&ch.clients[i]);
    free(ch.clients);
}
