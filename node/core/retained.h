/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_RETAINED_H
#define COVEY_CORE_RETAINED_H

/* Retained messages: the last one of each topic, in the store in topic order (MQTT 5.0, 3.3.1.3).
 *
 * A subscriber gets them straight from the store, a piece at a time as its connection takes them, so that a
 * subscription to everything costs no memory. To see what was published just before, a replay starts when the
 * changes that were under way at the time of the subscription are committed.
 *
 * Key: see retained_meta.h.
 *
 * In a cluster every node holds all of them. Each change has a stamp (hlc.h) and the tag of the life of the
 * node that made it; it is stored only if it ranks above what is there, on whichever shard and in whatever
 * order changes arrive, so all nodes end with the last one. A local change is also given to the cluster
 * thread, which tells the others (MAIL_RETAINED). Messages reach subscribers by forwarding, not by this. */

#include "node/core/deliver.h"
#include "node/core/node.h"
#include "node/core/retained_meta.h"

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
/* The batch of shard sh is done that has its changes up to n: replays here and elsewhere that waited may
 * start.
 */
void retained_on_stored(struct shard *sh, uint64_t n, enum err result);
/* Replays that wait for a commit look again. */
void retained_wake(struct shard *sh, void *arg);
/* Deletes a few messages whose time is over, and stamps that have faded; call now and then on one shard. */
void retained_sweep(struct shard *sh);
/* Before the shards run. In a cluster: stamps for messages that have none yet, by when they were taken, and
 * the clock goes on behind the newest stamp. On a single node: what there is of stamps goes, since changes
 * will not keep them. */
MUST_USE enum err retained_load(struct node *n);

/* ---- between nodes -------------------------------------------------------------------------------- */

/* One change, on its way between a shard and the cluster thread; from malloc(). */
struct retained_change {
    uint64_t stamp;
    uint64_t node;
    uint32_t record_n; /* 0: deleted */
    uint32_t key_n;
    uint8_t bytes[]; /* key, record */
};
static inline struct bytes retained_change_key(const struct retained_change *c)
{
    return bytes_of(c->bytes, c->key_n);
}
static inline uint8_t *retained_change_record(struct retained_change *c)
{
    return c->bytes + c->key_n;
}
/* A change that is made here and now; the record is to be filled in. */
struct retained_change *retained_change_new(struct shard *sh, struct bytes key, uint32_t record_n);
/* Into the shard's batch, for what is not newer there. */
void retained_change_put(struct shard *sh, struct retained_change *c);

/* A change of another node, checked by retained_is_sound(). False: it has faded. Any shard may take any
 * change; key % shards keeps the changes of a topic in their order, which saves writes. */
bool retained_apply(struct shard *sh, struct bytes key, uint64_t stamp, uint64_t node, struct bytes record);
/* The cluster thread sends one to shard retained_home() as MAIL_RETAINED. Memory: it looks at
 * retained_arriving() first when it has a choice. */
struct mail retained_mail(struct node *n, struct bytes key, uint64_t stamp, uint64_t node,
                          struct bytes record);
uint32_t retained_home(const struct node *n, struct bytes key);
void retained_arrive(struct shard *sh, struct retained_change *c);
/* Bytes of other nodes' changes that are on their way into the store. */
uint64_t retained_arriving(const struct node *n);
/* How many commits with changes have failed: what was in them is missing here, and may be elsewhere. */
uint64_t retained_losses(const struct node *n);

/* Everything that is under way when it is set, changes of this node and those that were mailed to its shards,
 * is stored, or has failed, when it is passed. Of the cluster thread. */
struct retained_fence {
    uint64_t given[NODE_SHARDS_MAX];
    uint64_t mailed[NODE_SHARDS_MAX];
};
void retained_fence_set(const struct node *n, struct retained_fence *f);
bool retained_fence_is_passed(const struct node *n, const struct retained_fence *f);

/* What each shard was given so far, and whether all of it is stored, or has failed. Any thread. */
void retained_given(const struct node *n, uint64_t given[]);
bool retained_is_stored(const struct node *n, const uint64_t given[]);
/* Replays that start from now on wait for the next batch of sh. */
void retained_given_add(struct shard *sh);

/* Calls fn for each retained message that matches `filter` until it answers false, from the store as it is
 * now; skips corrupt records. `after` (may be empty) is a key as fn got it: goes on behind it. */
void retained_each(struct shard *sh, struct bytes filter, struct bytes after,
                   bool (*fn)(void *ctx, struct bytes key, struct bytes record), void *ctx);

#endif
