/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_DELAYED_WALK_H
#define COVEY_ADMIN_DELAYED_WALK_H

/* The messages of this node that are to be published later, read from the store: a walk as retained_walk.h,
 * with its reader and place. */

#include "node/admin/retained_walk.h"
#include "node/core/delayed.h"
#include "proto/mqtt/packet.h"

enum { DELAYED_ID_N = 2 * DELAYED_KEY_N + 1 };

struct delayed_item {
    char id[DELAYED_ID_N]; /* its key, in hexadecimal digits */
    uint64_t when_ms;      /* wall clock: when it is published */
    struct message_in m;   /* views that live as long as the call they are given to */
};

/* Calls fn with each message, the next due first, until fn answers false or it is enough for a piece. True:
 * there is more. */
bool delayed_walk_piece(struct retained_walk *w, bool (*fn)(void *arg, const struct delayed_item *item),
                        void *arg);

/* One, by its id. False: there is none. */
bool delayed_find(struct store *store, const char *id, void (*fn)(void *arg, const struct delayed_item *item),
                  void *arg);

enum delayed_deleted { DELAYED_DELETED, DELAYED_NOT_FOUND, DELAYED_NO_ID, DELAYED_NOT_STORED };
enum delayed_deleted delayed_remove(struct io *io, const char *id);

#endif
