/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_HOOK_SERVER_H
#define COVEY_IO_HOOK_SERVER_H

/* An HTTP server that is asked about clients (node/auth/hook.h): libcurl's blocking calls, on threads that do
 * nothing else meanwhile. Behind a breaker: a server that does not answer is left alone for a while. */

#include "node/auth/hook.h"
#include "proto/base/log.h"

struct hook_server;

struct hook_server_conf {
    const char *name;           /* for the log: "auth http" */
    const char *url;            /* with placeholders; "": there is none */
    const char *body;           /* the same */
    const char *cafile;         /* "": the system's authorities */
    const char *const *headers; /* "NAME: VALUE" */
    size_t headers_n;
    bool is_post; /* else GET, without a body */
    uint32_t timeout_ms;
};

/* Copies what it needs of conf. */
struct hook_server *hook_server_new(const struct hook_server_conf *conf, struct log_sink *log);
void hook_server_free(struct hook_server *h); /* NULL is fine; no thread asks any more */
/* What is under way is given up within about a second, nothing is asked any more. NULL is fine. */
void hook_server_stop(struct hook_server *h);

/* Asks, and waits for the answer timeout_ms at most (0: not at all). *reply is set when there is one, see the
 * outcome. HOOK_NOT_ASKED: this cannot be asked, since JSON cannot say a password that is no UTF-8. */
enum hook_outcome hook_server_ask(struct hook_server *h, const struct hook_values *v, uint32_t timeout_ms,
                                  struct hook_reply *reply);
/* The calling thread asks no more. */
void hook_server_thread_end(void);
/* The server has not answered several times in a row. Any thread. */
bool hook_server_is_down(struct hook_server *h);

#endif
