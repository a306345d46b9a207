/* SPDX-License-Identifier: Apache-2.0 */
/* Scenarios of plain traffic: pairs, paced pairs, one to many, many to one. */
#include "bench/load/scenario.h"

#include "bench/load/traffic.h"

#include <stdio.h>

static uint32_t pairs_topic(uint32_t stream, char *buf, size_t size, void *arg)
{
    (void)arg;
    snprintf(buf, size, "bench/%u/m", stream);
    return stream;
}

static uint32_t fanin_topic(uint32_t stream, char *buf, size_t size, void *arg)
{
    const uint32_t *subscribers = arg;
    snprintf(buf, size, "bench/%u/m", stream);
    return stream % *subscribers;
}

static struct traffic_spec spec_of(struct bench *b, uint32_t pubs, uint32_t subs, uint32_t batch)
{
    const struct opts *o = &b->opts;
    struct traffic_spec spec = {
        .publishers = opts_or(o->pubs, pubs),
        .subscribers = opts_or(o->subs, subs),
        .batch = opts_or(o->batch, batch),
        .qos = opts_qos_or(o->qos, 0),
        .sub_qos = opts_qos_or(o->sub_qos, opts_qos_or(o->qos, 0)),
        .topic = pairs_topic,
    };
    spec.streams = spec.publishers;
    spec.window = opts_or(o->window, spec.batch);
    return spec;
}

static void pairs_connect(struct traffic *t)
{
    traffic_open_subscribers(t, 1);
    for (uint32_t i = 0; i < t->subscriber_count; i++) {
        char filter[64];
        pairs_topic(i, filter, sizeof(filter), NULL);
        client_subscribe(&t->subscribers[i].client, filter, t->sub_qos);
    }
    traffic_settle_subscribers(t);
    traffic_open_publishers(t);
}

void run_pairs(struct bench *b)
{
    struct traffic t;
    struct traffic_spec spec = spec_of(b, 50, 50, 16);
    spec.subscribers = spec.publishers;
    traffic_init(&t, b, &spec);
    pairs_connect(&t);
    traffic_run(&t);
    traffic_fini(&t);
}

void run_paced(struct bench *b)
{
    struct traffic t;
    struct traffic_spec spec = spec_of(b, 50, 50, 1);
    spec.subscribers = spec.publishers;
    spec.window = opts_or(b->opts.window, 1000);
    traffic_init(&t, b, &spec);
    pairs_connect(&t);
    traffic_run_paced(&t);
    traffic_fini(&t);
}

void run_fanout(struct bench *b)
{
    struct traffic t;
    struct traffic_spec spec = spec_of(b, 1, 1000, 16);
    spec.fan_is_everybody = 1;
    traffic_init(&t, b, &spec);
    traffic_open_subscribers(&t, 1);
    for (uint32_t i = 0; i < t.subscriber_count; i++)
        for (uint32_t s = 0; s < t.stream_count; s++) {
            char filter[64];
            pairs_topic(s, filter, sizeof(filter), NULL);
            client_subscribe(&t.subscribers[i].client, filter, t.sub_qos);
        }
    traffic_settle_subscribers(&t);
    traffic_open_publishers(&t);
    traffic_run(&t);
    traffic_fini(&t);
}

void run_fanin(struct bench *b)
{
    struct traffic t;
    struct traffic_spec spec = spec_of(b, 1000, 1, 1);
    spec.topic = fanin_topic;
    spec.arg = &spec.subscribers;
    traffic_init(&t, b, &spec);
    traffic_open_subscribers(&t, 1);
    for (uint32_t s = 0; s < t.stream_count; s++) {
        char filter[64];
        uint32_t to = fanin_topic(s, filter, sizeof(filter), &spec.subscribers);
        client_subscribe(&t.subscribers[to].client, filter, t.sub_qos);
    }
    traffic_settle_subscribers(&t);
    traffic_open_publishers(&t);
    traffic_run(&t);
    traffic_fini(&t);
}
