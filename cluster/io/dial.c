/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/conn.h"

void dial_run(struct cluster_io *c)
{
    struct net_addr to;

    /* Bounded: a mesh that offers the same address again after a failure does not hold up the turn. */
    for (uint32_t i = 0; i < MEMBERS_MAX && mesh_dial_take(c->mesh, &to); i++) {
        counter_add(&c->counters.dials, 1);
        if (c->is_closing || !cconn_dial(c, &to)) {
            counter_add(&c->counters.dials_failed, 1);
            mesh_on_dial_failed(c->mesh, &to);
        }
    }
}
