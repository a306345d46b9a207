/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_AUTHN_HTTP_H
#define COVEY_IO_AUTHN_HTTP_H

/* The method `http`: a server is asked (hook_server.h). */

#include "node/io/authn.h"
#include "node/io/hook_pool.h"

struct authn_http;

/* owner runs (run, drop: see pool.h) what is pushed to the pool. Its ctx is a struct authn_http. NULL: the
 * method is not configured. */
struct hook_pool *authn_http_new(const struct authn_http_conf *conf, struct authn *owner,
                                 void (*run)(void *ctx, struct pool_job *j),
                                 void (*drop)(void *ctx, struct pool_job *j), struct log_sink *log);
struct authn *authn_http_owner(const struct authn_http *h);

/* What is remembered; VET_WAIT: nothing is. Any thread. */
enum vet_verdict authn_http_recall(struct authn_http *h, const struct vet_ask *q, struct vet_answer *out);
/* Asks, and waits for the answer. */
enum vet_verdict authn_http_ask(struct authn_http *h, const struct vet_ask *q, struct vet_answer *out);
/* Too many wait already. */
enum vet_verdict authn_http_full(const struct authn_http *h, struct vet_answer *out);

#endif
