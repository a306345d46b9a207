/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/note.h"
#include "node/core/publish_out.h"
#include "node/core/queue_disk.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"

/* Sending what waits in a session's queue, in order, as far as window and out buffer allow. */

static void count_started(struct sendq *q, const struct slot *slot)
{
    size_t bytes = slot->msg ? msg_size(slot->msg) : 0;
    q->queued -= q->queued > 0;
    q->queued_bytes -= q->queued_bytes > bytes ? bytes : q->queued_bytes;
}

/* The message at q->sent goes out, or is passed over. */
static void send_slot(struct session *s, struct slot *slot, uint64_t seq)
{
    struct shard *sh = s->shard;
    struct sendq *q = s->q;
    bool resend = slot->state == SLOT_RESEND;
    q->sent++;
    q->inflight++;
    if (!resend) {
        count_started(q, slot);
        if (msg_is_expired(slot->msg,
                           sh->wall_ms)) { /* [MQTT-3.3.2-5]; never once it was sent [MQTT-4.3.3-7] */
            COUNT(sh, DROPPED_EXPIRED);
            note_session(s, JOURNAL_EXPIRED, msg_topic(slot->msg), 0, NULL);
            session_acked(s, seq);
            return;
        }
        if (unlikely(sh->gate.acl != NULL) &&
            !gate_lets_reach(sh, s, msg_view(slot->msg, sh->wall_ms).topic)) {
            session_acked(s, seq); /* the rules have changed since it was queued */
            return;
        }
    }
    struct publication p = {
        .m = msg_view(slot->msg, sh->wall_ms), .msg = msg_ref(slot->msg), .origin = slot->msg->origin};
    struct publish_how how = {.ids = slot->ids_n ? slot_ids(slot) : NULL,
                              .ids_n = slot->ids_n,
                              .qos = slot->qos,
                              .retain = slot->retain,
                              .dup = resend && slot->qos, /* [MQTT-3.3.1-1] */
                              .packet_id = slot->qos ? sendq_packet_id(seq) : 0};
    bool sent = conn_publish(sh, s->conn, &p, &how);
    if (sent && slot->qos) {
        slot->state = SLOT_SENT;
        if (!session_is_persistent(s) && !sh->settings->slow_subs_ms) { /* nobody will ask for it again */
            msg_unref(slot->msg);
            slot->msg = NULL;
        }
    } else {
        session_acked(s, seq);
    }
    publication_fini(sh, &p);
}

/* Passes over what is done; what was released gets its PUBREL [MQTT-4.4.0-1]. */
static bool pass_over(struct session *s, struct slot *slot, uint64_t seq)
{
    struct sendq *q = s->q;
    if (slot->state == SLOT_DONE) {
        q->sent++;
        sendq_done(q, seq);
        return true;
    }
    if (slot->state == SLOT_RELEASED) {
        q->sent++;
        q->inflight++;
        session_pubrel(s, sendq_packet_id(seq));
        return true;
    }
    return false;
}

void session_pump(struct session *s)
{
    struct sendq *q = s->q;
    while (q && s->conn && sendq_is_waiting(q)) {
        uint64_t seq = q->sent;
        if (seq - sendq_low(q) >= UINT16_MAX || !queue_fetch(s, seq))
            return;
        struct slot *slot = ring_at(&q->win, seq);
        if (pass_over(s, slot, seq))
            continue;
        if (!conn_has_room(s->conn)) {
            s->conn->out_waits = 1;
            return;
        }
        if (slot->qos && q->inflight >= s->inflight_max)
            return;
        if (slot->hold && seq >= q->committed)
            return; /* the commit will call again */
        if (session_is_persistent(s) && slot->qos && seq >= q->reserved) {
            persist_reserve(s);
            return;
        }
        send_slot(s, slot, seq);
    }
    if (q && s->conn && q->is_damaged && !sendq_is_waiting(q))
        queue_check_lost(s);
}
