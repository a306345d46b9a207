/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Publishers, subscribers and the streams between them, in a closed loop without loss.
 *
 * A stream is one topic of one publisher with sequence numbers 0, 1, 2, ... in the payload. Every receiver of
 * a stream must see each number once and in order; anything else is counted in the verdict. A publisher may
 * have `window` messages outstanding (not yet received by all receivers, or not yet acknowledged to the
 * publisher); as soon as `batch` of them fit, it writes `batch` messages in one send.
 *
 * Payload, host byte order: u32 stream, u32 magic, u64 sequence, u64 send time in ns or 0, padding. One
 * message of each batch, at a rotating place, carries the time; the reader takes the clock when it meets one.
 */
#ifndef BENCH_LOAD_TRAFFIC_H
#define BENCH_LOAD_TRAFFIC_H

#include "bench/load/client.h"

#define TRAFFIC_EVERYBODY UINT32_MAX /* stream->subscriber: all subscribers receive it */

struct stream {
    uint8_t *packet; /* encoded PUBLISH, patched at each send */
    struct wire_layout at;
    uint32_t subscriber;
    uint32_t publisher;
    uint64_t sent;
    uint64_t expected; /* of its one subscriber */
};

struct publisher {
    struct client client; /* first: callbacks get here by a cast */
    struct traffic *traffic;
    uint32_t stream_first, stream_count;
    uint64_t sent, received, acked; /* messages; received: by all of its receivers */
    uint64_t batches;
    uint32_t *arrivals; /* EVERYBODY: receipts of message n at [n & mask] */
    struct publisher *ready_next;
    bool is_ready;
};

struct subscriber {
    struct client client;
    struct traffic *traffic;
    uint64_t *expected; /* EVERYBODY: next sequence number by stream */
};

struct traffic {
    struct bench *bench;
    uint32_t publisher_count, subscriber_count, stream_count;
    uint32_t batch, window, arrivals_mask;
    uint32_t fan;      /* receivers of each message */
    uint8_t qos;       /* of publishes */
    uint8_t sub_qos;   /* of subscriptions; what arrives has the lower of the two */
    bool is_open;      /* publishers may send */
    bool is_measuring; /* latency samples count */
    bool is_storing;   /* nobody receives now: a message is done when it is acknowledged */
    bool is_retained;  /* what subscribers get must carry RETAIN, or must not */
    bool is_in_order;  /* publishers take their streams in turn, not at random */
    struct publisher *publishers;
    struct subscriber *subscribers;
    struct stream *streams;
    struct publisher *ready;
    uint64_t deliveries;
    uint64_t random;
};

struct traffic_spec {
    uint32_t publishers, subscribers;
    uint32_t streams; /* a multiple of publishers: publisher p owns streams p*n .. p*n+n-1 */
    uint32_t batch, window;
    uint8_t qos, sub_qos;
    uint8_t fan_is_everybody; /* 1: each stream goes to all subscribers */
    uint8_t is_retained;      /* 1: published with RETAIN, one message for each stream in turn */
    /* Topic of stream s into buf; returns the index of its subscriber (ignored for EVERYBODY). */
    uint32_t (*topic)(uint32_t stream, char *buf, size_t size, void *arg);
    void *arg;
};

/* Allocates everything; nothing is connected. */
void traffic_init(struct traffic *t, struct bench *b, const struct traffic_spec *spec);
void traffic_fini(struct traffic *t);

void traffic_open_publishers(struct traffic *t);
void traffic_open_subscribers(struct traffic *t, int clean);

/* Waits for the SUBACKs of all subscribers. */
void traffic_settle_subscribers(struct traffic *t);

/* Closed loop: warm-up, measured time, drain; fills the report. */
void traffic_run(struct traffic *t);

/* The same with messages at opts.rate per second, each on its own, evenly spread over the publishers. */
void traffic_run_paced(struct traffic *t);

/*
 * Publishes `each` messages per publisher while no subscriber is there: at QoS 1 and 2 within the window, at
 * QoS 0 as the sockets take them. Returns when the broker has acknowledged, or at QoS 0 answered a PINGREQ
 * after, the last.
 */
void traffic_store(struct traffic *t, uint64_t each);

/* Appends `count` messages of publisher p, to leave with the next flush. */
void publisher_send(struct publisher *p, uint32_t count);

/* Messages sent and not yet done. */
uint64_t publisher_outstanding(const struct publisher *p);

/* One turn: wait at most timeout_ns, refill the windows, flush. */
void traffic_turn(struct traffic *t, uint64_t timeout_ns);

/* Closes the loop, waits for what is outstanding, counts what is missing. */
void traffic_drain(struct traffic *t);

#endif
