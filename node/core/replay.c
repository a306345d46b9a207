/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/publish_out.h"
#include "node/core/retained.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Retained messages on their way to a new subscriber. */

enum { REPLAY_OUT_BYTES = 256 << 10, REPLAY_QUEUED_MAX = 1 };

struct replay_item {
    struct list link;
    struct subscription *sub;
    uint8_t *after; /* the key of the last one sent */
    uint32_t after_n;
};

struct replay {
    struct conn *conn;
    struct list items;
    struct list wait_link; /* in the shard's list while commits are awaited */
    bool is_running;
    uint32_t held_n;
    struct pending **held; /* SUBACKs that leave when the replay may start, so that it follows them closely */
    uint64_t given[];      /* by shard: retained changes that have to be done first */
};

static void item_free(struct replay_item *it)
{
    list_del(&it->link);
    free(it->after);
    free(it);
}

static void held_release(struct conn *c)
{
    while (c->replay && c->replay->held_n)
        pending_release(c->shard, c->replay->held[--c->replay->held_n], RC_SUCCESS);
}

void replay_free(struct conn *c)
{
    held_release(c);
    struct replay *r = c->replay;
    if (!r)
        return;
    while (!list_is_empty(&r->items))
        item_free(container_of(r->items.next, struct replay_item, link));
    list_del(&r->wait_link);
    c->replay = NULL;
    free(r->held);
    free(r);
}

void replay_add(struct conn *c, struct subscription *sub)
{
    struct node *node = c->shard->node;
    uint32_t n = node->conf.shards;
    if (!c->replay) {
        c->replay = mem_zalloc(sizeof *c->replay + n * sizeof c->replay->given[0]);
        c->replay->conn = c;
        list_init(&c->replay->items);
        list_init(&c->replay->wait_link);
    }
    retained_given(node, c->replay->given);
    replay_del(c, sub);
    struct replay_item *it = mem_zalloc(sizeof *it);
    it->sub = sub;
    list_push(&c->replay->items, &it->link);
}

void replay_del(struct conn *c, const struct subscription *sub)
{
    if (!c->replay)
        return;
    list_each_safe(l, &c->replay->items)
    {
        struct replay_item *it = container_of(l, struct replay_item, link);
        if (it->sub == sub)
            item_free(it);
    }
}

bool replay_is_waiting(const struct conn *c)
{
    return c->replay && !retained_is_stored(c->shard->node, c->replay->given);
}

void replay_hold(struct conn *c, struct pending *p)
{
    struct replay *r = c->replay;
    r->held = mem_realloc(r->held, sizeof(struct pending *) * (r->held_n + 1));
    r->held[r->held_n++] = pending_ref(p);
}

static bool has_room(const struct conn *c)
{
    const struct sendq *q = c->session->q;
    return outbuf_bytes(&c->out) < REPLAY_OUT_BYTES && (!q || q->next - q->sent < REPLAY_QUEUED_MAX);
}

struct replay_ctx {
    struct conn *conn;
    struct replay_item *item;
    bool is_full;
};

static bool replay_one(void *ctx, struct bytes key, struct bytes record)
{
    struct replay_ctx *x = ctx;
    struct conn *c = x->conn;
    struct shard *sh = c->shard;
    struct publication p = {0};
    if (!has_room(c)) {
        x->is_full = true;
        return false;
    }
    if (!x->item->after)
        x->item->after = mem_alloc(STORE_KEY_MAX);
    x->item->after_n = key.n;
    memcpy(x->item->after, key.p, key.n);
    if (!msg_record_view(record, sh->wall_ms, &p.m, &p.origin) || (p.m.has_expiry && p.m.expiry_s == 0))
        return true;
    p.origin = 0; /* No Local is about live messages; a client may read back what it has stored */
    deliver_sub(sh, &p, x->item->sub, true); /* [MQTT-3.3.1-8] of 3.1.1 */
    publication_fini(sh, &p);
    return true;
}

static void on_hurry(struct shard *sh, void *arg)
{
    (void)arg;
    persist_hurry(sh);
}

/* Changes of other nodes wait for company when nobody wants to see them. */
static void hurry(struct shard *sh, const struct replay *r)
{
    const struct node *node = sh->node;
    for (uint32_t i = 0; node->conf.is_clustered && i < node->conf.shards; i++) {
        if (__atomic_load_n(&node->retained_done[i], __ATOMIC_ACQUIRE) >= r->given[i])
            continue;
        if (i == sh->number)
            persist_hurry(sh);
        else
            shard_call(sh, i, on_hurry, NULL);
    }
}

void replay_run(struct conn *c)
{
    struct replay *r = c->replay;
    struct shard *sh = c->shard;
    if (!r || r->is_running)
        return;
    if (!retained_is_stored(sh->node, r->given)) {
        if (list_is_empty(&r->wait_link)) {
            list_push(&sh->replays, &r->wait_link);
            hurry(sh, r);
        }
        __atomic_or_fetch(&sh->node->replays_waiting, 1ull << sh->number, __ATOMIC_ACQ_REL);
        if (retained_is_stored(sh->node, r->given)) /* done between the look and the flag */
            retained_wake(sh, NULL);
        return;
    }
    held_release(c);
    if (c->replay != r)
        return; /* the connection has ended with it */
    r->is_running = true;
    while (!list_is_empty(&r->items)) {
        struct replay_ctx x = {c, container_of(r->items.next, struct replay_item, link), false};
        struct bytes filter = route_filter(x.item->sub->route);
        /* A copy: the item's own moves on during the walk. */
        uint8_t after[STORE_KEY_MAX];
        bytes_put(after, bytes_of(x.item->after, x.item->after_n));
        retained_each(sh, filter, bytes_of(after, x.item->after_n), replay_one, &x);
        if (x.is_full) {
            c->out_waits = 1; /* the drained buffer, or an acknowledgement, calls again */
            r->is_running = false;
            return;
        }
        item_free(x.item);
    }
    replay_free(c);
}

void retained_wake(struct shard *sh, void *arg)
{
    struct list ready;
    (void)arg;
    list_init(&ready);
    __atomic_and_fetch(&sh->node->replays_waiting, ~(1ull << sh->number), __ATOMIC_ACQ_REL);
    list_splice(&ready, &sh->replays);
    struct list *l;
    while ((l = list_pop(&ready)))
        replay_run(container_of(l, struct replay, wait_link)->conn);
}

void retained_on_stored(struct shard *sh, uint64_t n, enum err result)
{
    struct node *node = sh->node;
    __atomic_sub_fetch(&node->retained_arriving, sh->persist.retained_bytes_sealed, __ATOMIC_RELAXED);
    sh->persist.retained_bytes_sealed = 0;
    __atomic_store_n(&node->retained_arrived[sh->number], sh->persist.retained_arrived_sealed,
                     __ATOMIC_RELEASE);
    if (node->retained_done[sh->number] == n)
        return;
    if (result != OK)
        __atomic_add_fetch(&node->retained_losses, 1, __ATOMIC_RELEASE);
    __atomic_store_n(&node->retained_done[sh->number], n, __ATOMIC_RELEASE);
    uint64_t waiting = __atomic_load_n(&node->replays_waiting, __ATOMIC_ACQUIRE);
    for (; waiting; waiting &= waiting - 1) {
        uint32_t to = (uint32_t)__builtin_ctzll(waiting);
        if (to == sh->number)
            retained_wake(sh, NULL);
        else
            shard_call(sh, to, retained_wake, NULL);
    }
}
