/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/conn_i.h"
#include "node/core/publish_out.h"
#include "node/core/retained.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"

/* The acknowledgements of a client, for what it received (PUBACK, PUBREC, PUBCOMP) and for what it sent
 * (PUBREL). */

static bool ack_read(struct conn *c, enum packet_type type, const uint8_t *body, uint32_t n, struct ack *a)
{
    struct fault f;
    if (likely(n == 2 && (body[0] | body[1]))) {
        a->packet_id = be16_get(body);
        a->code = RC_SUCCESS;
        return true;
    }
    return decode_ack(type, body, n, c->version, a, &f) || conn_fault(c, &f);
}

/* The slot in flight under this id, when it is in the given state and of the given QoS. */
static struct slot *slot_of(struct session *s, uint16_t packet_id, unsigned qos, enum slot_state state,
                            uint64_t *seq)
{
    if (!s->q)
        return NULL;
    *seq = sendq_seq(s->q, packet_id);
    struct slot *slot = *seq ? sendq_find(s->q, *seq) : NULL;
    return slot && slot->qos == qos && slot->state == state ? slot : NULL;
}

void session_acked(struct session *s, uint64_t seq)
{
    struct sendq *q = s->q;
    struct slot *slot = sendq_find(q, seq);
    struct pending *p = slot->pending;
    slot->pending = NULL;
    q->inflight--;
    sendq_done(q, seq);
    if (session_is_persistent(s) && seq < q->sealed)
        persist_touch(s);
    if (p)
        pending_release(s->shard, p, RC_SUCCESS);
}

/* Room in the window: go on with what waits. */
static bool go_on(struct conn *c)
{
    struct session *s = c->session;
    if (s && sendq_is_waiting(s->q))
        session_pump(s);
    if (c->state == CONN_OPEN && c->replay)
        replay_run(c);
    return c->state == CONN_OPEN;
}

bool on_puback(struct conn *c, const uint8_t *body, uint32_t n)
{
    struct ack a;
    uint64_t seq;
    if (!ack_read(c, PACKET_PUBACK, body, n, &a))
        return false;
    const struct slot *slot = slot_of(c->session, a.packet_id, 1, SLOT_SENT, &seq);
    if (!slot)
        return true; /* late or wrong: nothing to finish */
    if (unlikely(c->shard->settings->slow_subs_ms))
        slow_subs_note(c->session, slot);
    COUNT(c->shard, MESSAGES_ACKED);
    session_acked(c->session, seq);
    return go_on(c);
}

void session_pubrel(struct session *s, uint16_t packet_id)
{
    struct conn *c = s->conn;
    if (!session_is_persistent(s)) {
        conn_pubrel(c, packet_id, RC_SUCCESS);
        return;
    }
    struct pending *p = pending_new(c, PACKET_PUBREL, packet_id, RC_SUCCESS);
    persist_touch(s);
    persist_wait(c->shard, p);
    persist_hurry(c->shard);
    pending_release(c->shard, p, RC_SUCCESS);
}

bool on_pubrec(struct conn *c, const uint8_t *body, uint32_t n)
{
    struct ack a;
    uint64_t seq;
    struct session *s = c->session;
    if (!ack_read(c, PACKET_PUBREC, body, n, &a))
        return false;
    struct slot *slot = slot_of(s, a.packet_id, 2, SLOT_SENT, &seq);
    if (!slot) {
        slot = slot_of(s, a.packet_id, 2, SLOT_RELEASED, &seq);
        if (a.code < RC_UNSPECIFIED_ERROR) /* [MQTT-4.3.3-4] */
            slot ? session_pubrel(s, a.packet_id) : conn_pubrel(c, a.packet_id, RC_PACKET_ID_NOT_FOUND);
        return true;
    }
    if (unlikely(c->shard->settings->slow_subs_ms))
        slow_subs_note(s, slot);
    if (a.code >= RC_UNSPECIFIED_ERROR) { /* [MQTT-4.4.0-2] */
        session_acked(s, seq);
        return go_on(c);
    }
    struct pending *waits = slot->pending;
    slot->pending = NULL;
    slot->state = SLOT_RELEASED; /* [MQTT-4.3.3-6] */
    slot_clear(slot);
    session_pubrel(s, a.packet_id);
    if (waits)
        pending_release(c->shard, waits, RC_SUCCESS);
    return c->state == CONN_OPEN;
}

bool on_pubcomp(struct conn *c, const uint8_t *body, uint32_t n)
{
    struct ack a;
    uint64_t seq;
    if (!ack_read(c, PACKET_PUBCOMP, body, n, &a))
        return false;
    if (!slot_of(c->session, a.packet_id, 2, SLOT_RELEASED, &seq))
        return true;
    COUNT(c->shard, MESSAGES_ACKED);
    session_acked(c->session, seq);
    return go_on(c);
}

bool on_pubrel(struct conn *c, const uint8_t *body, uint32_t n)
{
    struct ack a;
    struct session *s = c->session;
    if (!ack_read(c, PACKET_PUBREL, body, n, &a))
        return false;
    bool is_known = pidset_del(s->rx2, a.packet_id);
    /* On an earlier connection it may have been known, and the store not yet have heard that it is free. */
    bool is_open = session_is_persistent(s) && (s->state_dirty || s->is_sealed);
    if (!is_known && !is_open) { /* [MQTT-4.3.3-11] */
        ack_send(c, PACKET_PUBCOMP, a.packet_id, RC_PACKET_ID_NOT_FOUND,
                 "No QoS 2 message waits under this Packet Identifier");
        return true;
    }
    if (!session_is_persistent(s)) {
        ack_send(c, PACKET_PUBCOMP, a.packet_id, RC_SUCCESS, NULL);
        return true;
    }
    /* The id may be used anew once PUBCOMP is out [MQTT-4.3.3-12], so that it is free has to be stored
     * before. */
    struct pending *p =
        pending_new(c, PACKET_PUBCOMP, a.packet_id, is_known ? RC_SUCCESS : RC_PACKET_ID_NOT_FOUND);
    persist_touch(s);
    persist_wait(c->shard, p);
    persist_hurry(c->shard);
    pending_release(c->shard, p, RC_SUCCESS);
    return c->state == CONN_OPEN;
}
