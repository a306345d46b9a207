/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_AUTHZ_H
#define COVEY_IO_AUTHZ_H

/* The server that is asked what clients may publish and subscribe where no rule says so
 * (node/core/gate_ask.h, hook_pool.h), on threads of its own. A question that has waited and been asked for
 * longer than the time-out counts as not answered. */

#include "node/core/gate_ask.h"
#include "node/io/hook_pool.h"
#include "proto/base/err.h"

struct authz;
struct mailbag;

struct authz_conf {
    struct hook_server_conf server; /* url "": none is asked; timeout_ms: of waiting and asking together */
    bool failure_ignores;           /* no answer: as if it had nothing to say; else it is denied */
    uint32_t threads;
    uint32_t recalled_max; /* answers that each shard remembers */
    uint32_t recall_ms;    /* 0: none is */
};

struct authz *authz_new(const struct authz_conf *conf, uint32_t shards, struct log_sink *log);
/* Starts the threads, which answer through post(). ERR_LIMIT: there are none to be had. */
MUST_USE enum err authz_start(struct authz *a, void (*post)(void *ctx, uint32_t shard, struct mailbag *bag),
                              void *post_ctx);
/* Ends the threads. What was asked and is not answered never will be. NULL is fine. */
void authz_stop(struct authz *a);
void authz_free(struct authz *a); /* NULL is fine */

/* For node_conf.asks, of the start; NULL: no server is configured. */
const struct ask_ops *authz_ops(struct authz *a);
/* Another server, or none, in two steps, so that other things can be looked at in between; one thread's, the
 * admin's, after authz_start(). authz_server_new(): *out is started, NULL: conf names none; ERR_LIMIT: there
 * are no threads to be had. hook_pool_free() drops it, authz_server_set() takes it. What was asked before is
 * answered by whom it was asked of. */
MUST_USE enum err authz_server_new(struct authz *a, const struct authz_conf *conf, struct hook_pool **out);
void authz_server_set(struct authz *a, struct hook_pool *server);
/* A server is asked. Any thread, as the next. */
bool authz_is_on(struct authz *a);
/* It has not answered several times in a row. */
bool authz_is_down(struct authz *a);

#endif
