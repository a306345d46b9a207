/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_PUBLISH_OUT_H
#define COVEY_CORE_PUBLISH_OUT_H

/* The last step of a delivery: a PUBLISH into a connection's out buffer, by copy of a shared form where the
 * receiver has nothing of its own in it, else encoded for it alone (topic alias, Subscription Identifiers).
 */

#include "node/core/deliver.h"

struct alias_out;

/* How one receiver gets it. */
struct publish_how {
    const uint32_t *ids;
    uint32_t ids_n;
    uint16_t packet_id;
    uint8_t qos;
    bool retain;
    bool dup;
};

/* False: larger than the client takes; nothing was written [MQTT-3.1.2-24]. */
bool conn_publish(struct shard *sh, struct conn *c, struct publication *p, const struct publish_how *how);
/* PUBREL for a QoS 2 message that the client has [MQTT-4.3.3-4]. */
void conn_pubrel(struct conn *c, uint16_t packet_id, enum reason code);
/* The same for a session that is online; of a persistent one it leaves when the release is stored: after a
 * crash the PUBLISH would be sent again, and the client no longer know it. */
void session_pubrel(struct session *s, uint16_t packet_id);
/* A message is acknowledged, or given up: frees its slot, tells who waited. */
void session_acked(struct session *s, uint64_t seq);
void alias_out_free(struct alias_out *a);

#endif
