/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_WATCHED_H
#define COVEY_ADMIN_WATCHED_H

/* What all workers of this node have a part of: the topics that are looked at, and who is slow. */

#include "node/core/slow_subs.h"
#include "node/core/topic_metrics.h"
#include "node/io/io.h"

/* Sums over the workers, in the order of registration; copies. Made empty by {0}. */
struct watched_topics {
    struct topic_metric **v;
    uint32_t n;
};
void watched_topics_get(struct io *io, struct watched_topics *out);
void watched_topics_fini(struct watched_topics *t);
static inline struct bytes watched_topic(const struct topic_metric *m)
{
    return bytes_of(m->topic, m->topic_n);
}
/* From zero on, on every worker. False: why says it. */
bool watched_topic_add(struct io *io, struct bytes topic, const char **why);
bool watched_topic_del(struct io *io, struct bytes topic); /* false: it is not there */

/* The slowest pairs of client and topic, the slowest first; copies. Made empty by {0}. */
struct watched_slow {
    struct slow_sub **v;
    uint32_t n;
};
void watched_slow_get(struct io *io, struct watched_slow *out, uint32_t max);
void watched_slow_fini(struct watched_slow *s);
void watched_slow_clear(struct io *io);
static inline struct bytes watched_slow_client(const struct slow_sub *s)
{
    return bytes_of(s->text, s->client_id_n);
}
static inline struct bytes watched_slow_topic(const struct slow_sub *s)
{
    return bytes_of(s->text + s->client_id_n, s->topic_n);
}

#endif
