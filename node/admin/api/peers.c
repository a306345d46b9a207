/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/peers.h"

#include "node/admin/api/api_i.h"
#include "node/admin/api/offload.h"
#include "node/mesh/mesh.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"
#include "proto/rpc/messages.h"

#include <event2/event.h>
#include <stdlib.h>

/* What this node asks another one, and what another one asks this. */
struct exchange {
    struct list link;
    struct peers *peers;
    char *node;
    uint64_t id;
    uint64_t heard_ms; /* monotonic: the last sign of the other side */
    struct text answer;
    uint64_t total; /* of an answer that comes */
    bool is_served; /* an answer that goes: it is there */
    void (*done)(void *arg, enum err e, struct bytes answer);
    void *arg;
};

struct peers {
    struct api *api;
    struct api_peers ops;
    struct list asked;
    struct list answering;
    uint32_t asked_n, answering_n;
    uint64_t next_id;
    struct event *tick;
    bool is_stopped;
};

static struct exchange *exchange_new(struct peers *p, struct list *all, const char *node, uint64_t id)
{
    struct exchange *x = mem_zalloc(sizeof *x);
    x->peers = p;
    x->node = mem_text(node);
    x->id = id;
    x->heard_ms = mono_ms();
    list_push(all, &x->link);
    return x;
}

static void exchange_free(struct exchange *x)
{
    list_del(&x->link);
    text_fini(&x->answer);
    free(x->node);
    free(x);
}

static struct exchange *exchange_find(struct list *all, const char *node, uint64_t id)
{
    list_each_safe(l, all)
    {
        struct exchange *x = container_of(l, struct exchange, link);
        if (x->id == id && strcmp(x->node, node) == 0)
            return x;
    }
    return NULL;
}

/* ---- to the mesh ---------------------------------------------------------------------------------- */

struct sending {
    const char *node;
    const struct rpc_admin *what;
    bool is_sent;
};

static void send_call(struct mesh *m, void *arg)
{
    struct sending *s = arg;
    s->is_sent = mesh_admin_send(m, s->node, s->what);
}

static bool peer_tell(const struct peers *p, const char *node, const struct rpc_admin *what)
{
    const struct cluster_view_ops *view = p->api->env->conf.cluster;
    struct sending s = {node, what, false};
    return view->ask(view->ctx, send_call, &s) == OK && s.is_sent;
}

/* ---- asking --------------------------------------------------------------------------------------- */

static void asked_end(struct exchange *x, enum err e)
{
    void (*done)(void *arg, enum err e, struct bytes answer) = x->done;
    void *arg = x->arg;
    struct text answer = x->answer;
    x->answer = (struct text){0};
    x->peers->asked_n--;
    exchange_free(x);
    done(arg, e, bytes_of(answer.p, answer.n));
    text_fini(&answer);
}

static void ask(void *ctx, const char *node, struct bytes request,
                void (*done)(void *arg, enum err e, struct bytes answer), void *arg)
{
    struct peers *p = ctx;
    struct rpc_admin call = {.kind = RPC_ADMIN_CALL, .id = ++p->next_id, .data = request};
    if (p->is_stopped || p->asked_n >= PEERS_CALLS_MAX || !peer_tell(p, node, &call)) {
        done(arg, p->is_stopped ? ERR_CLOSED : ERR_LIMIT, bytes_of(NULL, 0));
        return;
    }
    struct exchange *x = exchange_new(p, &p->asked, node, call.id);
    p->asked_n++;
    x->done = done;
    x->arg = arg;
}

static void on_piece(struct peers *p, const char *from, const struct rpc_admin *a)
{
    struct exchange *x = exchange_find(&p->asked, from, a->id);
    if (!x || a->offset != x->answer.n) /* given up, or it came twice */
        return;
    bool is_first = a->offset == 0;
    if (a->total > PEERS_ANSWER_BYTES_MAX || (!is_first && a->total != x->total) ||
        (a->total && !a->data.n)) {
        asked_end(x, ERR_INVALID);
        return;
    }
    x->total = a->total;
    x->heard_ms = mono_ms();
    text_append(&x->answer, a->data);
    if (x->answer.n == x->total)
        asked_end(x, OK);
    else if (!peer_tell(p, from,
                        &(struct rpc_admin){.kind = RPC_ADMIN_MORE, .id = a->id, .offset = x->answer.n}))
        asked_end(x, ERR_CLOSED);
}

/* ---- answering ------------------------------------------------------------------------------------ */

static void answering_end(struct exchange *x)
{
    x->peers->answering_n--;
    exchange_free(x);
}

static void piece_send(struct exchange *x, uint64_t offset)
{
    uint64_t rest = x->answer.n - offset, n = rest < PEERS_PIECE_BYTES ? rest : PEERS_PIECE_BYTES;
    const struct rpc_admin piece = {.kind = RPC_ADMIN_PIECE,
                                    .id = x->id,
                                    .total = x->answer.n,
                                    .offset = offset,
                                    .data = bytes_of(x->answer.p + offset, (size_t)n)};
    x->heard_ms = mono_ms();
    if (!peer_tell(x->peers, x->node, &piece) || n == rest)
        answering_end(x);
}

