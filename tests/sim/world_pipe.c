/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "tests/sim/world_i.h"

#include <stdlib.h>

/* ---- pipes ---------------------------------------------------------------------------------------- */

struct pipe_end *pipe_new(struct world *w, uint32_t node, const char *client_id)
{
    struct world_node *n = &w->nodes[node];
    struct pipe_end *p = mem_zalloc(sizeof *p);
    struct conn_peer peer = {.address = "sim", .port = 1};
    p->world = w;
    p->node = node;
    p->is_open = true;
    conn_init(&p->core, node_shard(n->node, node_home(n->node, bytes_str(client_id))), &n->settings, &peer);
    for (unsigned i = 0;; i++) {
        CHECK(i < PIPES_MAX);
        if (!w->pipes[i]) {
            w->pipes[i] = p;
            return p;
        }
    }
}

void pipe_drop(struct pipe_end *p)
{
    p->is_gone = true;
}

void pipe_free(struct pipe_end *p)
{
    struct world *w = p->world;
    if (p->is_open) {
        conn_on_lost(&p->core, CONN_END_LOST);
        conn_fini(&p->core);
    }
    for (unsigned i = 0; i < PIPES_MAX; i++) {
        if (w->pipes[i] == p)
            w->pipes[i] = NULL;
    }
    wbuf_free(&p->up);
    wbuf_free(&p->held);
    wbuf_free(&p->down);
    free(p);
}

static void pipe_feed(struct world *w, struct pipe_end *p)
{
    size_t n = p->up.n && world_chance(w, 70) ? 1 + world_random(w, p->up.n) : 0;
    if (n) {
        wbuf_add(&p->held, p->up.p, n);
        wbuf_drop(&p->up, n);
    }
    if (p->is_gone && (p->up.n == 0 || world_chance(w, 50))) {
        conn_on_lost(&p->core, CONN_END_LOST);
        return;
    }
    if (p->held.n && !p->core.read_paused && p->core.state != CONN_CLOSING)
        wbuf_drop(&p->held, conn_feed(&p->core, p->held.p, p->held.n));
}

/* Writes what the pipe takes; a slow one takes some and blocks. */
static void pipe_flush(struct world *w, struct pipe_end *p)
{
    struct iovec iov[16];
    struct outpool *pool = shard_outpool(p->core.shard);
    bool slow = world_chance(w, 20);
    while (!outbuf_is_empty(&p->core.out)) {
        int n = outbuf_iov(&p->core.out, iov, 16);
        size_t take = iov[0].iov_len;
        CHECK(n > 0);
        if (slow)
            take = world_random(w, take + 1);
        wbuf_add(&p->down, iov[0].iov_base, take);
        outbuf_consume(&p->core.out, pool, take);
        if (slow) {
            p->core.write_blocked = !outbuf_is_empty(&p->core.out);
            return;
        }
    }
    p->core.write_blocked = 0;
}

static void pipe_close(struct world *w, struct pipe_end *p)
{
    while (!outbuf_is_empty(&p->core.out))
        pipe_flush(w, p);
    conn_fini(&p->core);
    p->is_open = false;
    p->broker_ended = true;
}

/* ---- a turn --------------------------------------------------------------------------------------- */

void pipes_flush(struct world_node *n, struct shard *sh)
{
    struct conn *c;
    while ((c = shard_dirty_take(sh))) {
        struct pipe_end *p = container_of(c, struct pipe_end, core);
        if (c->state == CONN_CLOSING)
            pipe_close(n->world, p);
        else if (!c->write_blocked && !c->out_held)
            pipe_flush(n->world, p);
    }
}

void pipes_turn(struct world_node *n, struct shard *sh)
{
    struct world *w = n->world;
    for (unsigned k = 0; k < PIPES_MAX; k++) {
        struct pipe_end *p = w->pipes[k];
        if (!p || !p->is_open || p->core.shard != sh)
            continue;
        if (p->core.write_blocked && world_chance(w, 50)) {
            pipe_flush(w, p);
            if (!p->core.write_blocked)
                conn_on_writable(&p->core);
        } else if (p->core.out_waits && !p->core.write_blocked) {
            conn_on_writable(&p->core);
        }
        pipe_feed(w, p);
    }
}

void pipes_cut(struct world_node *n)
{
    for (unsigned i = 0; i < PIPES_MAX; i++) {
        struct pipe_end *p = n->world->pipes[i];
        if (!p || !p->is_open || p->node != n->number)
            continue;
        conn_on_lost(&p->core, CONN_END_LOST);
        conn_fini(&p->core);
        p->is_open = false;
        p->broker_ended = true;
    }
}
