/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_SUBS_H
#define COVEY_CORE_SUBS_H

/* The subscriptions of one shard, by route, and its cache topic -> what matches. Only the shard's thread
 * touches them; the route table (routes.h) tells the other shards that there is somebody here. */

#include "node/core/routes.h"
#include "proto/mqtt/packet.h"
#include "proto/topic/topic.h"

struct session;

struct subscription {
    struct session *session;
    struct route *route;
    uint32_t id;    /* Subscription Identifier, 0: none */
    uint32_t slot;  /* place in the route's list */
    uint32_t index; /* place in the session's array */
    uint8_t qos;
    uint8_t retain_handling;
    uint8_t no_local : 1;
    uint8_t retain_as_published : 1;
    uint8_t is_contested : 1; /* see exclusive.h */
    uint8_t is_newer : 1;     /* than the move that brings its session here: its holder does not know it */
    uint8_t is_granted : 1;   /* the authorization server has allowed it, no rule */
    uint8_t pass;             /* see gate.h; 0: not yet held against the ACL */
};

/* Subscribers of one route on this shard. Of a shared route the first `online` ones are connected. */
struct sublist {
    union {
        struct subscription *one; /* n 1 */
        struct subscription **v;
    } u;
    uint32_t n;
    uint32_t online;
};

static inline struct subscription *const *sublist_items(const struct sublist *l)
{
    return l->n > 1 ? l->u.v : &l->u.one;
}

/* Topics that are not only names. */
enum topic_special {
    TOPIC_PLAIN,
    TOPIC_RESERVED, /* $SYS/.., $share/..: not for clients to publish, or to have for their wills */
    TOPIC_DELAYED,  /* $delayed/.., see delayed.h */
    TOPIC_DOLLAR,   /* others with $: not for clients with a mountpoint, which they would not be under */
};
enum topic_special topic_special_of(struct bytes topic); /* which is not empty */

/* What a topic matches. Valid until the next subs_match() or subs_add/del. */
struct match {
    uint64_t hash;
    uint64_t version;
    uint64_t remote;   /* other shards with plain subscribers, a bit each */
    uint64_t peers;    /* slots of peers with plain subscribers, a bit each */
    uint32_t local_n;  /* plain routes with subscribers here: ids */
    uint32_t shared_n; /* shared routes, wherever their members are */
    uint16_t topic_n;
    uint16_t levels;
    uint8_t special; /* enum topic_special */
    const uint32_t *local;
    struct route *const *shared;
    const char *topic;
};

struct subs {
    struct routes *routes;
    uint32_t shard;
    struct sublist *lists; /* by route id */
    uint32_t lists_cap;
    uint64_t count;
    struct subs_block *blocks;
    struct subscription *free;
    struct match **cache; /* buckets of four */
    uint32_t cache_mask;
    uint32_t cached;
    uint64_t cache_misses; /* since the cache last grew */
    struct match *uncached;
    struct route_list found;
};

/* shard SUBS_NO_SHARD: only for matching, nobody subscribes here; match.remote is then all shards. */
enum { SUBS_NO_SHARD = 64 };
void subs_init(struct subs *s, struct routes *routes, uint32_t shard);
/* Subscriptions are gone before. */
void subs_fini(struct subs *s);

/* Makes a subscription of the session to a well-formed filter; the caller links it to the session and fills
 * in the options. */
struct subscription *subs_add(struct subs *s, struct session *session, const struct topic_filter *f);
void subs_del(struct subs *s, struct subscription *sub);
/* A shared member's connection came or went. */
enum subs_member { SUBS_OFFLINE, SUBS_ONLINE };
void subs_member_set(struct subs *s, struct subscription *sub, enum subs_member state);

static inline const struct sublist *subs_list(const struct subs *s, uint32_t route_id)
{
    static const struct sublist empty;
    return route_id < s->lists_cap ? &s->lists[route_id] : &empty;
}

/* What `topic` matches, from the cache if it can. NULL: the topic is not well formed, *verdict says how.
 * Topics with more than UINT16_MAX levels cannot be. */
const struct match *subs_match(struct subs *s, struct bytes topic, enum topic_verdict *verdict);

#endif
