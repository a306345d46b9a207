/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_SENDQ_H
#define COVEY_CORE_SENDQ_H

/* What a session still has to send with QoS 1 and 2 (and QoS 0 for one that is offline), in order, and what
 * is in flight.
 *
 * Every message has a sequence number, and its packet id follows from it: (seq - 1) mod 65535 + 1. So the id
 * of a stored message needs no record of its own, and a message that is sent again after a crash has the id
 * it had. A session takes new numbers only below `reserved`, which is durable, so that ids known to the
 * client are not used anew.
 *
 *      low          sent             win.end       tail.first          next
 *       |- in flight -|- ready, in memory -|- on disk only -|- not yet stored -|
 *       [------------- win ----------------)                [------ tail -------)
 *
 * The disk-only part and the tail exist for persistent sessions with a long queue; else win.end == tail.first
 * == next. */

#include "proto/mqtt/msg.h"

struct pending;

enum slot_state {
    SLOT_READY,  /* never sent */
    SLOT_RESEND, /* sent on an earlier connection, not acknowledged [MQTT-4.4.0-1] */
    SLOT_SENT,
    SLOT_RELEASED, /* PUBREC came: PUBREL is due until PUBCOMP */
    SLOT_DONE,
};

struct slot {
    struct msg *msg;         /* NULL: sent to a session that does not outlive its connection, or released */
    struct pending *pending; /* who waits for it to be stored or acknowledged */
    union {
        uint32_t one;
        uint32_t *many;
    } ids; /* Subscription Identifiers */
    uint16_t ids_n;
    uint8_t state;
    uint8_t qos : 2;
    uint8_t retain : 1;
    uint8_t hold : 1;    /* not to be sent before it is stored */
    uint8_t handoff : 1; /* stored elsewhere until it is stored itself: handoff.h, parcel.h */
};

struct ring {
    struct slot *v;
    uint32_t mask; /* capacity - 1; v is NULL: no capacity */
    uint64_t first;
    uint64_t end;
};

struct chunk {
    uint64_t first; /* its key */
    uint64_t last;
};

struct sendq {
    struct ring win;
    struct ring tail;
    uint64_t sent;
    uint64_t next;
    uint64_t sealed;      /* below: in the store or in the batch under way */
    uint64_t committed;   /* below: in the store */
    uint64_t reserved;    /* durable bound of sequence numbers */
    uint64_t load_at;     /* chunks from here on were not read back yet */
    struct chunk *chunks; /* known to be in the store, ascending */
    uint32_t chunks_n;
    uint32_t chunks_cap;
    uint32_t inflight;
    uint32_t queued; /* not yet sent, wherever they are */
    uint64_t queued_bytes;
    bool is_damaged; /* some of it could not be read back */
};

struct sendq *sendq_new(uint64_t first_seq);
/* Frees everything; pendings are the caller's to release before (sendq_each). */
void sendq_free(struct sendq *q); /* NULL is fine */

static inline uint16_t sendq_packet_id(uint64_t seq)
{
    return (uint16_t)((seq - 1) % 65535 + 1);
}
static inline uint64_t sendq_low(const struct sendq *q)
{
    return q->win.first;
}
/* The sequence number of an id that may be in flight, or 0. */
uint64_t sendq_seq(const struct sendq *q, uint16_t packet_id);

static inline struct slot *ring_at(const struct ring *r, uint64_t seq)
{
    return &r->v[seq & r->mask];
}
static inline bool ring_has(const struct ring *r, uint64_t seq)
{
    return seq >= r->first && seq < r->end;
}
/* A new slot, cleared, at r->end. */
struct slot *ring_push(struct ring *r);

/* The slot in memory, or NULL. */
static inline struct slot *sendq_find(const struct sendq *q, uint64_t seq)
{
    if (ring_has(&q->win, seq))
        return ring_at(&q->win, seq);
    return ring_has(&q->tail, seq) ? ring_at(&q->tail, seq) : NULL;
}
static inline bool sendq_has_disk_part(const struct sendq *q)
{
    return q->tail.first > q->win.end;
}
/* Is there something to send, in memory or on disk? */
static inline bool sendq_is_waiting(const struct sendq *q)
{
    return q->sent < q->next;
}

/* Appends: in the window, or in the tail when the window is `window_max` long or the disk-only part is not
 * empty. */
struct slot *sendq_push(struct sendq *q, uint32_t window_max);
/* Frees what the slot holds but its pending. */
void slot_clear(struct slot *s);
void slot_ids_set(struct slot *s, const uint32_t *ids, uint32_t n);
static inline const uint32_t *slot_ids(const struct slot *s)
{
    return s->ids_n == 1 ? &s->ids.one : s->ids.many;
}
/* Marks it done and moves low past what is done. */
void sendq_done(struct sendq *q, uint64_t seq);

#endif
