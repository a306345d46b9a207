/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_ASK_H
#define COVEY_ADMIN_ASK_H

/* A closure on a shard, waited for. Not on a worker's thread; while the io runs. */

#include "node/io/io.h"
#include "proto/mqtt/reason.h"

/* Runs fn(shard, arg) on the worker and returns when it has. */
void shard_ask(struct io *io, uint32_t worker, void (*fn)(struct shard *sh, void *arg), void *arg);
/* The same, and returns when what fn has changed is stored: RC_SUCCESS, or why it is not. */
enum reason shard_ask_stored(struct io *io, uint32_t worker, void (*fn)(struct shard *sh, void *arg),
                             void *arg);

#endif
