/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_JSON_H
#define COVEY_ADMIN_API_JSON_H

/* JSON values of the HTTP API, on jansson. A function that makes one gives a reference to the caller; one
 * that puts takes the reference it is given. Memory that cannot be had is a CHECK: what a peer can make large
 * is bounded before. */

#include "proto/base/bytes.h"

#include <jansson.h>

/* A string; what is not UTF-8 becomes '?'. */
json_t *json_of_bytes(struct bytes b);
json_t *json_of_str(const char *s);
json_t *json_of_u64(uint64_t v);
/* "2026-11-23T10:00:00.123Z" */
json_t *json_of_time(uint64_t wall_ms);

void json_put(json_t *object, const char *name, json_t *value); /* takes value */
void json_push(json_t *array, json_t *value);                   /* takes value */

/* Fields of an object that is known to have passed its check; what is not there is NULL or fallback. */
const char *json_str(const json_t *object, const char *name);
int64_t json_int(const json_t *object, const char *name, int64_t fallback);
bool json_bool(const json_t *object, const char *name, bool fallback);
/* The bytes of a string, which the object owns. n 0: not there. */
struct bytes json_bytes(const json_t *object, const char *name);

/* As text on one line, from malloc(); *n without the NUL. */
char *json_text(const json_t *value, size_t *n);

#endif
