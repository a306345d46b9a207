/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/cluster_view.h"

static void info_call(struct mesh *m, void *arg)
{
    mesh_info(m, arg);
}

bool cluster_view_info(const struct cluster_view_ops *v, struct mesh_info *out)
{
    *out = (struct mesh_info){0};
    return v && v->ask(v->ctx, info_call, out) == OK;
}
