/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/pending.h"

#include "node/core/conn_i.h"
#include "node/core/exclusive.h"
#include "node/core/publish_out.h"
#include "node/core/shard_i.h"
#include "node/core/subscribe.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

static void pending_free(struct pending *p)
{
    suback_free(p->suback);
    free(p->session_id);
    free(p);
}

static struct ackq *ackq_get(struct conn *c)
{
    if (!c->ackq) {
        c->ackq = mem_zalloc(sizeof *c->ackq);
        c->ackq->last = &c->ackq->first;
    }
    return c->ackq;
}

struct pending *pending_new(struct conn *c, enum packet_type type, uint16_t packet_id, enum reason code)
{
    struct ackq *q = ackq_get(c);
    struct pending *p = mem_zalloc(sizeof *p);
    p->conn = c;
    p->refs = 1;
    p->type = (uint8_t)type;
    p->packet_id = packet_id;
    p->code = (uint8_t)code;
    *q->last = p;
    q->last = &p->next;
    q->n++;
    conn_pace(c);
    return p;
}

struct pending *pending_new_proxy(uint32_t from, struct pending *origin)
{
    struct pending *p = mem_zalloc(sizeof *p);
    p->refs = 1;
    p->role = PENDING_PROXY;
    p->from = from;
    p->u.origin = origin;
    return p;
}

struct pending *pending_new_arrival(struct rxframe *rx, uint32_t index)
{
    struct pending *p = mem_zalloc(sizeof *p);
    p->refs = 1;
    p->role = PENDING_ARRIVAL;
    p->from = MAIL_TO_CLUSTER;
    p->rx_index = index;
    p->u.rx = rx;
    return p;
}

struct pending *pending_new_handoff(uint64_t number)
{
    struct pending *p = mem_zalloc(sizeof *p);
    p->role = PENDING_HANDOFF;
    p->refs = 1;
    p->u.handoff = number;
    return p;
}

struct pending *pending_new_call(void (*fn)(struct shard *sh, void *arg, enum reason code),
                                 void (*drop)(void *arg), void *arg)
{
    struct pending *p = mem_zalloc(sizeof *p);
    p->role = PENDING_CALL;
    p->refs = 1;
    p->u.call.fn = fn;
    p->u.call.drop = drop;
    p->u.call.arg = arg;
    return p;
}

struct pending *pending_ref(struct pending *p)
{
    p->refs++;
    return p;
}

static const char *failure_text(enum reason code)
{
    switch ((unsigned)code) {
    case RC_QUOTA_EXCEEDED:
        return "Not kept: no room in the queue or on disk";
    case RC_IMPLEMENTATION_SPECIFIC:
        return "Not kept: the store could not write";
    case RC_NO_MATCHING_SUBSCRIBERS:
        return NULL;
    default:
        return NULL;
    }
}

/* Writes one acknowledgement. For 3.x there is no code for a broken promise: the connection ends instead. */
static void ack_write(struct conn *c, struct pending *p)
{
    struct shard *sh = c->shard;
    if (p->counted)
        conn_receive_give(c);
    if (p->suback) {
        if (unlikely(p->suback->exclusive.n))
            exclusive_decide(c->session, p->suback);
        suback_send(c, (enum packet_type)p->type, p->packet_id, p->suback);
        return;
    }
    if (p->type == PACKET_CONNACK) {
        c->out_held = 0;
        conn_mark_dirty(c);
        if (p->failed)
            connack_take_back(c);
        return;
    }
    if (p->failed && c->version != MQTT_V5) {
        conn_close(c, RC_UNSPECIFIED_ERROR, NULL, CONN_END_STORE);
        return;
    }
    uint8_t *b = outbuf_reserve(&c->out, &sh->outpool, ENCODE_SMALL_MAX);
    const char *text = c->problem_info ? failure_text(p->code) : NULL;
    uint8_t *end = encode_ack(b, c->version, p->type, p->packet_id, p->code, text, c->packet_size_max);
    outbuf_commit(&c->out, end);
    conn_sent(c, (uint32_t)(end - b));
}

static void ackq_flush(struct conn *c)
{
    struct ackq *q = c->ackq;
    while (q && q->first && q->first->refs == 0) {
        struct pending *p = q->first;
        q->first = p->next;
        if (!q->first)
            q->last = &q->first;
        q->n--;
        ack_write(c, p);
        pending_free(p);
        q = c->ackq; /* writing may have closed the connection */
    }
    if (q)
        conn_pace(c);
}

