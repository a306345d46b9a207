/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/shard.h"

#include "node/core/conn_i.h"
#include "node/core/deliver.h"
#include "node/core/retained.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { STALL_MS = 1000, BAG_MIN = 32, SWEEP_EVERY_MS = 1000 };

struct shard *shard_new(struct node *node, uint32_t number)
{
    struct shard *sh = mem_zalloc(sizeof *sh);
    sh->node = node;
    sh->number = number;
    sh->random = hash_u64(number + 1, node->conf.seed) | 1;
    sh->session_next = 1;
    sh->wall_ms = node->conf.boot_wall_ms;
    wheel_init(&sh->wheel, 0);
    wheel_init(&sh->session_wheel, 0);
    outpool_init(&sh->outpool);
    list_init(&sh->dirty);
    list_init(&sh->replays);
    list_init(&sh->conns);
    ptrtab_init(&sh->sessions, offsetof(struct session, hash), NULL);
    subs_init(&sh->subs, node->routes, number);
    persist_init(&sh->persist);
    return sh;
}

static void sessions_free(struct shard *sh)
{
    uint32_t at = 0;
    struct session *s;
    while ((s = ptrtab_next(&sh->sessions, &at)))
        session_free(s);
    ptrtab_fini(&sh->sessions);
}

void shard_free(struct shard *sh)
{
    if (!sh)
        return;
    CHECK(sh->conns_n == 0);
    sessions_free(sh);
    subs_fini(&sh->subs);
    persist_fini(&sh->persist);
    handoffs_fini(&sh->handoffs);
    handoffs_fini(&sh->handoffs_sealed);
    store_reader_free(sh->reader);
    outpool_fini(&sh->outpool);
    for (unsigned i = 0; i < FORMS; i++)
        free(sh->encoder.buf[i]);
    for (unsigned i = 0; i < NODE_SHARDS_MAX; i++)
        if (sh->outbox[i])
            mailbag_free(sh->outbox[i]);
    free(sh->collected);
    free(sh->collected_ids);
    free(sh);
}

uint32_t shard_number(const struct shard *sh)
{
    return sh->number;
}
struct node *shard_node(const struct shard *sh)
{
    return sh->node;
}
struct outpool *shard_outpool(struct shard *sh)
{
    return &sh->outpool;
}
uint32_t shard_conns(const struct shard *sh)
{
    return sh->conns_n;
}

void shard_set_time(struct shard *sh, uint64_t mono_ms, uint64_t wall_ms)
{
    sh->now_ms = mono_ms;
    sh->wall_ms = wall_ms;
}

/* ---- time ----------------------------------------------------------------------------------------- */

static void conn_on_timer(struct conn *c)
{
    struct shard *sh = c->shard;
    if (c->state == CONN_NEW) {
        conn_close(c, RC_UNSPECIFIED_ERROR, NULL, CONN_END_NO_CONNECT);
        return;
    }
    uint64_t deadline = c->rx_ms + c->keep_alive_ms;
    if (deadline < sh->patience_ms) /* the silence may be our own */
        deadline = sh->patience_ms;
    if (sh->now_ms >= deadline) /* [MQTT-3.1.2-22] */
        conn_close(c, RC_KEEP_ALIVE_TIMEOUT, "No packet within the Keep Alive", CONN_END_KEEP_ALIVE);
    else
        wheel_set(&sh->wheel, &c->timer, deadline);
}

void shard_tick(struct shard *sh)
{
    struct wheel_timer *t;
    if (sh->now_ms > sh->tick_ms + STALL_MS) /* what came meanwhile has to be read first */
        sh->patience_ms = sh->now_ms + STALL_MS;
    sh->tick_ms = sh->now_ms;
    while ((t = wheel_pop(&sh->wheel, sh->now_ms)))
        conn_on_timer(container_of(t, struct conn, timer));
    while ((t = wheel_pop(&sh->session_wheel, sh->now_ms)))
        session_on_timer(container_of(t, struct session, timer));
    if (sh->number == 0 && sh->now_ms >= sh->sweep_ms) {
        sh->sweep_ms = sh->now_ms + SWEEP_EVERY_MS;
        retained_sweep(sh);
    }
}

