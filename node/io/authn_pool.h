/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_AUTHN_POOL_H
#define COVEY_IO_AUTHN_POOL_H

/* The threads that judge clients where that takes time: a password's hash, a server's answer. They get what
 * processors workers leave idle (SCHED_IDLE), so that the messages of others do not wait for hashes. Where
 * that is nothing for longer than stall_ms, one more thread, of low priority, does what waits and begins
 * again what the others do not get done; the first answer counts. */

#include "node/core/vet.h"
#include "proto/base/err.h"

struct authn_pool;
struct mailbag;

struct authn_pool_conf {
    uint32_t threads;  /* without the one for stalls; 1 to 128 */
    uint32_t stall_ms; /* longer than judge() waits without using a processor */
    /* Any thread of the pool; the same question may be judged by two. */
    enum vet_verdict (*judge)(void *ctx, const struct vet_ask *q, struct vet_answer *out);
    void (*thread_end)(void); /* the calling thread judges no more */
    void *ctx;
};

struct authn_pool *authn_pool_new(const struct authn_pool_conf *conf);
/* Answers go through post(). ERR_LIMIT: there are no threads to be had. */
MUST_USE enum err authn_pool_start(struct authn_pool *p,
                                   void (*post)(void *ctx, uint32_t shard, struct mailbag *bag),
                                   void *post_ctx);
/* Ends the threads. What was asked and is not answered never will be. */
void authn_pool_stop(struct authn_pool *p);
void authn_pool_free(struct authn_pool *p); /* NULL is fine */

/* Asks; the answer and *is_gone as with vet_ops. q is copied. False: too many wait. Any thread. */
bool authn_pool_ask(struct authn_pool *p, const struct vet_ask *q, uint32_t **is_gone);

#endif
