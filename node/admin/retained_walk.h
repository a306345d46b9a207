/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_RETAINED_WALK_H
#define COVEY_ADMIN_RETAINED_WALK_H

/* A walk over the retained messages, read straight from the store with a reader of its own. The store may
 * move on between two pieces; each piece takes a fresh snapshot and goes on behind the last key. */

#include "node/admin/text.h"
#include "node/io/io.h"
#include "proto/mqtt/reason.h"
#include "storage/store.h"

struct retained_walk {
    struct store_reader *reader;
    uint8_t key[STORE_KEY_MAX]; /* the last one seen */
    uint32_t key_n;
    struct text doomed; /* topics to be deleted, each behind its length */
    uint64_t doomed_n;  /* so far */
};

MUST_USE enum err retained_walk_begin(struct retained_walk *w, struct store *store);
void retained_walk_end(struct retained_walk *w); /* one that did not begin is fine */

/* Calls fn with each message that matches the filter (p NULL: all of them, those under $ too) until fn
 * answers false or it is enough for a piece. True: there is more. */
bool retained_walk_piece(struct retained_walk *w, struct bytes filter,
                         bool (*fn)(void *arg, struct bytes topic, struct bytes record), void *arg);

/* A message to be deleted. False: they are enough for one delete. */
bool retained_walk_doom(struct retained_walk *w, struct bytes topic);
/* Deletes them, and returns when that is stored; RC_SUCCESS, or why not. */
enum reason retained_walk_delete(struct retained_walk *w, struct io *io);

#endif
