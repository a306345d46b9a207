/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_ACCOUNTS_H
#define COVEY_ADMIN_API_ACCOUNTS_H

/* The users of the API and its keys: JSON objects by name, in memory and in the store.
 *
 * user: {"hash": Argon2id, "role", "description", "must_change", "created_at" (ms)}
 * key:  {"api_key", "hash": of the secret, "role", "desc", "enable", "expired_at" (ms, 0: never),
 * "created_at"} */

#include "node/admin/api/json.h"
#include "node/admin/api/offload.h"
#include "node/admin/command.h"

struct accounts;

enum account_kind { ACCOUNT_USER, ACCOUNT_KEY, ACCOUNT_KINDS };
enum { ACCOUNT_HASH_MAX = 128, ACCOUNT_PASSWORD_MIN = 8, ACCOUNT_PASSWORD_MAX = 128, ACCOUNT_NAME_MAX = 64 };

/* Reads them. Where there is no user yet: makes "admin" with a random password, which is in the file
 * "admin_password" of the data directory, for its owner only, until it is changed. Before the loop runs. */
struct accounts *accounts_new(struct admin_env *env, struct offload *offload);
void accounts_free(struct accounts *a); /* NULL is fine; after the offload */

/* {name: record}, borrowed. */
const json_t *accounts_all(const struct accounts *a, enum account_kind kind);
/* Borrowed; NULL: there is none. */
const json_t *account_find(const struct accounts *a, enum account_kind kind, const char *name);
/* Puts the record, which is taken, or deletes it (NULL); it is true from now on, and taken back when it
 * cannot be stored. done is called in the loop when it is stored, or not. */
void account_put(struct accounts *a, enum account_kind kind, const char *name, json_t *record,
                 void (*done)(void *arg, enum err result), void *arg);
/* The password of the first start has been changed. */
void accounts_first_password_forget(struct accounts *a);

/* What the key of each in STORE_META begins with. */
const char *account_prefix(enum account_kind kind);
/* Could the record, JSON, have been written by this? */
bool account_is_sound(enum account_kind kind, struct bytes name, struct bytes record);
/* Somebody else has put some into the store. */
void accounts_read_again(struct accounts *a);

/* Slow: not in the loop. False: no memory. */
MUST_USE bool account_hash(char out[ACCOUNT_HASH_MAX], const char *password);
/* Slow too. hash NULL: takes as long, for a user that there is not. */
bool account_verify(const char *hash, const char *password);
/* Of the secret of a key, which is as long as a key: in hex. */
void account_secret_hash(char out[65], const char *secret);

#endif
