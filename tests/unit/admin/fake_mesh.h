/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_FAKE_MESH_H
#define COVEY_TESTS_FAKE_MESH_H

#include "node/admin/cluster_text.h"
#include "node/admin/command.h"
#include "tests/unit/admin/one_node.h"

#include <stdlib.h>

/* ---- a mesh that does as it is told ----------------------------------------------------------------
 *
 * These stand in for those of node/mesh, which is not linked: the cluster thread is, too, but is not started.
 */

static struct fake {
    struct mesh_info info;
    struct mesh_peer_info peers[4];
    bool is_closed; /* the cluster thread has ended */
    uint32_t asked;
    struct node_id forgotten;
    enum err forget_result;
    struct net_addr joined;
    uint32_t drain_rate;
    bool has_left;
} fake;

void mesh_info(struct mesh *m, struct mesh_info *out)
{
    (void)m;
    *out = fake.info;
    out->peers = malloc(sizeof fake.peers);
    assert_non_null(out->peers);
    memcpy(out->peers, fake.peers, sizeof fake.peers);
}

enum err mesh_forget(struct mesh *m, const struct node_id *id)
{
    (void)m;
    fake.forgotten = *id;
    return fake.forget_result;
}

void mesh_join(struct mesh *m, const struct net_addr *seed)
{
    (void)m;
    fake.joined = *seed;
}

void mesh_leave(struct mesh *m)
{
    (void)m;
    fake.has_left = true;
}

void mesh_drain(struct mesh *m, uint32_t clients_per_s)
{
    (void)m;
    fake.drain_rate = clients_per_s;
    fake.info.is_draining = clients_per_s > 0;
}

/* No test of commands calls another node. */
void mesh_admin_hook(struct mesh *m, void (*fn)(void *ctx, const char *from, const struct rpc_admin *a),
                     void *ctx)
{
    (void)m;
    (void)fn;
    (void)ctx;
}

bool mesh_admin_send(struct mesh *m, const char *node, const struct rpc_admin *a)
{
    (void)m;
    (void)node;
    (void)a;
    return false;
}

uint64_t mesh_counter(const struct mesh *m, enum mesh_counter c)
{
    (void)m;
    return (uint64_t)c;
}

const char *mesh_counter_name(enum mesh_counter c)
{
    (void)c;
    return "cluster.counter";
}

/* Of cluster/io, for the same reason. */
void cluster_io_post_bag(struct cluster_io *c, struct mailbag *bag)
{
    (void)c;
    (void)bag;
    fail();
}

const char *cluster_fault_name(enum cluster_fault f)
{
    (void)f;
    return "fault";
}

static enum err fake_ask(void *ctx, void (*fn)(struct mesh *m, void *arg), void *arg)
{
    assert_ptr_equal(ctx, &fake);
    if (fake.is_closed)
        return ERR_CLOSED;
    fake.asked++;
    fn(NULL, arg);
    return OK;
}

static void fake_io_stats(void *ctx, struct cluster_io_stats *out)
{
    (void)ctx;
    *out = (struct cluster_io_stats){0};
}

static const struct cluster_view_ops view = {fake_ask, fake_io_stats, &fake};

#endif
