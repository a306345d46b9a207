/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_REMEMBER_H
#define COVEY_IO_REMEMBER_H

/* Passwords that were verified, remembered as keyed hashes, so that a client that comes again does not pay
 * for Argon2 again. The key is random, lives in this process only and is another one after each reset; what
 * is remembered is of no use without it. The stored hash is part of what is hashed: a user whose password
 * was changed is not remembered. Any thread. */

#include "proto/base/bytes.h"

struct remember;

enum { REMEMBER_TAG = 32 };
struct remember_tag {
    uint8_t b[REMEMBER_TAG];
};

/* For so many, rounded up; 0: none is remembered. */
struct remember *remember_new(uint32_t entries_max);
void remember_free(struct remember *r); /* NULL is fine */
struct remember_tag remember_tag_of(struct remember *r, struct bytes name, const char *hash,
                                    struct bytes password);
bool remember_has(struct remember *r, const struct remember_tag *t);
/* Another one is forgotten for it when there is no room. */
void remember_add(struct remember *r, const struct remember_tag *t);
void remember_reset(struct remember *r);

#endif
