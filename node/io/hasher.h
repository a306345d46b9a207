/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_HASHER_H
#define COVEY_IO_HASHER_H

/* Passwords are checked by threads that get what processors others leave idle (SCHED_IDLE), so that messages
 * do not wait for hashes: docs/decisions/0028-password-hashing.md. Where that is next to nothing, the
 * caller's own thread does it. */

#include "proto/base/bytes.h"
#include "proto/base/err.h"

struct hasher;

struct hasher_conf {
    uint32_t threads; /* as many as may call hasher_verify() at one time */
    uint32_t step_ms; /* how often it is looked at whether a thread gets on */
    bool (*verify)(const char *text, struct bytes password); /* pwhash_verify() */
};

struct hasher *hasher_new(const struct hasher_conf *conf);
/* ERR_LIMIT: there are no threads to be had. */
MUST_USE enum err hasher_start(struct hasher *h);
/* As conf.verify, and waits for it. Any thread that may wait. */
bool hasher_verify(struct hasher *h, const char *text, struct bytes password);
/* Ends the threads; nobody calls hasher_verify() any more. NULL is fine. */
void hasher_stop(struct hasher *h);
void hasher_free(struct hasher *h); /* the same */

#endif
