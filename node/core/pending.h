/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_PENDING_H
#define COVEY_CORE_PENDING_H

/* An acknowledgement that waits for something: a commit, another shard, later a peer. Each thing waited for
 * holds a reference; when the last one is released the acknowledgement is ready. A connection sends its
 * waiting acknowledgements in the order in which the packets came [MQTT-4.6.0-2]; one that is ready waits for
 * those before it. When the connection ends first, the pending is orphaned and goes away silently once it is
 * released. */

#include "proto/mqtt/packet.h"

struct conn;
struct shard;
struct rxframe;

/* Whom it is for. */
enum pending_role {
    PENDING_CLIENT,  /* the connection's client */
    PENDING_PROXY,   /* a pending of another shard */
    PENDING_ARRIVAL, /* a publisher on another node, by an entry of a frame */
    PENDING_HANDOFF, /* a handoff to another node, see handoff_peer.h */
    PENDING_CALL,    /* a function of this shard */
};

struct pending {
    struct conn *conn;    /* NULL: orphaned, or a proxy */
    struct pending *next; /* in the connection's queue */
    uint32_t refs;
    uint16_t packet_id;
    uint8_t type; /* enum packet_type of the acknowledgement; 0: a proxy for one on another shard */
    uint8_t code;
    uint8_t failed;   /* a store or a destination could not do its part; code says what */
    uint8_t keeps_id; /* PUBREC for a repeat: the id stays whatever happens, so it waits until a commit
                         succeeds */
    uint8_t counted;  /* it holds one of the client's Receive Maximum */
    uint32_t from;    /* of a proxy: the shard, and its pending; or MAIL_TO_CLUSTER, and the frame's entry */
    uint8_t role;     /* enum pending_role */
    uint32_t rx_index;
    union {
        struct pending *origin;
        struct rxframe *rx;
        uint64_t handoff; /* number */
        struct {
            void (*fn)(struct shard *sh, void *arg, enum reason code);
            void (*drop)(void *arg); /* instead of fn, when the node ends */
            void *arg;               /* fn owns it */
        } call;
    } u;
    uint64_t sample_us;    /* when the packet was read, see shard_sample(); 0: it is not looked at */
    char *session_id;      /* of an orphaned PUBREC: whose QoS 2 id it is about; owned */
    struct suback *suback; /* of SUBACK and UNSUBACK: codes and what to undo; owned */
};

struct suback {
    uint16_t n;
    uint8_t *codes;         /* n of them, behind this struct */
    const char *text;       /* static, or why, or NULL */
    char why[64];           /* a copy of what does not live as long */
    struct bytes exclusive; /* see exclusive_add_open(), owned */
    bool has_waited;        /* for who has one of these too */
    struct bytes
        undo; /* the filters, each behind a two-byte length, owned; on failure they are unsubscribed */
};

struct ackq {
    struct pending *first;
    struct pending **last;
    uint32_t n;
};

/* A pending with one reference, the caller's, at the end of the connection's queue. */
struct pending *pending_new(struct conn *c, enum packet_type type, uint16_t packet_id, enum reason code);
/* A stand-in here for a pending of shard `from`: tells it when released. */
struct pending *pending_new_proxy(uint32_t from, struct pending *origin);
/* A stand-in for a publisher on another node, whose message came as an entry of rx. */
struct pending *pending_new_arrival(struct rxframe *rx, uint32_t index);
struct pending *pending_new_handoff(uint64_t number);
struct pending *pending_new_call(void (*fn)(struct shard *sh, void *arg, enum reason code),
                                 void (*drop)(void *arg), void *arg);
struct pending *pending_ref(struct pending *p);
/* Drops one reference; e: how what it waited for ended. NULL is fine. */
void pending_release(struct shard *sh, struct pending *p, enum reason code);

/* Drops one reference of a node that ends: nobody is told. NULL is fine; p has no connection any more. */
void pending_drop(struct pending *p);

/* Sends the acknowledgement now, or queues it behind those that wait. text as in encode_ack(). */
void ack_send(struct conn *c, enum packet_type type, uint16_t packet_id, enum reason code, const char *text);
/* Orphans what waits; frees the queue. */
void ackq_drop(struct conn *c);

#endif
