/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/exclusive.h"

#include "node/core/conn_i.h"
#include "node/core/refusals.h"
#include "node/core/shard_i.h"
#include "node/core/subscribe.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { LOOK_EVERY_MS = 5000, WAIT_MS = 1000 };

struct exclusive_wait {
    struct pending *pending;
    uint64_t until_ms;
};

static const char taken_text[] = "Another client has this exclusive subscription";

/* ---- the list of a shard -------------------------------------------------------------------------- */

void exclusives_fini(struct exclusives *e)
{
    for (uint32_t i = 0; i < e->waits_n; i++)
        pending_drop(e->waits[i].pending);
    free(e->waits);
    free(e->v);
}

void exclusive_on_add(struct shard *sh, struct subscription *sub)
{
    struct exclusives *e = &sh->exclusives;
    if (e->n == e->cap) {
        e->cap = e->cap ? e->cap * 2 : 8;
        e->v = mem_realloc(e->v, e->cap * sizeof(struct subscription *));
    }
    e->v[e->n++] = sub;
}

void exclusive_on_del(struct shard *sh, struct subscription *sub)
{
    struct exclusives *e = &sh->exclusives;
    for (uint32_t i = 0; i < e->n; i++) {
        if (e->v[i] == sub) {
            e->v[i] = e->v[--e->n];
            return;
        }
    }
}

/* ---- deciding ------------------------------------------------------------------------------------- */

static struct route *route_of(const struct shard *sh, const struct topic_filter *f)
{
    struct routes *t = sh->node->routes;
    routes_lock(t);
    struct route *r = routes_find(t, f->filter, f->group);
    routes_unlock(t);
    return r;
}

/* Other nodes that have it, a bit each. */
static uint64_t peers_with(const struct shard *sh, const struct route *r)
{
    uint64_t slots = peers_get(&r->peers);
    return slots ? peers_of_slots(&sh->node->peers, slots) : 0;
}

bool exclusive_is_taken(const struct session *s, const struct topic_filter *f, const struct subscription *own)
{
    const struct shard *sh = s->shard;
    const struct route *r = route_of(sh, f);
    if (!r)
        return false;
    uint64_t here = 1ull << sh->number;
    uint64_t shards = __atomic_load_n(&r->shards, __ATOMIC_ACQUIRE);
    uint32_t n = subs_list(&sh->subs, r->id)->n;
    return (shards & ~here) || n > (own ? 1u : 0u) || peers_with(sh, r);
}

void exclusive_add_open(struct suback *b, uint16_t i, struct bytes filter)
{
    uint8_t *buf = mem_realloc((void *)(uintptr_t)b->exclusive.p, b->exclusive.n + 4 + filter.n);
    bytes_put(be16_put(be16_put(buf + b->exclusive.n, i), (uint16_t)filter.n), filter);
    b->exclusive = bytes_of(buf, b->exclusive.n + 4 + filter.n);
}

/* Do the reachable peers have the route? Until then nobody knows what they have. */
static bool is_known(const struct shard *sh, const struct subscription *sub)
{
    const struct node *n = sh->node;
    uint64_t seq = __atomic_load_n(&sub->route->announced, __ATOMIC_ACQUIRE);
    if (!n->conf.is_clustered || !peers_any(&n->peers))
        return true;
    return seq && seq <= peers_get(&n->peers.routes_acked);
}

/* Does a node have it that comes before this one? */
static bool is_outranked(const struct shard *sh, const struct route *r)
{
    const struct node *n = sh->node;
    for (uint64_t peers = peers_with(sh, r); peers; peers &= peers - 1) {
        const struct node_id *id = &n->peers.ids[__builtin_ctzll(peers)];
        if (memcmp(id, &n->conf.id, sizeof *id) < 0)
            return true;
    }
    return (__atomic_load_n(&r->shards, __ATOMIC_ACQUIRE) & ((1ull << sh->number) - 1)) != 0;
}

/* The next filter of the SUBACK that is open and was added; NULL: there is none. *i: its place, *filter: as
 * it is asked for. */
