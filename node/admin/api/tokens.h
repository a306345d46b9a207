/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_TOKENS_H
#define COVEY_ADMIN_API_TOKENS_H

/* Login tokens: random, kept in memory by their hash only. One ends some time after it was last used, at the
 * latest after a day. They are the same on all nodes (replica.h): each learns of new ones, of use, and of
 * those that were logged out, which are remembered for a day so that nobody brings them back. A token goes by
 * the password that it was got with: whoever asks compares `since` with that of the user.
 *
 * Times are monotonic milliseconds; between nodes go ages, so that clocks need not agree. */

#include "node/admin/api/json.h"

struct tokens;

enum {
    TOKEN_TEXT_N = 44,       /* with the NUL: 32 random bytes in base64url */
    TOKENS_OF_USER_MAX = 32, /* a further one ends the one that was used least lately */
    TOKENS_ENDED_MAX = 4096, /* that are remembered */
    TOKEN_LIFE_MS = 24 * 3600 * 1000,
    TOKEN_USER_BYTES_MAX = 64,
};

struct tokens *tokens_new(uint64_t idle_ms);
void tokens_free(struct tokens *t); /* NULL is fine */
/* since: the stamp of the user's password (account_table.h). */
void token_make(struct tokens *t, const char *user, int64_t since, uint64_t now_ms, char out[TOKEN_TEXT_N]);
/* The user that the token is of, until the next call on t; NULL: it is none, or no longer one. Counts as use.
 */
const char *token_user(struct tokens *t, const char *text, uint64_t now_ms, int64_t *since);
void token_end(struct tokens *t, const char *text, uint64_t now_ms);

/* ---- other nodes ---------------------------------------------------------------------------------- */

/* The token has been used for so long without their knowing that they could think it idle. True once. */
bool token_wants_telling(struct tokens *t, const char *text, uint64_t now_ms);
/* {"kind": "token", "name": hash, "record": {"user", "since", "age", "idle"}}, or {"gone", "age"} when it has
 * ended; NULL: it is none. */
json_t *token_item(const struct tokens *t, const char *text, uint64_t now_ms);
/* All of them are appended. */
void tokens_items(const struct tokens *t, uint64_t now_ms, json_t *out);
/* Such an item, of another node; what is not whole is passed over. */
void token_merge(struct tokens *t, const json_t *item, uint64_t now_ms);

#endif
