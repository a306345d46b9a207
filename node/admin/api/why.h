/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_WHY_H
#define COVEY_ADMIN_API_WHY_H

/* Why did a message not arrive? Of a client, of a topic, or of both: how things stand now on each node
 * (explain.h), what has happened (journal.h), and a plain sentence that follows from both. */

#include "node/admin/api/json.h"

struct admin_env;

enum { WHY_EVENTS = 100, WHY_EVENTS_MAX = 1000 };

struct why_query {
    struct bytes client; /* n 0: of the topic alone */
    struct bytes topic;  /* n 0: of the client alone */
    uint32_t events_max; /* the latest */
};

/* What this node knows, and from now on it watches them: {"is_on", "watched_ms", "since_ms", "client": null
 * or
 * {...}, "subscriptions": [...], "topic": {...}, "events": [...]}. Asks the workers, one piece after the
 * other. */
json_t *why_part(struct admin_env *env, const struct why_query *q);
/* One answer of the parts of all nodes, [{"node", "status", "answer"}], as the API gives it (api_why.c).
 * missing: names of the nodes that have not answered. */
json_t *why_answer(const struct why_query *q, const json_t *parts, const json_t *missing);

/* The sentence and the findings, put into the answer, in which all else stands already: "verdict", "code",
 * "params", "sentence", "findings". A code and its params say the same as the text, for other languages. */
void why_judge(json_t *answer);

#endif
