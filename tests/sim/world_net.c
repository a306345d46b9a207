/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/shard_i.h"
#include "node/mesh/mesh_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "tests/sim/world_i.h"

#include <stdio.h>
#include <stdlib.h>

/* The network between the nodes: datagrams that are lost, doubled and reordered; connections that deliver in
 * pieces, break, and stand still where the way is cut. */

static struct world_node *node_at(struct world *w, const struct net_addr *a)
{
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        if (net_addr_eq(&w->nodes[i].addr, a))
            return &w->nodes[i];
    }
    return NULL;
}

/* ---- meshes --------------------------------------------------------------------------------------- */

void net_mesh_start(struct world_node *n)
{
    struct world *w = n->world;
    struct mesh_conf mc;
    struct net_addr seeds[SIM_NODES_MAX];
    mesh_conf_default(&mc);
    mc.node = n->node;
    mc.id = node_conf(n->node)->id;
    mc.epoch = n->epoch;
    mc.name = n->name;
    mc.cluster = "sim";
    mc.mqtt_address = "";
    mc.advertise = n->addr;
    mc.seed = world_random(w, UINT64_MAX) | 1;
    mc.log = &n->log;
    mc.ring_bytes_max = 1 << 20;
    n->mesh = mesh_new(&mc, w->now_ms, world_node_wall_ms(n));
    for (uint32_t i = 0; i < w->nodes_n; i++)
        seeds[i] = w->nodes[i].addr;
    mesh_seeds_set(n->mesh, seeds, w->nodes_n);
}

static void end_drop(struct stream_end *e)
{
    if (e->is_open)
        wire_fini(&e->wire);
    e->is_open = false;
}

void net_mesh_drop(struct world_node *n)
{
    struct world *w = n->world;
    if (!n->mesh)
        return;
    for (unsigned i = 0; i < STREAMS_MAX; i++) {
        struct stream *s = w->streams[i];
        for (unsigned k = 0; s && k < 2; k++) {
            if (s->ends[k].node != n->number)
                continue;
            end_drop(&s->ends[k]);
            s->is_broken = true;
        }
    }
    mesh_free(n->mesh);
    n->mesh = NULL;
}

static void stream_free(struct world *w, unsigned i)
{
    struct stream *s = w->streams[i];
    w->streams[i] = NULL;
    for (unsigned k = 0; k < 2; k++) {
        end_drop(&s->ends[k]);
        wbuf_free(&s->ends[k].in);
    }
    free(s);
}

void net_free(struct world *w)
{
    for (unsigned i = 0; i < STREAMS_MAX; i++)
        if (w->streams[i])
            stream_free(w, i);
    while (w->datagrams) {
        struct datagram *d = w->datagrams;
        w->datagrams = d->next;
        free(d);
    }
}

/* ---- datagrams ------------------------------------------------------------------------------------ */

static void datagram_send(struct world *w, const struct world_node *from, const struct member_datagram *md)
{
    struct datagram *d = mem_zalloc(sizeof *d);
    d->from = from->addr;
    d->to = md->to;
    d->n = md->n;
    memcpy(d->b, md->b, md->n);
    d->due_ms = w->now_ms + world_random(w, w->delay_ms + 1);
    d->next = w->datagrams;
    w->datagrams = d;
}

static void datagrams_out(struct world_node *n)
{
    struct world *w = n->world;
    struct member_datagram d;
    while (mesh_datagram_take(n->mesh, &d)) {
        if (world_chance(w, w->loss_percent))
            continue;
        datagram_send(w, n, &d);
        if (world_chance(w, w->loss_percent))
            datagram_send(w, n, &d);
    }
}

static void datagrams_in(struct world_node *n)
{
    struct world *w = n->world;
    struct datagram **at = &w->datagrams;
    while (*at) {
        struct datagram *d = *at;
        const struct world_node *from = node_at(w, &d->from);
        if (d->due_ms > w->now_ms || !net_addr_eq(&d->to, &n->addr)) {
            at = &d->next;
            continue;
        }
        *at = d->next;
        if (from && !w->cut[from->number][n->number])
            mesh_on_datagram(n->mesh, &d->from, bytes_of(d->b, d->n));
        free(d);
    }
}

/* ---- connections ---------------------------------------------------------------------------------- */

static void dial(struct world_node *n, const struct net_addr *to)
{
    struct world *w = n->world;
    struct world_node *other = node_at(w, to);
    unsigned i = 0;
    while (i < STREAMS_MAX && w->streams[i])
        i++;
    if (i == STREAMS_MAX || !other || !other->mesh || w->cut[n->number][other->number] ||
        w->cut[other->number][n->number]) {
        mesh_on_dial_failed(n->mesh, to);
        return;
    }
    struct stream *s = w->streams[i] = mem_zalloc(sizeof *s);
    s->ends[0].node = n->number;
    s->ends[1].node = other->number;
    s->ends[0].is_open = s->ends[1].is_open = true;
    wire_init(&s->ends[0].wire, n->mesh, WIRE_DIALED, to);
    wire_init(&s->ends[1].wire, other->mesh, WIRE_ACCEPTED, &n->addr);
}

