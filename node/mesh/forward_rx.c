/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mesh/mesh_i.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "proto/rpc/publish_entry.h"

#include <stdlib.h>

/* Publishes that come from a peer: each goes to the shards that have subscribers, as a place in the frame;
 * the answers go back, runs of equal ones together. */

enum { ARRIVALS_FIRST = 64 };

/* ---- answers -------------------------------------------------------------------------------------- */

static void answer(struct mesh *m, struct rxframe *rx, uint32_t index, enum reason code)
{
    struct peer *p = m->peers[rx->peer];
    if (!p || p->life != rx->life)
        return; /* that conversation is over */
    struct rpc_run *last = p->runs_n ? &p->runs[p->runs_n - 1] : NULL;
    if (last && last->seq == rx->seq && last->first + last->count == index && last->code == (uint32_t)code) {
        last->count++;
        return;
    }
    if (p->runs_n == p->runs_cap) {
        p->runs_cap = p->runs_cap ? p->runs_cap * 2 : 64;
        p->runs = mem_realloc(p->runs, p->runs_cap * sizeof *p->runs);
    }
    p->runs[p->runs_n++] = (struct rpc_run){rx->seq, index, 1, (uint32_t)code};
}

void forward_results_send(struct mesh *m, struct peer *p)
{
    enum { RUNS_MAX = 2048 };
    for (uint32_t at = 0; at < p->runs_n; at += RUNS_MAX) {
        uint32_t n = p->runs_n - at < RUNS_MAX ? p->runs_n - at : RUNS_MAX;
        struct rpc_results r = {.runs = p->runs + at, .n = n};
        rpc_buf_reset(&m->scratch);
        rpc_results_put(&m->scratch, &r);
        peer_send(m, p, RPC_RESULTS, rpc_buf_bytes(&m->scratch));
    }
    p->runs_n = 0;
}

/* Gives the cluster thread's own reference back. */
static void rxframe_end(struct rxframe *rx)
{
    list_del(&rx->link);
    rxframe_unref(rx);
}

/* One more shard has done its part of an entry; the worst that any of them says is the answer. */
static void entry_done(struct mesh *m, struct rxframe *rx, uint32_t index, enum reason code)
{
    CHECK(rx->left[index] > 0);
    if (code > rx->codes[index])
        rx->codes[index] = (uint8_t)code;
    if (--rx->left[index])
        return;
    answer(m, rx, index, (enum reason)rx->codes[index]);
    if (--rx->unanswered == 0)
        rxframe_end(rx);
}

void forward_rx_fini(struct mesh *m)
{
    list_each_safe(l, &m->rxframes) rxframe_end(container_of(l, struct rxframe, link));
}

void forward_on_arrived(struct mesh *m, struct arrivals *a)
{
    for (uint32_t i = 0; i < a->n; i++) {
        if (a->v[i].wants && a->v[i].code != ARRIVAL_WAITS)
            entry_done(m, a->rx, a->v[i].index, (enum reason)a->v[i].code);
    }
    arrivals_free(a);
}

void forward_on_arrived_one(struct mesh *m, struct rxframe *rx, uint32_t index, enum reason code)
{
    entry_done(m, rx, index, code);
}

/* ---- entries -------------------------------------------------------------------------------------- */

static void shard_add(struct mesh *m, uint32_t shard, const struct arrival *a)
{
    struct arrivals *b = m->building[shard];
    uint32_t cap = m->building_cap[shard];
    if (!b || b->n == cap) {
        cap = cap && b ? cap * 2 : ARRIVALS_FIRST;
        bool is_new = !b;
        b = mem_realloc(b, sizeof *b + cap * sizeof b->v[0]);
        if (is_new)
            *b = (struct arrivals){0};
        m->building[shard] = b;
        m->building_cap[shard] = cap;
    }
    b->v[b->n++] = *a;
    b->wanting += a->wants;
}

