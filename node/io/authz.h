/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_AUTHZ_H
#define COVEY_IO_AUTHZ_H

/* The server that is asked what clients may publish and subscribe where no rule says so
 * (node/core/gate_ask.h, hook_server.h), on threads of its own. A question that has waited and been asked for
 * longer than the time-out counts as not answered. */

#include "node/core/gate_ask.h"
#include "node/io/hook_server.h"
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

/* NULL: no server is configured. conf's strings outlive it. */
struct authz *authz_new(const struct authz_conf *conf, struct log_sink *log);
/* Starts the threads, which answer through post(). ERR_LIMIT: there are none to be had. NULL is fine. */
MUST_USE enum err authz_start(struct authz *a, void (*post)(void *ctx, uint32_t shard, struct mailbag *bag),
                              void *post_ctx);
/* Ends the threads. What was asked and is not answered never will be. NULL is fine. */
void authz_stop(struct authz *a);
void authz_free(struct authz *a); /* NULL is fine */

/* For node_conf.asks; NULL when a is. */
const struct ask_ops *authz_ops(const struct authz *a);
/* The server has not answered several times in a row. Any thread. */
bool authz_is_down(struct authz *a);

#endif
