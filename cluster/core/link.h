/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_LINK_H
#define COVEY_CLUSTER_LINK_H

/* The lasting half of the conversation with one peer: sequenced frames that survive broken connections. A
 * connection (wire.h) comes and goes; the link keeps what the peer has not acknowledged and sends it again
 * from the number that the peer names, never by timer. A peer that does not remember the conversation begins
 * a new one: numbers from 1, what was unacknowledged is dropped, and the owner is told to repeat what must be
 * repeated.
 *
 *     link_push() ...         frames are numbered and kept
 *     link_attach()           a connection is there, HELLO and RESUME are exchanged
 *     link_out_peek/_done()   bytes for the connection: unsent frames, an ACK in front when one is due
 *     link_on_ack()           the peer has these: they are freed
 *     link_detach()           the connection is gone; everything unacknowledged counts as unsent
 *
 * Frames are counted buffers, so that whoever made one may keep it without a copy. */

#include "proto/base/bytes.h"
#include "proto/base/err.h"
#include "proto/rpc/frame.h"
#include "proto/rpc/node_id.h"

/* One whole frame, header included. The count is not atomic: one thread. */
struct frame_buf {
    uint32_t refs;
    uint32_t n;
    uint32_t cap;
    void *owner; /* free for use by whoever made it */
    uint8_t b[];
};
/* A frame with room for body_n bytes of body; header written by frame_buf_seal(). One reference. */
struct frame_buf *frame_buf_new(uint32_t body_room);
/* Room for body_n bytes of body in all; may move the frame, which nobody else refers to. */
struct frame_buf *frame_buf_room(struct frame_buf *f, uint32_t body_n);
struct frame_buf *frame_buf_ref(struct frame_buf *f);
void frame_buf_unref(struct frame_buf *f); /* NULL is fine */
static inline uint8_t *frame_buf_body(struct frame_buf *f)
{
    return f->b + RPC_FRAME_HEADER_N;
}
/* body_n bytes were written behind the header. */
void frame_buf_seal(struct frame_buf *f, enum rpc_op op, uint32_t body_n);

struct link {
    uint64_t conversation; /* 0: never met */
    uint64_t tx_next;      /* number of the next frame pushed */
    uint64_t tx_sent;      /* below: handed to the connection */
    uint64_t tx_acked;     /* below: the peer has it, freed here */
    uint64_t rx_received;  /* highest number taken from the peer */
    uint64_t rx_acked;     /* of those, told to the peer */
    uint64_t ring_bytes;   /* of unacknowledged frames */
    uint64_t ring_bytes_max;
    struct frame_buf **ring; /* by number & mask */
    uint32_t mask;
    uint32_t out_at; /* bytes of frame tx_sent that are handed out already */
    bool is_attached;
    struct frame_buf *control; /* control frames waiting in front, NULL: none */
    uint32_t control_at;
    uint64_t resent; /* frames sent more than once, ever */
};

void link_init(struct link *l, uint64_t ring_bytes_max);
void link_fini(struct link *l);

/* Numbers and keeps the frame (takes the caller's reference); answers its number. Always succeeds: whoever
 * sends what may be dropped asks link_room() first. */
uint64_t link_push(struct link *l, struct frame_buf *f);
enum link_room { LINK_OPEN, LINK_CONGESTED /* over half */, LINK_FULL };
enum link_room link_room(const struct link *l);
/* A control frame, for the connection that is attached; nothing without one. */
void link_push_control(struct link *l, enum rpc_op op, struct bytes body);

/* RESUME went both ways on a new connection. own: the conversation that we named (l->conversation); peer:
 * what the peer named; received: of our frames. When both named the same it goes on behind what each has.
 * Otherwise a new one begins, which both call fresh: the ring is dropped and numbers start at 1 in both
 * directions. LINK_IMPOSSIBLE: the peer claims what was never sent: not attached. */
enum link_resume { LINK_RESUMED, LINK_RESET, LINK_IMPOSSIBLE };
enum link_resume link_attach(struct link *l, uint64_t own, uint64_t peer, uint64_t received, uint64_t fresh);
void link_detach(struct link *l);

/* What is to be written next, as one contiguous piece (an ACK is put in front when rx advanced); n is 0 when
 * there is nothing. Valid until the next call. link_out_done(): n bytes of it were taken. */
struct bytes link_out_peek(struct link *l);
/* The same as up to `max` pieces to be written in order; answers how many. link_out_done() counts across
 * them. */
uint32_t link_out_iov(struct link *l, struct bytes *v, uint32_t max);
void link_out_done(struct link *l, uint32_t n);
bool link_has_out(const struct link *l);

/* A sequenced frame arrived. Its number follows from what RESUME on its connection told the peer to send
 * next: of two connections that overlap each has its own count. LINK_FRAME_NEW: work it off; LINK_FRAME_OLD:
 * it was here before; LINK_FRAME_GAP: frames before it are missing, which cannot be: end the connection. */
enum link_frame { LINK_FRAME_NEW, LINK_FRAME_OLD, LINK_FRAME_GAP };
enum link_frame link_on_frame(struct link *l, uint64_t number);
/* ACK body. False: malformed, or it claims what was never sent. */
MUST_USE bool link_on_ack(struct link *l, struct bytes body);

#endif
