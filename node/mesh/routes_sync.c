/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mesh/mesh_i.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Between the protocol of route sync (cluster/core/routelog.h) and the route table of this node. A peer's
 * routes are in a slot of the table; a snapshot goes into a second one, which takes the first one's place
 * when it is complete. The old one stops counting at once and is swept out afterwards. */

enum { SWEEP_STEP = 2000, PAGE_IDS_MAX = 4096 };

void routes_sync_init(struct mesh *m)
{
    m->routelog = routelog_new();
    m->page = routepage_new();
    m->route_body = mem_alloc(ROUTE_BODY_MAX);
    routes_journal_enable(node_routes(m->node));
}

void routes_sync_fini(struct mesh *m)
{
    routelog_free(m->routelog);
    routepage_free(m->page);
    free(m->route_body);
}

/* ---- own changes ---------------------------------------------------------------------------------- */

static void on_change(void *ctx, const struct route_change *c)
{
    struct mesh *m = ctx;
    struct route_item item = {
        .filter = c->filter, .group = c->group, .is_gone = c->is_gone, .online = c->online};
    uint64_t seq =
        routelog_add(m->routelog, &item, c->is_online_only ? ROUTELOG_ONLINE : ROUTELOG_MEMBERSHIP);
    if (!c->is_gone && !c->is_online_only)
        routes_announced_set(node_routes(m->node), c->filter, c->group, seq);
}

void routes_sync_journal(struct mesh *m)
{
    struct routes *t = node_routes(m->node);
    if (routes_journal_pending(t))
        routes_journal_each(t, on_change, m);
}

/* What all have confirmed is of no use any more. */
static void log_trim(struct mesh *m)
{
    uint64_t done = routelog_seq(m->routelog);
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        const struct peer *p = m->peers[i];
        if (peer_is_live(p) && routefeed_done(&p->feed) < done)
            done = routefeed_done(&p->feed);
    }
    routelog_trim(m->routelog, done);
}

/* ---- to a peer ------------------------------------------------------------------------------------ */

void routes_sync_start(struct mesh *m, struct peer *p)
{
    routes_sync_journal(m);
    routefeed_start(&p->feed, m->routelog);
    routetake_start(&p->take);
    peer_mark_dirty(m, p);
}

static void page_add(void *ctx, const struct route *r, uint32_t online)
{
    struct mesh *m = ctx;
    struct route_item item = {.filter = route_filter(r), .group = route_group(r), .online = online};
    routepage_add(m->page, &item);
}

static uint32_t page_send(struct mesh *m, struct peer *p)
{
    uint32_t id = p->feed.page_id;
    bool is_last = false;
    for (uint32_t n = 0; !is_last && !routepage_is_full(m->page) && n < PAGE_IDS_MAX; n += ROUTE_PAGE_MAX)
        is_last = routes_page(node_routes(m->node), &id, ROUTE_PAGE_MAX, page_add, m);
    struct bytes body = routepage_seal(m->page, &p->feed, id, is_last);
    peer_send(m, p, RPC_ROUTE_SNAPSHOT, body);
    return body.n;
}

void routes_sync_send(struct mesh *m, struct peer *p)
{
    uint8_t small[64];
    uint32_t sent = 0, n;
    n = routetake_ack(&p->take, small);
    if (n)
        peer_send(m, p, RPC_ROUTE_ACK, bytes_of(small, n));
    if (!p->link.is_attached)
        return;
    while (sent < FLUSH_BYTES_MAX && link_room(&p->link) == LINK_OPEN) {
        if (p->feed.is_snapshot) {
            sent += page_send(m, p);
            continue;
        }
        n = routefeed_deltas(&p->feed, m->routelog, m->route_body, ROUTE_BODY_MAX);
        if (!n && !p->feed.is_snapshot)
            break;
        if (n)
            peer_send(m, p, RPC_ROUTE_DELTAS, bytes_of(m->route_body, n));
        sent += n;
    }
    n = routefeed_digest(&p->feed, m->routelog, m->now_ms, small);
    if (n)
        peer_send(m, p, RPC_ROUTE_DIGEST, bytes_of(small, n));
}

/* ---- slots ---------------------------------------------------------------------------------------- */

static uint8_t slot_take(struct mesh *m)
{
    uint64_t free_slots = ~m->slots_used;
    if (!free_slots)
        return SLOT_NONE;
    uint8_t slot = (uint8_t)__builtin_ctzll(free_slots);
    m->slots_used |= 1ull << slot;
    return slot;
}

static void slot_on(struct mesh *m, uint8_t slot, uint32_t peer)
{
    __atomic_store_n(&m->view->slot_peer[slot], (uint8_t)peer, __ATOMIC_RELAXED);
    __atomic_or_fetch(&m->view->slots_live, 1ull << slot, __ATOMIC_RELEASE);
}

