/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/parcel_i.h"
#include "node/core/queue_disk.h"

/* A session that was handed over, but not deleted here because the other node died or was cut off, comes back
 * from there. What was imported there still has our numbers. So ours are not appended once more: those that
 * come are still to be sent, in the state that the other node left them in; those that do not are done. */

/* The slot, unless it is over or in flight on a connection of ours. */
static struct slot *slot_of(struct session *s, uint64_t seq)
{
    struct sendq *q = s->q;
    if (seq < sendq_low(q) || seq >= q->next || (s->conn && seq < q->sent) || !queue_fetch(s, seq))
        return NULL;
    struct slot *slot = ring_at(&q->win, seq);
    return slot->state == SLOT_DONE ? NULL : slot;
}

/* It is no longer one that was never sent; who waits need not wait longer. */
static void slot_start(struct session *s, struct slot *slot)
{
    struct sendq *q = s->q;
    struct pending *w = slot->pending;
    size_t bytes = slot->msg ? msg_size(slot->msg) : 0;
    if (slot->state == SLOT_READY) {
        q->queued -= q->queued > 0;
        q->queued_bytes -= q->queued_bytes > bytes ? bytes : q->queued_bytes;
    }
    slot->pending = NULL;
    pending_release(s->shard, w, RC_SUCCESS);
    persist_touch(s);
}

void parcel_back_until(struct parcel *p, uint64_t seq)
{
    struct session *s = p->session;
    uint64_t end = seq < p->back_below ? seq : p->back_below;
    if (!s->q)
        return;
    if (p->back_at < sendq_low(s->q))
        p->back_at = sendq_low(s->q);
    for (; p->back_at < end && p->back_at < s->q->next; p->back_at++) {
        struct slot *slot = slot_of(s, p->back_at);
        if (!slot)
            continue;
        slot_start(s, slot);
        sendq_done(s->q, p->back_at);
    }
}

void parcel_back_one(struct parcel *p, const struct parcel_message *m)
{
    struct session *s = p->session;
    struct slot *slot = s->q ? slot_of(s, m->seq) : NULL;
    p->back_at = m->seq + 1;
    if (!slot || m->state == SLOT_READY || slot->state == SLOT_RELEASED)
        return;
    slot_start(s, slot);
    slot->state = m->state;
    if (m->state != SLOT_RELEASED)
        return;
    slot_clear(slot);
    slot->qos = 2;
}
