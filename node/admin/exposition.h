/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_EXPOSITION_H
#define COVEY_ADMIN_EXPOSITION_H

/* What Prometheus reads, in its text format 0.0.4. */

#include "node/admin/text.h"
#include "node/core/sys.h"

/* HELP and TYPE of a metric, before its first line. */
void exposition_head(struct text *out, const char *name, const char *type, const char *help);

/* A gauge without labels, whole. */
void exposition_gauge(struct text *out, const char *name, uint64_t value, const char *help);

/* What stands between the quotation marks of a label. */
void exposition_label(struct text *out, const char *value);

/* One metric of /metrics, and which of the figures that ctl and $SYS show it is made of. */
struct family {
    const char *figures; /* its name; with a '*' each that fits, which becomes the value of label */
    const char *name;  /* ends in _total: a counter, else a gauge; NULL: shown as the sum or part of others */
    const char *label; /* NULL where figures has no '*' */
    uint32_t divisor;  /* to get Prometheus' base units; 0: as it is */
    const char *help;
};
extern const struct family families[]; /* ends with one without figures; the first that fits counts */

/* The family of a figure, and in *label where its label's value begins and in *label_n how long it is. NULL:
 * it has none. */
const struct family *family_of(const char *figure, const char **label, size_t *label_n);

/* Those of v that have a family, family by family. */
void exposition_figures(struct text *out, const struct sys_figure *v, uint32_t n);

#endif