/* Whatever the wire has goes into the pipe to the other end. */
static void end_write(struct world *w, struct stream *s, unsigned k)
{
    struct stream_end *e = &s->ends[k], *other = &s->ends[!k];
    for (;;) {
        struct bytes b = wire_out_peek(&e->wire);
        if (!b.n)
            break;
        uint32_t n = world_chance(w, 20) ? 1 + (uint32_t)world_random(w, b.n) : b.n;
        if (!other->in.n)
            other->in_due_ms = w->now_ms + world_random(w, w->delay_ms + 1);
        wbuf_add(&other->in, b.p, n);
        wire_out_done(&e->wire, n);
    }
}

static bool is_cut(const struct world *w, const struct stream *s)
{
    uint32_t a = s->ends[0].node, b = s->ends[1].node;
    return w->cut[a][b] || w->cut[b][a];
}

static void end_turn(struct world *w, struct stream *s, unsigned k)
{
    struct stream_end *e = &s->ends[k];
    if (e->in.n && !is_cut(w, s) && w->now_ms >= e->in_due_ms) {
        size_t n = world_chance(w, 60) ? e->in.n : 1 + (size_t)world_random(w, e->in.n);
        struct wbuf piece = {0};
        wbuf_add(&piece, e->in.p, n);
        wbuf_drop(&e->in, n);
        e->in_due_ms = w->now_ms + world_random(w, w->delay_ms + 1);
        wire_feed(&e->wire, bytes_of(piece.p, piece.n));
        wbuf_free(&piece);
    }
    if (e->wire.state == WIRE_CLOSING || (s->is_broken && !e->in.n)) {
        end_drop(e);
        s->is_broken = true;
    }
}

static void streams_turn(struct world_node *n)
{
    struct world *w = n->world;
    for (unsigned i = 0; i < STREAMS_MAX; i++) {
        struct stream *s = w->streams[i];
        for (unsigned k = 0; s && k < 2; k++)
            if (s->ends[k].node == n->number && s->ends[k].is_open)
                end_turn(w, s, k);
        if (s && !s->ends[0].is_open && !s->ends[1].is_open)
            stream_free(w, i);
    }
}

static void streams_out(struct world_node *n)
{
    struct world *w = n->world;
    while (mesh_wire_take(n->mesh))
        ;
    for (unsigned i = 0; i < STREAMS_MAX; i++) {
        struct stream *s = w->streams[i];
        for (unsigned k = 0; s && k < 2; k++)
            if (s->ends[k].node == n->number && s->ends[k].is_open && !s->is_broken)
                end_write(w, s, k);
    }
}

void net_turn(struct world_node *n)
{
    struct net_addr to;
    datagrams_in(n);
    streams_turn(n);
    mesh_tick(n->mesh);
    mesh_flush(n->mesh);
    while (mesh_dial_take(n->mesh, &to))
        dial(n, &to);
    mesh_flush(n->mesh);
    datagrams_out(n);
    streams_out(n);
}

void net_deliver(struct world *w)
{
    /* Datagrams for nobody. */
    struct datagram **at = &w->datagrams;
    while (*at) {
        struct datagram *d = *at;
        const struct world_node *to = node_at(w, &d->to);
        if (to && to->mesh) {
            at = &d->next;
            continue;
        }
        *at = d->next;
        free(d);
    }
}

/* ---- faults --------------------------------------------------------------------------------------- */

void world_cut(struct world *w, uint32_t a, uint32_t b)
{
    world_trace(w, "CUT %u -> %u", a, b);
    w->cut[a][b] = true;
}

void world_heal(struct world *w)
{
    world_trace(w, "HEAL");
    memset(w->cut, 0, sizeof w->cut);
}

void world_break(struct world *w, uint32_t a, uint32_t b)
{
    world_trace(w, "BREAK %u - %u", a, b);
    for (unsigned i = 0; i < STREAMS_MAX; i++) {
        struct stream *s = w->streams[i];
        if (!s || !((s->ends[0].node == a && s->ends[1].node == b) ||
                    (s->ends[0].node == b && s->ends[1].node == a)))
            continue;
        s->is_broken = true;
        for (unsigned k = 0; k < 2; k++) /* some of what was on its way arrives, the rest is lost */
            if (s->ends[k].in.n)
                s->ends[k].in.n = world_random(w, s->ends[k].in.n + 1);
    }
}

void world_network(struct world *w, unsigned loss_percent, uint32_t delay_ms)
{
    w->loss_percent = loss_percent;
    w->delay_ms = delay_ms;
}

void world_stall(struct world *w, uint32_t node, uint32_t ms)
{
    world_trace(w, "node %u STALLS for %u ms", node, ms);
    w->nodes[node].stalled_until_ms = w->now_ms + ms;
}

void world_clock_jump(struct world *w, uint32_t node, int64_t ms)
{
    world_trace(w, "node %u CLOCK %lld ms", node, (long long)ms);
    w->nodes[node].clock_ms += ms;
}

/* ---- whole ---------------------------------------------------------------------------------------- */

