/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_CLUSTER_TEXT_H
#define COVEY_ADMIN_CLUSTER_TEXT_H

/* What a node believes about its cluster, as text for people and as JSON for programs. */

#include "node/admin/text.h"
#include "node/mesh/mesh.h"

struct cluster_report {
    const char *node;             /* name of this one */
    const char *cluster;          /* its name */
    const struct mesh_info *info; /* NULL: the node is alone */
    uint64_t mono_ms;             /* now, on both clocks */
    uint64_t wall_ms;
};

/* The first line is EMQX's; then what concerns all, a table with a line for each other node, and below each
 * line how the node came to be what it is. Words of other nodes are escaped. */
void cluster_text_put(struct text *out, const struct cluster_report *r);
/* One object on one line: EMQX's members, and ours. */
void cluster_json_put(struct text *out, const struct cluster_report *r);

#endif
