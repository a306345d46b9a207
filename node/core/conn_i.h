/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_CONN_I_H
#define COVEY_CORE_CONN_I_H

/* Between the files that make up a connection: one handler per packet. A handler answers false when the
 * connection is closing. */

#include "node/core/conn.h"
#include "node/core/pending.h"

struct frame;

/* n bytes of one packet were put into c->out: counted, and the connection is to be flushed. */
void conn_sent(struct conn *c, uint32_t n);
/* A malformed packet or protocol error: DISCONNECT with its code for 5.0, and the end [MQTT-4.13.1-1]. */
bool conn_fault(struct conn *c, const struct fault *f);
bool conn_fail(struct conn *c, enum reason code, const char *text);
/* Looks at an open connection at that time (monotonic; 0: never), or earlier when it may not last so long. */
void conn_timer_set(struct conn *c, uint64_t at_ms);
/* Whatever state it is in, it is to be looked at by the I/O layer this turn. */
void conn_mark_dirty(struct conn *c);
/* The client is granted this many unacknowledged QoS 1 and 2: counts one more. False: it had no more
 * [MQTT-3.3.4-7]. */
bool conn_receive_take(struct conn *c);
void conn_receive_give(struct conn *c);
/* Stops or goes on reading, as the number of waiting acknowledgements demands. */
void conn_pace(struct conn *c);

struct connect;

bool on_connect(struct conn *c, uint8_t *body, uint32_t n);
/* The client id in the body of a CONNECT that is known to be good; a view. */
struct bytes connect_client(uint8_t *body, uint32_t n);
/* A CONNACK that refuses, and the end. Answers false. */
bool connect_refuse(struct conn *c, enum reason code, const char *text);
bool connect_refuse_banned(struct conn *c);
/* Whoever checks clients (vet.h) has let this one in. */
bool connect_vetted(struct conn *c, struct connect *k, const uint8_t *body, uint32_t n);
/* Whoever is asked about its will has answered: c->will_asked. */
bool connect_asked(struct conn *c, struct connect *k, const uint8_t *body, uint32_t n);
/* The CONNACK that was held must not be said: the store did not forget the old session. What was written
 * since goes with it, and the client is refused. */
void connack_take_back(struct conn *c);
/* A CONNECT that waited for the cluster goes on; stamp: of its claim. */
void connect_resume(struct conn *c, uint8_t *body, uint32_t n, uint64_t stamp);
bool on_publish(struct conn *c, uint8_t *packet, const struct frame *f);
bool on_subscribe(struct conn *c, const uint8_t *body, uint32_t n);
bool on_unsubscribe(struct conn *c, const uint8_t *body, uint32_t n);
bool on_puback(struct conn *c, const uint8_t *body, uint32_t n);
bool on_pubrec(struct conn *c, const uint8_t *body, uint32_t n);
bool on_pubrel(struct conn *c, const uint8_t *body, uint32_t n);
bool on_pubcomp(struct conn *c, const uint8_t *body, uint32_t n);
bool on_disconnect(struct conn *c, const uint8_t *body, uint32_t n);
bool on_auth(struct conn *c, const uint8_t *body, uint32_t n);

void alias_in_free(struct alias_in *a);

#endif
