/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mesh/mesh_i.h"

#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { HELLO_MS = 5000, IN_FIRST = 4096, IN_KEEP = 256 << 10, ADDRESS_BYTES = NET_ADDR_N };

/* ---- the end -------------------------------------------------------------------------------------- */

static void mark_dirty(struct wire *w)
{
    if (list_is_empty(&w->dirty_link))
        list_push(&w->mesh->dirty, &w->dirty_link);
}

void wire_close(struct wire *w, const char *why)
{
    struct peer *p = w->peer;
    char text[NET_ADDR_TEXT_N];
    if (w->state == WIRE_CLOSING)
        return;
    LOG(w->mesh->conf.log, LOG_DEBUG, "cluster connection ends peer=%s why=\"%s\"",
        net_addr_text(text, &w->addr), why);
    w->state = WIRE_CLOSING;
    mark_dirty(w);
    if (p && p->wire == w)
        peer_on_unlink(w->mesh, p, why);
}

/* The peer broke the rules: counted, logged, ended. */
static void refuse(struct wire *w, const char *why)
{
    char text[NET_ADDR_TEXT_N];
    MESH_COUNT(w->mesh, FRAMES_BAD);
    LOG(w->mesh->conf.log, LOG_WARNING, "cluster peer refused address=%s why=\"%s\"",
        net_addr_text(text, &w->addr), why);
    wire_close(w, why);
}

void wire_fini(struct wire *w)
{
    wire_close(w, "the connection was lost");
    list_del(&w->all_link);
    list_del(&w->dirty_link);
    frame_buf_unref(w->out);
    free(w->in);
    w->in = NULL;
    w->out = NULL;
}

/* ---- the beginning -------------------------------------------------------------------------------- */

/* Control frames of the time before the link is attached. */
static void early_push(struct wire *w, enum rpc_op op, struct bytes body)
{
    uint32_t have = w->out ? w->out->n : 0, size = RPC_FRAME_HEADER_N + body.n;
    struct frame_buf *f = frame_buf_new(have + size);
    if (have)
        memcpy(f->b, w->out->b, have);
    bytes_put(rpc_frame_head_put(f->b + have, op, body.n), body);
    f->n = have + size;
    frame_buf_unref(w->out);
    w->out = f;
    mark_dirty(w);
}

static void hello_send(struct wire *w)
{
    struct mesh *m = w->mesh;
    const struct member *self = members_self(m->members);
    struct rpc_hello h = {.version = RPC_VERSION,
                          .version_min = RPC_VERSION_MIN,
                          .features = RPC_FEATURES,
                          .node_id = m->conf.id,
                          .epoch = m->conf.epoch,
                          .cluster = bytes_str(m->conf.cluster),
                          .name = bytes_str(m->conf.name),
                          .mqtt_address = bytes_str(m->conf.mqtt_address),
                          .address = self->addr,
                          .is_draining = self->is_draining};
    rpc_buf_reset(&m->scratch);
    rpc_hello_put(&m->scratch, &h);
    early_push(w, RPC_HELLO, rpc_buf_bytes(&m->scratch));
}

void wire_init(struct wire *w, struct mesh *m, enum wire_side side, const struct net_addr *addr)
{
    *w = (struct wire){.mesh = m, .addr = *addr, .side = (uint8_t)side, .state = WIRE_HELLO};
    w->opened_ms = w->rx_ms = w->tx_ms = m->now_ms;
    list_push(&m->wires, &w->all_link);
    list_init(&w->dirty_link);
    hello_send(w);
}

/* Of two connections between the same nodes the one that the smaller id dialled stays; of two that one node
 * dialled, the newer. Answers whether w may go on. */
static bool is_wanted(struct wire *w, struct peer *p)
{
    struct mesh *m = w->mesh;
    if (!p->wire)
        return true;
    bool we_are_smaller = node_id_cmp(&m->conf.id, &p->id) < 0;
    bool is_right_side = (w->side == WIRE_DIALED) == we_are_smaller;
    bool old_is_right = (p->wire->side == WIRE_DIALED) == we_are_smaller;
    if (old_is_right && !is_right_side && p->wire->peer_epoch == w->peer_epoch)
        return false;
    wire_close(p->wire, "another connection took its place");
    return true;
}

static void resume_send(struct wire *w)
{
    struct mesh *m = w->mesh;
    const struct link *l = &w->peer->link;
    struct rpc_resume r = {
        .conversation = l->conversation, .received = l->rx_received, .nonce = mesh_random(m)};
    w->conversation = r.conversation;
    w->nonce = r.nonce;
    w->rx_number = r.received;
    rpc_buf_reset(&m->scratch);
    rpc_resume_put(&m->scratch, &r);
    early_push(w, RPC_RESUME, rpc_buf_bytes(&m->scratch));
}

