/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_DELIVER_H
#define COVEY_CORE_DELIVER_H

/* From a published message to the sessions it reaches: matching, overlapping filters, QoS, encoding. A
 * message is encoded once per form (protocol version, with or without packet id) and the bytes are shared by
 * all its receivers; the packet as it came is such a form already. A counted copy is made only when something
 * has to keep the message. */

#include "node/core/pending.h"
#include "node/core/session.h"
#include "proto/mqtt/msg.h"

struct node;
struct shard;
struct match;
struct rpc_buf;
struct rxframe;

enum { FORM_V5 = 1, FORM_QOS = 2, FORMS = 4 };

struct publication {
    struct message_in m;     /* views that live while the publication does */
    struct bytes raw;        /* the packet as it came, when it can serve as a form; else empty */
    struct msg *msg;         /* the counted copy, once made; the publication's ref */
    struct conn *conn;       /* the publisher's, to be acknowledged; NULL: nobody's */
    struct pending *pending; /* once somebody waits; the publication's ref */
    uint64_t origin;         /* session number of the publisher; 0: none */
    uint64_t uid;            /* of the message in the cluster; 0: none was needed yet */
    struct rxframe *rx;      /* came from a peer by this frame, and an answer is wanted */
    uint32_t rx_index;
    struct rpc_buf
        *held_by; /* gets the client ids that hold it aside, each behind its be16 length; NULL: not wanted */
    uint64_t client_hash; /* of the publisher's client id, for shared subscriptions */
    uint32_t receivers;   /* sessions that it reached, here or by mail */
    uint32_t refused;     /* sessions whose queue is full */
    uint16_t packet_id;
    uint8_t raw_form;       /* FORM_* of raw */
    uint8_t hold;           /* not to be sent by persistent sessions before it is stored */
    uint8_t handoff;        /* came by one, see handoff.h */
    uint8_t seen_by_some;   /* see handoff_peer.h */
    uint8_t alone;          /* for one subscription, whatever others get */
    uint8_t failed;         /* an enum reason: it could not be kept */
    const char *denied;     /* by the ACL: the reason string; NULL: it is not */
    uint32_t form_n[FORMS]; /* size of each form that is encoded */
};

/* Delivers to every subscriber that `match` names: here at once, elsewhere by mail. */
void deliver_match(struct shard *sh, struct publication *p, const struct match *match);
/* To one session, as if a subscription with this QoS had matched. */
void deliver_to(struct shard *sh, struct publication *p, struct session *s, unsigned qos);
/* The same with its options, past what holds messages aside for a session that is on its way (parcel.h). */
void deliver_kept(struct shard *sh, struct publication *p, struct session *s, unsigned qos, bool retain,
                  const uint32_t *ids, uint32_t ids_n);
/* Only to the plain subscribers of this shard. */
void deliver_local(struct shard *sh, struct publication *p, const struct match *match);
/* To one subscription, as one that a shared route picked, or for a retained message. */
void deliver_sub(struct shard *sh, struct publication *p, struct subscription *sub, bool retain);

/* The counted copy, made when first asked for; NULL: no memory. A borrowed view. */
struct msg *publication_msg(struct shard *sh, struct publication *p);
/* The publisher's acknowledgement has to wait: a new reference to its pending; NULL when nobody is to be
 * told. */
struct pending *publication_wait(struct publication *p);
void publication_fini(struct shard *sh, struct publication *p);

/* Sends what the session may send now: window, client's limits and room in the out buffer permitting. */
void session_pump(struct session *s);
/* Is there room for more in the connection's out buffer? */
bool conn_has_room(const struct conn *c);

/* The members of a shared route: picks one and delivers. */
void share_deliver(struct shard *sh, struct publication *p, struct route *r);
/* A member of a shared route on this node, those with a connection first: its shard and number there. False:
 * there is none. Any thread. */
bool share_pick_here(const struct node *n, const struct route *r, uint64_t random, uint32_t *shard,
                     uint32_t *pick);
/* To member `pick` of the shared route on this shard. */
void share_deliver_here(struct shard *sh, struct publication *p, uint32_t route_id, uint32_t pick);

#endif
