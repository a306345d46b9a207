/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/core/link.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { RING_FIRST = 64, CONTROL_ROOM = 256, ACK_BODY_N = 8 };

/* ---- frames --------------------------------------------------------------------------------------- */

struct frame_buf *frame_buf_new(uint32_t body_room)
{
    struct frame_buf *f = mem_alloc(sizeof *f + RPC_FRAME_HEADER_N + body_room);
    *f = (struct frame_buf){.refs = 1, .cap = RPC_FRAME_HEADER_N + body_room};
    return f;
}

struct frame_buf *frame_buf_room(struct frame_buf *f, uint32_t body_n)
{
    uint32_t need = RPC_FRAME_HEADER_N + body_n;
    if (need <= f->cap)
        return f;
    CHECK(f->refs == 1);
    uint32_t cap = f->cap * 2 > need ? f->cap * 2 : need;
    f = mem_realloc(f, sizeof *f + cap);
    f->cap = cap;
    return f;
}

struct frame_buf *frame_buf_ref(struct frame_buf *f)
{
    f->refs++;
    return f;
}

void frame_buf_unref(struct frame_buf *f)
{
    if (f && --f->refs == 0)
        free(f);
}

void frame_buf_seal(struct frame_buf *f, enum rpc_op op, uint32_t body_n)
{
    CHECK(RPC_FRAME_HEADER_N + body_n <= f->cap);
    rpc_frame_head_put(f->b, op, body_n);
    f->n = RPC_FRAME_HEADER_N + body_n;
}

/* ---- the ring ------------------------------------------------------------------------------------- */

static struct frame_buf **slot(struct link *l, uint64_t number)
{
    return &l->ring[number & l->mask];
}

static void ring_grow(struct link *l)
{
    uint32_t cap = l->ring ? (l->mask + 1) * 2 : RING_FIRST;
    struct frame_buf **ring = mem_alloc(cap * sizeof(struct frame_buf *));
    for (uint64_t i = l->tx_acked; i < l->tx_next; i++)
        ring[i & (cap - 1)] = *slot(l, i);
    free(l->ring);
    l->ring = ring;
    l->mask = cap - 1;
}

static void ring_free_below(struct link *l, uint64_t number)
{
    for (; l->tx_acked < number; l->tx_acked++) {
        struct frame_buf *f = *slot(l, l->tx_acked);
        l->ring_bytes -= f->n;
        frame_buf_unref(f);
    }
}

static void control_drop(struct link *l)
{
    frame_buf_unref(l->control);
    l->control = NULL;
    l->control_at = 0;
}

static void start_anew(struct link *l)
{
    ring_free_below(l, l->tx_next);
    l->tx_next = l->tx_sent = l->tx_acked = 1;
    l->rx_received = l->rx_acked = 0;
    l->out_at = 0;
}

void link_init(struct link *l, uint64_t ring_bytes_max)
{
    *l = (struct link){.tx_next = 1, .tx_sent = 1, .tx_acked = 1, .ring_bytes_max = ring_bytes_max};
}

void link_fini(struct link *l)
{
    ring_free_below(l, l->tx_next);
    control_drop(l);
    free(l->ring);
    l->ring = NULL;
}

uint64_t link_push(struct link *l, struct frame_buf *f)
{
    if (!l->ring || l->tx_next - l->tx_acked > l->mask)
        ring_grow(l);
    *slot(l, l->tx_next) = f;
    l->ring_bytes += f->n;
    return l->tx_next++;
}

enum link_room link_room(const struct link *l)
{
    if (l->ring_bytes >= l->ring_bytes_max)
        return LINK_FULL;
    return l->ring_bytes > l->ring_bytes_max / 2 ? LINK_CONGESTED : LINK_OPEN;
}

/* ---- connections ---------------------------------------------------------------------------------- */

