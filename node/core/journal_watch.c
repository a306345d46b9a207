/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/journal.h"

#include "node/core/deliver.h"
#include "node/core/shard_i.h"
#include "proto/base/mem.h"

#include <stdlib.h>

struct journal_watch {
    uint64_t since_ms; /* wall clock */
    uint64_t until_ms; /* monotonic */
    bool is_client;
    uint32_t n;
    uint8_t value[];
};

/* ---- who is watched ------------------------------------------------------------------------------- */

static void mark(struct shard *sh)
{
    sh->tracer.on = (sh->tracer.on & ~TRACER_WATCHED) | (sh->journal.watches_n ? TRACER_WATCHED : 0);
}

static void expire(struct shard *sh)
{
    struct journal *j = &sh->journal;
    for (uint32_t i = 0; i < j->watches_n;) {
        if (sh->now_ms < j->watches[i]->until_ms) {
            i++;
            continue;
        }
        free(j->watches[i]);
        j->watches[i] = j->watches[--j->watches_n];
    }
    mark(sh);
}

static bool is_of(const struct journal_watch *w, bool is_client, struct bytes value)
{
    return w->is_client == is_client && bytes_eq(bytes_of(w->value, w->n), value);
}

/* A free place, or that of the one that ends first. */
static struct journal_watch **place_take(struct journal *j)
{
    uint32_t first = 0;
    if (j->watches_n < JOURNAL_WATCHES_MAX)
        return &j->watches[j->watches_n++];
    for (uint32_t i = 1; i < j->watches_n; i++)
        first = j->watches[i]->until_ms < j->watches[first]->until_ms ? i : first;
    free(j->watches[first]);
    return &j->watches[first];
}

uint64_t journal_watch(struct shard *sh, struct bytes client, struct bytes topic)
{
    struct journal *j = &sh->journal;
    bool is_client = client.n > 0;
    struct bytes value = is_client ? client : topic;
    if (sh->settings->journal_bytes < JOURNAL_BYTES_MIN)
        return 0;
    expire(sh);
    for (uint32_t i = 0; i < j->watches_n; i++) {
        if (!is_of(j->watches[i], is_client, value))
            continue;
        j->watches[i]->until_ms = sh->now_ms + JOURNAL_WATCH_MS;
        return j->watches[i]->since_ms;
    }
    struct journal_watch *w = mem_alloc(sizeof *w + value.n);
    *w = (struct journal_watch){.since_ms = sh->wall_ms,
                                .until_ms = sh->now_ms + JOURNAL_WATCH_MS,
                                .is_client = is_client,
                                .n = (uint32_t)value.n};
    bytes_put(w->value, value);
    *place_take(j) = w;
    mark(sh);
    return w->since_ms;
}

static bool is_watched(struct shard *sh, struct bytes client, struct bytes topic)
{
    const struct journal *j = &sh->journal;
    for (uint32_t i = 0; i < j->watches_n; i++) {
        const struct journal_watch *w = j->watches[i];
        if (sh->now_ms >= w->until_ms) {
            expire(sh);
            return is_watched(sh, client, topic);
        }
        if (bytes_eq(bytes_of(w->value, w->n), w->is_client ? client : topic))
            return true;
    }
    return false;
}

/* ---- what they do --------------------------------------------------------------------------------- */

void journal_routed(struct shard *sh, const struct publication *p, const struct match *match)
{
    uint64_t shards = match->remote, peers = peers_of_slots(&sh->node->peers, match->peers);
    struct bytes client = p->conn ? session_id(p->conn->session) : bytes_of(NULL, 0);
    uint32_t others = (uint32_t)__builtin_popcountll(shards) + (uint32_t)__builtin_popcountll(peers);
    if (!p->receivers || !is_watched(sh, client, p->m.topic))
        return;
    journal_put(sh, &(struct journal_note){.what = JOURNAL_PUBLISHED,
                                           .client = client,
                                           .topic = p->m.topic,
                                           .peers = peers,
                                           .detail = p->receivers > others ? p->receivers - others : 0,
                                           .text = shards ? "And to sessions of other workers" : NULL,
                                           .qos = p->m.qos});
}

void journal_retained(struct shard *sh, const struct publication *p)
{
    struct bytes client = p->conn ? session_id(p->conn->session) : bytes_of(NULL, 0);
    const char *text = p->m.payload.n ? "It is the topic's retained message now"
                                      : "Without payload: the topic has no retained message any more";
    if (is_watched(sh, client, p->m.topic))
        journal_put(sh, &(struct journal_note){.what = JOURNAL_RETAINED,
                                               .client = client,
                                               .topic = p->m.topic,
                                               .detail = p->m.payload.n ? 1 : 0,
                                               .text = text,
                                               .qos = p->m.qos});
}

void journal_delivered(struct session *s, enum journal_what what, struct bytes topic, unsigned qos)
{
    struct shard *sh = s->shard;
    if (is_watched(sh, session_id(s), topic))
        journal_put(
            sh, &(struct journal_note){.what = what, .client = session_id(s), .topic = topic, .qos = qos});
}
