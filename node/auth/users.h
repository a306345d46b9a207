/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_AUTH_USERS_H
#define COVEY_AUTH_USERS_H

/* The password file: one `NAME:HASH` a line, as mosquitto_passwd writes it too; empty lines and those that
 * begin with # are passed over. Every line ends with a newline, the last one too: a file that was cut is not
 * taken for a whole one. A name has no colon and no control characters; it stands there once.
 *
 * One line is more than a remark: `#scram-seed:BASE64`, 32 random bytes from which the verifiers of unknown
 * names are invented (scram_verifier.h). It stands in this file since it has to be the same after a restart
 * and on all nodes, as the verifiers are. */

#include "node/auth/scram_verifier.h"

enum { USER_NAME_MAX = 1024, USERS_FILE_BYTES_MAX = 256 << 20 };

#define USERS_SCRAM_SEED "#scram-seed:"

struct user {
    struct bytes name;
    const char *hash; /* ends with NUL */
    uint32_t line;
};

/* Immutable. */
struct users {
    char *text; /* what the views look into */
    struct user *v;
    uint32_t n;                     /* by name, in the order of bytes_cmp() */
    struct scram_kinds scram_kinds; /* of the verifiers that are there */
    bool has_scram_seed;
    uint8_t scram_seed[SCRAM_KEY_N];
};

struct users_fault {
    uint32_t line; /* 1.. */
    char what[160];
};

/* Fills out, freed with users_fini(). False: *fault says why; nothing is to be freed. */
bool users_parse(struct users *out, struct bytes text, struct users_fault *fault);
void users_fini(struct users *u);
/* NULL: there is none of that name. */
const struct user *users_find(const struct users *u, struct bytes name);
/* May it be the name of a user? NULL: yes; else what is wrong. */
const char *user_name_judge(struct bytes name);

#endif
