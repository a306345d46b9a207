/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_MQTT_MSG_H
#define COVEY_MQTT_MSG_H

/* An application message that outlives the read buffer it came in: immutable, reference counted (the count
 * is atomic, messages cross threads), one allocation. */

#include "proto/mqtt/packet.h"

struct msg {
    uint32_t refs; /* __atomic */
    uint32_t props_n;
    uint32_t payload_n;
    uint16_t topic_n;
    uint8_t qos; /* as published */
    bool retain; /* as published */
    bool has_expiry;
    uint64_t created_ms; /* wall clock, when the broker took it */
    uint64_t expires_ms; /* wall clock; valid when has_expiry [MQTT-3.3.2-5] */
    uint64_t origin;     /* session number of the publisher, for No Local; 0: nobody's */
    uint64_t uid;        /* of the message in a cluster; 0: none. Not in the stored form */
    uint8_t data[];      /* topic, props, payload */
};

/* Copies m. Returns NULL when memory cannot be had (the size is a peer's choice). The caller holds one ref.
 */
struct msg *msg_new(const struct message_in *m, uint64_t now_wall_ms, uint64_t origin);
struct msg *msg_ref(struct msg *m);
void msg_unref(struct msg *m); /* NULL is fine */

static inline struct bytes msg_topic(const struct msg *m)
{
    return bytes_of(m->data, m->topic_n);
}
static inline struct bytes msg_props(const struct msg *m)
{
    return bytes_of(m->data + m->topic_n, m->props_n);
}
static inline struct bytes msg_payload(const struct msg *m)
{
    return bytes_of(m->data + m->topic_n + m->props_n, m->payload_n);
}
/* Bytes of memory that it takes, for quotas. */
static inline size_t msg_size(const struct msg *m)
{
    return sizeof *m + m->topic_n + m->props_n + m->payload_n;
}
static inline bool msg_is_expired(const struct msg *m, uint64_t now_wall_ms)
{
    return m->has_expiry && now_wall_ms >= m->expires_ms;
}
/* Views of m as a message_in with the remaining expiry [MQTT-3.3.2-6], rounded up to a second. */
struct message_in msg_view(const struct msg *m, uint64_t now_wall_ms);

/* The stored form: version byte, times, flags, origin, topic, props, payload; big-endian. It is what queues
 * and retained records on disk hold. */
size_t msg_record_size(const struct msg *m);
uint8_t *msg_record_put(uint8_t *p, const struct msg *m);
/* Takes one record off the cursor. NULL: corrupt, an unknown version or no memory; *c is then where it was.
 */
struct msg *msg_record_take(struct cursor *c);

/* A record as views into it, without checking the topic and properties again: for records whose bytes are
 * known to be as they were written. m->expiry_s is what is left (0: expired). False: not a record. */
bool msg_record_view(struct bytes record, uint64_t now_wall_ms, struct message_in *m, uint64_t *origin);
bool msg_record_topic(struct bytes record, struct bytes *topic);
/* The bytes that a record with an expiry begins with, which tell it from another of the same topic: version,
 * flags, times. */
enum { MSG_RECORD_TIMES_N = 18 };
/* When the broker took it, on the wall clock; false: not a record. */
bool msg_record_created(struct bytes record, uint64_t *created_ms);
/* False: it never expires. */
bool msg_record_expiry(struct bytes record, uint64_t *expires_ms);

#endif
