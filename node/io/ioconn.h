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

/* The beginning of a packet, until the rest has come. */
struct ioconn_tail {
    uint32_t n;
    uint32_t cap;
    uint32_t need; /* bytes at which the core is to see them; 0: at once */
    uint8_t bytes[];
};

/* There is one for each connection, also the idle ones: every byte counts. */
struct ioconn {
    union {
        struct conn core; /* CORE and CLOSING */
        struct {
            uintptr_t mail;   /* WAIT, while a mailbox has it */
            struct list link; /* WAIT: in the acceptor's list; LINGER: in the worker's */
            struct conn_peer peer;
        } bare;
    } u;
    struct event event;
    struct worker *worker;
    struct acceptor *acceptor; /* where it was accepted */
    struct listener_conf *conf;
    struct transport *transport;
    struct ioconn_tail *tail; /* from malloc(); NULL when empty */
    /* CLOSING: in the worker's list of those; else on its list of those with work that no event announces. */
    struct list again;
    uint32_t deadline_ms; /* WAIT, CLOSING, LINGER: low bits of the worker's clock */
    uint8_t state;
    uint8_t watching; /* EV_READ, EV_WRITE as given to libevent */
    uint8_t resume;   /* conn_on_writable() is due */
    uint8_t was_open; /* its transport, when last looked at */
};

/* ---- life ------------------------------------------------------------------------------------------ */

/* Takes fd and transport, unless it answers NULL: no memory. */
struct ioconn *ioconn_new(struct acceptor *a, struct listener_conf *conf, int fd,
                          const struct conn_peer *peer, struct transport *transport);
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
