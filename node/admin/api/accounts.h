/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_ACCOUNTS_H
#define COVEY_ADMIN_API_ACCOUNTS_H

/* The users of the API and its keys: in memory, in the store, and the same on all nodes that have the API
 * (account_table.h has the records, and which of two wins; replica.h tells the others). */

#include "node/admin/api/account_table.h"
#include "node/admin/api/offload.h"
#include "node/admin/command.h"

struct accounts;

enum { ACCOUNT_HASH_MAX = 128, ACCOUNT_PASSWORD_MIN = 8, ACCOUNT_PASSWORD_MAX = 128 };

/* Reads them. Where there is no user yet: makes the first one (first_user.h). Before the loop runs. */
struct accounts *accounts_new(struct admin_env *env, struct offload *offload);
void accounts_free(struct accounts *a); /* NULL is fine; after the offload */

/* {name: record}, borrowed. */
const json_t *accounts_all(const struct accounts *a, enum account_kind kind);
/* Borrowed; NULL: there is none. */
const json_t *account_find(const struct accounts *a, enum account_kind kind, const char *name);
/* Puts the record, which is taken and gets its stamp, or deletes it (NULL); it is true from now on, and taken
 * back when it cannot be stored. done is called in the loop when it is stored and the nodes that can be
 * reached have it, or when it is not. */
void account_put(struct accounts *a, enum account_kind kind, const char *name, json_t *record,
                 void (*done)(void *arg, enum err result), void *arg);

/* A user's: letters, digits and ._@-, at most ACCOUNT_NAME_MAX. */
bool account_name_is_good(const char *name);
/* The record of a new one. */
json_t *account_user_new(const char *hash, const char *role, const char *description);
/* Is this user the only administrator? */
bool accounts_last_admin_is(const struct accounts *a, const json_t *user);

/* ---- other nodes ---------------------------------------------------------------------------------- */

/* Who is told of each change: takes the item (account_table.h). True: done(arg) is called in a later turn of
 * the loop, when the others have it or are not waited for any longer; false: it is not called. */
typedef bool account_teller_fn(void *ctx, json_t *item, void (*done)(void *arg), void *arg);
void accounts_teller_set(struct accounts *a, account_teller_fn *tell, void *ctx);
/* Items of another node; what is no account, or not whole, is passed over. */
void accounts_merge(struct accounts *a, const json_t *items);
const struct account_table *accounts_table(const struct accounts *a);

/* ---- export and import ---------------------------------------------------------------------------- */

/* What the key of each in STORE_META begins with. */
const char *account_prefix(enum account_kind kind);
/* Could the record, JSON, have been written by this? */
bool account_is_sound(enum account_kind kind, struct bytes name, struct bytes record);
/* Adds a record of an export to a batch, as a change of this node. Any thread. */
void account_restore(struct store_batch *batch, enum account_kind kind, struct bytes name,
                     struct bytes record, uint64_t stamp, uint64_t tag);
/* Such a batch has been stored. */
void accounts_read_again(struct accounts *a);

/* ---- hashes --------------------------------------------------------------------------------------- */

/* Slow: not in the loop. False: no memory. */
MUST_USE bool account_hash(char out[ACCOUNT_HASH_MAX], const char *password);
/* Slow too. hash NULL: takes as long, for a user that there is not. */
bool account_verify(const char *hash, const char *password);
/* Of the secret of a key, which is as long as a key: in hex. */
void account_secret_hash(char out[65], const char *secret);

#endif
