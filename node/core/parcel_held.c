/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/parcel_i.h"

#include "node/core/note.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* What reaches a session here that is still arriving from another node. It goes behind what the other node
 * relays, so that the order of each publisher stays, and what comes both ways is taken once. */

/* It is here already: its publisher hears of it when it is stored. */
static void answer_when_stored(struct shard *sh, struct pending *w)
{
    if (!w)
        return;
    persist_wait(sh, w);
    persist_hurry(sh);
    pending_release(sh, w, RC_SUCCESS);
}

/* A plain and a shared subscription of one session each get a copy: the second one is no double. */
static bool is_double(const struct parcel *p, uint64_t uid)
{
    return uid != p->uid_here && uidset_has(&p->recent, uid);
}

static bool is_full(const struct session *s, const struct parcel *p)
{
    uint32_t max = s->shard->settings->queue_len_max;
    return max && p->held_n + (s->q ? s->q->queued : 0) >= max;
}

static void held_push(struct parcel *p, const struct held_message *h)
{
    if (p->held_n == p->held_cap) {
        p->held_cap = p->held_cap ? p->held_cap * 2 : 16;
        p->held = mem_realloc(p->held, sizeof *p->held * p->held_cap);
    }
    p->held[p->held_n++] = *h;
}

bool parcel_hold(struct shard *sh, struct publication *p, struct session *s, unsigned qos, bool retain,
                 const uint32_t *ids, uint32_t ids_n)
{
    struct parcel *pc = s->parcel;
    if (pc->state == PARCEL_LEAVING && !uidset_has(&pc->recent, p->uid))
        return false;
    if (!p->uid)
        p->uid = shard_uid(sh, p->hold);
    if (is_double(pc, p->uid)) {
        p->receivers++;
        answer_when_stored(sh, publication_wait(p));
        return true;
    }
    if (pc->state != PARCEL_ARRIVING) { /* what the holder still relays may be the same */
        uidset_add(&pc->recent, p->uid);
        pc->uid_here = p->uid;
        return false;
    }
    struct msg *m = is_full(s, pc) ? NULL : publication_msg(sh, p);
    if (!m) {
        COUNT(sh, DROPPED_QUEUE_FULL);
        note_session(s, JOURNAL_QUEUE_FULL, p->m.topic, 0, NULL);
        s->dropped++;
        p->refused++;
        return true;
    }
    held_push(pc, &(struct held_message){.msg = msg_ref(m),
                                         .pending = publication_wait(p),
                                         .ids = ids_n ? mem_dup(ids, ids_n * sizeof *ids) : NULL,
                                         .ids_n = ids_n,
                                         .qos = (uint8_t)qos,
                                         .retain = retain,
                                         .hold = p->hold,
                                         .alone = p->alone,
                                         .handoff = p->handoff,
                                         .aside = session_is_persistent(s) ? handoff_aside(sh, s, m) : 0});
    if (p->held_by)
        seen_without(p->held_by, session_id(s));
    p->receivers++;
    return true;
}

static void held_append(struct shard *sh, struct session *s, struct held_message *h)
{
    struct publication pub = {.m = msg_view(h->msg, sh->wall_ms),
                              .msg = h->msg,
                              .pending = h->pending,
                              .uid = h->msg->uid,
                              .hold = h->hold,
                              .handoff = h->handoff};
    deliver_kept(sh, &pub, s, h->qos, h->retain, h->ids, h->ids_n);
    h->failed = pub.refused && !pub.receivers ? RC_QUOTA_EXCEEDED : RC_SUCCESS;
    h->pending = pub.pending;
    msg_unref(pub.msg);
}

void parcel_held_done(struct shard *sh, const struct session *s, struct held_message *h)
{
    seen_got(sh, h->msg->uid, session_id(s));
    if (h->aside)
        handoff_aside_done(sh, s, h->aside);
    h->aside = 0;
}

void parcel_held_relayed(struct shard *sh, struct parcel *p, uint64_t uid)
{
    for (uint32_t i = 0; i < p->held_n; i++)
        if (p->held[i].msg->uid == uid)
            parcel_held_done(sh, p->session, &p->held[i]);
}

/* It came through the holder too; or it is older than one that did, so when it was published its publisher's
 * node did not know of the subscription: no SUBACK was sent, and behind the newer one it would be out of
 * order [MQTT-4.6.0-6]. */
static bool is_to_drop(const struct parcel *p, const struct held_message *h)
{
    return uidset_has(&p->recent, h->msg->uid) ||
           (!h->alone && !h->handoff && uidmax_is_older(&p->newest, msg_topic(h->msg), h->msg->uid));
}

struct held_messages parcel_held_append(struct shard *sh, struct parcel *p)
{
    /* First those to be dropped: what is appended is not to be taken for one of them. */
    for (uint32_t i = 0; i < p->held_n; i++) {
        struct held_message *h = &p->held[i];
        if (!is_to_drop(p, h))
            continue;
        parcel_held_done(sh, p->session, h);
        answer_when_stored(sh, h->pending);
        msg_unref(h->msg);
        h->msg = NULL;
        h->pending = NULL;
    }
    for (uint32_t i = 0; i < p->held_n; i++) {
        struct held_message *h = &p->held[i];
        if (h->msg) {
            uidset_add(&p->recent, h->msg->uid);
            parcel_held_done(sh, p->session, h);
            held_append(sh, p->session, h);
        }
        free(h->ids);
    }
    struct held_messages all = {p->held, p->held_n};
    p->held = NULL;
    p->held_n = p->held_cap = 0;
    return all;
}

void parcel_held_answer(struct shard *sh, struct held_messages all)
{
    for (uint32_t i = 0; i < all.n; i++)
        pending_release(sh, all.v[i].pending, (enum reason)all.v[i].failed);
    free(all.v);
}
