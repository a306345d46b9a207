/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/handoff_peer.h"

#include "node/core/forward.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { RETRY_MS = 2000 };

void peer_handoffs_init(struct peer_handoffs *h)
{
    *h = (struct peer_handoffs){0};
    list_init(&h->list);
    seen_init(&h->seen);
}

static void peer_handoff_free(struct peer_handoff *h)
{
    list_del(&h->link);
    msg_unref(h->msg);
    free(h);
}

void peer_handoffs_fini(struct peer_handoffs *h)
{
    while (!list_is_empty(&h->list))
        peer_handoff_free(container_of(h->list.next, struct peer_handoff, link));
    free(h->settled);
    free(h->settled_sealed);
    seen_fini(&h->seen);
}

/* ---- records -------------------------------------------------------------------------------------- */

uint32_t peer_handoff_size(const struct msg *m)
{
    return (uint32_t)(NODE_ID_N + 8 + msg_record_size(m));
}

uint8_t *peer_handoff_put(uint8_t *p, const struct node_id *to, uint64_t uid, const struct msg *m)
{
    return msg_record_put(be64_put(bytes_put(p, node_id_bytes(to)), uid), m);
}

static struct peer_handoff *peer_handoff_add(struct shard *sh, const struct node_id *to, uint64_t number,
                                             uint64_t uid, struct msg *m)
{
    struct peer_handoff *h = mem_alloc(sizeof *h);
    *h = (struct peer_handoff){.to = *to, .number = number, .uid = uid, .msg = m, .retry_ms = 1};
    m->uid = uid;
    list_push(&sh->peer_handoffs.list, &h->link);
    return h;
}

bool peer_handoff_load(struct shard *sh, uint64_t number, struct cursor *c)
{
    struct bytes id;
    struct node_id to;
    uint64_t uid;
    if (!cursor_bytes(c, NODE_ID_N, &id) || !node_id_read(&to, id) || !cursor_u64(c, &uid))
        return false;
    struct msg *m = msg_record_take(c);
    if (!m)
        return false;
    peer_handoff_add(sh, &to, number, uid, m);
    return true;
}

/* ---- sending -------------------------------------------------------------------------------------- */

static void peer_handoff_send(struct shard *sh, struct peer_handoff *h)
{
    uint32_t peer = peers_find(&sh->node->peers, &h->to);
    LOG(sh->node->conf.log, LOG_DEBUG, "handoff sent number=%llu uid=%llx peer=%u",
        (unsigned long long)h->number, (unsigned long long)h->uid, peer);
    if (peer == PEERS_MAX) {
        h->retry_ms = sh->now_ms + RETRY_MS;
        return;
    }
    struct publication p = {.m = msg_view(h->msg, sh->wall_ms), .msg = msg_ref(h->msg), .uid = h->uid};
    p.pending = pending_new_handoff(h->number);
    h->retry_ms = 0;
    forward_once(sh, &p, peer);
    publication_fini(sh, &p);
}

void peer_handoff_start(struct shard *sh, const struct node_id *to, uint64_t number, uint64_t uid,
                        struct msg *m)
{
    peer_handoff_send(sh, peer_handoff_add(sh, to, number, uid, m));
}

void peer_handoffs_tick(struct shard *sh)
{
    list_each_safe(l, &sh->peer_handoffs.list)
    {
        struct peer_handoff *h = container_of(l, struct peer_handoff, link);
        if (h->retry_ms && sh->now_ms >= h->retry_ms)
            peer_handoff_send(sh, h);
    }
}

/* ---- answers -------------------------------------------------------------------------------------- */

static void settled_add(struct settled **v, uint32_t *n, uint32_t *cap, const struct settled *s)
{
    if (*n == *cap) {
        *cap = *cap ? *cap * 2 : 16;
        *v = mem_realloc(*v, sizeof **v * *cap);
    }
    (*v)[(*n)++] = *s;
}

static void peer_handoff_end(struct shard *sh, struct peer_handoff *h)
{
    struct peer_handoffs *all = &sh->peer_handoffs;
    struct settled s = {.to = h->to, .uid = h->uid};
    handoff_forget(sh, h->number);
    settled_add(&all->settled, &all->settled_n, &all->settled_cap, &s);
    peer_handoff_free(h);
}

void peer_handoff_on_answer(struct shard *sh, uint64_t number, enum reason code)
{
    list_each(l, &sh->peer_handoffs.list)
    {
        struct peer_handoff *h = container_of(l, struct peer_handoff, link);
        if (h->number != number)
            continue;
        LOG(sh->node->conf.log, LOG_DEBUG, "handoff answered number=%llu code=0x%02x",
            (unsigned long long)number, (unsigned)code);
        /* No answer, or a store that could not write: the message is still ours to deliver. */
        if (code == RC_NO_MATCHING_SUBSCRIBERS || code == RC_IMPLEMENTATION_SPECIFIC)
            h->retry_ms = sh->now_ms + RETRY_MS;
        else
            peer_handoff_end(sh, h);
        return;
    }
}

void peer_handoffs_wake(struct shard *sh, void *arg)
{
    struct node_id *id = arg;
    list_each(l, &sh->peer_handoffs.list)
    {
        struct peer_handoff *h = container_of(l, struct peer_handoff, link);
        if (h->retry_ms && node_id_eq(&h->to, id))
            h->retry_ms = 1;
    }
    free(id);
}

void peer_handoffs_forget(struct shard *sh, void *arg)
{
    struct node_id *id = arg;
    list_each_safe(l, &sh->peer_handoffs.list)
    {
        struct peer_handoff *h = container_of(l, struct peer_handoff, link);
        if (node_id_eq(&h->to, id))
            peer_handoff_end(sh, h);
    }
    free(id);
}

void peer_handoffs_seal(struct shard *sh)
{
    struct peer_handoffs *h = &sh->peer_handoffs;
    for (uint32_t i = 0; i < h->settled_n; i++)
        settled_add(&h->settled_sealed, &h->settled_sealed_n, &h->settled_sealed_cap, &h->settled[i]);
    h->settled_n = 0;
}

void peer_handoffs_on_stored(struct shard *sh, bool stored)
{
    struct peer_handoffs *h = &sh->peer_handoffs;
    if (!stored) /* they go with the next one: what they delete is kept for it */
        return;
    for (uint32_t i = 0; i < h->settled_sealed_n; i++) {
        struct settled *s = mem_dup(&h->settled_sealed[i], sizeof *s);
        mail_push(sh, MAIL_TO_CLUSTER, &(struct mail){.kind = MAIL_SETTLED, .arg = s});
    }
    h->settled_sealed_n = 0;
}
