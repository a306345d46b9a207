/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_APP_CONFIG_REPORT_H
#define COVEY_APP_CONFIG_REPORT_H

/* What is wrong with a configuration: all of it, each with its place, not just the first. Errors mean that
 * there is no configuration; warnings are about what is allowed and yet hardly meant. */

#include "node/app/config_arena.h"

#include <stdbool.h>
#include <stdio.h>

enum config_severity { CONFIG_ERROR, CONFIG_WARNING };

struct config_note {
    enum config_severity severity;
    const char *where;   /* "covey.yaml:12", "COVEY_NODE__NAME", or "" */
    const char *path;    /* the key or section, or "" */
    const char *message; /* one line; what came from outside is escaped */
};

enum { CONFIG_NOTES_MAX = 100 };

struct config_report {
    struct config_arena *arena;
    struct config_note notes[CONFIG_NOTES_MAX];
    size_t n;
    size_t errors;
};

void config_report_init(struct config_report *r);
void config_report_fini(struct config_report *r);

/* Notes beyond CONFIG_NOTES_MAX are not kept. where and path are copied. */
void config_report_add(struct config_report *r, enum config_severity severity, const char *where,
                       const char *path, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* True when reading on is of no use. */
bool config_report_is_full(const struct config_report *r);

/* One line a note: "covey.yaml:12: mqtt.max_inflght: unknown key; ...". Warnings say that they are. */
void config_report_print(const struct config_report *r, FILE *out);

#endif
