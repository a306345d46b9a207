/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_PARCEL_H
#define COVEY_CORE_PARCEL_H

/* A session that moves to another node, the shards' side. Its old node is the holder, the new one the
 * claimant.
 *
 *   holder                                          claimant
 *   parcel_release(): the old connection ends
 *   NONE: nothing to move        ------------->     the CONNECT goes on
 *   BEGIN, QUEUE.., CUT          ------------->     a session is made, stored; then the CONNECT goes on
 *   MORE..: what still reaches it                   what reaches it here is held aside
 *                                <-- FINISH ---     every node knows the routes by now
 *   END, when every node has sent what it had --->  what was held goes behind; doubles by uid are dropped
 *                                <-- STORED ---     all of it is in the store
 *   deletes the session, GONE    ------------->     forgets that it was imported
 *
 * So the order of each publisher's messages stays, nothing is lost or doubled, and what publishers are told
 * stays true all the time: the holder stores what reaches it until the claimant has stored it. When the
 * claimant dies the holder's session is as it was; when the holder dies the claimant goes on with what it
 * has. When both have a session of the id, as after a partition, the claimant's takes in the other one.
 *
 * The claimant notes which session it imports, and up to which message, in the batch that stores the messages
 * (table PARCELS, see parcel_import.c), until the holder has deleted it. So of one that is handed over again,
 * after a crash, it takes only what it does not have; and when it hands the session back to a holder that
 * still has it, the holder knows which of its messages are done.
 *
 * A session that is leaving keeps no time: its will and its end are the claimant's matter. */

#include "node/core/deliver.h"
#include "node/core/uidset.h"
#include "proto/rpc/messages.h"

struct parcel;

/* MAIL_PARCEL, to be freed by the cluster thread with parcel_piece_free(): the body of a PARCEL frame. */
struct parcel_piece {
    struct node_id to;
    struct rpc_buf body;
};
void parcel_piece_free(struct parcel_piece *p);

/* MAIL_CALLs; arg is freed. */
struct parcel_order {
    struct node_id peer; /* the claimant, or who sent */
    uint64_t number;     /* of the session at the holder */
    uint64_t token;
    uint64_t stamp;
    bool clean_start;
    bool is_settled; /* what the session has received is stored, or was refused */
    uint32_t client_id_n;
    uint8_t client_id[];
};
struct parcel_order *parcel_order_new(struct bytes client_id);
static inline struct bytes parcel_order_id(const struct parcel_order *o)
{
    return bytes_of(o->client_id, o->client_id_n);
}

/* ---- the holder ----------------------------------------------------------------------------------- */

/* peer, token, clean_start: hand the session over. */
void parcel_release(struct shard *sh, void *order);
/* number: nothing more will reach it. */
void parcel_end(struct shard *sh, void *order);
/* number: the claimant has it on disk. */
void parcel_stored(struct shard *sh, void *order);
/* A client has come to a session that is leaving, and the cluster does not say otherwise in time. */
void parcel_stay(struct session *s);
/* What leaving sessions have got in this turn. */
void parcels_flush(struct shard *sh);

/* ---- the claimant --------------------------------------------------------------------------------- */

/* A PARCEL frame's body, by MAIL_CALL parcel_take(). */
struct parcel_in {
    struct node_id from;
    uint64_t stamp; /* of the claim; 0: not known */
    uint32_t n;
    uint8_t body[];
};
void parcel_take(struct shard *sh, void *in);
/* peer, number: the holder has deleted it. */
void parcel_gone(struct shard *sh, void *order);
/* A message of QoS 1 or 2 for a session with a parcel: held aside while it is arriving, dropped as a double,
 * or refused because too much is held; false: nothing of it, to be delivered. */
bool parcel_hold(struct shard *sh, struct publication *p, struct session *s, unsigned qos, bool retain,
                 const uint32_t *ids, uint32_t ids_n);

/* What the claimant's shard tells the cluster thread (MAIL_PARCEL_TOLD). */
enum parcel_told {
    PARCEL_READY,  /* it is here and stored: the CONNECT with the token may go on, FINISH is due */
    PARCEL_STORED, /* all of it, after END */
    PARCEL_GONE,   /* the holder has deleted it */
};
struct parcel_news {
    enum parcel_told what;
    struct parcel_order order; /* peer: whom it concerns */
};

/* ---- both ----------------------------------------------------------------------------------------- */

/* The peer (a struct node_id, freed) is dead or began anew: what went there stays, what came from there is
 * all. */
void parcel_peer_gone(struct shard *sh, void *node_id);
void parcels_tick(struct shard *sh);
void parcel_free(struct parcel *p); /* with its session; NULL is fine */
/* The session ends: nobody is left to keep anything for, and whoever has it still, or wants it, hears of it.
 */
void parcel_session_ends(struct shard *sh, struct session *s);
MUST_USE enum err parcels_load(struct node *n);

/* One import that is noted. */
struct import {
    struct node_id from;
    uint64_t number;     /* of the session there */
    uint64_t session;    /* and here */
    uint64_t next;       /* the holder's messages below came here */
    uint64_t same_below; /* and those below this have their numbers here too */
};
struct parcels {
    struct list moving; /* struct parcel */
    struct list late;   /* orders for sessions that may come back */
    struct import *imports;
    uint32_t imports_n, imports_cap;
    struct rpc_arena *arena;
};
void parcels_init(struct parcels *p);
void parcels_fini(struct parcels *p);

#endif
