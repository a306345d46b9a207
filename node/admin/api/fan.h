/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_FAN_H
#define COVEY_ADMIN_API_FAN_H

/* From one call to the parts of the nodes and back: who is asked (route.h, enum api_scope), and one answer of
 * what they say. */

#include "node/admin/api/call.h"

struct fan;

/* Answers head, which the caller keeps, by api_reply(); done(arg, missing) is called once, perhaps before
 * this returns, with the names of the nodes that did not answer. */
void fan_run(struct api_call *head, void (*done)(void *arg, const json_t *missing), void *arg);

/* For merge(): the rows of all parts, which are arrays; those that failed have none. */
json_t *fan_rows(const struct api_call *head);
/* For merge(): answers with the page of rows that the query asks for; takes rows. */
void fan_page(struct api_call *head, json_t *rows);

/* The names of all nodes that are or should be there, this one first. */
json_t *fan_nodes(const struct api_call *c);
/* What this node believes of another, as its names for a state: "running", "stopped"; NULL: does not know it.
 */
const char *fan_node_state(const struct api_call *c, const char *node);

#endif
