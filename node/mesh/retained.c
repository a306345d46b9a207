/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/retained.h"

#include "node/mesh/mesh_i.h"
#include "node/mesh/retained_sync.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Retained messages of the cluster: changes of this node go to every peer whatever routes there are, those of
 * peers to the shards; what is missed is found by retained_sync. */

enum {
    STEP_EVERY_MS = 5,      /* so the rest of the cluster thread's work always has most of the time */
    AGAIN_AFTER_MS = 10000, /* a disk that is full is left alone for a while */
    FRAME_BYTES = 256 << 10,
    SHARE_OF_RING = 8,           /* of the link's ring, so that it never counts as congested by this */
    ARRIVING_BYTES_MAX = 8 << 20 /* applied and not yet stored */
};

struct retaining {
    struct retained_sync *sync; /* NULL without a store */
    struct retained_change **changes;
    uint32_t changes_n, changes_cap;
    struct rpc_retained_item *items;
    uint32_t items_cap;
    uint64_t missed; /* peers that were not told of a change */
    uint64_t losses; /* those that were answered by new rounds */
    uint64_t again_ms;
    uint64_t step_ms;
    bool has_more;
    struct retained_fence fences[PEERS_MAX];
};

/* ---- changes of this node ------------------------------------------------------------------------- */

void retained_on_change(struct mesh *m, struct retained_change *c)
{
    struct retaining *r = m->retained;
    if (m->view->count == 0) {
        free(c);
        return;
    }
    if (r->changes_n == r->changes_cap) {
        r->changes_cap = r->changes_cap ? r->changes_cap * 2 : 64;
        r->changes = mem_realloc(r->changes, r->changes_cap * sizeof(struct retained_change *));
        r->items = mem_realloc(r->items, r->changes_cap * sizeof *r->items);
    }
    r->changes[r->changes_n++] = c;
}

/* One frame, which all links share. */
static void frame_send(struct mesh *m, const struct rpc_retained_item *items, uint32_t n)
{
    struct rpc_retained body = {.items = (struct rpc_retained_item *)(uintptr_t)items, .n = n};
    rpc_buf_reset(&m->scratch);
    rpc_retained_put(&m->scratch, &body);
    struct frame_buf *f = frame_buf_new(m->scratch.n);
    bytes_put(frame_buf_body(f), rpc_buf_bytes(&m->scratch));
    frame_buf_seal(f, RPC_RETAINED, m->scratch.n);
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *p = m->peers[i];
        if (!peer_is_live(p))
            continue;
        if (link_room(&p->link) == LINK_FULL) {
            m->retained->missed |= 1ull << i;
            continue;
        }
        link_push(&p->link, frame_buf_ref(f));
        peer_mark_dirty(m, p);
        m->counters[MC_RETAINED_SENT] += n;
    }
    frame_buf_unref(f);
}

static void changes_send(struct mesh *m)
{
    struct retaining *r = m->retained;
    uint32_t from = 0, bytes = 0;
    for (uint32_t i = 0; i < r->changes_n; i++) {
        struct retained_change *c = r->changes[i];
        r->items[i] = (struct rpc_retained_item){.key = retained_change_key(c),
                                                 .record = bytes_of(retained_change_record(c), c->record_n),
                                                 .stamp = c->stamp,
                                                 .node = c->node};
        bytes += c->key_n + c->record_n;
        if (bytes < FRAME_BYTES && i + 1 < r->changes_n)
            continue;
        frame_send(m, r->items + from, i + 1 - from);
        from = i + 1;
        bytes = 0;
    }
    for (uint32_t i = 0; i < r->changes_n; i++)
        free(r->changes[i]);
    r->changes_n = 0;
}

/* ---- what retained_sync asks for ------------------------------------------------------------------ */

static void on_send(void *ctx, uint32_t peer, enum rpc_op op, struct bytes body)
{
    struct mesh *m = ctx;
    if (m->peers[peer])
        peer_send(m, m->peers[peer], op, body);
}

static bool on_has_room(void *ctx, uint32_t peer)
{
    const struct mesh *m = ctx;
    const struct peer *p = m->peers[peer];
    return peer_is_reachable(p) && p->link.ring_bytes < p->link.ring_bytes_max / SHARE_OF_RING;
}

static void on_apply(void *ctx, uint32_t peer, const struct rpc_retained_item *item)
{
    struct mesh *m = ctx;
    (void)peer;
    if (retained_has_faded(retained_fades_ms(item->stamp, item->record), m->wall_ms)) {
        MESH_COUNT(m, RETAINED_STALE);
        return;
    }
    struct mail mail = retained_mail(m->node, item->key, item->stamp, item->node, item->record);
    mesh_mail(m, retained_home(m->node, item->key), &mail);
    MESH_COUNT(m, RETAINED_TAKEN);
}

