/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_AUTHN_HTTP_H
#define COVEY_IO_AUTHN_HTTP_H

/* The method `http`: a server is asked (hook_server.h). */

#include "node/io/authn.h"

struct authn_http;

/* NULL: the method is not configured. conf's strings outlive it. */
struct authn_http *authn_http_new(const struct authn_http_conf *conf, struct log_sink *log);
void authn_http_stop(struct authn_http *h); /* see hook_server_stop(); NULL is fine */
void authn_http_free(struct authn_http *h); /* NULL is fine; no thread asks any more */

/* What is remembered; VET_WAIT: nothing is. Any thread. */
enum vet_verdict authn_http_recall(struct authn_http *h, const struct vet_ask *q, struct vet_answer *out);
/* Asks, and waits for the answer. */
enum vet_verdict authn_http_ask(struct authn_http *h, const struct vet_ask *q, struct vet_answer *out);
/* Too many wait already. */
enum vet_verdict authn_http_full(const struct authn_http *h, struct vet_answer *out);
/* The server has not answered several times in a row. Any thread. */
bool authn_http_is_down(struct authn_http *h);

#endif
