/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_CLIENT_EVENTS_H
#define COVEY_CORE_CLIENT_EVENTS_H

/* What clients do, told to who subscribes to it, anywhere in the cluster:
 *
 *     $SYS/brokers/NODE/clients/CLIENTID/connected, disconnected, subscribed, unsubscribed
 *
 * with QoS 0 and a JSON object whose members are EMQX's. An event that nobody subscribes to costs a walk
 * through the routes; one that is off costs a branch. A client id that makes no topic (with + or # in it) has
 * no events. */

#include "node/core/conn.h"

struct connect;
struct session;
struct subscription;

/* Bits of settings.events. */
enum event { EVENT_CONNECTED = 1, EVENT_DISCONNECTED = 2, EVENT_SUBSCRIBED = 4, EVENT_UNSUBSCRIBED = 8 };

/* The connection has its session. */
void client_event_connected(struct conn *c);
/* The session has lost it; connected_ms: when it got it (wall clock). */
void client_event_disconnected(struct session *s, const struct conn *c, uint64_t connected_ms);
/* is_new: 0: there was a subscription to the filter, which has new options. */
void client_event_subscribed(struct session *s, const struct subscription *sub, struct bytes filter,
                             int is_new);
void client_event_unsubscribed(struct session *s, struct bytes filter);

#endif
