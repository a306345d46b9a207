/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_PERSIST_H
#define COVEY_CORE_PERSIST_H

/* What a shard writes to the store, and when. Changes of sessions, subscriptions and retained messages are
 * put as operations at once; queues and acknowledgements are only marked, and turned into operations when the
 * batch is sealed, so that a message which was acknowledged meanwhile costs nothing.
 *
 * Operations are of two kinds. What must hold in the end whatever happens (the end of a session, an
 * unsubscribe) is kept and tried again after a failed commit. What somebody was promised only by an
 * acknowledgement (a retained message, a subscription) is dropped with the failed batch, and the
 * acknowledgement says so.
 *
 * Keys: SESSIONS and STATE: session number; SUBS: session number, 16 bytes of hash of the filter; QUEUE:
 * session number, sequence number; RETAINED: see retained.h. Numbers are big-endian. */

#include "proto/base/list.h"
#include "proto/mqtt/reason.h"
#include "storage/batch.h"
#include "proto/base/err.h"

struct shard;
struct session;
struct subscription;
struct pending;
struct conn;

struct sealed {
    struct session *session; /* NULL: ended meanwhile */
    uint64_t from;           /* its messages [from, to) are in the batch */
    uint64_t to;
    uint64_t reserved;
};

struct persist {
    struct store_batch ops;         /* all, in order, for the next batch */
    struct store_batch keep;        /* again those of them that must hold in the end */
    struct store_batch keep_sealed; /* likewise of the batch under way, for trying again */
    struct list sessions;           /* with queue or state to store */
    struct pending **waiting;       /* for what is in the next batch */
    uint32_t waiting_n, waiting_cap;
    struct pending **sealed_waiting;
    uint32_t sealed_waiting_n, sealed_waiting_cap;
    struct sealed *sealed;
    uint32_t sealed_n, sealed_cap;
    uint64_t retained_sealed; /* retained changes in the batch under way */
    uint64_t retained_bytes;  /* of changes of other nodes, in the next batch */
    uint64_t retained_bytes_sealed;
    uint64_t retained_arrived; /* how many of these there were so far, and up to the batch under way */
    uint64_t retained_arrived_sealed;
    uint64_t ends;        /* stored sessions that end in the next batch, see persist_is_ending() */
    uint64_t ends_sealed; /* and in the one under way */
    uint64_t retry_ms;    /* after a failure: not before (monotonic) */
    uint32_t urgent;      /* somebody waits and no acknowledgement can help */
    uint8_t in_flight;
    uint8_t has_failed; /* the last commit failed */
};

void persist_init(struct persist *p);
void persist_fini(struct persist *p);

/* The session record was made or changed. */
void persist_session(struct session *s);
/* Every record of the session goes. */
void persist_session_end(struct session *s);
/* May the store still have an ended session with the client id of s? A crash would bring it back. True also
 * for one in 64 of the other ids, while any session ends. */
bool persist_is_ending(const struct session *s);
void persist_sub(struct subscription *sub);
void persist_sub_end(struct subscription *sub);
/* The state of a persistent session changed: acknowledged, released or received ids. */
void persist_touch(struct session *s);
/* Messages were appended to its queue. */
void persist_touch_queue(struct session *s);
/* p (the caller's reference) waits for the batch that is being sealed. */
void persist_wait_sealed(struct shard *sh, struct pending *p);
/* The session ends: nothing refers to it any more. */
void persist_forget(struct session *s);
/* p (gets a ref) waits for the next batch. */
void persist_wait(struct shard *sh, struct pending *p);
/* Calls fn(shard, arg) when a commit has succeeded that has all that must hold in the end and was changed so
 * far; a failed one first calls redo(shard, arg), which may be NULL, to change again what is lost with it.
 * arg: from malloc(). */
void persist_call(struct shard *sh, void (*fn)(struct shard *sh, void *arg),
                  void (*redo)(struct shard *sh, void *arg), void *arg);
/* The next batch is wanted at once. */
void persist_hurry(struct shard *sh);
/* May the next sequence number be used? Asks the store for more when they run short; the commit pumps the
 * session. */
bool persist_reserve(struct session *s);

#endif
