/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_PARCEL_I_H
#define COVEY_CORE_PARCEL_I_H

/* Between the two sides of a move, for the files of this folder. */

#include "node/core/parcel.h"
#include "node/core/shard_i.h"
#include "node/core/uidmax.h"

enum parcel_state {
    PARCEL_LEAVING,
    PARCEL_ARRIVING, /* until END */
    PARCEL_ARRIVED,  /* doubles may still come for a while */
};

/* A message held aside. */
struct held_message {
    struct msg *msg;
    struct pending *pending;
    uint32_t *ids;
    uint32_t ids_n;
    uint8_t qos;
    bool retain;
    bool hold; /* as in struct publication */
    bool handoff;
    bool alone;
    uint8_t failed; /* appended: enum reason */
    uint64_t aside; /* number of the handoff that keeps it meanwhile; 0: it has none */
};

struct parcel {
    struct list link;
    struct session *session;
    struct parcel *older; /* another one of the session that is not finished either */
    struct node_id peer;
    uint64_t number; /* at the holder */
    uint64_t token;
    uint8_t state;
    bool is_cut;         /* CUT was sent, or has come */
    bool is_merging;     /* into a session that was here already */
    bool is_moot;        /* older than a clean start here: nothing of it is taken */
    bool is_ended;       /* END was sent */
    bool is_stored;      /* arrived: the holder was told so, or there is none to be told */
    uint64_t at;         /* the next message of the holder, to be sent or expected */
    uint64_t skip_below; /* arriving: these came with an earlier attempt */
    uint64_t back_below; /* arriving: it was ours, and messages below have our numbers; 0: it was not */
    uint64_t back_at;    /* what is below is settled */
    uint64_t until_ms;
    struct parcel_order *deferred; /* it is wanted elsewhere already */
    struct held_message *held;
    uint32_t held_n, held_cap;
    struct uidset recent; /* what is here, or was relayed: doubles are dropped */
    uint64_t uid_here;    /* the last one of them that came here */
    uint64_t uid_relayed; /* and by the holder */
    struct uidmax newest; /* arriving: that the holder relayed */
};

/* What comes gets the numbers that it has at the holder; else it goes behind what is here. */
static inline bool parcel_is_same(const struct parcel *p)
{
    return p->state == PARCEL_ARRIVING && !p->is_merging;
}

struct parcel *parcel_new(struct session *s, const struct node_id *peer, uint64_t number, uint64_t token,
                          enum parcel_state state);
/* The holder began to send the session once more: p goes on with what old has, and old is freed. */
void parcel_restart(struct parcel *p, struct parcel *old);
/* Takes it off its session. */
void parcel_drop(struct parcel *p);
/* NULL: there is none. */
struct parcel *parcel_find(struct shard *sh, struct bytes client_id, const struct node_id *peer,
                           uint64_t number, enum parcel_state state);
static inline struct parcel *parcel_of(struct shard *sh, const struct parcel_order *o,
                                       enum parcel_state state)
{
    return parcel_find(sh, parcel_order_id(o), &o->peer, o->number, state);
}
void parcel_tell(struct shard *sh, const struct parcel *p, enum parcel_told what);

/* ---- parcel_in.c ---------------------------------------------------------------------------------- */

/* The session that was taken over ends: its holder may delete it, too. */
void parcel_in_ends(struct shard *sh, const struct parcel *p);

/* ---- parcel_out.c --------------------------------------------------------------------------------- */

/* The session ends: who waits for it is told when that is stored. */
void parcel_out_ends(struct shard *sh, struct parcel *p);

/* An order for a session that went elsewhere, and now comes back; NULL: there is none. The caller's. */
struct parcel_order *parcel_late_take(struct shard *sh, struct bytes client_id);
void parcel_late_tick(struct shard *sh, uint64_t now_ms);
void parcel_late_free(struct parcels *p);

/* ---- parcel_import.c ------------------------------------------------------------------------------ */
/* NULL: none is noted. */
const struct import *import_find(const struct shard *sh, const struct node_id *from, uint64_t number);
/* The one that made this session of ours. */
const struct import *import_of(const struct shard *sh, const struct node_id *from, uint64_t session);
/* In the next batch: messages below p->at are here. */
void import_note(struct shard *sh, const struct parcel *p);
/* The session has gone back where it came from. */
void import_forget(struct shard *sh, const struct node_id *from, uint64_t number);

/* A message as it travels: be64 seq, QoS | retain << 2 | slot state << 3, be64 uid, be16 n, n x be32, a
 * record. */
struct parcel_message {
    uint64_t seq;
    uint64_t uid;
    uint8_t qos;
    bool retain;
    uint8_t state;
    struct bytes ids; /* be32 each */
    struct msg *msg;  /* NULL: it is released or done */
};
bool parcel_message_read(struct parcel_message *m, struct bytes b);

/* ---- parcel_back.c -------------------------------------------------------------------------------- */

/* Our session comes back: of messages below p->back_below only those that come are still to be sent. Settles
 * those before seq. */
void parcel_back_until(struct parcel *p, uint64_t seq);
/* The message itself, which is ours. */
void parcel_back_one(struct parcel *p, const struct parcel_message *m);

/* ---- parcel_held.c -------------------------------------------------------------------------------- */

/* What was held goes behind what is in the queue. Its publishers are yet to be answered, last of all: one
 * whose message was refused may lose its connection, and with that the session may end. */
struct held_messages {
    struct held_message *v;
    uint32_t n;
};
struct held_messages parcel_held_append(struct shard *sh, struct parcel *p);
/* It is in the queue, or is not to be delivered: nothing else keeps it any more. */
void parcel_held_done(struct shard *sh, const struct session *s, struct held_message *h);
/* The holder relays the message with this uid, which goes into the queue: it may be held aside as well. */
void parcel_held_relayed(struct shard *sh, struct parcel *p, uint64_t uid);
void parcel_held_answer(struct shard *sh, struct held_messages all);
/* The arriving side's end without END. The session may be over then. */
void parcel_arrived(struct shard *sh, struct parcel *p);

#endif
