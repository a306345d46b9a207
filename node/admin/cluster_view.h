/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_CLUSTER_VIEW_H
#define COVEY_ADMIN_CLUSTER_VIEW_H

/* How the admin thread looks at the cluster: through two functions, so that it can be tried without one. */

#include "cluster/io/cluster_io.h"

struct cluster_view_ops {
    /* Runs fn(mesh, arg) on the cluster thread and returns when it has; fn copies what it needs and no more.
     * ERR_CLOSED: the thread does not run, fn was not called. */
    enum err (*ask)(void *ctx, void (*fn)(struct mesh *m, void *arg), void *arg);
    void (*io_stats)(void *ctx, struct cluster_io_stats *out);
    void *ctx;
};

/* What the cluster thread knows; out->peers is the caller's to free, also after false: v is NULL, or the
 * thread does not run. */
bool cluster_view_info(const struct cluster_view_ops *v, struct mesh_info *out);

#endif
