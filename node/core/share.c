/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/deliver.h"
#include "node/core/shard_i.h"
#include "proto/base/hash.h"

/* Shared subscriptions: one member of the group gets each message (MQTT 5.0, 4.8.2). Members with a
 * connection are preferred, wherever they are; when there is none, a persistent member that is offline keeps
 * the message. */

static uint32_t online_at(const struct route *r, uint32_t shard)
{
    return __atomic_load_n(&r->u.share->online[shard], __ATOMIC_RELAXED);
}

static uint32_t online_total(const struct shard *sh, const struct route *r)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < sh->node->conf.shards; i++)
        n += online_at(r, i);
    return n;
}

/* A number below n, by the strategy that is configured. */
static uint32_t choose(struct shard *sh, const struct publication *p, struct route *r, uint32_t n)
{
    switch (sh->node->conf.settings->share_strategy) {
    case SHARE_ROUND_ROBIN:
        return (uint32_t)(__atomic_fetch_add(&r->u.share->turn, 1, __ATOMIC_RELAXED) % n);
    case SHARE_HASH_CLIENTID:
        return (uint32_t)(hash_u64(p->client_hash, 0) % n);
    case SHARE_HASH_TOPIC:
        return (uint32_t)(routes_hash(sh->node->routes, p->m.topic) % n);
    case SHARE_STICKY: {
        /* One member until the members change: the number that was drawn first is kept. */
        uint64_t drawn = __atomic_load_n(&r->u.share->turn, __ATOMIC_RELAXED);
        if (!drawn) {
            drawn = shard_random(sh) | 1;
            __atomic_store_n(&r->u.share->turn, drawn, __ATOMIC_RELAXED);
        }
        return (uint32_t)(drawn % n);
    }
    case SHARE_RANDOM:
    case SHARE_LOCAL:
        break;
    }
    return (uint32_t)(shard_random(sh) % n);
}

static void to_shard(struct shard *sh, struct publication *p, struct route *r, uint32_t shard, uint32_t pick)
{
    if (shard == sh->number) {
        share_deliver_here(sh, p, r->id, pick);
        return;
    }
    struct msg *m = publication_msg(sh, p);
    if (!m)
        return;
    struct mail mail = {.kind = MAIL_SHARED,
                        .pick = pick,
                        .msg = msg_ref(m),
                        .pending = publication_wait(p),
                        .u.route_id = r->id};
    mail_push(sh, shard, &mail);
    p->receivers++;
}

void share_deliver(struct shard *sh, struct publication *p, struct route *r)
{
    uint32_t total = online_total(sh, r);
    uint32_t here = online_at(r, sh->number);
    if (sh->node->conf.settings->share_strategy == SHARE_LOCAL && here) {
        share_deliver_here(sh, p, r->id, choose(sh, p, r, here));
        return;
    }
    if (total) {
        uint32_t k = choose(sh, p, r, total);
        for (uint32_t i = 0; i < sh->node->conf.shards; i++) {
            uint32_t n = online_at(r, i);
            if (k < n) {
                to_shard(sh, p, r, i, k);
                return;
            }
            k -= n;
        }
    }
    uint64_t shards = __atomic_load_n(&r->shards, __ATOMIC_ACQUIRE);
    if (!shards)
        return;
    uint32_t at = shards & 1ull << sh->number ? sh->number : (uint32_t)__builtin_ctzll(shards);
    to_shard(sh, p, r, at, (uint32_t)shard_random(sh));
}

void share_deliver_here(struct shard *sh, struct publication *p, uint32_t route_id, uint32_t pick)
{
    const struct sublist *l = subs_list(&sh->subs, route_id);
    if (l->n == 0)
        return;
    uint32_t among = l->online ? l->online : l->n;
    struct subscription *sub = sublist_items(l)[pick % among];
    /* While the message was on its way the group may have gone and its id be another route's. */
    if (route_is_shared(sub->route) && topic_match(route_filter(sub->route), p->m.topic))
        deliver_sub(sh, p, sub, sub->retain_as_published && p->m.retain);
}
