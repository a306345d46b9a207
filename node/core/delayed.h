/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_DELAYED_H
#define COVEY_CORE_DELAYED_H

/* Messages that are to be published later: whoever publishes to $delayed/SECONDS/TOPIC is acknowledged when
 * the message is stored, and after so many seconds the node publishes it to TOPIC, to whoever subscribes
 * then, anywhere in the cluster. SECONDS above DELAYED_S_MAX are a time, in seconds since 1970, at most as
 * far from now.
 *
 * In STORE_DELAYED: be64 when (ms) | be64 unique -> a message record. Any shard puts, shard 0 publishes and
 * deletes. A message of QoS 2 goes with one commit from here to the queues and handoffs, so once; of QoS 1 it
 * is deleted when everybody has it, and comes again when the node dies before; of QoS 0 it is published once.
 * What a store could not take is tried again, DELAYED_TRIES_MAX times within an hour. What a full queue does
 * not take is dropped there, as with any message. */

#include "proto/base/bytes.h"
#include "proto/base/list.h"
#include "proto/mqtt/reason.h"

struct node;
struct shard;
struct publication;

enum { DELAYED_S_MAX = 4294967, DELAYED_TRIES_MAX = 60, DELAYED_KEY_N = 16 };

/* Of shard 0. */
struct delayed {
    struct list runs; /* messages that are due and not yet deleted */
    uint32_t runs_n;
};
void delayed_init(struct delayed *d);
void delayed_fini(struct delayed *d);

/* Takes a topic apart that begins with $delayed/: when, and the topic of then. False: not of this form, or
 * too far from now. Both out are views of topic. */
bool delayed_parse(struct bytes topic, uint64_t wall_ms, uint64_t *when_ms, struct bytes *of_then);
/* The topic of then, or the topic itself when it is not of this form: what rights are about. */
struct bytes delayed_topic(struct bytes topic, uint64_t wall_ms);
/* Keeps the message; its publisher is told when it is stored. RC_SUCCESS, or why not. */
enum reason delayed_publish(struct shard *sh, struct publication *p);
/* Puts a message back as it was in some store, under its key; it replaces what is there. False: not a sound
 * one. On shard 0. */
bool delayed_restore(struct shard *sh, struct bytes key, struct bytes record);
/* Publishes what is due; on shard 0, once a tick. */
void delayed_tick(struct shard *sh);
/* Deletes the one with this key; false: there is none. On shard 0. */
bool delayed_delete(struct shard *sh, struct bytes key);
/* Are there any from before? */
void delayed_load(struct node *n);

#endif
