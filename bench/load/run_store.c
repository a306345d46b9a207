/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios in which the broker keeps messages: retained, and queued for offline sessions. */
#include "bench/load/scenario.h"

#include "bench/load/clock.h"
#include "bench/load/die.h"
#include "bench/load/traffic.h"

#include <stdio.h>

#define REPLAYS_MIN   3 /* as many, and as long, at least */
#define REPLAY_MIN_NS 500000000u

static uint32_t retained_topic(uint32_t stream, char *buf, size_t size, void *arg)
{
    (void)arg;
    snprintf(buf, size, "retained/%u/device/%u/state", stream % 100, stream);
    return 0;
}

static uint32_t queue_topic(uint32_t stream, char *buf, size_t size, void *arg)
{
    const uint32_t *subscribers = arg;
    snprintf(buf, size, "queue/%u/from/%u", stream % *subscribers, stream);
    return stream % *subscribers;
}

static int traffic_has_all(void *arg)
{
    const struct traffic *t = arg;
    return t->deliveries >= t->stream_count || t->bench->verdict.closed;
}

/* All retained messages to one new subscriber of the whole tree. */
static void retained_replay(struct traffic *t)
{
    struct bench *b = t->bench;
    t->deliveries = 0;
    for (uint32_t i = 0; i < t->stream_count; i++)
        t->streams[i].expected = 0;
    traffic_open_subscribers(t, 1);
    client_subscribe(&t->subscribers[0].client, "retained/#", t->sub_qos);
    if (!bench_until(b, traffic_has_all, t, (uint64_t)b->opts.timeout_ms * 1000000u))
        b->verdict.missing += t->stream_count - t->deliveries; /* not done: fewer */
    traffic_settle_subscribers(t); /* what is queued behind is sent, and read by the broker, before the end */
    client_ping(&t->subscribers[0].client);
    traffic_settle_subscribers(t);
    client_close(&t->subscribers[0].client);
}

void run_retained(struct bench *b)
{
    struct traffic t;
    struct broker_usage from, to;
    struct broker_memory before, after;
    pid_t pid = (pid_t)b->opts.pid;
    struct traffic_spec spec = {
        .publishers = opts_or(b->opts.pubs, 50),
        .subscribers = 1,
        .batch = opts_or(b->opts.batch, 16),
        .qos = opts_qos_or(b->opts.qos, 1),
        .sub_qos = opts_qos_or(b->opts.sub_qos, 0),
        .is_retained = 1,
        .topic = retained_topic,
    };
    spec.streams = opts_or(b->opts.count, 100000) / spec.publishers * spec.publishers;
    spec.window = opts_or(b->opts.window, spec.batch);
    traffic_init(&t, b, &spec);
    traffic_open_publishers(&t);
    broker_memory_get(pid, &before);
    broker_usage_get(pid, &from);
    traffic_store(&t, spec.streams / spec.publishers);
    broker_usage_get(pid, &to);
    broker_usage_add_trailing(pid, &to);
    broker_memory_get(pid, &after);
    report_usage(&b->report, "store_", spec.streams, &from, &to);
    report_memory(&b->report, spec.streams, &before, &after);
    broker_usage_get(pid, &from);
    uint64_t replays = 0;
    while ((replays < REPLAYS_MIN || clock_now_ns() < from.wall_ns + REPLAY_MIN_NS) && !b->verdict.missing &&
           !b->verdict.closed) {
        retained_replay(&t);
        replays++;
    }
    broker_usage_get(pid, &to);
    broker_usage_add_trailing(pid, &to);
    report_usage(&b->report, "replay_", spec.streams * replays, &from, &to);
    traffic_fini(&t);
}

static int queue_is_drained(void *arg)
{
    struct traffic *t = arg;
    uint64_t sent = 0;
    for (uint32_t i = 0; i < t->publisher_count; i++)
        sent += t->publishers[i].sent;
    return t->deliveries >= sent || t->bench->verdict.closed;
}

static void queue_drain(struct traffic *t, uint64_t count)
{
    struct bench *b = t->bench;
    traffic_open_subscribers(t, 0);
    for (uint32_t i = 0; i < t->subscriber_count; i++)
        if (!t->subscribers[i].client.has_session)
            die("the broker kept no session");
    if (!bench_until(b, queue_is_drained, t, (uint64_t)b->opts.timeout_ms * 1000000u))
        b->verdict.missing += count - t->deliveries;
    for (uint32_t i = 0; i < t->subscriber_count; i++)
        client_ping(&t->subscribers[i].client); /* answered after the last acknowledgement was read */
    traffic_settle_subscribers(t);
}

/* Sessions that earlier runs left behind would bring their messages along. */
static void queue_prepare(struct traffic *t)
{
    traffic_open_subscribers(t, 1);
    for (uint32_t i = 0; i < t->subscriber_count; i++)
        client_close(&t->subscribers[i].client);
    traffic_open_subscribers(t, 0);
    for (uint32_t i = 0; i < t->subscriber_count; i++) {
        char filter[64];
        snprintf(filter, sizeof(filter), "queue/%u/#", i);
        client_subscribe(&t->subscribers[i].client, filter, t->sub_qos);
    }
    traffic_settle_subscribers(t);
    for (uint32_t i = 0; i < t->subscriber_count; i++)
        client_close(&t->subscribers[i].client);
}

void run_queue(struct bench *b)
{
    struct traffic t;
    struct broker_usage from, to;
    struct broker_memory before, after;
    pid_t pid = (pid_t)b->opts.pid;
    struct traffic_spec spec = {
        .publishers = opts_or(b->opts.pubs, 50),
        .subscribers = opts_or(b->opts.subs, 1),
        .batch = opts_or(b->opts.batch, 16),
        .qos = opts_qos_or(b->opts.qos, 1),
        .sub_qos = opts_qos_or(b->opts.sub_qos, opts_qos_or(b->opts.qos, 1)),
        .topic = queue_topic,
    };
    uint64_t each = opts_or(b->opts.count, 100000) / spec.publishers;
    spec.streams = spec.publishers;
    spec.window = opts_or(b->opts.window, spec.batch);
    spec.arg = &spec.subscribers;
    traffic_init(&t, b, &spec);
    queue_prepare(&t);
    traffic_open_publishers(&t);
    broker_memory_get(pid, &before);
    broker_usage_get(pid, &from);
    traffic_store(&t, each);
    broker_usage_get(pid, &to);
    broker_usage_add_trailing(pid, &to);
    broker_memory_get(pid, &after);
    report_usage(&b->report, "store_", each * spec.publishers, &from, &to);
    report_memory(&b->report, each * spec.publishers, &before, &after);
    broker_usage_get(pid, &from);
    queue_drain(&t, each * spec.publishers);
    broker_usage_get(pid, &to);
    broker_usage_add_trailing(pid, &to);
    report_usage(&b->report, "drain_", each * spec.publishers, &from, &to);
    traffic_drain(&t);
    traffic_fini(&t);
}
