/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/deliver.h"
#include "node/core/note.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"

#include <stdlib.h>

/* Shared subscriptions: one member of the group gets each message (MQTT 5.0, 4.8.2). Members with a
 * connection are preferred, on whatever shard of whatever node they are; when there is none, a persistent
 * member that is offline keeps the message. The publisher's node picks the node, that node picks the member.
 */

enum { PEER_NONE = UINT32_MAX };

static uint32_t online_at(const struct route *r, uint32_t shard)
{
    return __atomic_load_n(&r->u.share->online[shard], __ATOMIC_RELAXED);
}

static uint32_t online_here(const struct node *n, const struct route *r)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n->conf.shards; i++)
        sum += online_at(r, i);
    return sum;
}

/* Slots of other nodes with members; not those of one that could not take the message. */
static uint64_t slots_of(const struct shard *sh, const struct route *r, uint32_t not_peer)
{
    const struct peers *peers = &sh->node->peers;
    uint64_t slots = peers_get(&r->peers), out = 0;
    if (likely(!slots))
        return 0;
    for (slots &= peers_get(&peers->slots_live); slots; slots &= slots - 1) {
        if (__atomic_load_n(&peers->slot_peer[__builtin_ctzll(slots)], __ATOMIC_RELAXED) != not_peer)
            out |= slots & -slots;
    }
    return out;
}

/* A number below n, by the strategy that is configured. */
static uint32_t choose(struct shard *sh, const struct publication *p, struct route *r, uint32_t n)
{
    switch (sh->settings->share_strategy) {
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

/* Member k of those with a connection, shards first, then the other nodes. */
static void to_online(struct shard *sh, struct publication *p, struct route *r, uint64_t slots, uint32_t k)
{
    for (uint32_t i = 0; i < sh->node->conf.shards; i++) {
        uint32_t n = online_at(r, i);
        if (k < n) {
            to_shard(sh, p, r, i, k);
            return;
        }
        k -= n;
    }
    for (; slots; slots &= slots - 1) {
        uint32_t slot = (uint32_t)__builtin_ctzll(slots), n = share_online_peer(r, slot);
        if (k < n) {
            forward_shared(sh, p, r, sh->node->peers.slot_peer[slot]);
            return;
        }
        k -= n;
    }
}

/* Nobody has a connection: to a node and shard where a session can keep it. */
static void to_offline(struct shard *sh, struct publication *p, struct route *r, uint64_t slots)
{
    uint64_t shards = __atomic_load_n(&r->shards, __ATOMIC_ACQUIRE);
    if (shards) {
        uint32_t at = shards & 1ull << sh->number ? sh->number : (uint32_t)__builtin_ctzll(shards);
        to_shard(sh, p, r, at, (uint32_t)shard_random(sh));
    } else if (slots) {
        forward_shared(sh, p, r, sh->node->peers.slot_peer[__builtin_ctzll(slots)]);
    }
}

static void deliver(struct shard *sh, struct publication *p, struct route *r, uint32_t not_peer)
{
    uint64_t slots = slots_of(sh, r, not_peer);
    uint32_t here = online_here(sh->node, r), total = here;
    if (sh->settings->share_strategy == SHARE_LOCAL) {
        uint32_t mine = online_at(r, sh->number);
        if (mine) {
            share_deliver_here(sh, p, r->id, choose(sh, p, r, mine));
            return;
        }
        if (here)
            slots = 0;
    }
    for (uint64_t left = slots; left; left &= left - 1)
        total += share_online_peer(r, (uint32_t)__builtin_ctzll(left));
    if (total)
        to_online(sh, p, r, slots, choose(sh, p, r, total));
    else
        to_offline(sh, p, r, slots);
}

void share_deliver(struct shard *sh, struct publication *p, struct route *r)
{
    deliver(sh, p, r, PEER_NONE);
}

void share_deliver_here(struct shard *sh, struct publication *p, uint32_t route_id, uint32_t pick)
{
    const struct sublist *l = subs_list(&sh->subs, route_id);
    if (l->n == 0)
        return;
    uint32_t among = l->online ? l->online : l->n;
    struct subscription *sub = sublist_items(l)[pick % among];
    if (sub->no_local && p->origin &&
        p->origin == sub->session->number) { /* an exclusive one; others cannot */
        COUNT(sh, DROPPED_NO_LOCAL);
        note_session(sub->session, JOURNAL_NO_LOCAL, p->m.topic, 0, NULL);
        return;
    }
    /* While the message was on its way the group may have gone and its id be another route's. */
    if (route_is_shared(sub->route) && topic_match(route_filter(sub->route), p->m.topic))
        deliver_sub(sh, p, sub, sub->retain_as_published && p->m.retain);
}

/* ---- with other nodes ----------------------------------------------------------------------------- */

bool share_pick_here(const struct node *n, const struct route *r, uint64_t random, uint32_t *shard,
                     uint32_t *pick)
{
    uint32_t here = online_here(n, r);
    uint64_t shards = __atomic_load_n(&r->shards, __ATOMIC_ACQUIRE);
    if (here) {
        uint32_t k = (uint32_t)(random % here);
        for (uint32_t i = 0; i < n->conf.shards; i++) {
            if (k < online_at(r, i)) {
                *shard = i;
                *pick = k;
                return true;
            }
            k -= online_at(r, i);
        }
    }
    if (!shards)
        return false;
    *shard = (uint32_t)__builtin_ctzll(shards);
    *pick = (uint32_t)(random >> 32);
    return true;
}

static struct route *shared_of(const struct match *match, struct bytes filter, struct bytes group)
{
    for (uint32_t i = 0; match && i < match->shared_n; i++) {
        if (bytes_eq(route_group(match->shared[i]), group) &&
            bytes_eq(route_filter(match->shared[i]), filter))
            return match->shared[i];
    }
    return NULL;
}

void redispatch_drop(void *arg)
{
    struct redispatch *d = arg;
    msg_unref(d->msg);
    pending_drop(d->pending);
    free(d);
}

void share_redispatch(struct shard *sh, void *arg)
{
    struct redispatch *d = arg;
    enum topic_verdict verdict;
    struct publication p = {
        .m = msg_view(d->msg, sh->wall_ms), .msg = d->msg, .pending = d->pending, .uid = d->msg->uid};
    struct bytes filter = bytes_of(d->text, d->filter_n);
    struct route *r = shared_of(subs_match(&sh->subs, p.m.topic, &verdict), filter,
                                bytes_of(d->text + d->filter_n, d->group_n));
    if (r)
        deliver(sh, &p, r, d->not_peer);
    if (!p.receivers) {
        COUNT(sh, DROPPED_NO_SUBSCRIBERS);
        note_message(sh, &p, JOURNAL_NO_SUBSCRIBERS, NULL);
    }
    if (p.refused && !p.receivers && !p.failed)
        p.failed = RC_QUOTA_EXCEEDED;
    publication_fini(sh, &p);
    free(d);
}
