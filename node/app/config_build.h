/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CONFIG_BUILD_H
#define COVEY_APP_CONFIG_BUILD_H

/* A configuration in the making: the steps of config_load(), one module each. */

#include "node/app/config_load.h"
#include "node/app/config_value.h"

enum { CONFIG_LISTENERS_MAX = 64 };

struct config_build {
    struct config *conf;
    const struct config_source *source;
    struct config_report *report;
    const char *file_dir; /* absolute folder that relative paths of the file are taken from */
    const char *work_dir; /* the same for those of the environment */
};

/* Step 1: every key has its default, the four default listeners are there. */
void config_build_init(struct config_build *b, const struct config_source *source,
                       struct config_report *report);

/* Sets a key that exists. A value that is not allowed, or one given twice in the file, is reported. */
void config_build_set(struct config_build *b, enum config_origin origin, const char *where, const char *path,
                      const char *text);
/* Makes the listener of a path at or under "listeners.<kind>.<name>" if it is not there; other paths are
 * left alone. False, reported, when there are too many. */
bool config_build_listener(struct config_build *b, const char *where, const char *path);
/* Reports a path that is neither a key nor a section. */
void config_build_unknown(struct config_build *b, enum config_origin origin, const char *where,
                          const char *path);

/* Step 2 and 3: the YAML file and the environment. */
void config_yaml_read(struct config_build *b, const char *text, size_t n);
void config_env_read(struct config_build *b);
/* Step 4: what is "auto" is worked out, and every item gets its text. */
void config_resolve(struct config_build *b);
/* Step 5: what no single value shows: files that are missing, listeners in each other's way. */
void config_check(struct config_build *b);

/* The cluster's part of steps 4 and 5. */
void config_cluster_resolve(struct config_build *b);
void config_cluster_check(struct config_build *b);

/* Reports what is wrong with the value of an item, where it was given. */
void config_build_note(struct config_build *b, enum config_severity severity, const struct config_item *item,
                       const char *message);
/* Reports a file that is named and cannot be read; "" is fine. */
void config_build_file_check(struct config_build *b, const struct config_item *item);

struct config_item *config_build_item(struct config_build *b, const char *path); /* NULL: none */
/* The item of the listener's key that ends with suffix: "bind", "ssl_options.certfile". It must exist. */
struct config_item *config_build_listener_item(struct config_build *b, size_t listener, const char *suffix);
/* What the offset of the item's key counts from. */
void *config_build_base(struct config_build *b, const struct config_item *item);

#endif
