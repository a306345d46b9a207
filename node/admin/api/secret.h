/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_SECRET_H
#define COVEY_ADMIN_API_SECRET_H

/* Passwords in calls: compared and hashed beside the loop, one at a time for all. */

#include "node/admin/api/call.h"

/* The state of a call that has to do with passwords. */
struct secret {
    struct api_call *call;
    char *password;              /* to be compared with hash; NULL: none */
    char *next;                  /* to be hashed once the other is right; NULL: none */
    char hash[ACCOUNT_HASH_MAX]; /* "": there is no such user */
    char next_hash[ACCOUNT_HASH_MAX];
    bool is_right;
    bool is_hashed;
    enum err stored; /* of the change that followed */
};

/* May this address try a password now? False: answered with 429. */
bool secret_may_try(struct api_call *c);
/* The password was the right one or not: counts for the address, on all nodes. */
void secret_tried(struct api_call *c, bool is_right);
/* Makes c->state and lets the call wait; then step. Too many wait: answered with 503. */
void secret_run(struct api_call *c, const char *password, const char *hash, const char *next,
                bool (*step)(struct api_call *c));
/* account_put() for a call, which waits for it; then step, with the result in state->stored. */
void secret_store(struct api_call *c, enum account_kind kind, const char *name, json_t *record,
                  bool (*step)(struct api_call *c));
/* The same; false: it is answered that it could not be stored. */
bool secret_is_stored(struct api_call *c);

#endif