/* The message came again meanwhile and its PUBREC waits: it would say that the first one was kept. */
static void repeats_fail(struct conn *c, uint16_t packet_id, enum reason code)
{
    for (struct pending *p = c->ackq ? c->ackq->first : NULL; p; p = p->next) {
        if (p->type != PACKET_PUBREC || p->packet_id != packet_id || !p->keeps_id)
            continue;
        p->failed = 1;
        p->code = (uint8_t)code;
    }
}

/* What a failure changes before the acknowledgement says so. */
static void pending_fail(struct shard *sh, struct pending *p, enum reason code)
{
    p->failed = 1;
    p->code = (uint8_t)code;
    if (p->suback && p->conn && p->conn->session)
        suback_undo(p->conn->session, p->suback, code);
    if (p->type != PACKET_PUBREC || p->keeps_id)
        return;
    /* A QoS 2 message that was refused may come again under the same id [MQTT-4.3.3-9]. */
    struct session *s = p->conn ? p->conn->session : NULL;
    if (!s && p->session_id)
        s = session_find(sh, bytes_str(p->session_id));
    if (s && pidset_del(s->rx2, p->packet_id))
        persist_touch(s);
    if (s && s->conn)
        repeats_fail(s->conn, p->packet_id, code);
}

/* Whoever it stands for is told. */
static void pending_tell(struct shard *sh, struct pending *p)
{
    struct mail m = {.u.code = p->failed ? p->code : RC_SUCCESS};
    switch ((enum pending_role)p->role) {
    case PENDING_CLIENT:
        break;
    case PENDING_PROXY:
        m.kind = MAIL_RESOLVED;
        m.pending = p->u.origin;
        mail_push(sh, p->from, &m);
        break;
    case PENDING_ARRIVAL:
        /* Only a store can fail who waited; 0x97 would say that a queue is full, for good. */
        m.u.code = p->failed ? RC_IMPLEMENTATION_SPECIFIC : RC_SUCCESS;
        m.kind = MAIL_ARRIVED_ONE;
        m.arg = p->u.rx;
        m.pick = p->rx_index;
        mail_push(sh, MAIL_TO_CLUSTER, &m);
        break;
    case PENDING_HANDOFF:
        peer_handoff_on_answer(sh, p->u.handoff, (enum reason)p->code);
        break;
    case PENDING_CALL:
        p->u.call.fn(sh, p->u.call.arg, (enum reason)p->code);
        break;
    }
}

void pending_release(struct shard *sh, struct pending *p, enum reason code)
{
    if (!p)
        return;
    CHECK(p->refs > 0);
    if (code >= RC_UNSPECIFIED_ERROR && !p->failed)
        pending_fail(sh, p, code);
    if (p->role == PENDING_HANDOFF && code == RC_NO_MATCHING_SUBSCRIBERS)
        p->code = (uint8_t)code; /* the peer is gone without an answer */
    if (--p->refs > 0)
        return;
    if (p->role != PENDING_CLIENT) {
        pending_tell(sh, p);
        pending_free(p);
    } else if (p->conn && p->suback && unlikely(p->suback->exclusive.n) && exclusive_waits(sh, p)) {
        return;
    } else if (p->conn) {
        if (unlikely(p->sample_us))
            sh->acked_from_us = p->sample_us;
        ackq_flush(p->conn);
    } else {
        pending_free(p);
    }
}

void pending_drop(struct pending *p)
{
    if (!p || --p->refs > 0)
        return;
    if (p->role == PENDING_PROXY)
        pending_drop(p->u.origin);
    if (p->role == PENDING_CALL)
        p->u.call.drop(p->u.call.arg);
    pending_free(p);
}

void ack_send(struct conn *c, enum packet_type type, uint16_t packet_id, enum reason code, const char *text)
{
    if (c->ackq && c->ackq->first) {
        struct pending *p = pending_new(c, type, packet_id, code);
        p->refs = 0;
        return;
    }
    struct shard *sh = c->shard;
    uint8_t *b = outbuf_reserve(&c->out, &sh->outpool, ENCODE_SMALL_MAX);
    uint8_t *end =
        encode_ack(b, c->version, type, packet_id, code, c->problem_info ? text : NULL, c->packet_size_max);
    outbuf_commit(&c->out, end);
    conn_sent(c, (uint32_t)(end - b));
}

void ackq_drop(struct conn *c)
{
    struct ackq *q = c->ackq;
    if (!q)
        return;
    c->ackq = NULL;
    for (struct pending *p = q->first, *next; p; p = next) {
        next = p->next;
        p->conn = NULL;
        p->next = NULL;
        if (p->refs && p->type == PACKET_PUBREC && c->session)
            p->session_id = mem_dup(c->session->id, c->session->id_n);
        if (p->refs == 0)
            pending_free(p);
    }
    free(q);
}
