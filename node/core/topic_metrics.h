/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_TOPIC_METRICS_H
#define COVEY_CORE_TOPIC_METRICS_H

/* What goes in and out under single topics: names, no filters, that somebody wants to look at. Every shard
 * has the same ones and counts its own part. While there are none a message pays a branch for it; else a
 * look-up. */

#include "node/core/ptrtab.h"
#include "proto/base/bytes.h"

struct shard;

enum { TOPIC_METRICS_MAX = 512 };

struct topic_metric {
    uint32_t hash;
    struct topic_metric *next; /* in the order of registration */
    uint64_t since_ms;         /* wall clock */
    uint64_t in[3];            /* from clients, by QoS as published */
    uint64_t out[3];           /* to clients, by QoS as delivered */
    uint64_t dropped;          /* that nobody got: no subscriber, or every queue was full */
    uint16_t topic_n;
    uint8_t topic[];
};

struct topic_metrics {
    struct ptrtab all;
    struct topic_metric *first;
};

void topic_metrics_init(struct topic_metrics *t);
void topic_metrics_fini(struct topic_metrics *t);
/* The topics of a configuration, separated by semicolons (expand.h); NULL: none. */
void topic_metrics_load(struct shard *sh, const char *topics);
/* False: not a topic that can be published to, or one too many; why says it. One that is there already begins
 * anew. */
bool topic_metrics_register(struct shard *sh, struct bytes topic, const char **why);
bool topic_metrics_unregister(struct shard *sh, struct bytes topic); /* false: it is not there */
/* The first; then by next. On the shard's thread. */
const struct topic_metric *topic_metrics_first(const struct shard *sh);
/* False: text is not a list of topics; why (of n bytes) says what is wrong. */
bool topic_metrics_check(const char *topics, char *why, size_t n);

/* Of the hot path, when there are any. */
void topic_metrics_in(struct shard *sh, struct bytes topic, unsigned qos);
void topic_metrics_out(struct shard *sh, struct bytes topic, unsigned qos);
void topic_metrics_dropped(struct shard *sh, struct bytes topic);

#endif
