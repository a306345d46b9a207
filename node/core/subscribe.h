/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_SUBSCRIBE_H
#define COVEY_CORE_SUBSCRIBE_H

/* SUBSCRIBE and UNSUBSCRIBE, their acknowledgements, and taking back what could not be stored. */

#include "node/core/pending.h"
#include "node/core/session.h"

void suback_send(struct conn *c, enum packet_type type, uint16_t packet_id, const struct suback *s);
/* The store failed: subscriptions that the SUBACK would have promised go, its codes become `code`. */
void suback_undo(struct session *s, struct suback *b, enum reason code);
void suback_free(struct suback *s); /* NULL is fine */

/* Subscribes on behalf of the session, as a SUBSCRIBE does and as ctl asks; answers the SUBACK code, *text
 * (may be set) says why not. */
struct subscribe_item;
/* by: who allows it; others are the authorization server, and the operator. */
enum granted_by { GRANTED_BY_RULES, GRANTED_BY_OTHERS };
enum reason session_subscribe(struct session *s, const struct subscribe_item *item, uint32_t id,
                              enum granted_by by, const char **text);
/* Takes it from a record or a parcel. */
void subscription_grant(struct subscription *sub, bool is_granted);
/* Ends a subscription of the session, for good. */
void subscription_end(struct session *s, struct subscription *sub);
enum reason session_unsubscribe(struct session *s, struct bytes filter, const char **text);

/* Publishes the session's will now, if it has one, and forgets it. */
void will_publish(struct session *s);
void will_drop(struct session *s);

#endif
