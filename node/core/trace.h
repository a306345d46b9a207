/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_TRACE_H
#define COVEY_CORE_TRACE_H

/* What happens to a client, at an address or under a topic, told line by line to a sink while somebody wants
 * to know: packets both ways, refusals, denials, drops. Passwords and what AUTH carries are never in it,
 * payloads only where a rule asks for them. With no trace on, each packet pays one branch.
 *
 * A trace has a number; a set of them is a mask. A connection knows the masks of the rules about its client
 * id and address (conn.traced); topics are compared message by message. */

#include "node/core/conn.h"

struct publication;

enum { TRACES_MAX = 30, TRACE_LINE_MAX = 4096 };
#define TRACER_WATCHED (1u << 31) /* of tracer.on: the journal watches somebody, see journal.h */
enum trace_by { TRACE_CLIENT, TRACE_TOPIC /* a filter */, TRACE_ADDRESS };
enum trace_payload { TRACE_PAYLOAD_HIDDEN, TRACE_PAYLOAD_TEXT, TRACE_PAYLOAD_HEX, TRACE_PAYLOADS };

struct trace_rule {
    enum trace_by by;
    enum trace_payload payload;
    struct bytes value;
};

/* Gets a line without its end; any shard's thread. */
struct trace_sink {
    void *ctx;
    void (*put)(void *ctx, uint32_t shard, uint32_t mask, uint64_t wall_ms, const char *line, size_t n);
};

/* Of a shard. */
struct tracer {
    uint32_t on;       /* and TRACER_WATCHED */
    uint32_t by_topic; /* of those that are on */
    uint32_t by_payload[TRACE_PAYLOADS];
    const struct trace_rule *rules[TRACES_MAX];
};

/* Trace number i is on from now on, for connections that are there too; NULL: it is off, and the shard has no
 * use for its rule any more. */
void trace_set(struct shard *sh, uint32_t i, const struct trace_rule *rule);

/* ---- for the rest of the core, when tracer.on ----------------------------------------------------- */

struct connect;
struct publish;

/* The connection has said who it is. */
void trace_connect(struct conn *c, const struct connect *k);
/* A packet that is not PUBLISH or CONNECT: its first byte and its body. */
void trace_received(struct conn *c, uint8_t first, struct bytes body);
/* The same, whole: the last n bytes that were put into c->out. */
void trace_sent(struct conn *c, uint32_t n);
void trace_publish_received(struct conn *c, const struct publish *p);
void trace_publish_sent(struct conn *c, const struct publication *p, unsigned qos, uint16_t packet_id);
/* The end of a connection. */
void trace_ended(struct conn *c, enum conn_end end);
/* Something else that has happened; text: for people; topic: n 0: it is about none. Called by note.c, which
 * tells the journal as well. */
void trace_note(struct conn *c, const char *what, struct bytes topic, const char *text);
/* The same of a session that may be offline. */
void trace_session_note(struct session *s, const char *what, struct bytes topic, const char *text);

#endif