/* Who is there. */
static void on_hello(struct wire *w, struct bytes body)
{
    struct mesh *m = w->mesh;
    struct rpc_hello h;
    if (!rpc_hello_read(&h, body, m->arena)) {
        refuse(w, "a malformed HELLO");
        return;
    }
    if (node_id_eq(&h.node_id, &m->conf.id)) {
        dial_on_self(m, &w->addr);
        wire_close(w, "it is this node itself");
        return;
    }
    if (!bytes_eq(h.cluster, bytes_str(m->conf.cluster))) {
        MESH_COUNT(m, PEERS_FOREIGN);
        refuse(w, "it belongs to another cluster");
        return;
    }
    w->version = h.version < RPC_VERSION ? h.version : RPC_VERSION;
    w->features = h.features & RPC_FEATURES;
    w->peer_epoch = h.epoch;
    if (w->version < RPC_VERSION_MIN || w->version < h.version_min) {
        MESH_COUNT(m, PEERS_FOREIGN);
        refuse(w, "no protocol version in common");
        return;
    }
    struct peer *p = peer_get(m, &h.node_id);
    if (!p || (p->epoch && h.epoch < p->epoch)) {
        refuse(w, p ? "a node that has started anew since" : "too many nodes");
        return;
    }
    if (!is_wanted(w, p)) {
        wire_close(w, "there is a connection already");
        return;
    }
    struct member_self peer = {
        .id = h.node_id, .epoch = h.epoch, .addr = h.address, .is_draining = h.is_draining};
    snprintf(peer.name, sizeof peer.name, "%.*s", (int)h.name.n, (const char *)h.name.p);
    snprintf(peer.cluster, sizeof peer.cluster, "%s", m->conf.cluster);
    memcpy(p->name, peer.name, sizeof p->name);
    snprintf(p->mqtt_address, sizeof p->mqtt_address, "%.*s", (int)h.mqtt_address.n,
             (const char *)h.mqtt_address.p);
    p->addr = h.address;
    w->peer = p;
    w->state = WIRE_RESUME;
    members_on_contact(m->members, &peer, m->now_ms);
    resume_send(w);
}

static void on_resume(struct wire *w, struct bytes body)
{
    struct mesh *m = w->mesh;
    struct peer *p = w->peer;
    struct rpc_resume r;
    if (!rpc_resume_read(&r, body, m->arena)) {
        refuse(w, "a malformed RESUME");
        return;
    }
    if (w->conversation != p->link.conversation) { /* another connection began a new one since */
        wire_close(w, "another conversation has begun");
        return;
    }
    if (p->wire != w && !is_wanted(w, p)) { /* the other one was quicker */
        wire_close(w, "there is a connection already");
        return;
    }
    /* The same on both sides. */
    bool we_are_smaller = node_id_cmp(&m->conf.id, &p->id) < 0;
    uint64_t low = we_are_smaller ? w->nonce : r.nonce, high = we_are_smaller ? r.nonce : w->nonce;
    uint64_t fresh = hash_u64(low, hash_u64(high, 1)) | 1;
    enum link_resume how = link_attach(&p->link, w->conversation, r.conversation, r.received, fresh);
    if (how == LINK_IMPOSSIBLE) {
        refuse(w, "it claims to have what was never sent");
        return;
    }
    w->state = WIRE_UP;
    peer_on_link(m, p, w, how);
    if (how == LINK_RESET) {
        w->rx_number = 0;
        peer_on_reset(m, p);
    }
    mark_dirty(w);
}

/* ---- frames --------------------------------------------------------------------------------------- */

static void on_control(struct wire *w, unsigned op, struct bytes body)
{
    switch (op) {
    case RPC_HELLO:
    case RPC_RESUME:
        refuse(w, "HELLO or RESUME out of place");
        break;
    case RPC_ACK:
        if (!link_on_ack(&w->peer->link, body))
            refuse(w, "a malformed ACK");
        break;
    case RPC_PING:
        break;
    case RPC_BYE:
        wire_close(w, "it said goodbye");
        break;
    default:
        refuse(w, "an unknown opcode");
    }
}

static void on_frame(struct wire *w, unsigned op, struct bytes body)
{
    if (w->state == WIRE_HELLO) {
        if (op == RPC_HELLO)
            on_hello(w, body);
        else
            refuse(w, "the first frame must be HELLO");
        return;
    }
    if (w->state == WIRE_RESUME) {
        if (op == RPC_RESUME)
            on_resume(w, body);
        else
            refuse(w, "the second frame must be RESUME");
        return;
    }
    if (rpc_op_is_control(op)) {
        on_control(w, op, body);
        return;
    }
    if (!rpc_op_name(op)) {
        refuse(w, "an unknown opcode");
        return;
    }
    switch (link_on_frame(&w->peer->link, ++w->rx_number)) {
    case LINK_FRAME_NEW:
        if (!peer_on_frame(w->mesh, w->peer, op, body))
            refuse(w, "a malformed frame");
        break;
    case LINK_FRAME_OLD:
        break;
    case LINK_FRAME_GAP:
        refuse(w, "frames are missing");
        break;
    }
}

