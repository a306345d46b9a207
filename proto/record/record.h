/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_RECORD_RECORD_H
#define COVEY_RECORD_RECORD_H

/* The stored form of sessions and subscriptions (record.proto): small records that are written seldom and may
 * grow new fields. */

#include "proto/mqtt/msg.h"

struct record_session {
    struct bytes client_id;
    struct bytes username; /* n 0: none */
    uint32_t expiry_s;
    uint32_t version;
    uint64_t created_ms;
    uint64_t offline_since_ms; /* 0: was online */
    struct msg *will;          /* NULL: none; when read, the caller owns the ref */
    uint32_t will_delay_s;
    struct bytes mountpoint; /* n 0: none */
    void *held;              /* when read: what the views are in */
};

struct record_sub {
    struct bytes filter;
    struct bytes group;
    uint32_t id;
    uint8_t qos;
    uint8_t retain_handling;
    bool no_local;
    bool retain_as_published;
    void *held;
};

uint32_t record_session_size(const struct record_session *r);
void record_session_put(uint8_t *p, const struct record_session *r);
/* False: corrupt. On true, end with record_session_fini(). */
bool record_session_read(struct record_session *r, struct bytes b);
void record_session_fini(struct record_session *r);

uint32_t record_sub_size(const struct record_sub *r);
void record_sub_put(uint8_t *p, const struct record_sub *r);
bool record_sub_read(struct record_sub *r, struct bytes b);
void record_sub_fini(struct record_sub *r);

#endif
