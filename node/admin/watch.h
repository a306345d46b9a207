/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_WATCH_H
#define COVEY_ADMIN_WATCH_H

/* Looks once a second at what alarms are about: the store, descriptors, the other nodes. */

#include "node/admin/command.h"

struct event_base;
struct watch;

struct watch *watch_new(struct admin_env *env, struct event_base *base);
void watch_free(struct watch *w); /* NULL is fine */

#endif