/* The local member of a shared route that gets it: the shard and its number there. False: nobody is here. */
static bool shared_pick(struct mesh *m, const struct match *match, const struct publish_entry *e,
                        uint32_t *shard, struct arrival *a)
{
    for (uint32_t i = 0; i < match->shared_n; i++) {
        struct route *r = match->shared[i];
        if (!bytes_eq(route_group(r), e->group) || !bytes_eq(route_filter(r), e->filter))
            continue;
        a->route_id = r->id;
        return share_pick_here(m->node, r, mesh_random(m), shard, &a->pick);
    }
    return false;
}

/* Which shards get the entry; each is given its place. Answers how many. */
static uint32_t entry_route(struct mesh *m, const struct publish_entry *e, struct arrival *a)
{
    enum topic_verdict verdict;
    uint32_t shard, n = 0;
    const struct match *match = subs_match(&m->subs, e->topic, &verdict);
    if (!match)
        return 0;
    if (e->group.n) {
        if (!shared_pick(m, match, e, &shard, a))
            return 0;
        shard_add(m, shard, a);
        return 1;
    }
    for (uint64_t shards = match->remote; shards; shards &= shards - 1, n++)
        shard_add(m, (uint32_t)__builtin_ctzll(shards), a);
    return n;
}

/* UINT32_MAX: malformed. */
static uint32_t entries_count(struct bytes body)
{
    struct cursor c = cursor_of(body);
    uint32_t n = 0;
    while (cursor_left(&c)) {
        if (!publish_entry_skip(&c))
            return UINT32_MAX;
        n++;
    }
    return n;
}

static struct rxframe *rxframe_new(struct mesh *m, struct peer *p, struct bytes body, uint32_t count)
{
    size_t size = sizeof(struct rxframe) + body.n + 2 * (size_t)count;
    struct rxframe *rx = mem_alloc(size);
    *rx = (struct rxframe){.refs = 1,
                           .count = count,
                           .peer = p->number,
                           .life = p->life,
                           .seq = p->link.rx_received,
                           .body_n = body.n};
    memcpy(rx->body, body.p, body.n);
    rx->left = rx->body + body.n;
    rx->codes = rx->left + count;
    memset(rx->left, 0, 2 * (size_t)count);
    list_push(&m->rxframes, &rx->link);
    return rx;
}

static void post_all(struct mesh *m, struct rxframe *rx)
{
    for (uint32_t i = 0; i < m->shards_n; i++) {
        struct arrivals *a = m->building[i];
        if (!a)
            continue;
        a->rx = rx;
        __atomic_add_fetch(&rx->refs, 1, __ATOMIC_RELAXED);
        m->building[i] = NULL;
        m->building_cap[i] = 0;
        mesh_mail(m, i, &(struct mail){.kind = MAIL_ARRIVALS, .arg = a});
    }
}

/* Gives each entry to its shards; false: one of them is malformed, and those before it are given. */
static bool entries_route(struct mesh *m, struct rxframe *rx)
{
    struct cursor c = cursor_of(bytes_of(rx->body, rx->body_n));
    for (uint32_t i = 0; i < rx->count; i++) {
        struct publish_entry e;
        struct arrival a = {.at = (uint32_t)(c.p - rx->body), .index = i, .route_id = ARRIVAL_PLAIN};
        if (!publish_entry_take(&c, &e))
            return false;
        a.wants = e.wants_answer;
        uint32_t shards = entry_route(m, &e, &a);
        if (!shards)
            MESH_COUNT(m, FORWARD_UNMATCHED);
        if (!e.wants_answer)
            continue;
        rx->left[i] = (uint8_t)shards;
        rx->unanswered += shards > 0;
        if (!shards)
            answer(m, rx, i, e.group.n ? RC_NO_MATCHING_SUBSCRIBERS : RC_SUCCESS);
    }
    return true;
}

bool forward_on_publishes(struct mesh *m, struct peer *p, struct bytes body)
{
    uint32_t count = entries_count(body);
    if (count == UINT32_MAX)
        return false;
    struct rxframe *rx = rxframe_new(m, p, body, count);
    p->received += count;
    m->counters[MC_FORWARD_RECEIVED] += count;
    bool is_good = entries_route(m, rx), is_done = rx->unanswered == 0;
    post_all(m, rx);
    if (is_done)
        rxframe_end(rx);
    return is_good;
}
