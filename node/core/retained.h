/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_RETAINED_H
#define COVEY_CORE_RETAINED_H

/* Retained messages: the last one of each topic, in the store in topic order (MQTT 5.0, 3.3.1.3).
 *
 * A subscriber gets them straight from the store, a piece at a time as its connection takes them, so that a
 * subscription to everything costs no memory. To see what was published just before, a replay starts when the
 * changes that were under way at the time of the subscription are committed.
 *
 * Key: the topic; of a topic longer than RETAINED_PREFIX_MAX its first bytes and a hash of all of it. */

#include "node/core/deliver.h"

enum { RETAINED_PREFIX_MAX = 480 };

/* Stores p->m as the retained message of its topic, or deletes it when the payload is empty [MQTT-3.3.1-5,
 * -6, -7]. False: a limit forbids it (p->failed says which); nothing changed. */
bool retained_publish(struct shard *sh, struct publication *p);
/* Deletes the message of a topic, as an operator wants it. */
void retained_delete(struct shard *sh, struct bytes topic);

/* Queues the retained messages that match the subscription for c. */
void replay_add(struct conn *c, struct subscription *sub);
/* Takes a subscription that goes away out of the replay. */
void replay_del(struct conn *c, const struct subscription *sub);
/* Sends as many as there is room for. */
void replay_run(struct conn *c);
void replay_free(struct conn *c);
/* Does the replay wait for a commit? Then the SUBACK does too: p gets a reference that ends when the replay
 * starts. */
bool replay_is_waiting(const struct conn *c);
void replay_hold(struct conn *c, struct pending *p);
/* Commits of shard sh are done: replays here and elsewhere that waited may start. */
void retained_on_stored(struct shard *sh, uint64_t n);
/* Replays that wait for a commit look again. */
void retained_wake(struct shard *sh, void *arg);
/* Deletes a few messages whose time is over; call now and then on one shard. */
void retained_sweep(struct shard *sh);

/* Calls fn for each retained message that matches `filter` until it answers false, from the store as it is
 * now; skips corrupt records. `after` (may be empty) is a key as fn got it: goes on behind it. */
void retained_each(struct shard *sh, struct bytes filter, struct bytes after,
                   bool (*fn)(void *ctx, struct bytes key, struct bytes record), void *ctx);

#endif
