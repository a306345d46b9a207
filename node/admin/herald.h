/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_HERALD_H
#define COVEY_ADMIN_HERALD_H

/* Publishes $SYS, in the admin thread's event loop: each part at its interval, and all of it soon after
 * somebody subscribed to a topic of it to which nobody had, so that he need not wait for the interval. */

#include "node/admin/command.h"

struct event_base;
struct herald;

/* NULL: both intervals are 0, nothing is to be published. */
struct herald *herald_new(struct admin_env *env, struct event_base *base);
void herald_free(struct herald *h); /* NULL is fine */

#endif
