/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_IO_CONN_H
#define COVEY_CLUSTER_IO_CONN_H

/* One TCP connection to another node.
 *
 *     dialled:  CONNECTING -> SHAKING -> OPEN -> LINGERING -> gone
 *     accepted:               SHAKING -> OPEN -> LINGERING -> gone
 *
 * The wire lives while it is OPEN. Memory is bounded: before OPEN a few hundred bytes; then one record that
 * is not whole and CLUSTER_OUT_MAX and a record of sealed bytes. A peer that does not read is not written to:
 * what it does not take stays in the mesh, which ends the wire when it hears nothing. */

#include "cluster/io/cluster_private.h"
#include "cluster/io/handshake.h"

enum cconn_state { CCONN_CONNECTING, CCONN_SHAKING, CCONN_OPEN, CCONN_LINGERING };

struct cconn {
    struct cluster_io *c;
    struct list link; /* of the list of its state */
    int fd;
    enum cconn_state state;
    enum wire_side side;
    struct net_addr addr; /* of the other side */
    uint64_t deadline_ms; /* unless OPEN */
    bool write_watched;
    struct event read_event, write_event;
    struct handshake hs;
    uint8_t hs_in[HANDSHAKE_MESSAGE_MAX];
    uint32_t hs_in_n;
    struct seal tx, rx;
    struct wire wire;
    uint8_t *in; /* SEAL_RECORD_MAX: a record that is not whole; NULL: not yet needed */
    uint32_t in_n;
    uint8_t *out; /* sealed records */
    uint32_t out_at, out_n;
};

/* A connection that was accepted. Takes the descriptor. */
void cconn_accept(struct cluster_io *c, int fd, const struct net_addr *addr);
/* Begins to dial; false: not possible, the caller tells the mesh. */
MUST_USE bool cconn_dial(struct cluster_io *c, const struct net_addr *to);
/* The mesh has something for the connection to send, or wants it to end. */
void cconn_on_wire(struct wire *w);
/* Ends it now, in whatever state: tells the mesh what it has to know and frees it. */
void cconn_cut(struct cconn *cc);
/* OPEN: writes what there is, says that nothing follows and waits a little for the peer. */
void cconn_finish(struct cconn *cc);
/* Ends what took too long. */
void cconns_tick(struct cluster_io *c);
/* Finishes those that are OPEN, cuts those that are not yet. */
void cconns_finish_all(struct cluster_io *c);
void cconns_cut_all(struct cluster_io *c);

/* Dials what the mesh wants to have dialled. */
void dial_run(struct cluster_io *c);

#endif