/* ---- what the I/O layer has to look at ------------------------------------------------------------ */

struct conn *shard_dirty_take(struct shard *sh)
{
    struct list *l = list_pop(&sh->dirty);
    return l ? container_of(l, struct conn, dirty_link) : NULL;
}

void shard_dirty_add(struct shard *sh, struct conn *c)
{
    (void)sh;
    conn_mark_dirty(c);
}

void shard_shutdown(struct shard *sh)
{
    list_each_safe(l, &sh->conns) conn_close(container_of(l, struct conn, all_link), RC_SERVER_SHUTTING_DOWN,
                                             "The server shuts down", CONN_END_SHUTDOWN);
}

/* ---- mail ----------------------------------------------------------------------------------------- */

static struct mailbag *bag_new(uint32_t from, uint32_t cap)
{
    struct mailbag *b = mem_alloc(sizeof *b + cap * sizeof b->items[0]);
    *b = (struct mailbag){.from = from, .cap = cap};
    return b;
}

void mail_push(struct shard *sh, uint32_t to, const struct mail *m)
{
    struct mailbag *b = sh->outbox[to];
    if (!b) {
        b = bag_new(sh->number, BAG_MIN);
    } else if (b->n == b->cap) {
        b->cap *= 2;
        b = mem_realloc(b, sizeof *b + b->cap * sizeof b->items[0]);
    }
    b->items[b->n++] = *m;
    sh->outbox[to] = b;
}

void shard_call(struct shard *sh, uint32_t to, void (*fn)(struct shard *sh, void *arg), void *arg)
{
    mail_push(sh, to, &(struct mail){.kind = MAIL_CALL, .u.fn = fn, .arg = arg});
}

struct mailbag *mailbag_call(void (*fn)(struct shard *sh, void *arg), void *arg)
{
    struct mailbag *b = bag_new(UINT32_MAX, 1);
    b->n = 1;
    b->items[0] = (struct mail){.kind = MAIL_CALL, .u.fn = fn, .arg = arg};
    return b;
}

void mailbag_free(struct mailbag *bag)
{
    for (uint32_t i = 0; i < bag->n; i++) {
        if (bag->items[i].kind == MAIL_CALL)
            continue;
        if (bag->items[i].kind != MAIL_RESOLVED)
            msg_unref(bag->items[i].msg);
        if (bag->items[i].kind != MAIL_HANDOFF)
            pending_drop(bag->items[i].pending);
    }
    free(bag);
}

struct mailbag *shard_outbox_take(struct shard *sh, uint32_t to)
{
    struct mailbag *b = sh->outbox[to];
    sh->outbox[to] = NULL;
    return b;
}

/* A message of another shard, for plain subscribers here or one member of a group. */
static void on_mail_message(struct shard *sh, uint32_t from, struct mail *m)
{
    struct publication p = {.msg = m->msg, .origin = m->msg->origin};
    enum topic_verdict verdict;
    p.m = msg_view(m->msg, sh->wall_ms);
    if (m->pending)
        p.pending = pending_new_proxy(from, m->pending);
    if (m->kind == MAIL_HANDOFF) {
        handoff_take(sh, &p, m->u.code);
    } else if (m->kind == MAIL_SHARED) {
        share_deliver_here(sh, &p, m->u.route_id, m->pick);
    } else {

        const struct match *match = subs_match(&sh->subs, p.m.topic, &verdict);
        if (match)
            deliver_local(sh, &p, match);
    }
    if (p.refused && !p.receivers && !p.failed)
        p.failed = RC_QUOTA_EXCEEDED;
    publication_fini(sh, &p);
}

void shard_on_mail(struct shard *sh, struct mailbag *bag)
{
    for (uint32_t i = 0; i < bag->n; i++) {
        struct mail *m = &bag->items[i];
        switch (m->kind) {
        case MAIL_PUBLISH:
        case MAIL_SHARED:
        case MAIL_HANDOFF:
            on_mail_message(sh, bag->from, m);
            break;
        case MAIL_RESOLVED:
            pending_release(sh, m->pending, (enum reason)m->u.code);
            break;
        case MAIL_CALL:
            m->u.fn(sh, m->arg);
            break;
        }
    }
    free(bag);
}
