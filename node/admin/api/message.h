/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_MESSAGE_H
#define COVEY_ADMIN_API_MESSAGE_H

/* A message as JSON says it, as an MQTT message. */

#include "node/admin/api/field.h"
#include "node/admin/command.h"
#include "proto/mqtt/packet.h"

extern const struct api_shape message_shape;

/* Owns its bytes. */
struct message {
    struct text topic;
    struct text payload;
    struct text props; /* those that travel on, as on the wire */
    uint32_t expiry_s;
    bool has_expiry;
    bool retain;
    uint8_t qos;
};

/* From an object of the shape. False: why tells, beginning with the field. */
bool message_read(struct message *m, const json_t *object, const struct admin_env *env, struct text *why);
void message_fini(struct message *m);
struct message_in message_view(const struct message *m);
void message_id_make(uint8_t id[16]);

#endif
