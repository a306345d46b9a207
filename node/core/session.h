/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_SESSION_H
#define COVEY_CORE_SESSION_H

/* The state that MQTT keeps for a client id: subscriptions, what is to be sent and in flight, received QoS 2
 * ids, the will (MQTT 5.0 section 4.1). It lives on its home shard; it may outlive its connection for
 * expiry_s seconds. A session with expiry_s > 0 is persistent: what it is promised is in the store. */

#include "node/core/gate.h"
#include "node/core/pidset.h"
#include "node/core/ptrtab.h"
#include "node/core/sendq.h"
#include "node/core/subs.h"
#include "node/core/wheel.h"

struct conn;
struct mount;
struct shard;
struct parcel;

struct will {
    struct msg *msg;
    uint32_t delay_s;
};

struct session {
    struct conn *conn; /* NULL: offline */
    struct shard *shard;
    struct sendq *q;       /* made when first needed */
    struct pidset *rx2;    /* likewise */
    struct parcel *parcel; /* it is on its way to another node, or from one; NULL: it is not */
    struct will *will;     /* published unless the client says goodbye [MQTT-3.1.2-8] */
    struct subscription **subs;
    char *username;           /* NULL: none */
    struct gate_ident *ident; /* NULL: no rule has looked at it yet */
    struct mount *mount;      /* of its last connection; NULL: none */
    uint32_t subs_n;
    uint32_t subs_cap;
    struct wheel_timer timer; /* will delay, then expiry; ids that wait for PUBREL */
    struct list dirty_link;   /* in the shard's list of sessions with something to store */
    uint64_t number;          /* of this session, never used again; its key in the store */
    uint64_t created_ms;      /* wall clock */
    uint64_t since_ms;        /* wall clock: connected, or offline, since */
    uint64_t stamp;           /* of the claim that made it this node's, see claim.h */
    uint32_t expiry_s;        /* after the connection's end; SECONDS_FOREVER: never */
    uint32_t hash;
    uint32_t mark; /* of the publish that last found it, see deliver.c */
    uint32_t mark_at;
    uint32_t dropped; /* messages that its bounds refused */
    uint16_t inflight_max;
    uint16_t id_n;
    uint8_t version;
    uint8_t clean_start : 1;
    uint8_t has_shared : 1;  /* a shared subscription among its subscriptions */
    uint8_t state_dirty : 1; /* its state record is to be written */
    uint8_t is_sealed : 1;   /* in the batch under way */
    uint8_t is_recorded : 1; /* its session record is, or will be, in the store */
    uint8_t is_leaving : 1;  /* handed to another node, see parcel.h */
    uint8_t is_starved : 1;  /* waits for durable sequence numbers */
    char id[];
};

static inline struct bytes session_id(const struct session *s)
{
    return bytes_of(s->id, s->id_n);
}
static inline bool session_is_persistent(const struct session *s)
{
    return s->expiry_s > 0;
}

/* It is being handed to another node. */
static inline bool session_is_leaving(const struct session *s)
{
    return s->is_leaving;
}

/* By client id; NULL when there is none. */
struct session *session_find(struct shard *sh, struct bytes id);
/* A new session without a connection; the id is not in use. number 0: take the next. */
struct session *session_new(struct shard *sh, struct bytes id, uint64_t number);
/* Ends it: subscriptions, queue and stored records go; a will that is due is published before by the caller.
 */
void session_end(struct session *s);
/* Frees the memory only (at shutdown). */
void session_free(struct session *s);

/* The subscription to a filter, or NULL. */
struct subscription *session_sub_of(struct session *s, const struct topic_filter *f);
/* Subscriptions of this session. */
struct subscription *session_sub_find(const struct session *s, const struct route *r);
struct subscription *session_sub_add(struct session *s, const struct topic_filter *f);
void session_sub_del(struct session *s, struct subscription *sub);

/* The connection takes the session (resumed or new), or leaves it. */
void session_attach(struct session *s, struct conn *c);
void session_detach(struct session *s, const struct conn *c);

/* The timer fired: a will whose delay is over, or the session's end. */
void session_on_timer(struct session *s);
/* Starts the timer that fits the session's state. */
/* Its expiry has passed, though its timer has not been looked at since [MQTT-3.1.2-23]. */
bool session_is_over(const struct session *s);
void session_timer_start(struct session *s);

#endif
