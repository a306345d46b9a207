/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_IOCONN_PRIVATE_H
#define COVEY_IO_IOCONN_PRIVATE_H

/* Between ioconn.c (life and death, before CONNECT) and ioconn_io.c (reading and writing). */

#include "node/io/io_private.h"

#include <event2/event.h>

static inline int ioconn_fd(const struct ioconn *ic)
{
    return event_get_fd(&ic->event);
}
static inline uint32_t ioconn_tail_n(const struct ioconn *ic)
{
    return ic->tail ? ic->tail->n : 0;
}
void ioconn_on_event(evutil_socket_t fd, short what, void *arg);
/* EV_READ, EV_WRITE, both or 0. */
void ioconn_watch(struct ioconn *ic, short what);

/* Reads once, behind what the tail holds. > 0: n bytes are at p, in the scratch buffer or in the tail, and p
 * begins with the old tail. Else a code of transport.h. */
ssize_t ioconn_gather(struct ioconn *ic, uint8_t **p, size_t *n);
/* The tail becomes the n bytes at p, which may lie in the tail itself. False: no memory. */
bool ioconn_tail_keep(struct ioconn *ic, const uint8_t *p, size_t n);
/* Feeds the core and keeps what it leaves. */
void ioconn_feed(struct ioconn *ic, uint8_t *p, size_t n);
/* Sends what the core and the transport have: 0 when all is sent, or TRANSPORT_AGAIN, TRANSPORT_LOST. */
ssize_t ioconn_flush(struct ioconn *ic);

void ioconn_wait_read(struct ioconn *ic);
void ioconn_linger_read(struct ioconn *ic);
/* Goes on ending a connection whose core is CLOSING; it may be gone afterwards. */
void ioconn_close_step(struct ioconn *ic);

#endif
