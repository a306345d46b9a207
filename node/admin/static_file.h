/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_STATIC_FILE_H
#define COVEY_ADMIN_STATIC_FILE_H

/* The files of the dashboard within the program, as node/admin/dashboard/scripts/embed.js writes them at
 * build time. A build without the dashboard has none. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct static_file {
    const char *path;  /* "/index.html"; NULL: the end */
    const char *type;  /* of Content-Type */
    const char *etag;  /* with its quotes: of the content */
    const uint8_t *gz; /* the content, gzip */
    size_t n;
    bool is_fixed; /* its name changes with its content */
};
extern const struct static_file static_files[];

#endif
