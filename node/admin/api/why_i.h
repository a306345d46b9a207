/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_WHY_I_H
#define COVEY_ADMIN_API_WHY_I_H

/* Between the files that judge why a message did not arrive. Views into the answer that is judged. */

#include "node/admin/api/json.h"

struct why_case {
    json_t *answer;
    const char *id;       /* NULL: of the topic alone */
    const char *topic;    /* NULL: of the client alone */
    const json_t *client; /* NULL: it is not there */
    const json_t *state;  /* of the topic */
    const json_t *subs;
    const json_t *events; /* the latest last */
    const json_t *missing;
    json_t *findings;
};

enum { WHY_TIME_N = 24, WHY_NUMBER_N = 24 };

/* The sentence, and a finding (level: "problem", "note"); params: NULL: none; taken. */
void why_say(struct why_case *w, const char *verdict, const char *code, json_t *params, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
void why_find(struct why_case *w, const char *level, const char *code, json_t *params, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Pairs of a name and a value, ended by NULL. */
json_t *why_params(const char *const *names_and_values);
#define WHY_PARAMS(...) why_params((const char *const[]){__VA_ARGS__, NULL, NULL})

/* "2026-01-31T12:00:00Z" of a time in o. Returns out. */
const char *why_at(char out[WHY_TIME_N], const json_t *o, const char *name);
/* The latest event with one of the names ("a|b"), of the client (NULL: any); NULL: none. */
const json_t *why_last(const struct why_case *w, const char *names, const char *client);
const char *why_text(const json_t *event); /* "" for none; NULL is fine */
/* Is the node among those that the event names? */
bool why_names(const json_t *event, const char *node);
/* a: NULL: it is not. b NULL: it is. */
bool why_is_later(const json_t *a, const json_t *b);

/* What else is worth knowing. */
void why_findings(struct why_case *w);

#endif
