/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_AUTHN_H
#define COVEY_IO_AUTHN_H

/* The methods that check clients (node/core/vet.h): files and threads. What is cheap is answered at once, on
 * the worker's thread; what costs goes to one of two pools of threads and is answered by mail: passwords that
 * are not remembered and slow signatures to one, questions to a server to the other. */

#include "node/core/vet.h"
#include "node/io/hook_server.h"
#include "proto/base/err.h"
#include "proto/base/log.h"

struct authn;
struct mailbag;

/* At most one file is not "". */
struct authn_jwt_conf {
    const char *secret_file;     /* for HS256 */
    const char *public_key_file; /* PEM */
    const char *jwks_file;
    const char *const *claims; /* "NAME=VALUE" that a token must have, with ${clientid} and ${username} */
    size_t claims_n;
    const char *username_claim; /* that gives the user name; "": the client's own is */
    const char *acl_claim;      /* that has rules for the client, see node/auth/jwt.h; "": none has */
    bool is_in_username;        /* the token is, instead of in the password */
    uint32_t leeway_s;
};

struct authn_http_conf {
    struct hook_server_conf server; /* url "": the method is not configured */
    bool failure_ignores; /* a server that does not answer is passed over; else the client is refused */
    uint32_t cache_ms;    /* 0: answers are not remembered */
    uint32_t threads;     /* that may wait for answers at one time */
};

struct authn_conf {
    const char *password_file; /* "": none */
    struct authn_jwt_conf jwt;
    struct authn_http_conf http;
    uint32_t threads;
    uint32_t remembered_max; /* passwords */
    struct log_sink *log;
};

/* Reads the files. ERR_INVALID: one cannot be used, logged with file and line. conf's strings live until
 * authn_set() brings others. */
MUST_USE enum err authn_new(struct authn **out, const struct authn_conf *conf);
/* Starts the threads, which answer through post(). ERR_LIMIT: there are none to be had. */
MUST_USE enum err authn_start(struct authn *a, void (*post)(void *ctx, uint32_t shard, struct mailbag *bag),
                              void *post_ctx);
/* Ends the threads. What was asked and is not answered never will be: no shard runs any more. */
void authn_stop(struct authn *a); /* NULL is fine */
void authn_free(struct authn *a); /* NULL is fine */

/* For node_conf.vet. */
const struct vet_ops *authn_ops(const struct authn *a);

/* Reads the files again. After an error, which is logged, what was read before stays in force. The admin's
 * thread. */
MUST_USE enum err authn_reload(struct authn *a);
/* The server of the method http does not answer. Any thread. */
bool authn_is_server_down(struct authn *a);
/* Other files and other rules about tokens in two steps, so that other things can be looked at in between.
 * After an error of the first, which counts as a failed reload, there is nothing to do. authn_set() takes
 * files, authn_files_free() drops them; conf is that of authn_read(). threads and remembered_max stay what
 * they were. The admin's thread, as the next two. */
struct authn_files;
MUST_USE enum err authn_read(struct authn *a, const struct authn_conf *conf, struct authn_files **out);
void authn_set(struct authn *a, const struct authn_conf *conf, struct authn_files *files);
/* Another server for the method http the same way, after authn_start(). *out is started, NULL: conf names
 * none. ERR_LIMIT: there are no threads to be had. authn_server_set() takes it, hook_pool_free() drops it.
 * What was asked before is answered by whom it was asked of. */
struct hook_pool;
MUST_USE enum err authn_server_new(struct authn *a, const struct authn_conf *conf, struct hook_pool **out);
void authn_server_set(struct authn *a, struct hook_pool *server);
/* The last reload failed: what was read before is in force. Any thread. */
bool authn_is_stale(struct authn *a);

#endif
