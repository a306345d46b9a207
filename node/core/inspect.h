/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_INSPECT_H
#define COVEY_CORE_INSPECT_H

/* Copies of what a shard holds, for those who look at it from outside. Each call runs on the shard's thread,
 * does a bounded piece of work and leaves a place to go on from, so that a listing of millions never holds up
 * the shard. Between two pieces everything may change: what is there all the time is listed at least once,
 * seldom twice; what comes or goes meanwhile may be missed. */

#include "node/core/counters.h"
#include "proto/base/bytes.h"

struct shard;

enum {
    INSPECT_ITEMS_MAX = 500, /* a piece; a little more when several share a place */
    INSPECT_STEPS_MAX = 8000,
    INSPECT_PASSED_MAX = 4000,      /* sessions that are only looked at: under a millisecond */
    INSPECT_BYTES_MAX = 128 * 1024, /* and what the last item adds */
};

enum inspect { INSPECT_END, INSPECT_MORE, INSPECT_NONE /* there is no such thing */ };

/* Records one behind the other, each with its size in front. Made empty by {0}, kept from piece to piece. */
struct inspect_buf {
    uint8_t *p;
    size_t n;
    size_t cap;
};
void inspect_buf_fini(struct inspect_buf *b);
/* Room for a record of `fixed` bytes and `text` bytes behind it, cleared; its size is filled in. */
void *inspect_record(struct inspect_buf *b, size_t fixed, size_t text);
/* The record at *at, which moves on; NULL at the end. Start with *at = 0. */
const void *inspect_next(const struct inspect_buf *b, size_t *at);

struct inspect_session {
    uint64_t size; /* of the record */
    uint64_t number;
    uint64_t created_ms; /* wall clock */
    uint64_t since_ms;   /* connected, or offline, since */
    uint64_t queued_bytes;
    uint64_t recv_packets, send_packets, recv_bytes, send_bytes; /* of this connection */
    uint32_t subs_n;
    uint32_t inflight;
    uint32_t awaiting_rel;
    uint32_t queued;
    uint32_t dropped;
    uint32_t expiry_s;
    uint32_t keep_alive_s;
    uint16_t port;
    uint16_t id_n;
    uint32_t username_n;
    uint32_t mountpoint_n; /* 0: none */
    bool has_username;
    bool is_connected;
    bool clean_start;
    bool is_superuser;    /* authorization lets it do everything; of this connection */
    uint8_t version;      /* enum mqtt_version */
    const char *listener; /* "tcp:default"; NULL: not connected; lives as long as the node */
    char address[46];
    uint8_t text[]; /* client id, user name, mountpoint */
};
static inline struct bytes inspect_session_id(const struct inspect_session *s)
{
    return bytes_of(s->text, s->id_n);
}
static inline struct bytes inspect_session_username(const struct inspect_session *s)
{
    return bytes_of(s->text + s->id_n, s->username_n);
}

static inline struct bytes inspect_session_mountpoint(const struct inspect_session *s)
{
    return bytes_of(s->text + s->id_n + s->username_n, s->mountpoint_n);
}

struct subscription;
struct inspect_sub {
    uint64_t size;
    uint32_t id; /* Subscription Identifier; 0: none */
    uint16_t client_id_n;
    uint16_t filter_n;
    uint16_t group_n; /* 0: not shared */
    uint8_t qos;
    uint8_t retain_handling;
    bool no_local;
    bool retain_as_published;
    bool is_durable; /* of a session that outlives its connection */
    uint8_t peer;    /* of a filter: number of the node that has subscribers (peers.h), or INSPECT_HERE */
    uint8_t text[];  /* client id, filter, share name */
};
enum { INSPECT_HERE = 0xff };
static inline struct bytes inspect_sub_client_id(const struct inspect_sub *s)
{
    return bytes_of(s->text, s->client_id_n);
}
static inline struct bytes inspect_sub_filter(const struct inspect_sub *s)
{
    return bytes_of(s->text + s->client_id_n, s->filter_n);
}
static inline struct bytes inspect_sub_group(const struct inspect_sub *s)
{
    return bytes_of(s->text + s->client_id_n + s->filter_n, s->group_n);
}

/* A filter that somebody subscribes to: an inspect_sub without a client, for each node with subscribers. */

/* Which sessions records are made of. Made by {0}: all of them. */
struct inspect_want {
    struct bytes like_id; /* in the client id; empty: any */
    struct bytes like_username;
    bool is_connected, is_offline; /* only those; neither: both */
    uint64_t skip;                 /* so many of the wanted ones are passed over; counts down */
};
/* Sessions, from *place on (start with 0). The records are appended to out, which the caller empties. */
enum inspect inspect_sessions(struct shard *sh, uint32_t *place, struct inspect_want *want,
                              struct inspect_buf *out);
/* One; INSPECT_NONE or INSPECT_END. */
enum inspect inspect_session(struct shard *sh, struct bytes client_id, struct inspect_buf *out);

/* Exclusive subscriptions of this shard from *place on (start with 0). */
enum inspect inspect_exclusives(struct shard *sh, uint32_t *place, struct inspect_buf *out);

struct inspect_place {
    uint32_t route;
    uint32_t slot;
};
/* One that is known. */
void inspect_sub_put(struct inspect_buf *out, const struct subscription *sub);
/* Subscriptions of all sessions, by filter. Start with {0}. */
enum inspect inspect_subs(struct shard *sh, struct inspect_place *place, struct inspect_buf *out);
/* Those of one session; start with *place = 0. */
enum inspect inspect_session_subs(struct shard *sh, struct bytes client_id, uint32_t *place,
                                  struct inspect_buf *out);

/* A share group's members on a shard. */
struct inspect_group {
    uint64_t size;
    uint32_t members;
    uint32_t online; /* with a connection */
    uint16_t filter_n;
    uint16_t group_n;
    uint8_t text[]; /* filter, share name */
};
static inline struct bytes inspect_group_filter(const struct inspect_group *g)
{
    return bytes_of(g->text, g->filter_n);
}
static inline struct bytes inspect_group_name(const struct inspect_group *g)
{
    return bytes_of(g->text + g->filter_n, g->group_n);
}
/* Share groups with members on this shard, from *place on (start with 0). */
enum inspect inspect_groups(struct shard *sh, uint32_t *place, struct inspect_buf *out);

/* Filters with subscribers here or on other nodes; any shard. Start with *place = 0. */
enum inspect inspect_topics(struct shard *sh, uint32_t *place, struct inspect_buf *out);
/* The filter, when it has plain subscribers on any node, and its share groups; any shard.
 * "$share/g/t" asks for this group only. INSPECT_NONE or INSPECT_END. */
enum inspect inspect_topic(struct shard *sh, struct bytes filter, struct inspect_buf *out);

struct inspect_totals {
    struct counters counters;
    uint64_t connections; /* half open ones included */
    uint64_t online;      /* sessions with a connection */
    uint64_t sessions;
    uint64_t subscriptions;
    uint64_t load_level; /* the highest, see overload.h */
};
/* Adds this shard's. */
void inspect_totals_add(struct shard *sh, struct inspect_totals *t);
/* Filters in the node's route table. Any shard. */
uint64_t inspect_routes(const struct shard *sh);

#endif
