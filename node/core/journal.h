/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_JOURNAL_H
#define COVEY_CORE_JOURNAL_H

/* What has happened lately to clients and under topics, for the question why a message did not arrive. Always
 * on, within memory that is fixed: two rings of records on each shard, one of clients (connected, refused,
 * subscribed, ...) and one of messages (denied, dropped, matched nobody, ...), so that many of the one do not
 * push out the other. The oldest go first. The same thing that happens again within JOURNAL_JOIN_MS is
 * counted in the record that is there.
 *
 * Ordinary messages are not in it, but those of clients and topics that are watched: from when somebody asks
 * about them, until JOURNAL_WATCH_MS after the last question. A client id or topic that is longer than its
 * limit is cut, and then stands for all that begin like it. Payloads and passwords are never in it. */

#include "node/core/inspect.h"

struct conn;
struct match;
struct publication;
struct session;
struct shard;

enum journal_ring { JOURNAL_CLIENTS, JOURNAL_MESSAGES, JOURNAL_RINGS };
enum {
    JOURNAL_JOIN_MS = 60 * 1000,
    JOURNAL_WATCH_MS = 5 * 60 * 1000,
    JOURNAL_WATCHES_MAX = 16, /* the one that ends first gives way */
    JOURNAL_CLIENT_MAX = 128,
    JOURNAL_TOPIC_MAX = 256,
    JOURNAL_TEXT_MAX = 160,
    JOURNAL_BYTES_MIN = 16 * 1024, /* of both rings; less: off */
    JOURNAL_AGAIN_N = 256,         /* a power of two */
};

/* X(id, name for people and programs, what a trace calls it or NULL: it shows that otherwise, ring, the text
 * where none is given) */
#define JOURNAL_EVENTS(X)                                                                                \
    X(CONNECTED, "connected", NULL, CLIENTS, NULL)                                                       \
    X(REFUSED, "connect_refused", "refused", CLIENTS, NULL)                                              \
    X(FAULT, "fault", "fault", CLIENTS, NULL)                                                            \
    X(DISCONNECTED, "disconnected", NULL, CLIENTS, NULL)                                                 \
    X(SUBSCRIBED, "subscribed", NULL, CLIENTS, NULL)                                                     \
    X(SUBSCRIBE_DENIED, "subscribe_denied", "denied", CLIENTS, NULL)                                     \
    X(SUBSCRIBE_REFUSED, "subscribe_refused", "refused", CLIENTS, NULL)                                  \
    X(UNSUBSCRIBED, "unsubscribed", NULL, CLIENTS, NULL)                                                 \
    X(SESSION_ENDED, "session_ended", NULL, CLIENTS, NULL)                                               \
    X(SESSION_MOVED, "session_moved", NULL, CLIENTS, "To another node, where the client has connected")  \
    X(LINK_DOWN, "link_down", NULL, CLIENTS, NULL)                                                       \
    X(LINK_UP, "link_up", NULL, CLIENTS, "What waited for it is sent")                                   \
    X(NODE_GIVEN_UP, "node_given_up", NULL, CLIENTS, NULL)                                               \
    X(PUBLISH_DENIED, "publish_denied", "denied", MESSAGES, NULL)                                        \
    X(PUBLISH_REFUSED, "publish_refused", "refused", MESSAGES, NULL)                                     \
    X(NO_SUBSCRIBERS, "no_subscribers", "dropped", MESSAGES, "Nobody has subscribed to it")              \
    X(QUEUE_FULL, "queue_full", "dropped", MESSAGES, "The queue is full")                                \
    X(SLOW_READER, "slow_reader", "dropped", MESSAGES, "It reads too slowly")                            \
    X(OFFLINE_QOS0, "offline_qos0", "dropped", MESSAGES, "It is offline, and QoS 0 is not kept")         \
    X(EXPIRED, "expired", "dropped", MESSAGES, "It has expired")                                         \
    X(TOO_LARGE, "too_large", "dropped", MESSAGES, "It is larger than the client's Maximum Packet Size") \
    X(NO_LOCAL, "no_local", "dropped", MESSAGES,                                                         \
      "It is the client's own, and the subscription has No Local")                                       \
    X(DELIVERY_DENIED, "delivery_denied", "denied", MESSAGES, NULL)                                      \
    X(LINK_FULL, "link_full", "dropped", MESSAGES, "The link to another node is full")                   \
    X(OVERLOAD, "overload", "dropped", MESSAGES, "The node has more to do than it can")                  \
    X(STORE_FAILED, "store_failed", "dropped", MESSAGES, "The store could not write it")                 \
    X(STORE_DAMAGED, "store_damaged", "dropped", MESSAGES, "The store is damaged where it was")          \
    X(QUEUE_LOST, "queue_lost", "dropped", MESSAGES, "It waited in a session that has ended")            \
    X(RETAINED_REFUSED, "retained_refused", "refused", MESSAGES, "Not retained: a limit is reached")     \
    X(RETAINED, "retained", NULL, MESSAGES, NULL)                                                        \
    X(PUBLISHED, "published", NULL, MESSAGES, NULL)                                                      \
    X(QUEUED, "queued", NULL, MESSAGES, NULL)                                                            \
    X(SENT, "sent", NULL, MESSAGES, NULL)

