/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/topic_metrics.h"

#include "node/core/expand.h"
#include "node/core/shard_i.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

void topic_metrics_init(struct topic_metrics *t)
{
    *t = (struct topic_metrics){0};
    ptrtab_init(&t->all, offsetof(struct topic_metric, hash), NULL);
}

void topic_metrics_fini(struct topic_metrics *t)
{
    while (t->first) {
        struct topic_metric *m = t->first;
        t->first = m->next;
        free(m);
    }
    ptrtab_fini(&t->all);
}

static uint32_t hash_of(const struct shard *sh, struct bytes topic)
{
    return (uint32_t)hash_bytes(topic.p, topic.n, sh->node->conf.seed);
}

static struct topic_metric *find(const struct shard *sh, struct bytes topic)
{
    uint32_t h = hash_of(sh, topic), at = 0;
    struct ptrslots *slots = ptrtab_slots(&sh->topic_metrics.all);
    struct topic_metric *m;
    while ((m = ptrslots_probe(slots, h, &at))) {
        if (bytes_eq(bytes_of(m->topic, m->topic_n), topic))
            return m;
    }
    return NULL;
}

static void reset(const struct shard *sh, struct topic_metric *m)
{
    memset(m->in, 0, sizeof m->in);
    memset(m->out, 0, sizeof m->out);
    m->dropped = 0;
    m->since_ms = sh->wall_ms;
}

bool topic_metrics_register(struct shard *sh, struct bytes topic, const char **why)
{
    struct topic_metrics *t = &sh->topic_metrics;
    struct topic_metric *m = find(sh, topic), **last = &t->first;
    enum topic_verdict v = topic_name_check(topic, 0);
    if (m) {
        reset(sh, m);
        return true;
    }
    if (v != TOPIC_OK || t->all.n >= TOPIC_METRICS_MAX) {
        *why = v != TOPIC_OK ? topic_verdict_text(v) : "as many topics as are possible are there already";
        return false;
    }
    m = mem_zalloc(sizeof *m + topic.n);
    m->hash = hash_of(sh, topic);
    m->topic_n = (uint16_t)topic.n;
    bytes_put(m->topic, topic);
    reset(sh, m);
    while (*last)
        last = &(*last)->next;
    *last = m;
    ptrtab_add(&t->all, m);
    return true;
}

bool topic_metrics_unregister(struct shard *sh, struct bytes topic)
{
    struct topic_metrics *t = &sh->topic_metrics;
    struct topic_metric *m = find(sh, topic), **at = &t->first;
    if (!m)
        return false;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    ptrtab_del(&t->all, m);
    free(m);
    return true;
}

const struct topic_metric *topic_metrics_first(const struct shard *sh)
{
    return sh->topic_metrics.first;
}

void topic_metrics_load(struct shard *sh, const char *topics)
{
    struct bytes topic;
    const char *why;
    for (size_t at = 0; topics && rule_next(topics, &at, &topic);)
        topic_metrics_register(sh, topic, &why);
}

bool topic_metrics_check(const char *topics, char *why, size_t n)
{
    struct bytes topic;
    uint32_t count = 0;
    for (size_t at = 0; rule_next(topics, &at, &topic); count++) {
        enum topic_verdict v = topic_name_check(topic, 0);
        if (v == TOPIC_OK)
            continue;
        snprintf(why, n, "%.*s: %s", (int)topic.n, (const char *)topic.p, topic_verdict_text(v));
        return false;
    }
    snprintf(why, n, "at most %d topics", TOPIC_METRICS_MAX);
    return count <= TOPIC_METRICS_MAX;
}

/* ---- counting ------------------------------------------------------------------------------------- */

void topic_metrics_in(struct shard *sh, struct bytes topic, unsigned qos)
{
    struct topic_metric *m = find(sh, topic);
    if (m)
        m->in[qos]++;
}

void topic_metrics_out(struct shard *sh, struct bytes topic, unsigned qos)
{
    struct topic_metric *m = find(sh, topic);
    if (m)
        m->out[qos]++;
}

void topic_metrics_dropped(struct shard *sh, struct bytes topic)
{
    struct topic_metric *m = find(sh, topic);
    if (m)
        m->dropped++;
}