/* Every whole frame at b; answers how many bytes that was. */
static uint32_t frames_take(struct wire *w, struct bytes b)
{
    uint32_t at = 0;
    while (w->state != WIRE_CLOSING && b.n - at >= RPC_FRAME_HEADER_N) {
        uint32_t n = be32_get(b.p + at);
        if (n < 1 || n > w->mesh->conf.frame_bytes_max) {
            refuse(w, "a frame of a length that cannot be");
            break;
        }
        if (b.n - at < 4 + n)
            break;
        rpc_arena_reset(w->mesh->arena);
        on_frame(w, b.p[at + 4], bytes_of(b.p + at + RPC_FRAME_HEADER_N, n - 1));
        at += 4 + n;
    }
    return at;
}

static void in_append(struct wire *w, struct bytes b)
{
    uint64_t need = (uint64_t)w->in_n + b.n;
    if (need > w->in_cap) {
        /* Grows as bytes come, not to the size that is announced. */
        uint64_t cap = w->in_cap ? w->in_cap : IN_FIRST;
        while (cap < need)
            cap *= 2;
        w->in = mem_realloc(w->in, cap);
        w->in_cap = (uint32_t)cap;
    }
    memcpy(w->in + w->in_n, b.p, b.n);
    w->in_n += b.n;
}

static void in_drop(struct wire *w, uint32_t n)
{
    w->in_n -= n;
    memmove(w->in, w->in + n, w->in_n);
    if (!w->in_n && w->in_cap > IN_KEEP) {
        free(w->in);
        w->in = NULL;
        w->in_cap = 0;
    }
}

/* How many bytes the frame that w->in begins still lacks (at least 1). */
static uint32_t in_lacks(const struct wire *w)
{
    if (w->in_n < RPC_FRAME_HEADER_N)
        return RPC_FRAME_HEADER_N - w->in_n;
    uint32_t size = 4 + be32_get(w->in);
    return size > w->in_n ? size - w->in_n : 1;
}

void wire_feed(struct wire *w, struct bytes b)
{
    w->rx_ms = w->mesh->now_ms;
    /* Finishes the frame that is begun, then goes on in place. */
    while (w->in_n && b.n && w->state != WIRE_CLOSING) {
        uint32_t n = in_lacks(w) < b.n ? in_lacks(w) : b.n;
        in_append(w, bytes_of(b.p, n));
        b = bytes_of(b.p + n, b.n - n);
        in_drop(w, frames_take(w, bytes_of(w->in, w->in_n)));
    }
    if (w->state == WIRE_CLOSING || !b.n)
        return;
    uint32_t used = frames_take(w, b);
    if (w->state != WIRE_CLOSING && used < b.n)
        in_append(w, bytes_of(b.p + used, b.n - used));
}

/* ---- out ------------------------------------------------------------------------------------------ */

struct bytes wire_out_peek(struct wire *w)
{
    if (w->out)
        return bytes_of(w->out->b + w->out_at, w->out->n - w->out_at);
    if (w->state != WIRE_UP)
        return bytes_of(NULL, 0);
    return link_out_peek(&w->peer->link);
}

uint32_t wire_out_iov(struct wire *w, struct bytes *v, uint32_t max)
{
    if (w->out || w->state != WIRE_UP) {
        v[0] = wire_out_peek(w);
        return v[0].n > 0;
    }
    return link_out_iov(&w->peer->link, v, max);
}

void wire_out_done(struct wire *w, uint32_t n)
{
    w->tx_ms = w->mesh->now_ms;
    if (!w->out) {
        link_out_done(&w->peer->link, n);
        return;
    }
    w->out_at += n;
    if (w->out_at < w->out->n)
        return;
    frame_buf_unref(w->out);
    w->out = NULL;
    w->out_at = 0;
}

struct wire *mesh_wire_take(struct mesh *m)
{
    struct list *l = list_pop(&m->dirty);
    return l ? container_of(l, struct wire, dirty_link) : NULL;
}

/* ---- time ----------------------------------------------------------------------------------------- */

void wire_tick(struct wire *w)
{
    struct mesh *m = w->mesh;
    if (w->state == WIRE_CLOSING)
        return;
    if (w->state != WIRE_UP) {
        if (m->now_ms - w->opened_ms >= HELLO_MS)
            wire_close(w, "no HELLO in time");
        return;
    }
    if (m->now_ms - w->rx_ms >= m->conf.silent_ms) {
        wire_close(w, "silent");
        return;
    }
    if (m->now_ms - w->tx_ms >= m->conf.ping_ms) {
        link_push_control(&w->peer->link, RPC_PING, bytes_of(NULL, 0));
        w->tx_ms = m->now_ms;
        mark_dirty(w);
    }
}
