/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_TOKENS_H
#define COVEY_ADMIN_API_TOKENS_H

/* Login tokens: random, kept in memory by their hash only, gone with the process. One ends some time after it
 * was last used, at the latest after a day, and with its user. */

#include <stdbool.h>
#include <stdint.h>

struct tokens;

enum {
    TOKEN_TEXT_N = 44,       /* with the NUL: 32 random bytes in base64url */
    TOKENS_OF_USER_MAX = 32, /* a further one ends the one that was used least lately */
    TOKEN_LIFE_MS = 24 * 3600 * 1000,
    TOKEN_USER_BYTES_MAX = 64,
};

struct tokens *tokens_new(uint64_t idle_ms);
void tokens_free(struct tokens *t); /* NULL is fine */
void token_make(struct tokens *t, const char *user, uint64_t now_ms, char out[TOKEN_TEXT_N]);
/* The user that the token is of, until the next call on t; NULL: it is none, or no longer one. Counts as use.
 */
const char *token_user(struct tokens *t, const char *text, uint64_t now_ms);
void token_end(struct tokens *t, const char *text);
void tokens_end_of(struct tokens *t, const char *user);

#endif
