/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_FIRST_USER_H
#define COVEY_ADMIN_API_FIRST_USER_H

/* The user of a first start, "admin", and its password: in the file "admin_password" of the data directory,
 * for its owner only, until another one is chosen. In a cluster the record carries a salt from which each
 * node makes the same password, with a key that comes of the secret of the cluster; so the file is on each.
 */

#include "node/admin/admin.h"
#include "node/admin/api/json.h"

enum { FIRST_PASSWORD_N = 20, FIRST_PATH_MAX = 4096 };

/* Slow: not in the loop, but at the start. Makes the record and the file; NULL, logged: it cannot. */
json_t *first_user_make(const struct admin_conf *conf, uint64_t stamp, uint64_t tag);
/* Slow: beside the loop. Another node has made the user: its password goes into the file. False: this node
 * cannot make it, from no salt or with another secret, and the file is gone. */
bool first_user_file_write(const struct admin_conf *conf, const char *salt, const char *hash);
void first_user_file_remove(const struct admin_conf *conf);
bool first_user_file_exists(const struct admin_conf *conf);

#endif
