/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_ACCOUNT_TABLE_H
#define COVEY_ADMIN_API_ACCOUNT_TABLE_H

/* Users and API keys as all nodes have them, by name. Each record is of one change, and the change that ranks
 * higher wins wherever they meet, as with bans (node/core/bans.h). A record that was deleted leaves a
 * tombstone, {"gone": true, "stamp", "node"}, so that a node which was away does not bring it back;
 * tombstones stay until there are too many of them, and then the oldest go.
 *
 * user: {"hash": Argon2id, "role", "description", "must_change", "created_at" (ms),
 *        "since": stamp of its password, which logins go by,
 *        "first": made by a first start; "salt": what the password of that was made from}
 * key:  {"api_key", "hash": of the secret, "role", "desc", "enable", "expired_at" (ms, 0: never),
 *        "created_at"}
 *        "admin_until": stamp of the change since which an administrator is none; with it a tombstone has
 *        "was": the record of that user, an administrator
 * both: {"stamp" (node/core/hlc.h), "node" (a number for this life of the node that made the change)}
 *
 * The user of a first start ranks below what anybody has done, and of two the older one ranks higher: three
 * nodes that start at once agree on one, and a node that comes later on that of the others.
 *
 * Two changes that each leave an administrator can leave none together, when both sides of a partition make
 * one. Then the administrator who was lost last is taken back: of all that are known the one with the highest
 * admin_until (then stamp, node, name), a tombstone's from its "was". That follows from the records alone, so
 * all nodes come to the same one, whatever came first; and it is over when there is another. */

#include "node/admin/api/json.h"

enum account_kind { ACCOUNT_USER, ACCOUNT_KEY, ACCOUNT_KINDS };
enum { ACCOUNT_NAME_MAX = 64, ACCOUNT_TOMBSTONES_MAX = 10000 /* of each kind */, ACCOUNT_DIGEST_N = 33 };

struct account_table {
    json_t *all[ACCOUNT_KINDS];       /* name -> record */
    json_t *gone[ACCOUNT_KINDS];      /* name -> tombstone */
    json_t *users;                    /* all users, with the one who was taken back */
    char saved[ACCOUNT_NAME_MAX + 1]; /* that one's name; "": there is an administrator without that */
};
void account_table_init(struct account_table *t);
void account_table_fini(struct account_table *t);

/* "user", "key". */
const char *account_kind_name(enum account_kind kind);
/* False: neither of them. */
bool account_kind_parse(enum account_kind *out, const char *name);

bool account_is_gone(const json_t *record);
/* Has it the fields that it cannot be without, and a stamp that a clock can come to? Tombstones too. */
bool account_is_whole(enum account_kind kind, const json_t *record);
json_t *account_tombstone(uint64_t stamp, uint64_t node);

bool account_is_admin(const json_t *user);
/* What a user that was changed, or its tombstone, has to say of the one before: of a name that has been an
 * administrator, until when. NULL: there was none. */
void account_past_keep(json_t *user, const json_t *before);

/* What is known of the name, a tombstone too; borrowed. NULL: nothing. */
const json_t *account_table_get(const struct account_table *t, enum account_kind kind, const char *name);
/* Puts it, whatever is there; NULL: forgets the name. Takes the record. */
void account_table_put(struct account_table *t, enum account_kind kind, const char *name, json_t *record);
/* Puts it, with a reference of its own, unless what is there ranks as high. False: nothing changed. */
bool account_table_merge(struct account_table *t, enum account_kind kind, const char *name, json_t *record);
/* Where there are more tombstones than may be: forgets the oldest, whose name is in out. */
bool account_table_trim(struct account_table *t, enum account_kind kind, char out[ACCOUNT_NAME_MAX + 1]);
/* After changes: sees whether an administrator has to be taken back. Until then users and saved are of
 * before. */
void account_table_settle(struct account_table *t);
/* {name: record} as they are now; borrowed until the next change. */
const json_t *account_table_now(const struct account_table *t, enum account_kind kind);
/* The user of a first start, while there is another user: it is of no use any more. */
bool account_table_first_is_over(const struct account_table *t);

/* [{"kind", "name", "record"}], tombstones too. */
json_t *account_item(enum account_kind kind, const char *name, const json_t *record);
void account_table_items(const struct account_table *t, json_t *out);
/* The same for the same contents, in hex. */
void account_table_digest(const struct account_table *t, char out[ACCOUNT_DIGEST_N]);

#endif
