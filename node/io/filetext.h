/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_FILETEXT_H
#define COVEY_IO_FILETEXT_H

/* A file of the operator's, whole in memory: users, rules, keys. */

#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct filetext {
    char *p; /* from malloc(); a NUL stands behind it */
    size_t n;
    bool is_public; /* others than owner and group may read it */
};

/* ERR_NOTFOUND, ERR_DENIED, ERR_INVALID (no regular file), ERR_LIMIT (more than bytes_max), ERR_IO. */
MUST_USE enum err filetext_read(struct filetext *out, const char *path, size_t bytes_max);
/* Wipes it, for there may be secrets in it. */
void filetext_fini(struct filetext *t);

#endif
