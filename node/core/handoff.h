/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_HANDOFF_H
#define COVEY_CORE_HANDOFF_H

/* QoS 2 messages from a persistent session to sessions of other shards, exactly once across a crash.
 *
 * Two shards store in two batches, so the received id (here) and the queued message (there) cannot be in one
 * transaction. Instead the publisher's shard stores the id together with a handoff: the message and the shard
 * that it is for. After that commit PUBREC may leave, and the message is mailed; the other shard queues it
 * and deletes the handoff in one batch. Handoffs that are found at start are carried out before any client is
 * served.
 *
 * A session that is arriving from another node holds the message aside (parcel.h), and has it on disk only
 * when it has arrived. Until then a handoff for that session alone takes the place of the shard's, in one
 * batch.
 *
 * Table HANDOFF: key: handoff number; value: be32 shard, be64 uid, a message record;
 * for one session, so that they stay in order: key: handoff number, be64 session number; value: be32
 * HANDOFF_TO_SESSION, be64 uid, a message record;
 * for a peer see handoff_peer.h. */

#include "node/core/deliver.h"
#include "proto/rpc/node_id.h"

struct node;

/* One that waits for its commit. */
struct handoff {
    struct msg *msg; /* owned */
    uint64_t number;
    uint32_t to; /* shard, or HANDOFF_TO_PEER */
    struct node_id peer;
};

struct handoffs {
    struct handoff *v;
    uint32_t n, cap;
};

/* Puts p for each shard in the bit set `shards` and each peer in `peers` into the next batch. */
void handoff_give(struct shard *sh, struct publication *p, uint64_t shards, uint64_t peers);
/* m, of the handoff that is being taken, is held aside by the session: a record for it alone is in the next
 * batch. Answers the handoff's number; 0: m came by none. */
uint64_t handoff_aside(struct shard *sh, const struct session *s, const struct msg *m);
/* The session has it, or need not have it any more. */
void handoff_aside_done(struct shard *sh, const struct session *s, uint64_t number);
/* Its record is to be deleted. */
void handoff_forget(struct shard *sh, uint64_t number);
/* The batch is sealed; it is stored (the mails leave), or it is not (the publisher is told). */
void handoffs_seal(struct shard *sh);
void handoffs_on_stored(struct shard *sh, bool stored);
/* The mail has arrived: queues the message, deletes the handoff. */
void handoff_take(struct shard *sh, struct publication *p, uint64_t number);
void handoffs_fini(struct handoffs *h);

/* Carries out what is in the store, in one transaction; sessions are loaded, no worker runs. */
MUST_USE enum err handoff_load(struct node *n);

#endif
