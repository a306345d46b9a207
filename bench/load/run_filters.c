/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many deep filters, some with wildcards, as a plant would have them: a device has four values, and each is
 * subscribed by a filter of its own, of 7 or 8 levels. The filters are disjoint, so every topic matches
 * exactly one; and yet the wildcards stand in the middle of the tree too, where a match must look both ways.
 * Whether a filter has wildcards, and where, is drawn from its number.
 */
#include "bench/load/scenario.h"

#include "bench/load/clock.h"
#include "bench/load/die.h"
#include "bench/load/traffic.h"

#include <stdio.h>

#define SUBSCRIBES_AT_ONCE 50
#define FILTERS_PER_DEVICE 4
#define REST_NS            500000000u

struct filters {
    struct traffic traffic;
    uint32_t count, topics, subscribers, wildcard_percent;
};

static uint32_t filter_mix(uint32_t f)
{
    uint64_t h = (f + 1) * 0x9e3779b97f4a7c15u;
    h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
    return (uint32_t)(h >> 32);
}

enum filter_form { FORM_FILTER, FORM_TOPIC };

/* The filter, or a topic that matches it. Wildcards, a third each: the area is +, it ends in +, it ends in #.
 */
static void filter_write(const struct filters *all, uint32_t f, enum filter_form form, char *buf, size_t size)
{
    static const char *const values[] = {"state", "temperature", "pressure", "alarm"};
    static const char *const filter_ends[] = {"", "", "/+", "/#"};
    static const char *const topic_ends[] = {"", "", "/now", "/now/exact"};
    uint32_t device = f / FILTERS_PER_DEVICE;
    uint32_t h = filter_mix(f);
    uint32_t wild = h % 100 < all->wildcard_percent ? 1 + h / 100 % 3 : 0;
    char area[16];
    snprintf(area, sizeof(area), "%u", filter_mix(device) % 50);
    snprintf(buf, size, "plant/%u/area/%s/device/%u/%s%s", device % 100,
             wild == 1 && form == FORM_FILTER ? "+" : area, device, values[f % FILTERS_PER_DEVICE],
             form == FORM_FILTER ? filter_ends[wild] : topic_ends[wild]);
}

/* Topics are spread over the filters, at a place within each stretch that is drawn. */
static uint32_t filters_topic(uint32_t stream, char *buf, size_t size, void *arg)
{
    const struct filters *all = arg;
    uint32_t stretch = all->count / all->topics;
    uint32_t f = stream * stretch + filter_mix(stream ^ 0x5bd1e995u) % stretch;
    filter_write(all, f, FORM_TOPIC, buf, size);
    return f % all->subscribers;
}

static void filters_subscribe(struct filters *all)
{
    struct traffic *t = &all->traffic;
    uint32_t step = all->subscribers * SUBSCRIBES_AT_ONCE;
    for (uint32_t f = 0; f < all->count; f++) {
        char filter[128];
        filter_write(all, f, FORM_FILTER, filter, sizeof(filter));
        client_subscribe(&t->subscribers[f % all->subscribers].client, filter, t->sub_qos);
        if ((f + 1) % step == 0)
            traffic_settle_subscribers(t);
    }
    traffic_settle_subscribers(t);
}

static int never(void *arg)
{
    const struct bench *b = arg;
    return b->verdict.closed != 0;
}

/* Connects the subscribers, subscribes, and reports what each subscription cost. */
static void filters_init(struct filters *all, struct bench *b, const char *prefix)
{
    struct broker_usage from, to;
    struct broker_memory before, after;
    pid_t pid = (pid_t)b->opts.pid;
    all->count = opts_or(b->opts.count, 100000);
    all->topics = (uint32_t)b->opts.topics < all->count ? (uint32_t)b->opts.topics : all->count;
    all->subscribers = opts_or(b->opts.subs, 100);
    all->wildcard_percent = (uint32_t)b->opts.wildcard_percent;
    struct traffic_spec spec = {
        .publishers = opts_or(b->opts.pubs, 50),
        .subscribers = all->subscribers,
        .batch = opts_or(b->opts.batch, 16),
        .qos = opts_qos_or(b->opts.qos, 0),
        .sub_qos = opts_qos_or(b->opts.sub_qos, opts_qos_or(b->opts.qos, 0)),
        .topic = filters_topic,
        .arg = all,
    };
    if (all->topics < spec.publishers)
        die("--topics must be at least --pubs, and at most --count");
    spec.streams = all->topics / spec.publishers * spec.publishers;
    spec.window = opts_or(b->opts.window, spec.batch);
    traffic_init(&all->traffic, b, &spec);
    traffic_open_subscribers(&all->traffic, !b->opts.persistent);
    bench_until(b, never, b, REST_NS);
    broker_memory_get(pid, &before);
    broker_usage_get(pid, &from);
    filters_subscribe(all);
    broker_usage_get(pid, &to);
    broker_usage_add_trailing(pid, &to);
    bench_until(b, never, b, REST_NS);
    broker_memory_get(pid, &after);
    report_usage(&b->report, prefix, all->count, &from, &to);
    report_memory(&b->report, all->count, &before, &after);
}

void run_subs(struct bench *b)
{
    struct filters all;
    filters_init(&all, b, "");
    traffic_fini(&all.traffic);
}

void run_filters(struct bench *b)
{
    struct filters all;
    filters_init(&all, b, "subscribe_");
    traffic_open_publishers(&all.traffic);
    traffic_run(&all.traffic);
    traffic_fini(&all.traffic);
}