static struct peer *peer_of(const struct world_node *a, const struct world_node *b)
{
    for (uint32_t i = 0; a->mesh && i < PEERS_MAX; i++) {
        struct peer *p = a->mesh->peers[i];
        if (p && node_id_eq(&p->id, &b->mesh->conf.id))
            return p;
    }
    return NULL;
}

static bool is_linked(const struct world_node *a, const struct world_node *b)
{
    const struct peer *p = a->mesh && b->mesh ? peer_of(a, b) : NULL;
    return peer_is_reachable(p) && p->take.is_complete && !p->take.is_loading &&
           a->world->now_ms >= a->stalled_until_ms;
}

static bool pairs_all(const struct world *w,
                      bool (*is)(const struct world_node *a, const struct world_node *b))
{
    for (uint32_t a = 0; a < w->nodes_n; a++) {
        for (uint32_t b = 0; b < w->nodes_n; b++) {
            if (a != b && !is(&w->nodes[a], &w->nodes[b]))
                return false;
        }
    }
    return true;
}

static bool is_confirmed(const struct world_node *a, const struct world_node *b)
{
    return peer_of(a, b)->feed.acked == routelog_seq(a->mesh->routelog);
}

/* Nobody waits for a slow node for ever: what is promised then is promised without it. */
static uint64_t timeouts_count(const struct world *w)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        const struct mesh *m = w->nodes[i].mesh;
        n += m ? mesh_counter(m, MC_CLAIM_TIMEOUTS) + mesh_counter(m, MC_BARRIER_TIMEOUTS) : 0;
    }
    return n;
}

void net_look_whole(struct world *w)
{
    if (w->nodes_n == 1) /* what one node promises holds over its death */
        return;
    bool linked = pairs_all(w, is_linked);
    uint64_t timeouts = timeouts_count(w);
    if (timeouts > w->timeouts) {
        w->breaches++;
        w->is_whole = false; /* until all is confirmed */
        world_trace(w, "a claim or a subscription was not confirmed in time");
    }
    w->timeouts = timeouts;
    if (w->is_whole && !linked) {
        w->breaches++;
        w->is_whole = false;
        world_trace(w, "no longer whole");
    } else if (!w->is_whole && linked && pairs_all(w, is_confirmed)) {
        w->is_whole = true;
        world_trace(w, "whole");
    }
}

bool world_is_whole(const struct world *w)
{
    return w->is_whole;
}

uint64_t world_breaches(const struct world *w)
{
    return w->breaches;
}

void net_explain(const struct world *w)
{
    for (uint32_t a = 0; a < w->nodes_n && w->nodes_n > 1; a++) {
        const struct mesh *m = w->nodes[a].mesh;
        for (uint32_t i = 0; m && i < PEERS_MAX; i++) {
            const struct peer *p = m->peers[i];
            if (!p)
                continue;
            printf("  node %u, peer %s: dead=%d linked=%d waits=%d answers=%u tx=%llu/%llu/%llu rx=%llu "
                   "routes=%d\n",
                   a, p->name, p->is_dead, p->wire != NULL, p->waits != NULL, p->runs_n,
                   (unsigned long long)p->link.tx_acked, (unsigned long long)p->link.tx_sent,
                   (unsigned long long)p->link.tx_next, (unsigned long long)p->link.rx_received,
                   p->take.is_complete);
        }
        if (m)
            printf("  node %u: claims=%d parcels=%d announce=%llu\n", a, !list_is_empty(&m->claims),
                   !list_is_empty(&m->parcels), (unsigned long long)m->announce_ms);
    }
    printf("  whole=%d\n", w->is_whole);
}

bool net_is_busy(const struct world *w)
{
    for (uint32_t a = 0; a < w->nodes_n && w->nodes_n > 1; a++) {
        const struct mesh *m = w->nodes[a].mesh;
        for (uint32_t i = 0; m && i < PEERS_MAX; i++) {
            const struct peer *p = m->peers[i];
            if (p && !p->is_dead && (p->waits || p->runs_n || p->link.tx_acked != p->link.tx_next))
                return true;
        }
        if (m && !retained_is_idle(m))
            return true;
        if (m && (!list_is_empty(&m->claims) || !list_is_empty(&m->parcels) || m->announce_ms))
            return true;
    }
    return !w->is_whole;
}

const char *world_disagreement(struct world *w)
{
    for (uint32_t a = 0; a < w->nodes_n && w->nodes_n > 1; a++) {
        for (uint32_t b = 0; b < w->nodes_n; b++) {
            if (a == b)
                continue;
            const struct peer *p = peer_of(&w->nodes[a], &w->nodes[b]);
            const struct routelog *l = w->nodes[b].mesh->routelog;
            if (p && p->take.sum == routelog_sum(l) && p->take.count == routelog_count(l))
                continue;
            snprintf(w->disagreement, sizeof w->disagreement,
                     "node %u has %llu routes of node %u, which has %llu", a,
                     (unsigned long long)(p ? p->take.count : 0), b, (unsigned long long)routelog_count(l));
            return w->disagreement;
        }
    }
    return retained_disagreement(w);
}
