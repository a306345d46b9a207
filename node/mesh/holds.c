/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/claim.h"
#include "node/mesh/mesh_i.h"

#include "proto/base/mem.h"

#include <stdlib.h>

/* Client ids: what this node holds, told to the arbiters, one by one and, when nodes have come or gone, all
 * of it. */

enum { ANNOUNCE_MS = 50, ANNOUNCE_PAGE = 2000, HOLD_ITEMS_MAX = 512, SETTLE_MS = 300 };

struct hold_item {
    uint32_t at; /* in text */
    uint16_t n;
    bool is_held;
    uint64_t stamp;
};
struct hold_batch {
    uint32_t n;
    uint32_t text_n;
    uint32_t text_cap;
    uint8_t *text;
    struct hold_item v[HOLD_ITEMS_MAX];
};

static void batch_put(struct mesh *m, const struct hold_batch *b, bool is_held)
{
    struct rpc_hold_item items[HOLD_ITEMS_MAX];
    struct rpc_hold h = {.items = items};
    for (uint32_t i = 0; i < b->n; i++) {
        if (b->v[i].is_held == is_held)
            items[h.n++] = (struct rpc_hold_item){.client_id = bytes_of(b->text + b->v[i].at, b->v[i].n),
                                                  .stamp = b->v[i].stamp};
    }
    rpc_buf_reset(&m->scratch);
    if (h.n)
        rpc_hold_put(&m->scratch, &h);
}

void ids_send(struct mesh *m, struct peer *p)
{
    struct hold_batch *b = p->holds;
    if (!b || !b->n)
        return;
    batch_put(m, b, true);
    if (rpc_buf_bytes(&m->scratch).n)
        peer_send(m, p, RPC_HOLD, rpc_buf_bytes(&m->scratch));
    batch_put(m, b, false);
    if (rpc_buf_bytes(&m->scratch).n)
        peer_send(m, p, RPC_UNHOLD, rpc_buf_bytes(&m->scratch));
    b->n = b->text_n = 0;
}

static void batch_add(struct mesh *m, struct peer *p, struct bytes client_id, uint64_t stamp, bool is_held)
{
    if (!p->holds)
        p->holds = mem_zalloc(sizeof *p->holds);
    struct hold_batch *b = p->holds;
    if (b->n == HOLD_ITEMS_MAX)
        ids_send(m, p);
    if (b->text_n + client_id.n > b->text_cap) {
        b->text_cap = (b->text_n + client_id.n) * 2;
        b->text = mem_realloc(b->text, b->text_cap);
    }
    bytes_put(b->text + b->text_n, client_id);
    b->v[b->n++] = (struct hold_item){b->text_n, (uint16_t)client_id.n, is_held, stamp};
    b->text_n += client_id.n;
}

void holds_free(struct peer *p)
{
    if (p->holds)
        free(p->holds->text);
    free(p->holds);
    p->holds = NULL;
}

static void tell(struct mesh *m, struct bytes client_id, uint64_t stamp, bool is_held)
{
    const struct node_id *arbiter = ids_arbiter(m, client_id);
    if (node_id_eq(arbiter, &m->conf.id)) {
        if (is_held)
            ids_hold(m, &m->conf.id, client_id, stamp);
        else
            arbiter_unhold(m->arbiter, client_id, &m->conf.id, stamp);
        return;
    }
    struct peer *p = peer_find(m, arbiter);
    if (peer_is_live(p))
        batch_add(m, p, client_id, stamp, is_held);
}

void ids_on_held(struct mesh *m, struct held *h, bool is_held)
{
    mesh_stamp_see(m, h->stamp);
    tell(m, bytes_of(h->client_id, h->client_id_n), h->stamp, is_held);
    free(h);
}

/* One page of a shard's sessions on its way to the cluster thread and, if there are more, back for the next.
 */
struct announce {
    struct claim_walk walk;
    uint32_t round;
    uint32_t shard;
    uint32_t n;
    uint32_t text_n, text_cap;
    uint8_t *text; /* be16 length, id, be64 stamp */
};

static void announce_one(void *ctx, struct bytes client_id, uint64_t stamp)
{
    struct announce *a = ctx;
    uint32_t need = a->text_n + 2 + client_id.n + 8;
    if (need > a->text_cap) {
        a->text_cap = need * 2;
        a->text = mem_realloc(a->text, a->text_cap);
    }
    uint8_t *p = be16_put(a->text + a->text_n, (uint16_t)client_id.n);
    be64_put(bytes_put(p, client_id), stamp);
    a->text_n = need;
}

static void announce_free(void *arg)
{
    struct announce *a = arg;
    free(a->text);
    free(a);
}

static void announce_take(struct mesh *m, void *arg);

/* On the shard. */
static void announce_page(struct shard *sh, void *arg)
{
    struct announce *a = arg;
    a->text_n = 0;
    claim_each(sh, &a->walk, ANNOUNCE_PAGE, announce_one, a);
    shard_mesh_call(sh, announce_take, announce_free, a);
}

/* This node has announced all that it holds. */
static void all_told(struct mesh *m)
{
    struct rpc_hold nothing = {0};
    for (uint32_t i = 0; i < PEERS_MAX; i++) {
        struct peer *p = m->peers[i];
        if (!peer_is_live(p))
            continue;
        ids_send(m, p);
        rpc_buf_reset(&m->scratch);
        rpc_hold_put(&m->scratch, &nothing);
        peer_send(m, p, RPC_HOLD, rpc_buf_bytes(&m->scratch));
    }
}

static void announce_take(struct mesh *m, void *arg)
{
    struct announce *a = arg;
    struct cursor c = cursor_of(bytes_of(a->text, a->text_n));
    struct bytes id;
    uint64_t stamp;
    while (cursor_lenbytes(&c, &id) && cursor_u64(&c, &stamp))
        tell(m, id, stamp, true);
    bool is_current = a->round == m->announce_round;
    if (!a->walk.is_over && is_current) {
        mesh_call(m, a->shard, announce_page, announce_free, a);
        return;
    }
    announce_free(a);
    if (is_current && --m->own_walks == 0)
        all_told(m);
}

void ids_unsettle(struct mesh *m, uint64_t peers)
{
    m->members_round++;
    m->announce_ms = m->now_ms + ANNOUNCE_MS;
    m->untold |= peers;
    m->own_walks = m->shards_n;
    m->settle_ms = m->now_ms + SETTLE_MS;
}

void ids_on_membership(struct mesh *m)
{
    uint64_t live = 0;
    for (uint32_t i = 0; i < PEERS_MAX; i++)
        live |= (uint64_t)peer_is_live(m->peers[i]) << i;
    m->untold &= live;
    ids_unsettle(m, live);
}

void ids_announce(struct mesh *m)
{
    m->announce_ms = 0;
    m->announce_round++;
    m->own_walks = m->live_n > 1 ? m->shards_n : 0;
    for (uint32_t i = 0; i < m->shards_n && m->live_n > 1; i++) {
        struct announce *a = mem_zalloc(sizeof *a);
        a->shard = i;
        a->round = m->announce_round;
        mesh_call(m, i, announce_page, announce_free, a);
    }
}
