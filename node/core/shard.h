/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_SHARD_H
#define COVEY_CORE_SHARD_H

/* One worker's share of the broker: the sessions whose home it is, their connections and subscriptions,
 * timers, counters and what it still has to store. One thread uses a shard; shards speak by mail only. No
 * I/O, no clock: the caller sets the time before each piece of work. */

#include "node/core/conn.h"
#include "node/core/mail.h"
#include "proto/base/err.h"
#include "storage/batch.h"

struct node;

struct shard *shard_new(struct node *node, uint32_t number);
void shard_free(struct shard *sh);

uint32_t shard_number(const struct shard *sh);
struct node *shard_node(const struct shard *sh);
struct outpool *shard_outpool(struct shard *sh);

/* One packet of this turn that waits for its acknowledgement is to be timed: now_us is any clock's that is
 * not 0. With 0 none is. */
void shard_sample(struct shard *sh, uint64_t now_us);
/* now_us of a packet of which the wait has ended since the last call; 0: there is none. */
uint64_t shard_acked_from(struct shard *sh);
/* Monotonic milliseconds for timers, wall-clock milliseconds since 1970 for expiry. Set at the start of every
 * turn. */
void shard_set_time(struct shard *sh, uint64_t mono_ms, uint64_t wall_ms);
/* Works off timers that are due. Call every WHEEL_TICK_MS or so. */
void shard_tick(struct shard *sh);

/* The node's own settings as the shard knows them. */
const struct settings *shard_settings(const struct shard *sh);
/* Other ones from now on; the shard has no use for the old ones then, but its connections keep theirs. */
void shard_settings_set(struct shard *sh, const struct settings *settings);

/* The next connection that wants the I/O layer's attention (see conn.h), or NULL. */
struct conn *shard_dirty_take(struct shard *sh);
void shard_dirty_add(struct shard *sh, struct conn *c);

/* ---- mail ----------------------------------------------------------------------------------------- */

/* The bag for shard `to`, ownership to the caller; NULL when there is nothing for it. */
struct mailbag *shard_outbox_take(struct shard *sh, uint32_t to);
/* Works the bag off and frees it. */
void shard_on_mail(struct shard *sh, struct mailbag *bag);
/* Puts a MAIL_CALL for shard `to` into sh's outbox. */
void shard_call(struct shard *sh, uint32_t to, void (*fn)(struct shard *sh, void *arg), void *arg);
/* Puts a call of fn on the cluster thread into sh's outbox; drop: as in struct mail. */
void shard_mesh_call(struct shard *sh, void (*fn)(struct mesh *m, void *arg), void (*drop)(void *arg),
                     void *arg);
/* Drops a bag that will not be worked off (the node ends). */
void mailbag_free(struct mailbag *bag);
/* A bag with one MAIL_CALL, for callers that are no shard (from = UINT32_MAX). */
struct mailbag *mailbag_call(void (*fn)(struct shard *sh, void *arg), void *arg);

/* ---- store ---------------------------------------------------------------------------------------- */

/* What the shard changes in durable state gathers until the I/O layer asks for it; only what is still true
 * then is written (a message that was acknowledged meanwhile is not). One batch of a shard is under way at a
 * time. */
enum shard_seal {
    SHARD_SEAL_NOTHING, /* nothing to store, or a batch is under way */
    SHARD_SEAL_SOON,    /* may wait: it is likely that some need not be written */
    SHARD_SEAL_NOW,     /* somebody waits for it */
};
enum shard_seal shard_seal_state(const struct shard *sh);
/* Fills b (empty) with the operations; false: nothing was left to store. Then pass b to the store, and its
 * result to shard_on_stored(). */
bool shard_seal(struct shard *sh, struct store_batch *b);
void shard_on_stored(struct shard *sh, enum err result);

/* ---- end ------------------------------------------------------------------------------------------ */

/* Tells every client that the server shuts down and closes; sessions stay. */
void shard_shutdown(struct shard *sh);
/* Connections that are not yet finished. */
uint32_t shard_conns(const struct shard *sh);

#endif