enum journal_what {
#define X(id, name, word, ring, text) JOURNAL_##id,
    JOURNAL_EVENTS(X)
#undef X
        JOURNAL_WHATS
};
const char *journal_name(enum journal_what w);
const char *journal_trace_word(enum journal_what w);   /* NULL: traces show it otherwise */
const char *journal_default_text(enum journal_what w); /* NULL: there is none */

struct journal_record {
    uint64_t size;     /* of all of it, a multiple of 8 */
    uint64_t first_ms; /* wall clock */
    uint64_t last_ms;
    uint64_t peers;    /* other nodes, a bit for each number (peers.h): JOURNAL_PUBLISHED: it went to; links:
                          that one */
    uint32_t count;    /* so often */
    uint32_t detail;   /* PUBLISHED: sessions of the worker; QUEUE_LOST: messages; links: the number of the
                          peer;   others: reason code, or 0 */
    uint16_t client_n; /* PUBLISHED, NO_SUBSCRIBERS, ...: who published; n 0: no client */
    uint16_t topic_n;  /* SUBSCRIBED, ...: a filter, with $share/GROUP/ */
    uint16_t text_n;
    uint8_t what; /* enum journal_what */
    uint8_t qos;
    uint8_t text[]; /* client id, topic, text for people */
};
static inline struct bytes journal_client(const struct journal_record *r)
{
    return bytes_of(r->text, r->client_n);
}
static inline struct bytes journal_topic(const struct journal_record *r)
{
    return bytes_of(r->text + r->client_n, r->topic_n);
}
static inline struct bytes journal_text(const struct journal_record *r)
{
    return bytes_of(r->text + r->client_n + r->topic_n, r->text_n);
}

/* ---- a shard's ------------------------------------------------------------------------------------ */

struct journal_bytes {
    uint8_t *p;
    uint64_t first; /* of the oldest record, counted from the beginning of time */
    uint64_t next;  /* where the next one goes */
};

struct journal_seen {
    uint64_t hash;
    uint64_t at;
};

struct journal_watch;

/* Zeros: nothing is there. What it takes is allocated when the first record comes. */
struct journal {
    uint64_t bytes; /* as it is made; follows settings.journal_bytes */
    uint64_t cap;   /* of a ring, a power of two */
    struct journal_bytes rings[JOURNAL_RINGS];
    struct journal_seen *seen; /* the latest records, by hash */
    uint64_t last;             /* where the record stands that was written or counted last */
    struct journal_seen again[JOURNAL_AGAIN_N];
    uint32_t watches_n;
    struct journal_watch *watches[JOURNAL_WATCHES_MAX];
};
void journal_fini(struct journal *j);

struct journal_note {
    enum journal_what what;
    struct bytes client;
    struct bytes topic;
    const char *text; /* NULL: the event's own */
    uint64_t peers;
    uint32_t detail;
    unsigned qos;
};
void journal_put(struct shard *sh, const struct journal_note *n);
/* Of the link to a peer: JOURNAL_LINK_DOWN, _LINK_UP, or _NODE_GIVEN_UP: what waited for it has been dropped.
 */
void journal_put_link(struct shard *sh, enum journal_what what, uint32_t peer, const char *text);

/* For what may come as often as messages do, of JOURNAL_MESSAGES: a hash of what happens stands for it, so
 * that counting it again costs a few instructions. False: nothing was counted, it is to be put as ever and
 * then remembered. */
bool journal_again(struct shard *sh, uint64_t hash);
void journal_remember(struct shard *sh, uint64_t hash);

/* ---- those who look ------------------------------------------------------------------------------- */

/* n 0: any; what happened to links to other nodes is about all. With both: what happened to the client that
 * is not about another topic, and what happened under the topic to its publishers. Of topics, also filters
 * that match. */
struct journal_want {
    struct bytes client;
    struct bytes topic; /* a name, no filter */
};
bool journal_fits(const struct journal_want *want, const struct journal_record *r);

struct journal_place {
    uint64_t at[JOURNAL_RINGS];
};
/* Records, the oldest first within a ring, from *place on (start with {0}). */
enum inspect journal_read(struct shard *sh, struct journal_place *place, const struct journal_want *want,
                          struct inspect_buf *out);
/* How far back the ring goes (wall clock), when older records have been pushed out; 0: none has been. */
uint64_t journal_since(const struct shard *sh, enum journal_ring ring);

/* Watches the client (topic n 0), or the topic (client n 0), for JOURNAL_WATCH_MS from now. Answers since
 * when it is watched (wall clock); 0: the journal is off. */
uint64_t journal_watch(struct shard *sh, struct bytes client, struct bytes topic);

/* ---- for the rest of the core, when tracer.on & TRACER_WATCHED ------------------------------------- */

/* The message has gone to all whom it matches. */
void journal_routed(struct shard *sh, const struct publication *p, const struct match *match);
/* It is kept as, or with no payload has ended, a retained message. */
void journal_retained(struct shard *sh, const struct publication *p);
/* A message has gone to the client, or into its queue (JOURNAL_SENT, JOURNAL_QUEUED). */
void journal_delivered(struct session *s, enum journal_what what, struct bytes topic, unsigned qos);

#endif
