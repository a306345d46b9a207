/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_ENHANCED_H
#define COVEY_CORE_ENHANCED_H

/* Enhanced authentication (MQTT 5.0 section 4.12): AUTH packets between CONNECT and CONNACK, or, when the
 * client wants to prove again who it is, in the midst of all the others.
 *
 *     CONNECT with method --> AUTH 0x18 <--> AUTH 0x18 --> CONNACK
 *     AUTH 0x19           --> AUTH 0x18 <--> AUTH 0x18 --> AUTH 0x00, or DISCONNECT 0x87
 *
 * What is said in them is the business of whoever checks clients (vet.h). Before the CONNACK the whole
 * exchange has the time that the CONNECT has (settings.idle_timeout_ms). Re-authentication has as long again;
 * one that is not finished then has failed. */

#include "node/core/conn.h"

struct auth;
struct connack;
struct connect;
struct frame;

/* May a client of this connection use the method? */
bool enhanced_is_offered(const struct conn *c, struct bytes method);
/* A CONNECT that names such a method. False: the connection is closing. */
bool enhanced_begin(struct conn *c, const struct connect *k, const uint8_t *body, uint32_t n);
/* A packet before the CONNACK, while c->enhanced. False: the connection is closing. */
bool enhanced_on_packet(struct conn *c, const struct frame *f, const uint8_t *body);
/* What a CONNACK with Success says of it, in views that live until enhanced_end() [MQTT-4.12.0-5]. */
void enhanced_connack(const struct conn *c, struct connack *a);
/* When re-authentication is to be finished, monotonic; 0: none goes on. */
uint64_t enhanced_until(const struct conn *c);
/* The connection, which is open, is looked at. False: its re-authentication has taken too long, it is closing
 * [MQTT-4.12.1-2]. */
bool enhanced_on_timer(struct conn *c);
/* Frees c->enhanced; NULL is fine. */
void enhanced_end(struct conn *c);

#endif
