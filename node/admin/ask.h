/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_ASK_H
#define COVEY_ADMIN_ASK_H

/* A closure on a shard, waited for. */

#include "node/io/io.h"

/* Runs fn(shard, arg) on the worker and returns when it has. Not on a worker's thread; while the io runs. */
void shard_ask(struct io *io, uint32_t worker, void (*fn)(struct shard *sh, void *arg), void *arg);

#endif
