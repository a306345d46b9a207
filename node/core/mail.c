/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/mail.h"

#include "node/core/bans.h"
#include "node/core/deliver.h"
#include "node/core/retained.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { BAG_MIN = 32 };

/* ---- bags ----------------------------------------------------------------------------------------- */

static struct mailbag *mailbag_new(uint32_t from)
{
    struct mailbag *b = mem_alloc(sizeof *b + BAG_MIN * sizeof b->items[0]);
    *b = (struct mailbag){.from = from, .cap = BAG_MIN};
    return b;
}

void mailbag_push(struct mailbag **bag, uint32_t from, const struct mail *m)
{
    struct mailbag *b = *bag;
    if (!b) {
        b = mailbag_new(from);
    } else if (b->n == b->cap) {
        b->cap *= 2;
        b = mem_realloc(b, sizeof *b + b->cap * sizeof b->items[0]);
    }
    b->items[b->n++] = *m;
    *bag = b;
}

void mail_push(struct shard *sh, uint32_t to, const struct mail *m)
{
    mailbag_push(&sh->outbox[to], sh->number, m);
}

void shard_call(struct shard *sh, uint32_t to, void (*fn)(struct shard *sh, void *arg), void *arg)
{
    mail_push(sh, to, &(struct mail){.kind = MAIL_CALL, .u.fn = fn, .arg = arg});
}

void shard_mesh_call(struct shard *sh, void (*fn)(struct mesh *m, void *arg), void (*drop)(void *arg),
                     void *arg)
{
    mail_push(sh, MAIL_TO_CLUSTER,
              &(struct mail){.kind = MAIL_MESH_CALL, .u.mesh_fn = fn, .drop = drop, .arg = arg});
}

struct mailbag *mailbag_call(void (*fn)(struct shard *sh, void *arg), void *arg)
{
    struct mailbag *b = mem_alloc(sizeof *b + sizeof b->items[0]);
    *b = (struct mailbag){.from = UINT32_MAX, .n = 1, .cap = 1};
    b->items[0] = (struct mail){.kind = MAIL_CALL, .u.fn = fn, .arg = arg};
    return b;
}

struct mailbag *shard_outbox_take(struct shard *sh, uint32_t to)
{
    if (to == MAIL_TO_CLUSTER) {
        parcels_flush(sh);
        forward_flush(sh);
    }
    struct mailbag *b = sh->outbox[to];
    sh->outbox[to] = NULL;
    return b;
}

/* ---- mail that nobody will read ------------------------------------------------------------------- */

static void mail_drop(struct mail *m)
{
    switch (m->kind) {
    case MAIL_PUBLISH:
    case MAIL_SHARED:
        msg_unref(m->msg);
        pending_drop(m->pending);
        break;
    case MAIL_HANDOFF:
        msg_unref(m->msg);
        break;
    case MAIL_RESOLVED:
    case MAIL_BARRIER:
        pending_drop(m->pending);
        break;
    case MAIL_FORWARD:
        fchunk_drop(m->arg);
        break;
    case MAIL_ARRIVALS:
    case MAIL_ARRIVED:
        arrivals_free(m->arg);
        break;
    case MAIL_CLAIM:
    case MAIL_HELD:
    case MAIL_UNHELD:
    case MAIL_SETTLED:
    case MAIL_PARCEL_TOLD:
    case MAIL_RETAINED:
    case MAIL_BANS:
        free(m->arg);
        break;
    case MAIL_PARCEL:
        parcel_piece_free(m->arg);
        break;
    case MAIL_CALL:
    case MAIL_MESH_CALL:
        if (m->drop)
            m->drop(m->arg);
        break;
    case MAIL_ARRIVED_ONE:
        break;
    }
}

void mailbag_free(struct mailbag *bag)
{
    for (uint32_t i = 0; i < bag->n; i++)
        mail_drop(&bag->items[i]);
    free(bag);
}

/* ---- work ----------------------------------------------------------------------------------------- */

/* A message of another shard, for plain subscribers here or one member of a group. */
static void on_mail_message(struct shard *sh, uint32_t from, struct mail *m)
{
    struct publication p = {.msg = m->msg, .origin = m->msg->origin, .uid = m->msg->uid};
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

static void on_mail(struct shard *sh, uint32_t from, struct mail *m)
{
    switch (m->kind) {
    case MAIL_PUBLISH:
    case MAIL_SHARED:
    case MAIL_HANDOFF:
        on_mail_message(sh, from, m);
        break;
    case MAIL_RESOLVED:
        pending_release(sh, m->pending, (enum reason)m->u.code);
        break;
    case MAIL_CALL:
        m->u.fn(sh, m->arg);
        break;
    case MAIL_ARRIVALS:
        arrivals_take(sh, m->arg);
        break;
    case MAIL_RETAINED:
        retained_arrive(sh, m->arg);
        break;
    case MAIL_BANS:
        bans_arrive(sh, m->arg);
        break;
    case MAIL_FORWARD:
    case MAIL_ARRIVED:
    case MAIL_ARRIVED_ONE:
    case MAIL_BARRIER:
    case MAIL_CLAIM:
    case MAIL_HELD:
    case MAIL_UNHELD:
    case MAIL_SETTLED:
    case MAIL_PARCEL:
    case MAIL_PARCEL_TOLD:
    case MAIL_MESH_CALL:
        CHECK(!"mail for the cluster thread");
    }
}

void shard_on_mail(struct shard *sh, struct mailbag *bag)
{
    for (uint32_t i = 0; i < bag->n; i++)
        on_mail(sh, bag->from, &bag->items[i]);
    free(bag);
}
