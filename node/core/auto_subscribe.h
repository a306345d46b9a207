/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_AUTO_SUBSCRIBE_H
#define COVEY_CORE_AUTO_SUBSCRIBE_H

/* Subscriptions that every client gets with its connection, as if it had asked for them: a text of
 * "FILTER [qos=0..2] [nl=0|1] [rap=0|1] [rh=0..2]", separated by semicolons, with the client's names in
 * FILTER (expand.h). */

#include <stdbool.h>
#include <stddef.h>

struct conn;
struct subscribe_item;

/* False: text is not such a list; why (of n bytes) says what is wrong. */
bool auto_subscribe_check(const char *text, char *why, size_t n);
/* The next entry of a checked text from *at on (start with 0), its filter a view with the names not yet
 * filled in. False: that was all. */
bool auto_subscribe_next(const char *text, size_t *at, struct subscribe_item *item);
/* The connection has just been let in. text is checked. */
void auto_subscribe(struct conn *c, const char *text);

#endif
