/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_QUEUE_DISK_H
#define COVEY_CORE_QUEUE_DISK_H

/* A session's queue on disk: chunks of messages, and the record of what is acknowledged.
 *
 * Chunk (table QUEUE): key session number, first sequence number; value: a version byte, then entries of
 *     be64 seq, u8 qos | retain << 2 | hold << 3 | has_uid << 4, be64 uid if it has one, be16 ids_n, ids_n x
 * be32, a message record (proto/mqtt/msg.h). State (table STATE): key session number; a version byte, be64
 * low, sent, reserved, chunk_low, queued, queued_bytes, be32 n and n bytes of slot states from low, be16 n
 * and n x be16 received QoS 2 ids. */

#include "node/core/persist.h"
#include "node/core/session.h"
#include "storage/store.h"

/* Makes the slot at seq (== q->sent) be in the window: from the tail, or from the store. False: it cannot be
 * had now. */
bool queue_fetch(struct session *s, uint64_t seq);
/* Writes the messages [q->sealed, q->next) that are not yet acknowledged, drops chunks that are no longer
 * needed, and writes the state. */
void queue_seal(struct session *s, struct store_batch *b, struct sealed *out);
/* The batch with [from, to) is in the store, or is not. */
void queue_on_stored(struct session *s, const struct sealed *sealed);
void queue_on_store_failed(struct session *s, const struct sealed *sealed);
/* Restores q and rx2 from the state record. False: corrupt. */
bool queue_load_state(struct session *s, struct bytes record);
/* The state record is lost: a queue of all chunks that the store has of the session. What was acknowledged
 * and not yet deleted comes again. */
void queue_recover(struct session *s, struct store_reader *r);
/* All has been sent that could be read back. Counts what could not as dropped. */
void queue_check_lost(struct session *s);

#endif
