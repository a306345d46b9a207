/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TEST_ADMIN_ONE_NODE_H
#define COVEY_TEST_ADMIN_ONE_NODE_H

/* A node in this process: a store in memory, no threads, no sockets. */

#include "node/core/node.h"
#include "node/core/session.h"
#include "proto/base/check.h"
#include "storage/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sodium.h>
#include <sys/uio.h>
#include <cmocka.h>

enum { WALL_MS = 1700000000 };

struct one_node {
    struct settings settings;
    struct store *store;
    struct node_conf conf;
    struct node *node;
};

static inline void one_node_init(struct one_node *n, uint32_t shards)
{
    assert_true(sodium_init() >= 0);
    *n = (struct one_node){
        .settings = {.listener = "tcp:default",
                     .anonymous_allowed = true,
                     .packet_size_max = 1 << 20,
                     .client_id_bytes_max = UINT16_MAX,
                     .topic_levels_max = 128,
                     .qos_max = 2,
                     .retain_available = true,
                     .wildcard_available = true,
                     .shared_available = true,
                     .idle_timeout_ms = 15000,
                     .inflight_max = 32,
                     .receive_max = 100,
                     .session_expiry_default_s = 7200,
                     .session_expiry_max_s = UINT32_MAX,
                     .keep_alive_percent = 150,
                     .outbuf_bytes_max = 1 << 20,
                     .response_info = ""},
        .store = store_new_mem(),
    };
    n->conf = (struct node_conf){.name = "covey@127.0.0.1",
                                 .version = "0.1.0",
                                 .shards = shards,
                                 .seed = 7,
                                 .boot_wall_ms = WALL_MS,
                                 .settings = &n->settings,
                                 .store = n->store};
    assert_int_equal(node_new(&n->node, &n->conf), OK);
    for (uint32_t i = 0; i < shards; i++)
        shard_set_time(node_shard(n->node, i), 1000, WALL_MS);
}

static inline void one_node_fini(struct one_node *n)
{
    node_free(n->node);
    store_close(n->store);
}

static inline struct session *session_make(struct one_node *n, uint32_t shard, const char *id)
{
    return session_new(node_shard(n->node, shard), bytes_str(id), 0);
}

static inline struct subscription *subscribe_make(struct session *s, const char *filter)
{
    struct topic_filter f;
    assert_int_equal(topic_filter_parse(bytes_str(filter), 0, &f), TOPIC_OK);
    return session_sub_add(s, &f);
}

/* A connection that has sent these bytes, all of them taken. */
static inline void conn_make(struct conn *c, struct one_node *n, uint32_t shard, const void *bytes,
                             size_t size)
{
    struct conn_peer peer = {"127.0.0.1", 4711};
    uint8_t *copy = malloc(size);
    CHECK(copy);
    memcpy(copy, bytes, size);
    conn_init(c, node_shard(n->node, shard), &n->settings, &peer);
    assert_int_equal(conn_feed(c, copy, size), size);
    free(copy);
}
#define CONN_MAKE(c, n, shard, literal) conn_make(c, n, shard, literal, sizeof(literal) - 1)

static inline void conn_drop(struct conn *c)
{
    conn_on_lost(c, CONN_END_LOST);
    conn_fini(c);
    while (shard_dirty_take(c->shard))
        ;
}

/* Takes what waits in the connection's buffer; returns its size, cut at `size`. */
static inline size_t conn_take(struct conn *c, uint8_t *out, size_t size)
{
    struct iovec v[16];
    size_t n = 0;
    int count;
    while ((count = outbuf_iov(&c->out, v, 16)) > 0) {
        size_t went = 0;
        for (int i = 0; i < count; i++) {
            size_t part = v[i].iov_len < size - n ? v[i].iov_len : size - n;
            memcpy(out + n, v[i].iov_base, part);
            n += part;
            went += v[i].iov_len;
        }
        outbuf_consume(&c->out, shard_outpool(c->shard), went);
    }
    return n;
}

#endif
