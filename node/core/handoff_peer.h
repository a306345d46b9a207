/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_HANDOFF_PEER_H
#define COVEY_CORE_HANDOFF_PEER_H

/* QoS 2 messages from a persistent session to sessions on other nodes, exactly once across crashes of either:
 * the idea of handoff.h over a link.
 *
 * The publisher's node stores the received id together with a handoff for each peer: the message, its uid and
 * the peer's node id. After that commit PUBREC may leave, and the message is forwarded with the flag `once`.
 * The peer's shards store a SEEN record of the uid in the same batch as the queues. When the peer has
 * answered, the handoff is deleted, and after that commit the peer is told that the uid is settled: nobody
 * will send it again, so it deletes SEEN. A handoff without an answer is sent again, to a peer that was away
 * as soon as it is back; what is in SEEN is answered without being delivered.
 *
 * Tables: HANDOFF as in handoff.h with be32 HANDOFF_TO_PEER, node id, be64 uid, a message record; SEEN: key:
 * be64 uid, be32 shard, be32 number of shards; value: client ids of sessions that have it not, each behind
 * its be16 length. */

#include "node/core/deliver.h"
#include "node/core/ptrtab.h"
#include "proto/base/list.h"
#include "proto/rpc/node_id.h"

enum { HANDOFF_TO_SESSION = 0xfffffffe, HANDOFF_TO_PEER = 0xffffffff };

struct node;

/* One that is stored and waits for its peer. */
struct peer_handoff {
    struct list link;
    struct node_id to;
    uint64_t number;
    uint64_t uid;
    uint64_t retry_ms; /* monotonic; 0: it is under way */
    struct msg *msg;   /* owned */
};

/* An answered one, whose end is to be stored and then told (MAIL_SETTLED, freed by the cluster thread). */
struct settled {
    struct node_id to;
    uint64_t uid;
};

struct peer_handoffs {
    struct list list;
    struct settled *settled, *settled_sealed;
    uint32_t settled_n, settled_cap, settled_sealed_n, settled_sealed_cap;
    struct ptrtab seen;
};

void peer_handoffs_init(struct peer_handoffs *h);
void peer_handoffs_fini(struct peer_handoffs *h);

/* The record's value behind its be32, and how long it is. */
uint32_t peer_handoff_size(const struct msg *m);
uint8_t *peer_handoff_put(uint8_t *p, const struct node_id *to, uint64_t uid, const struct msg *m);
/* Found in the store at start. False: malformed. */
bool peer_handoff_load(struct shard *sh, uint64_t number, struct cursor *c);

/* It is stored: sends it. Takes the reference of m. */
void peer_handoff_start(struct shard *sh, const struct node_id *to, uint64_t number, uint64_t uid,
                        struct msg *m);
/* The peer's answer, or RC_NO_MATCHING_SUBSCRIBERS: it is gone and has not answered. */
void peer_handoff_on_answer(struct shard *sh, uint64_t number, enum reason code);
/* Sends again what is due. */
void peer_handoffs_tick(struct shard *sh);
/* The peer is there (again): what waits for it is due, by MAIL_CALL with a struct node_id, which is freed. */
void peer_handoffs_wake(struct shard *sh, void *node_id);
/* The peer will never come back, by MAIL_CALL with a struct node_id, which is freed. */
void peer_handoffs_forget(struct shard *sh, void *node_id);
void peer_handoffs_seal(struct shard *sh);
void peer_handoffs_on_stored(struct shard *sh, bool stored);

/* ---- the receiving side --------------------------------------------------------------------------- */

void seen_init(struct ptrtab *seen);
void seen_fini(struct ptrtab *seen);
/* SEEN_BY_ALL sessions of the shard that were to get it; SEEN_HELD: so, but some hold it aside still, so it
 * may not be answered; SEEN_BY_SOME: seen_by_session() says by which, since those that held it aside lost it
 * when the node stopped, or it had another number of shards. */
enum seen_by { SEEN_BY_NONE, SEEN_BY_SOME, SEEN_HELD, SEEN_BY_ALL };
enum seen_by seen_by(const struct shard *sh, uint64_t uid);
bool seen_by_session(const struct shard *sh, uint64_t uid, struct bytes client_id);
/* SEEN_STORED: in the next batch, with the queues that took the message. SEEN_NOTED: only sessions that end
 * with the node have it. without: client ids of those that hold it aside (parcel.h), each behind its be16
 * length. */
enum seen_how { SEEN_STORED, SEEN_NOTED };
void seen_add(struct shard *sh, uint64_t uid, enum seen_how how, struct bytes without);
/* Names one more for `without`. */
void seen_without(struct rpc_buf *without, struct bytes client_id);
/* The session has put what it held aside into its queue, for the next batch, or needs it no more. */
void seen_got(struct shard *sh, uint64_t uid, struct bytes client_id);
/* By MAIL_CALL with a list that is freed. */
struct seen_list {
    uint32_t n;
    uint64_t uids[];
};
void seen_settle(struct shard *sh, void *list);
/* Reads the table; sessions are loaded, no worker runs. */
MUST_USE enum err seen_load(struct node *n);

#endif
