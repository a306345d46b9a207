/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_NOTE_H
#define COVEY_CORE_NOTE_H

/* Something has happened that is not a packet: one call tells traces (trace.h), where one is on, and the
 * journal (journal.h). Of what is rare; ordinary messages are not told here.
 *
 * topic: n 0: it is about none. detail: see journal.h. text: for people; NULL: the event's own. */

#include "node/core/journal.h"

struct conn;
struct session;
struct shard;

void note_conn(struct conn *c, enum journal_what what, struct bytes topic, uint32_t detail, const char *text);
/* Of a session, which may be offline. */
void note_session(struct session *s, enum journal_what what, struct bytes topic, uint32_t detail,
                  const char *text);
/* A message, whose publisher may be no client. */
void note_message(struct shard *sh, const struct publication *p, enum journal_what what, const char *text);

#endif
