/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_RPC_PUBLISH_ENTRY_H
#define COVEY_RPC_PUBLISH_ENTRY_H

/* One publish within a PUBLISHES frame: message Publish of cluster.proto as field 1 of Publishes, coded by
 * hand, since it is the hot path: nothing is allocated, views stay in the buffer. Any encoding of the message
 * is understood; fields in the order in which publish_entry_put() writes them are read fastest. */

#include "proto/base/bytes.h"

struct publish_entry {
    struct bytes topic;
    struct bytes payload;
    struct bytes props;  /* as in struct message_in */
    struct bytes group;  /* n 0: for plain subscribers; else for one member of this shared route */
    struct bytes filter; /* of that route */
    uint64_t uid;        /* 0: none */
    uint32_t expiry_s;   /* what is left; valid when has_expiry */
    uint8_t qos;
    bool retain;
    bool has_expiry;
    bool wants_answer;
    bool once; /* QoS 2: answered without delivering when the uid was seen before */
};

/* Bytes that publish_entry_put() writes, tag and length included. */
uint32_t publish_entry_size(const struct publish_entry *e);
uint8_t *publish_entry_put(uint8_t *p, const struct publish_entry *e);
/* Past the next entry, without a look at what is in it; false: there is none that is whole. */
bool publish_entry_skip(struct cursor *c);
/* The next entry; false: malformed (c is undefined then). Checks lengths, QoS and that there is a topic, not
 * the characters of the topic. */
bool publish_entry_take(struct cursor *c, struct publish_entry *e);

#endif