static void on_mark(void *ctx, uint32_t peer)
{
    const struct mesh *m = ctx;
    retained_fence_set(m->node, &m->retained->fences[peer]);
}

static bool on_is_settled(void *ctx, uint32_t peer)
{
    const struct mesh *m = ctx;
    return retained_fence_is_passed(m->node, &m->retained->fences[peer]);
}

static bool on_is_busy(void *ctx)
{
    const struct mesh *m = ctx;
    return retained_arriving(m->node) > ARRIVING_BYTES_MAX;
}

/* ---- life ----------------------------------------------------------------------------------------- */

void retained_init(struct mesh *m)
{
    struct retaining *r = m->retained = mem_zalloc(sizeof *r);
    struct retained_sync_conf c;
    retained_sync_conf_default(&c);
    c.store = node_conf(m->node)->store;
    c.ctx = m;
    c.send = on_send;
    c.has_room = on_has_room;
    c.apply = on_apply;
    c.mark = on_mark;
    c.is_settled = on_is_settled;
    c.is_busy = on_is_busy;
    r->losses = retained_losses(m->node);
    if (c.store && retained_sync_new(&r->sync, &c) != OK)
        LOG(m->conf.log, LOG_ERROR, "cluster retained messages are not compared: no reader of the store");
}

void retained_fini(struct mesh *m)
{
    struct retaining *r = m->retained;
    for (uint32_t i = 0; i < r->changes_n; i++)
        free(r->changes[i]);
    retained_sync_free(r->sync);
    free(r->changes);
    free(r->items);
    free(r);
    m->retained = NULL;
}

void retained_on_reset(struct mesh *m, struct peer *p)
{
    struct retaining *r = m->retained;
    enum retained_sync_role role = RETAINED_SYNC_PUSHES;
    if (p->features & RPC_FEATURE_RETAINED_DIGESTS)
        role = node_id_cmp(&m->conf.id, &p->id) < 0 ? RETAINED_SYNC_LEADS : RETAINED_SYNC_FOLLOWS;
    changes_send(m); /* what comes later is sent in the new conversation */
    r->missed &= ~(1ull << p->number);
    if (r->sync)
        retained_sync_on_reset(r->sync, p->number, role);
}

void retained_on_forgotten(struct mesh *m, struct peer *p)
{
    m->retained->missed &= ~(1ull << p->number);
    if (m->retained->sync)
        retained_sync_on_gone(m->retained->sync, p->number);
}

bool retained_on_frame(struct mesh *m, struct peer *p, unsigned op, struct bytes body)
{
    struct retained_sync *sync = m->retained->sync;
    m->retained->has_more = true;
    return !sync || retained_sync_on_frame(sync, p->number, op, body, m->arena);
}

/* ---- time ----------------------------------------------------------------------------------------- */

/* What was lost by failed commits may be with the others; what a full link did not take is here. */
static void rounds_again(struct mesh *m)
{
    struct retaining *r = m->retained;
    uint64_t losses = retained_losses(m->node), peers = 0;
    if (losses != r->losses && m->now_ms >= r->again_ms) {
        r->losses = losses;
        r->again_ms = m->now_ms + AGAIN_AFTER_MS;
        peers = UINT64_MAX;
    }
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        uint64_t bit = 1ull << i;
        const struct peer *p = m->peers[i];
        if (p && p->is_dead)
            retained_sync_on_gone(r->sync, i);
        if (!p || !((peers | r->missed) & bit) || link_room(&p->link) != LINK_OPEN)
            continue;
        r->missed &= ~bit;
        retained_sync_again(r->sync, i);
    }
    r->has_more |= peers != 0;
}

static void step(struct mesh *m)
{
    struct retaining *r = m->retained;
    if (!r->sync || m->now_ms - r->step_ms < STEP_EVERY_MS)
        return;
    r->step_ms = m->now_ms;
    r->has_more = retained_sync_step(r->sync, m->now_ms, m->wall_ms);
}

void retained_tick(struct mesh *m)
{
    if (m->retained->sync)
        rounds_again(m);
    step(m);
}

void retained_flush(struct mesh *m)
{
    changes_send(m);
    if (m->retained->has_more)
        step(m);
}

bool retained_is_idle(const struct mesh *m)
{
    const struct retaining *r = m->retained;
    return !r->sync || (retained_sync_is_idle(r->sync) && !r->changes_n && !r->missed &&
                        r->losses == retained_losses(m->node));
}
