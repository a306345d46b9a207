/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One MQTT client. It answers by itself what the protocol demands (PUBACK, PUBREC, PUBREL, PUBCOMP; they
 * leave with the next flush, many in one send) and reports the rest to its ops. Anything out of place counts
 * in the verdict.
 */
#ifndef BENCH_LOAD_CLIENT_H
#define BENCH_LOAD_CLIENT_H

#include "bench/load/bench.h"
#include "bench/load/net.h"
#include "bench/load/wire.h"

struct client;

struct client_ops {
    void (*on_publish)(struct client *c, const struct wire_publish *m); /* NULL: a PUBLISH is misrouted */
    void (*on_acked)(struct client *c, uint16_t id); /* PUBACK or PUBCOMP; NULL: out of place */
    void (*on_up)(struct client *c);                 /* CONNACK; may be NULL */
    void (*on_down)(struct client *c);               /* NULL: counts as broken */
};

struct client {
    struct conn conn;
    struct bench *bench;
    const struct client_ops *ops;
    uint32_t index;
    uint8_t version;
    bool is_up, has_session;
    uint32_t subacks_due, pongs_due;
    uint16_t subscribe_id;
};

/* Starts connecting as "<role>-<index>" with CONNECT already buffered. */
void client_open(struct client *c, struct bench *b, const struct client_ops *ops, const char *role,
                 uint32_t index, int clean);

/* Buffers a SUBSCRIBE; subacks_due counts the missing answers. */
void client_subscribe(struct client *c, const char *filter, uint8_t qos);
void client_ping(struct client *c);

/* DISCONNECT, then closes from this side. No-op on a closed client. */
void client_close(struct client *c);

/*
 * Waits until all of these are up and have no SUBACK or PINGRESP due; dies after the timeout. `clients` is an
 * array of `count` pointers.
 */
void clients_settle(struct bench *b, struct client **clients, uint32_t count);

/* Opens all, at most 64 in the air at a time, and waits until all are up. */
void clients_open(struct bench *b, struct client **clients, uint32_t count, const struct client_ops *ops,
                  const char *role, int clean);
void clients_close(struct client **clients, uint32_t count);

#endif