static void slot_off(struct mesh *m, uint8_t slot)
{
    if (slot == SLOT_NONE)
        return;
    __atomic_and_fetch(&m->view->slots_live, ~(1ull << slot), __ATOMIC_RELEASE);
    m->sweeps[slot] = (struct sweep){.is_on = true};
}

void routes_sync_off(struct mesh *m, struct peer *p)
{
    slot_off(m, p->slot);
    slot_off(m, p->slot_load);
    p->slot = p->slot_load = SLOT_NONE;
    routetake_start(&p->take);
    barriers_step(m);
}

void routes_sync_step(struct mesh *m)
{
    log_trim(m);
    for (uint32_t slot = 0; slot < PEER_SLOTS; slot++) {
        struct sweep *s = &m->sweeps[slot];
        if (!s->is_on || !routes_sweep(node_routes(m->node), slot, &s->at, SWEEP_STEP))
            continue;
        s->is_on = false;
        m->slots_used &= ~(1ull << slot);
    }
}

/* ---- from a peer ---------------------------------------------------------------------------------- */

struct taking {
    struct mesh *m;
    struct peer *p;
};

static uint8_t slot_in_use(const struct peer *p)
{
    return p->take.is_loading ? p->slot_load : p->slot;
}

static bool on_add(void *ctx, const struct route_item *item)
{
    struct taking *t = ctx;
    uint8_t slot = slot_in_use(t->p);
    if (slot == SLOT_NONE)
        return false;
    return routes_peer_add(node_routes(t->m->node), item->filter, item->group, slot, item->online);
}

static bool on_del(void *ctx, const struct route_item *item)
{
    struct taking *t = ctx;
    uint8_t slot = slot_in_use(t->p);
    if (slot == SLOT_NONE)
        return false;
    return routes_peer_del(node_routes(t->m->node), item->filter, item->group, slot);
}

static void on_load_begin(void *ctx)
{
    struct taking *t = ctx;
    slot_off(t->m, t->p->slot_load);
    t->p->slot_load = slot_take(t->m);
    if (t->p->slot_load == SLOT_NONE)
        LOG(t->m->conf.log, LOG_ERROR, "cluster no room for the routes of node=%s", peer_name(t->p));
    else
        slot_on(t->m, t->p->slot_load, t->p->number);
}

static void on_load_end(void *ctx)
{
    struct taking *t = ctx;
    slot_off(t->m, t->p->slot);
    t->p->slot = t->p->slot_load;
    t->p->slot_load = SLOT_NONE;
    LOG(t->m->conf.log, LOG_INFO, "cluster routes complete node=%s count=%llu", peer_name(t->p),
        (unsigned long long)t->p->take.load_count);
}

static void want(struct mesh *m, struct peer *p, uint64_t from)
{
    uint8_t body[32];
    peer_send(m, p, RPC_ROUTE_WANT, bytes_of(body, route_want_put(body, from)));
}

static bool on_verdict(struct mesh *m, struct peer *p, enum routetake_verdict v)
{
    switch (v) {
    case ROUTETAKE_OK:
        return true;
    case ROUTETAKE_GAP:
        want(m, p, p->take.seq + 1);
        return true;
    case ROUTETAKE_WRONG:
        MESH_COUNT(m, DIGESTS_FAILED);
        LOG(m->conf.log, LOG_ERROR, "cluster routes differ node=%s: taken anew", peer_name(p));
        want(m, p, 0);
        return true;
    case ROUTETAKE_MALFORMED:
        return false;
    }
    return false;
}

static bool on_taking(struct mesh *m, struct peer *p, unsigned op, struct bytes body)
{
    struct taking t = {m, p};
    struct routetake_ops ops = {on_add, on_del, on_load_begin, on_load_end, &t};
    struct routes *table = node_routes(m->node);
    routes_lock(table);
    enum routetake_verdict v = op == RPC_ROUTE_DELTAS ? routetake_deltas(&p->take, body, &ops)
                                                      : routetake_snapshot(&p->take, body, &ops);
    routes_unlock(table);
    return on_verdict(m, p, v);
}

bool routes_on_frame(struct mesh *m, struct peer *p, unsigned op, struct bytes body)
{
    switch (op) {
    case RPC_ROUTE_DELTAS:
    case RPC_ROUTE_SNAPSHOT:
        return on_taking(m, p, op, body);
    case RPC_ROUTE_DIGEST:
        return on_verdict(m, p, routetake_digest(&p->take, body));
    case RPC_ROUTE_ACK:
        if (!routefeed_on_ack(&p->feed, body))
            return false;
        barriers_step(m);
        return true;
    default:
        return routefeed_on_want(&p->feed, m->routelog, body);
    }
}
