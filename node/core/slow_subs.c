/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/slow_subs.h"

#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { LOOK_EVERY_MS = 1000 };

static void drop_all(struct slow_subs *t)
{
    while (t->n)
        free(t->v[--t->n]);
}

void slow_subs_fini(struct slow_subs *t)
{
    drop_all(t);
    free(t->v);
}

void slow_subs_clear(struct shard *sh)
{
    drop_all(&sh->slow_subs);
}

const struct slow_subs *slow_subs_of(const struct shard *sh)
{
    return &sh->slow_subs;
}

static bool is_of(const struct slow_sub *e, struct bytes id, struct bytes topic)
{
    return bytes_eq(bytes_of(e->text, e->client_id_n), id) &&
           bytes_eq(bytes_of(e->text + e->client_id_n, e->topic_n), topic);
}

/* The place of the pair, or a free one, or that of the quickest when it is quicker; NULL: not among the
 * slowest. */
static struct slow_sub **place_of(struct slow_subs *t, uint32_t max, struct bytes id, struct bytes topic,
                                  uint64_t took_ms)
{
    struct slow_sub **least = NULL;
    for (uint32_t i = 0; i < t->n; i++) {
        if (is_of(t->v[i], id, topic))
            return &t->v[i];
        if (!least || t->v[i]->took_ms < (*least)->took_ms)
            least = &t->v[i];
    }
    if (t->n < max) {
        t->v[t->n] = NULL;
        return &t->v[t->n++];
    }
    return least && (*least)->took_ms < took_ms ? least : NULL;
}

static void put(struct shard *sh, struct bytes id, struct bytes topic, uint64_t took_ms)
{
    struct slow_subs *t = &sh->slow_subs;
    uint32_t max = sh->settings->slow_subs_max;
    if (!t->v)
        t->v = mem_zalloc((max + 1) * sizeof(struct slow_sub *));
    struct slow_sub **at = place_of(t, max, id, topic, took_ms);
    if (!at)
        return;
    if (!*at || !is_of(*at, id, topic)) {
        free(*at);
        *at = mem_zalloc(sizeof **at + id.n + topic.n);
        (*at)->client_id_n = (uint16_t)id.n;
        (*at)->topic_n = (uint16_t)topic.n;
        bytes_put(bytes_put((*at)->text, id), topic);
    }
    if (took_ms > (*at)->took_ms)
        (*at)->took_ms = took_ms;
    (*at)->last_ms = sh->wall_ms;
}

void slow_subs_note(struct session *s, const struct slot *slot)
{
    struct shard *sh = s->shard;
    if (!slot->msg)
        return;
    uint64_t from_ms = slot->msg->created_ms > s->since_ms ? slot->msg->created_ms : s->since_ms;
    if (sh->wall_ms < from_ms + sh->settings->slow_subs_ms)
        return;
    COUNT(sh, SLOW_DELIVERIES);
    put(sh, session_id(s), msg_topic(slot->msg), sh->wall_ms - from_ms);
}

void slow_subs_tick(struct shard *sh)
{
    struct slow_subs *t = &sh->slow_subs;
    if (likely(t->n == 0) || sh->now_ms < t->look_ms)
        return;
    t->look_ms = sh->now_ms + LOOK_EVERY_MS;
    for (uint32_t i = t->n; i-- > 0;) {
        if (t->v[i]->last_ms + sh->settings->slow_subs_expiry_ms > sh->wall_ms)
            continue;
        free(t->v[i]);
        t->v[i] = t->v[--t->n];
    }
}