enum link_resume link_attach(struct link *l, uint64_t own, uint64_t peer, uint64_t received, uint64_t fresh)
{
    CHECK(!l->is_attached && own == l->conversation && fresh);
    if (!own || own != peer) {
        start_anew(l);
        l->conversation = fresh;
        l->is_attached = true;
        return LINK_RESET;
    }
    /* It cannot have forgotten what it confirmed, nor have what was not made. */
    if (received + 1 < l->tx_acked || received >= l->tx_next)
        return LINK_IMPOSSIBLE;
    ring_free_below(l, received + 1);
    l->resent += l->tx_sent > received + 1 ? l->tx_sent - received - 1 : 0;
    l->tx_sent = received + 1;
    l->rx_acked = l->rx_received;
    l->out_at = 0;
    l->is_attached = true;
    return LINK_RESUMED;
}

void link_detach(struct link *l)
{
    l->is_attached = false;
    l->out_at = 0;
    control_drop(l);
}

/* ---- out ------------------------------------------------------------------------------------------ */

static void control_add(struct link *l, enum rpc_op op, struct bytes body)
{
    uint32_t have = l->control ? l->control->n : 0;
    uint32_t need = have + RPC_FRAME_HEADER_N + body.n;
    if (!l->control)
        l->control = frame_buf_new(need > CONTROL_ROOM ? need : CONTROL_ROOM);
    else
        l->control = frame_buf_room(l->control, need);
    bytes_put(rpc_frame_head_put(l->control->b + have, op, body.n), body);
    l->control->n = need;
}

void link_push_control(struct link *l, enum rpc_op op, struct bytes body)
{
    if (l->is_attached)
        control_add(l, op, body);
}

/* Control frames may only stand between two whole frames. */
static void ack_add(struct link *l)
{
    uint8_t body[ACK_BODY_N];
    if (l->rx_acked == l->rx_received || !l->is_attached)
        return;
    be64_put(body, l->rx_received);
    control_add(l, RPC_ACK, bytes_of(body, sizeof body));
    l->rx_acked = l->rx_received;
}

bool link_has_out(const struct link *l)
{
    return l->is_attached && (l->control || l->tx_sent < l->tx_next || l->rx_acked != l->rx_received);
}

uint32_t link_out_iov(struct link *l, struct bytes *v, uint32_t max)
{
    uint32_t n = 0, at = l->out_at;
    uint64_t number = l->tx_sent;
    if (!l->is_attached)
        return 0;
    if (!at) /* else a frame is begun and goes on first */
        ack_add(l);
    if (at && n < max) {
        v[n++] = bytes_of((*slot(l, number))->b + at, (*slot(l, number))->n - at);
        number++;
        if (l->control)
            return n;
    } else if (l->control && n < max) {
        v[n++] = bytes_of(l->control->b + l->control_at, l->control->n - l->control_at);
    }
    for (; n < max && number < l->tx_next; number++)
        v[n++] = bytes_of((*slot(l, number))->b, (*slot(l, number))->n);
    return n;
}

struct bytes link_out_peek(struct link *l)
{
    struct bytes b = {0};
    link_out_iov(l, &b, 1);
    return b;
}

void link_out_done(struct link *l, uint32_t n)
{
    if (l->control && !l->out_at) {
        uint32_t left = l->control->n - l->control_at, take = n < left ? n : left;
        l->control_at += take;
        n -= take;
        if (l->control_at == l->control->n)
            control_drop(l);
    }
    while (n) {
        CHECK(l->tx_sent < l->tx_next);
        uint32_t left = (*slot(l, l->tx_sent))->n - l->out_at, take = n < left ? n : left;
        l->out_at += take;
        n -= take;
        if (take < left)
            return;
        l->out_at = 0;
        l->tx_sent++;
    }
}

/* ---- in ------------------------------------------------------------------------------------------- */

enum link_frame link_on_frame(struct link *l, uint64_t number)
{
    if (number <= l->rx_received)
        return LINK_FRAME_OLD;
    if (number > l->rx_received + 1)
        return LINK_FRAME_GAP;
    l->rx_received = number;
    return LINK_FRAME_NEW;
}

bool link_on_ack(struct link *l, struct bytes body)
{
    if (body.n != ACK_BODY_N)
        return false;
    uint64_t received = be64_get(body.p);
    if (received >= l->tx_sent)
        return false;
    ring_free_below(l, received + 1);
    return true;
}