static struct subscription *open_next(struct session *s, const struct suback *b, struct cursor *at,
                                      uint16_t *i, struct bytes *filter)
{
    struct topic_filter f;
    struct subscription *sub = NULL;
    while (!sub && cursor_u16(at, i) && cursor_lenbytes(at, filter))
        if (b->codes[*i] < RC_UNSPECIFIED_ERROR && topic_filter_parse(*filter, 0, &f) == TOPIC_OK)
            sub = session_sub_of(s, &f);
    return sub;
}

/* Only nodes that come behind this one have one of its filters as well. */
static bool is_disputed(const struct shard *sh, const struct pending *p)
{
    struct cursor at = cursor_of(p->suback->exclusive);
    const struct subscription *sub;
    struct bytes filter;
    bool is_disputed = false;
    uint16_t i;
    while ((sub = open_next(p->conn->session, p->suback, &at, &i, &filter))) {
        if (is_outranked(sh, sub->route))
            return false;
        is_disputed |= peers_with(sh, sub->route) != 0;
    }
    return is_disputed;
}

bool exclusive_waits(struct shard *sh, struct pending *p)
{
    struct exclusives *e = &sh->exclusives;
    if (p->failed || p->suback->has_waited || !is_disputed(sh, p))
        return false;
    if (e->waits_n == e->waits_cap) {
        e->waits_cap = e->waits_cap ? e->waits_cap * 2 : 4;
        e->waits = mem_realloc(e->waits, e->waits_cap * sizeof *e->waits);
    }
    e->waits[e->waits_n++] = (struct exclusive_wait){pending_ref(p), sh->now_ms + WAIT_MS};
    return true;
}

/* Those that need not wait any longer, or will not. */
static void waits_step(struct shard *sh)
{
    struct exclusives *e = &sh->exclusives;
    for (uint32_t i = e->waits_n; i-- > 0;) {
        struct pending *p = e->waits[i].pending;
        if (p->conn && sh->now_ms < e->waits[i].until_ms && is_disputed(sh, p))
            continue;
        e->waits[i] = e->waits[--e->waits_n];
        p->suback->has_waited = true;
        pending_release(sh, p, RC_SUCCESS);
    }
}

void exclusive_decide(struct session *s, struct suback *b)
{
    struct cursor at = cursor_of(b->exclusive);
    struct subscription *sub;
    struct bytes filter;
    const char *text;
    uint16_t i;
    while ((sub = open_next(s, b, &at, &i, &filter))) {
        bool is_taken = peers_with(s->shard, sub->route);
        if (!is_taken && is_known(s->shard, sub))
            continue;
        b->codes[i] = is_taken ? RC_QUOTA_EXCEEDED : RC_IMPLEMENTATION_SPECIFIC;
        b->text = is_taken ? taken_text : "Other nodes did not say in time whether somebody has it";
        COUNT(s->shard, EXCLUSIVE_REFUSED);
        session_unsubscribe(s, filter, &text);
    }
}

/* ---- what could not be known ---------------------------------------------------------------------- */

static void give_up(struct shard *sh, struct subscription *sub)
{
    struct session *s = sub->session;
    char id[LOG_ESCAPED_MAX], topic[LOG_ESCAPED_MAX];
    COUNT(sh, EXCLUSIVE_LOST);
    LOG(sh->node->conf.log, LOG_WARNING,
        "exclusive given_up client_id=\"%s\" filter=\"%s\" why=\"another node has it\"",
        log_escape(id, session_id(s)), log_escape(topic, route_filter(sub->route)));
    subscription_end(s, sub);
}

void exclusive_tick(struct shard *sh)
{
    struct exclusives *e = &sh->exclusives;
    if (unlikely(e->waits_n))
        waits_step(sh);
    if (likely(e->n == 0) || sh->now_ms < e->look_ms)
        return;
    e->look_ms = sh->now_ms + LOOK_EVERY_MS;
    for (uint32_t i = e->n; i-- > 0;) {
        struct subscription *sub = e->v[i];
        bool is_contested = !sub->session->parcel && is_outranked(sh, sub->route);
        if (is_contested && sub->is_contested)
            give_up(sh, sub);
        else
            sub->is_contested = is_contested;
    }
}
