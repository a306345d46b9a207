/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_MAIL_MAILBOX_H
#define COVEY_MAIL_MAILBOX_H

/* The queue in front of a thread with an event loop: many producers, one consumer, no locks. Items are
 * intrusive: the first word of what is pushed belongs to the queue until the consumer has it. Items of one
 * producer come out in the order in which it pushed them.
 *
 * The consumer says when it is going to wait. Only the first push after that costs a write to the eventfd;
 * all others cost one compare-and-swap. The eventfd is to be watched edge-triggered, so nobody reads it. */

#include "proto/base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Kept in the low bits of the links. */
enum mailbox_kind {
    MAILBOX_BAG,    /* struct mailbag, from a shard or from mailbag_call() */
    MAILBOX_CONN,   /* struct ioconn, handed over by the worker that accepted it */
    MAILBOX_CALL,   /* a closure: struct worker_call, struct cluster_call */
    MAILBOX_STORED, /* a worker's own batch came back from the storage thread */
};

struct mailbox {
    _Alignas(64) _Atomic uintptr_t head; /* newest first */
    atomic_uint asleep;
    int eventfd;
    _Alignas(64) _Atomic uint64_t wakes; /* writes to eventfd */
};

MUST_USE enum err mailbox_init(struct mailbox *mb); /* ERR_LIMIT: no descriptor to be had */
void mailbox_fini(struct mailbox *mb);              /* it is empty */

/* Any thread. item is aligned to 4 bytes at least; it is the consumer's from here on. Never blocks. */
void mailbox_push(struct mailbox *mb, enum mailbox_kind kind, void *item);
/* Any thread: ends the consumer's wait, or its next one, without giving it anything. */
void mailbox_wake(struct mailbox *mb);

/* ---- the consumer's side -------------------------------------------------------------------------- */

/* Everything that has come, oldest first; walked with mailbox_next(). */
struct mailbox_chain {
    uintptr_t head;
};
struct mailbox_chain mailbox_take(struct mailbox *mb);
/* The next item, which is the caller's now, or NULL. */
void *mailbox_next(struct mailbox_chain *chain, enum mailbox_kind *kind);

/* Announces that the consumer will wait; false: there is mail, do not wait. */
bool mailbox_sleep(struct mailbox *mb);
static inline void mailbox_awake(struct mailbox *mb)
{
    atomic_store_explicit(&mb->asleep, 0, memory_order_relaxed);
}
static inline bool mailbox_has_mail(const struct mailbox *mb)
{
    return atomic_load_explicit(&mb->head, memory_order_relaxed) != 0;
}

#endif
