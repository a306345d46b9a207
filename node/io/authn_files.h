/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_AUTHN_FILES_H
#define COVEY_IO_AUTHN_FILES_H

/* What authn.c has read from files, and how it looks at tokens. Immutable; counted, since a reload replaces
 * it while threads use it. */

#include "node/auth/jwt.h"
#include "node/auth/users.h"
#include "node/io/authn.h"

struct authn_files {
    uint32_t refs; /* under the owner's lock */
    bool has_users;
    struct users users;
    struct jwt_keys *jwt_keys; /* NULL: none */
    struct authn_jwt_conf jwt; /* how tokens are looked at; its own strings, without the files' names */
    char dummy[256];           /* a hash that no password fits, as costly as those of the users */
};

/* ERR_INVALID: logged. */
MUST_USE enum err authn_files_read(struct authn_files **out, const struct authn_conf *conf);
void authn_files_free(struct authn_files *f);

#endif
