/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_SERVE_H
#define COVEY_ADMIN_API_SERVE_H

/* A part of a call as it goes to another node, and its answer as it comes back: JSON, in which unknown fields
 * are ignored, so that nodes of different versions understand each other.
 *
 * request: {"method": "GET", "path": "/clients/{clientid}", "params": ["c1"], "query": {...}, "body": ...,
 *           "who": {"name", "address"}, "skip": 0, "take": 100}. The path is the route's; whether he may was
 *           decided by the node that was asked.
 * answer:  {"status": 200, "answer": ...} */

#include "node/admin/api/call.h"

/* From malloc(). */
char *serve_request_write(const struct api_call *head, const struct api_window *window, size_t *n);
/* The answer, the caller's reference, NULL when there is none; *status 0: not an answer. */
json_t *serve_answer_read(struct bytes answer, int *status);

#endif
