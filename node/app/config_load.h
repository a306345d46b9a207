/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CONFIG_LOAD_H
#define COVEY_APP_CONFIG_LOAD_H

/* Makes a configuration from the defaults, a file and the environment, in this order. */

#include "node/app/config.h"
#include "node/app/config_keys.h"
#include "node/app/config_report.h"

/* Whether files that the configuration names (certificates) are looked at: a node that starts needs them, a
 * command that only wants to know the control socket may lack the right to read them. Who looks for a node
 * that runs goes on in spite of errors, which may have come into the file since it was started. */
enum config_files { CONFIG_FILES_CHECKED, CONFIG_FILES_IGNORED, CONFIG_ERRORS_IGNORED };

/* A value that counts over file and environment. */
struct config_pin {
    const char *path; /* of a key; its listener is made when it is not there */
    const char *text;
};

struct config_source {
    const char *file; /* read unless text is given; NULL: no file */
    const char *text; /* the content to use under the name of file; NULL: read the file */
    size_t text_n;
    const char *const *env; /* as environ; NULL: none. Also where HOME and XDG_DATA_HOME are looked up */
    bool is_root;           /* of the user who runs the node */
    enum config_files files;
    const struct config_pin *pins;
    size_t pins_n;
};

enum { CONFIG_FILE_BYTES_MAX = 1 << 20 };

/* The whole file, from malloc(), a NUL behind it; NULL, reported, when it cannot be read or is too large. */
char *config_file_read(const char *file, size_t *n, struct config_report *report);

/* The configuration, the caller's, ended by config_free(); NULL when the report has errors that are not to be
 * ignored. With warnings only, the configuration is good. Touches nothing but the files that it reads. */
struct config *config_load(const struct config_source *source, struct config_report *report);
void config_free(struct config *conf); /* NULL is fine */

/* Where a value came from. */
enum config_origin { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENV };

/* One effective value. Keys of listeners have one for each listener. */
struct config_item {
    const struct config_key *key;
    const char *path;  /* "listeners.tcp.default.bind" */
    const char *given; /* as written, or the key's default; NULL: the key has none here and none was given */
    const char *text;  /* what is in force */
    enum config_origin origin;
    const char *where; /* "default", "/etc/covey/covey.yaml:12", "COVEY_NODE__NAME" */
    bool is_auto;      /* text was worked out */
    size_t listener;   /* place in conf->listeners, or SIZE_MAX */
};

/* NULL when there is no such key. Items stand in the order of the key table, listeners
 * one by one behind the rest. */
const struct config_item *config_item_find(const struct config *conf, const char *path);

/* Calls fn for each item that differs between two configurations; either may be NULL for "not there". */
void config_diff(const struct config *before, const struct config *after,
                 void (*fn)(void *ctx, const struct config_item *before, const struct config_item *after),
                 void *ctx);

#endif
