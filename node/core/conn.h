/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_CONN_H
#define COVEY_CORE_CONN_H

/* One network connection as the core sees it: bytes come in, bytes go out, no socket. The I/O layer embeds
 * struct conn in its own structure and owns the memory.
 *
 *     NEW --CONNECT--> OPEN --DISCONNECT, fault, takeover--> CLOSING --flushed or given up--> (conn_fini)
 *      |                 \--transport lost: conn_on_lost()-> CLOSING
 *      \--fault, time-out--> CLOSING
 *
 * After conn_feed(), shard_on_mail(), shard_tick() and conn_on_writable() connections that have something to
 * write, are to be closed, or want reading paused or resumed are on the shard's dirty list; the I/O layer
 * takes each once a turn: while ((c = shard_dirty_take(sh))) { flush c->out; if (c->state == CONN_CLOSING)
 * ...; honour c->read_paused } A CLOSING connection has no session any more; the I/O layer writes what it
 * can, closes, and calls conn_fini(). It may do so at once or later, and must do so within a bounded time. */

#include "node/core/outbuf.h"
#include "node/core/settings.h"
#include "node/core/wheel.h"

struct shard;
struct session;
struct ackq;
struct alias_in;
struct alias_out;
struct replay;
struct pace;
struct parked;
struct identity;
struct enhanced;
struct acl;

enum conn_state { CONN_NEW, CONN_OPEN, CONN_CLOSING };

/* Why a connection ended; counted, logged, and told in ctl and $SYS. */
enum conn_end {
    CONN_END_NONE,
    CONN_END_CLIENT,     /* DISCONNECT from the client */
    CONN_END_LOST,       /* closed or broken without DISCONNECT */
    CONN_END_KEEP_ALIVE, /* no packet in time [MQTT-3.1.2-22] */
    CONN_END_NO_CONNECT, /* no CONNECT in time */
    CONN_END_REFUSED,    /* CONNACK with a failure */
    CONN_END_FAULT,      /* malformed packet or protocol error */
    CONN_END_TAKEN_OVER,
    CONN_END_KICKED,
    CONN_END_TRANSPORT, /* TLS or WebSocket fault, or it would not read what it was owed */
    CONN_END_SHUTDOWN,
    CONN_END_MOVED,   /* to another node of the cluster */
    CONN_END_BANNED,  /* while it was connected */
    CONN_END_EXPIRED, /* what it was let in with, such as a token */
    CONN_END_STORE,   /* a promise could not be kept and 3.x has no code to say so */
    CONN_ENDS,
};
const char *conn_end_name(enum conn_end e); /* "client", "lost", "keep_alive", ... */
const char *conn_end_text(enum conn_end e); /* a sentence for people, without its stop */

/* Who is at the other end; copied by conn_init(). */
struct conn_peer {
    char address[46]; /* text form of the IP address, "" for none */
    uint16_t port;
};

