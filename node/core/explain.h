/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_EXPLAIN_H
#define COVEY_CORE_EXPLAIN_H

/* How things stand now, for the question why a message did not arrive: the other half of the answer besides
 * what has happened (journal.h). Each call runs on the shard's thread and does a bounded piece of work. */

#include "node/core/acl.h"
#include "node/core/inspect.h"

struct shard;

enum { EXPLAIN_SUBS_MAX = 20 /* subscriptions that are listed */, EXPLAIN_NEAR_MAX = 256 };

/* A filter of the client that does not match the topic, but nearly. */
enum explain_near {
    NEAR_NONE,
    NEAR_CASE,   /* but for upper and lower case */
    NEAR_SLASH,  /* but for a slash at the beginning or the end */
    NEAR_DOLLAR, /* but that + and # at the beginning do not match what begins with $ [MQTT-4.7.2-1] */
};

/* A session, of its home shard. */
struct explain_client {
    bool is_there;
    bool is_connected;
    bool is_moving; /* to or from another node */
    bool is_slow;   /* its connection takes no more at the moment */
    bool keeps_qos0;
    bool clean_start;
    uint8_t version;
    uint8_t upgrades_qos;
    uint64_t since_ms; /* wall clock: connected, or offline, since */
    uint64_t queued_bytes;
    uint64_t queue_bytes_max; /* 0: no limit */
    uint32_t queued;
    uint32_t queue_max; /* 0: no limit */
    uint32_t inflight;
    uint32_t inflight_max;
    uint32_t dropped; /* messages that its bounds refused, so far */
    uint32_t expiry_s;
    uint32_t packet_size_max; /* 0: none */
    uint32_t subs_n;
    char address[46];
    /* With a topic: */
    uint32_t matching_n; /* subscriptions that match it; the first are listed */
    enum explain_near near;
    uint16_t near_n;
    uint8_t near_filter[EXPLAIN_NEAR_MAX];
    bool may_receive; /* the ACL lets the topic reach it */
    bool may_publish;
    char receive_why[ACL_WHY_N]; /* "Denied by line 3 of the ACL" */
    char publish_why[ACL_WHY_N];
};
/* topic.n 0: none. subs gets an inspect_sub of each listed subscription that matches. */
void explain_client(struct shard *sh, struct bytes client_id, struct bytes topic, struct explain_client *out,
                    struct inspect_buf *subs);

/* Adds up over the shards of a node. Start with zeros. */
struct explain_topic {
    uint64_t sessions; /* plain subscriptions that match */
    uint64_t connected;
    uint64_t members; /* of share groups that match */
    uint64_t members_connected;
    uint32_t listed;
    bool is_retained; /* asked of one shard by explain_retained() */
};
void explain_topic(struct shard *sh, struct bytes topic, struct explain_topic *out, struct inspect_buf *subs);
/* Is there a retained message that has not expired? Any shard. */
bool explain_retained(struct shard *sh, struct bytes topic);

#endif
