/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_IOCONN_H
#define COVEY_IO_IOCONN_H

/* One connection as the I/O layer sees it: the core's struct conn, a socket, perhaps a transport, and the
 * beginning of a packet whose rest has not come.
 *
 *     WAIT --CONNECT is whole: attached here, or on its home worker--> CORE --conn CLOSING--> CLOSING
 *      |                                                                                        |
 *      +--fault, time-out--> (gone)                          bytes wait: until sent or 5 s <----+
 *                                                            LINGER: until the peer ends, or 2 s, then gone
 *
 * While it waits it costs this structure and nothing else; a buffer exists only while bytes lie in it. */

#include "node/core/shard.h"
#include "node/io/listener.h"
#include "node/io/transport.h"

struct worker;

enum ioconn_state { IOCONN_WAIT, IOCONN_CORE, IOCONN_CLOSING, IOCONN_LINGER };

struct ioconn {
    union {
        struct conn core; /* CORE and CLOSING */
        struct {
            uintptr_t mail; /* while a mailbox has it */
            struct conn_peer peer;
        } wait; /* WAIT */
    } u;
    struct event event;
    struct worker *worker;
    struct acceptor *acceptor; /* where it was accepted */
    struct transport *transport;
    uint8_t *tail; /* from malloc(); NULL when empty */
    uint32_t tail_n;
    uint32_t tail_cap;
    uint32_t tail_need;   /* bytes at which the core is to see them */
    uint32_t deadline_ms; /* low bits of the worker's clock */
    struct list link;     /* WAIT: the acceptor's list; CLOSING, LINGER: the worker's */
    struct list again;    /* on the worker's list of those with work that no socket event announces */
    uint8_t state;
    uint8_t watching; /* EV_READ, EV_WRITE as given to libevent */
    uint8_t resume;   /* conn_on_writable() is due */
    uint8_t was_open; /* its transport, when last looked at */
};

/* ---- life ------------------------------------------------------------------------------------------ */

/* Takes fd and transport, unless it answers NULL: no memory. */
struct ioconn *ioconn_new(struct acceptor *a, int fd, const struct conn_peer *peer,
                          struct transport *transport);
/* A connection that another worker has accepted; its CONNECT is in the tail. */
void ioconn_on_arrival(struct ioconn *ic, struct worker *w);
/* Cuts it at once, whatever state it is in but CORE. */
void ioconn_cut(struct ioconn *ic);

/* ---- events ---------------------------------------------------------------------------------------- */

/* Reads once. The connection may be gone afterwards. */
void ioconn_read(struct ioconn *ic);
/* What the core has put on the dirty list. */
void ioconn_on_dirty(struct conn *c);
/* It was on the again list. */
void ioconn_on_again(struct ioconn *ic);

#endif
