/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_REWRITE_H
#define COVEY_CORE_REWRITE_H

/* Topics that stand for others: what clients publish or subscribe to is replaced before anything else looks
 * at it. A rule is "ACTION SOURCE EXPRESSION DEST": ACTION publish, subscribe or all; the first rule whose
 * filter SOURCE matches counts; when its expression is found in the topic, the topic becomes DEST (expand.h).
 * What would not be a topic stays as it was. The name behind $share/GROUP/ is replaced alone. */

#include "proto/base/bytes.h"

#include <stddef.h>

struct conn;
struct session;
struct rewrite;
struct shard;

enum rewrite_action { REWRITE_PUBLISH = 1, REWRITE_SUBSCRIBE = 2 };

/* False: text is not rules; why (of n bytes) says what is wrong. */
bool rewrite_check(const char *text, char *why, size_t n);
/* The rules of a checked text; NULL: there are none. For one thread. */
struct rewrite *rewrite_new(const char *text);
void rewrite_free(struct rewrite *r); /* NULL is fine */

/* The topic or filter that counts: `topic` itself, or a view that lives until the next call. */
struct bytes rewrite_topic(struct rewrite *r, enum rewrite_action action, struct bytes topic,
                           struct bytes client_id, struct bytes username);
/* The same with the names of a session; the shard has rules. */
struct bytes rewrite_of(const struct session *s, enum rewrite_action action, struct bytes topic);

#endif