struct conn {
    struct shard *shard;
    struct session *session; /* while OPEN */
    const struct settings *settings;
    struct outbuf out;
    struct list dirty_link;
    struct list all_link;       /* in the shard's list of connections */
    struct list congested_link; /* in the shard's list of those that wait for a peer's link */
    struct parked *parked;      /* the CONNECT waits, see parked.h */
    struct enhanced *enhanced;  /* of enhanced authentication, while it goes on; NULL: none */
    struct pace *pace;          /* its limits of messages and bytes a second; NULL: none */
    struct wheel_timer timer;   /* CONNECT time-out, then keep alive */
    uint64_t until_ms;          /* wall clock: it ends then; 0: at no such time */
    uint64_t rx_ms;             /* when the last packet came */
    uint32_t keep_alive_ms;     /* 0: none; already multiplied */
    uint32_t packet_size_max;   /* the client's; 0: none */
    uint32_t traced;            /* numbers of traces of it, a bit each, see trace.h */
    uint8_t state;              /* enum conn_state */
    uint8_t version;            /* enum mqtt_version */
    uint8_t end;                /* enum conn_end */
    uint8_t problem_info : 1;
    uint8_t read_paused : 1;   /* the I/O layer must not read */
    uint8_t write_blocked : 1; /* set by the I/O layer: the socket would not take more; cleared by it too */
    uint8_t is_bridge : 1;
    uint8_t is_enhanced : 1;  /* its CONNECT named an Authentication Method */
    uint8_t is_superuser : 1; /* authorization lets it do everything, see vet.h */
    uint8_t is_mounted : 1;   /* its topics have a mountpoint, the session's */
    uint8_t own_form : 1;     /* what it is sent is encoded for it alone */
    uint8_t out_waits : 1;    /* more is to be written once there is room in out */
    uint8_t out_held : 1;     /* the I/O layer must not write yet; the connection gets dirty when it may */
    uint16_t receive_used;    /* QoS 1 and 2 from the client not yet acknowledged [MQTT-3.3.4-7] */
    uint16_t alias_out_max;   /* the client's Topic Alias Maximum */
    struct ackq *ackq;        /* acknowledgements that wait, in order */
    struct alias_in *alias_in;
    struct alias_out *alias_out;
    struct replay *replay;     /* retained messages still to be sent */
    char *username;            /* NULL: none */
    struct identity *identity; /* NULL: the transport knows nothing of it; owned */
    struct acl *acl;           /* rules that came with it, from its token; NULL: none; a reference */
    uint64_t recv_packets, recv_bytes, send_packets, send_bytes;
    struct conn_peer peer;
};

/* c is the caller's memory; settings outlive it. Starts the CONNECT time-out. c->identity may be set
 * afterwards, before the first byte is fed. */
void conn_init(struct conn *c, struct shard *sh, const struct settings *settings,
               const struct conn_peer *peer);
/* Frees what the core holds for c. State is CLOSING (or NEW: counted as lost). */
void conn_fini(struct conn *c);

/* Works off every whole packet at buf (whose bytes it may change) and answers how many bytes it used. What is
 * left is the beginning of a packet: the caller keeps it and passes it again with more behind it. Stops
 * early, with whole packets left, when the connection is closing or reading is paused. */
size_t conn_feed(struct conn *c, uint8_t *buf, size_t n);

/* How many bytes from p on the caller should gather before calling conn_feed() again; at least n + 1. Never
 * asks for more than the packet size that is allowed; grow buffers as bytes come, not to this size at once.
 */
size_t conn_need(const struct conn *c, const uint8_t *p, size_t n);

/* The transport is gone or broke its own rules (end: CONN_END_LOST or CONN_END_TRANSPORT). Afterwards c is
 * CLOSING; the will and the session are dealt with. Does nothing when it is CLOSING already. */
void conn_on_lost(struct conn *c, enum conn_end end);

/* The transport has taken all of c->out after it had refused some: go on with what waited for room. */
void conn_on_writable(struct conn *c);

/* Ends the connection from our side: v5 clients get DISCONNECT with the code and text (may be NULL). */
void conn_close(struct conn *c, enum reason code, const char *text, enum conn_end end);

/* Tells the client to use another server (5.0, 0x9C) and closes; reference ("": none) says which. */
void conn_redirect(struct conn *c, const char *reference);

/* ---- before a connection has a shard -------------------------------------------------------------- */

/* Looks at the first bytes of a connection for the client id whose home the connection belongs to. */
enum conn_peek {
    CONN_PEEK_MORE, /* not a whole CONNECT yet; see conn_peek_need() */
    CONN_PEEK_HERE, /* nothing to look up (malformed, no client id, not MQTT): any shard may answer */
    CONN_PEEK_ID,   /* *client_id is set */
};
enum conn_peek conn_peek(const uint8_t *p, size_t n, const struct settings *settings,
                         struct bytes *client_id);

#endif
