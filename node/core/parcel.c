/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/parcel_i.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

struct parcel_order *parcel_order_new(struct bytes client_id)
{
    struct parcel_order *o = mem_zalloc(sizeof *o + client_id.n);
    o->client_id_n = client_id.n;
    bytes_put(o->client_id, client_id);
    return o;
}

void parcel_piece_free(struct parcel_piece *p)
{
    rpc_buf_fini(&p->body);
    free(p);
}

void parcels_init(struct parcels *p)
{
    *p = (struct parcels){0};
    list_init(&p->moving);
    list_init(&p->late);
}

void parcels_fini(struct parcels *p)
{
    parcel_late_free(p);
    free(p->imports);
    rpc_arena_free(p->arena);
}

struct parcel *parcel_new(struct session *s, const struct node_id *peer, uint64_t number, uint64_t token,
                          enum parcel_state state)
{
    struct parcel *p = mem_zalloc(sizeof *p);
    *p = (struct parcel){
        .session = s, .peer = *peer, .number = number, .token = token, .state = (uint8_t)state};
    list_push(&s->shard->parcels.moving, &p->link);
    p->older = s->parcel;
    s->parcel = p;
    s->is_leaving = state == PARCEL_LEAVING;
    if (s->is_leaving)
        wheel_stop(&s->timer);
    return p;
}

static void parcel_free_one(struct parcel *p)
{
    list_del(&p->link);
    for (uint32_t i = 0; i < p->held_n; i++) {
        msg_unref(p->held[i].msg);
        pending_drop(p->held[i].pending);
        free(p->held[i].ids);
    }
    free(p->held);
    uidset_fini(&p->recent);
    uidmax_fini(&p->newest);
    free(p->deferred);
    free(p);
}

void parcel_free(struct parcel *p)
{
    while (p) {
        struct parcel *older = p->older;
        parcel_free_one(p);
        p = older;
    }
}

void parcel_session_ends(struct shard *sh, struct session *s)
{
    for (struct parcel *p = s->parcel; p; p = p->older) {
        for (uint32_t i = 0; i < p->held_n; i++) {
            parcel_held_done(sh, s, &p->held[i]);
            pending_release(sh, p->held[i].pending, RC_SUCCESS);
            p->held[i].pending = NULL;
        }
        parcel_in_ends(sh, p);
        parcel_out_ends(sh, p);
    }
}

static void unchain(struct parcel *p)
{
    struct parcel **at = &p->session->parcel;
    while (*at != p)
        at = &(*at)->older;
    *at = p->older;
}

void parcel_restart(struct parcel *p, struct parcel *old)
{
    p->recent = old->recent;
    p->newest = old->newest;
    p->held = old->held;
    p->held_n = old->held_n;
    p->held_cap = old->held_cap;
    p->deferred = old->deferred;
    old->recent = (struct uidset){0};
    old->newest = (struct uidmax){0};
    old->held = NULL;
    old->held_n = 0;
    old->deferred = NULL;
    unchain(old);
    parcel_free_one(old);
}

void parcel_drop(struct parcel *p)
{
    bool stays = p->state == PARCEL_LEAVING && !p->is_stored;
    struct session *s = p->session;
    CHECK(p->held_n == 0);
    unchain(p);
    s->is_leaving = s->parcel && s->parcel->state == PARCEL_LEAVING;
    parcel_free_one(p);
    if (!stays)
        return;
    if (!s->conn)
        session_timer_start(s);
    claim_tell_again(s); /* whoever was to get it has it not, or not all of it */
}

struct parcel *parcel_find(struct shard *sh, struct bytes client_id, const struct node_id *peer,
                           uint64_t number, enum parcel_state state)
{
    const struct session *s = session_find(sh, client_id);
    struct parcel *p = s ? s->parcel : NULL;
    while (p && !(p->number == number && p->state == state && node_id_eq(&p->peer, peer)))
        p = p->older;
    return p;
}

void parcel_tell(struct shard *sh, const struct parcel *p, enum parcel_told what)
{
    const struct session *s = p->session;
    struct parcel_news *n = mem_zalloc(sizeof *n + s->id_n);
    n->what = what;
    n->order.peer = p->peer;
    n->order.number = p->number;
    n->order.token = p->token;
    n->order.client_id_n = s->id_n;
    memcpy(n->order.client_id, s->id, s->id_n);
    mail_push(sh, MAIL_TO_CLUSTER, &(struct mail){.kind = MAIL_PARCEL_TOLD, .arg = n});
}

/* Steps through all, while one that is looked at may end others. */
static void each(struct shard *sh, void (*fn)(struct shard *sh, struct parcel *p, void *ctx), void *ctx)
{
    struct list todo, *l;
    list_init(&todo);
    list_splice(&todo, &sh->parcels.moving);
    while ((l = list_pop(&todo))) {
        list_push(&sh->parcels.moving, l);
        fn(sh, container_of(l, struct parcel, link), ctx);
    }
}

/* It stays here, and goes where it is wanted else. */
static void stay(struct shard *sh, struct parcel *p)
{
    struct parcel_order *o = p->deferred;
    p->deferred = NULL;
    parcel_drop(p);
    if (o)
        parcel_release(sh, o);
}

static void on_peer_gone(struct shard *sh, struct parcel *p, void *id)
{
    if (!node_id_eq(&p->peer, id))
        return;
    if (p->state == PARCEL_LEAVING)
        stay(sh, p);
    else if (p->state == PARCEL_ARRIVING)
        parcel_arrived(sh, p);
}

void parcel_peer_gone(struct shard *sh, void *arg)
{
    each(sh, on_peer_gone, arg);
    free(arg);
}

static void on_tick(struct shard *sh, struct parcel *p, void *ctx)
{
    (void)ctx;
    if (p->state == PARCEL_ARRIVED && p->deferred && p->is_stored) {
        struct parcel_order *o = p->deferred;
        p->deferred = NULL;
        parcel_release(sh, o);
        return;
    }
    if (!p->until_ms || sh->now_ms < p->until_ms)
        return;
    if (p->state == PARCEL_ARRIVING)
        parcel_arrived(sh, p); /* END does not come */
    else
        stay(sh, p); /* nobody takes it, or no doubles come any more */
}

void parcels_tick(struct shard *sh)
{
    each(sh, on_tick, NULL);
    parcel_late_tick(sh, sh->now_ms);
    parcels_flush(sh);
}