static void on_served(void *arg, struct bytes answer)
{
    struct exchange *x = arg;
    text_append(&x->answer, answer);
    x->is_served = true;
    if (x->peers->is_stopped)
        answering_end(x);
    else
        piece_send(x, 0);
}

static void on_call(struct peers *p, const char *from, const struct rpc_admin *a)
{
    static const char busy[] =
        "{\"status\": 503, \"answer\": {\"code\": \"BUSY\", \"message\": \"Too many calls.\"}}";
    if (exchange_find(&p->answering, from, a->id))
        return;
    if (p->answering_n >= PEERS_CALLS_MAX) {
        struct bytes text = bytes_of(busy, sizeof busy - 1);
        bool is_sent = peer_tell(p, from, &(struct rpc_admin){RPC_ADMIN_PIECE, a->id, text.n, 0, text});
        (void)is_sent; /* else there is nobody to tell */
        return;
    }
    p->answering_n++;
    api_serve(p->api, a->data, on_served, exchange_new(p, &p->answering, from, a->id));
}

static void on_more(struct peers *p, const char *from, const struct rpc_admin *a)
{
    struct exchange *x = exchange_find(&p->answering, from, a->id);
    if (x && x->is_served && a->offset < x->answer.n)
        piece_send(x, a->offset);
}

/* ---- from the mesh -------------------------------------------------------------------------------- */

/* A frame on its way from the mesh's thread to this one. */
struct arrival {
    struct peers *peers;
    char *from;
    struct rpc_admin what;
};

static void on_arrival(void *arg)
{
    struct arrival *v = arg;
    struct peers *p = v->peers;
    if (p->is_stopped)
        ;
    else if (v->what.kind == RPC_ADMIN_CALL)
        on_call(p, v->from, &v->what);
    else if (v->what.kind == RPC_ADMIN_PIECE)
        on_piece(p, v->from, &v->what);
    else
        on_more(p, v->from, &v->what);
    free((void *)(uintptr_t)v->what.data.p);
    free(v->from);
    free(v);
}

/* The mesh's thread. */
static void on_frame(void *ctx, const char *from, const struct rpc_admin *a)
{
    struct peers *p = ctx;
    struct arrival *v = mem_alloc(sizeof *v);
    *v = (struct arrival){p, mem_text(from), *a};
    v->what.data.p = mem_dup(a->data.p, a->data.n);
    offload_expect(p->api->offload);
    offload_post(p->api->offload, on_arrival, v);
}

/* ---- life ----------------------------------------------------------------------------------------- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct peers *p = arg;
    uint64_t now_ms = mono_ms();
    (void)fd;
    (void)what;
    list_each_safe(l, &p->asked)
    {
        struct exchange *x = container_of(l, struct exchange, link);
        if (now_ms - x->heard_ms >= PEERS_SILENCE_MS)
            asked_end(x, ERR_CLOSED);
    }
    list_each_safe(l, &p->answering)
    {
        struct exchange *x = container_of(l, struct exchange, link);
        if (x->is_served && now_ms - x->heard_ms >= PEERS_SILENCE_MS)
            answering_end(x);
    }
}

static void hook_set(struct mesh *m, void *arg)
{
    mesh_admin_hook(m, on_frame, arg);
}

static void hook_clear(struct mesh *m, void *arg)
{
    (void)arg;
    mesh_admin_hook(m, NULL, NULL);
}

static void mesh_do(const struct peers *p, void (*fn)(struct mesh *m, void *arg), void *arg)
{
    const struct cluster_view_ops *view = p->api->env->conf.cluster;
    enum err e = view->ask(view->ctx, fn, arg);
    (void)e; /* ERR_CLOSED: it does not run, and calls nobody */
}

struct peers *peers_new(struct api *a)
{
    static const struct timeval every = {1, 0};
    struct peers *p = mem_zalloc(sizeof *p);
    p->api = a;
    p->ops = (struct api_peers){ask, p};
    list_init(&p->asked);
    list_init(&p->answering);
    p->next_id = wall_ms() << 20; /* not those of the life before */
    p->tick = event_new(a->base, -1, EV_PERSIST, on_tick, p);
    CHECK(p->tick && event_add(p->tick, &every) == 0);
    api_peers_set(a, &p->ops);
    mesh_do(p, hook_set, p);
    return p;
}

void peers_stop(struct peers *p)
{
    if (!p || p->is_stopped)
        return;
    mesh_do(p, hook_clear, NULL);
    p->is_stopped = true;
    while (!list_is_empty(&p->asked))
        asked_end(container_of(p->asked.next, struct exchange, link), ERR_CLOSED);
}

void peers_free(struct peers *p)
{
    if (!p)
        return;
    while (!list_is_empty(&p->answering))
        answering_end(container_of(p->answering.next, struct exchange, link));
    event_free(p->tick);
    free(p);
}
