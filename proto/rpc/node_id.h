/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_RPC_NODE_ID_H
#define COVEY_RPC_NODE_ID_H

/* Who a node is: 128 random bits made once with its data directory. Name and address are attributes that may
 * change. One life of a node, from start to end, is its id and a boot epoch that grows with each start. */

#include "proto/base/bytes.h"

enum { NODE_ID_N = 16, NODE_ID_TEXT_N = 2 * NODE_ID_N + 1 };

struct node_id {
    uint8_t b[NODE_ID_N];
};

static inline bool node_id_eq(const struct node_id *a, const struct node_id *b)
{
    return memcmp(a->b, b->b, NODE_ID_N) == 0;
}
static inline int node_id_cmp(const struct node_id *a, const struct node_id *b)
{
    return memcmp(a->b, b->b, NODE_ID_N);
}
static inline bool node_id_is_zero(const struct node_id *a)
{
    static const struct node_id zero;
    return node_id_eq(a, &zero);
}
static inline struct bytes node_id_bytes(const struct node_id *a)
{
    return bytes_of(a->b, NODE_ID_N);
}
/* False: b is not NODE_ID_N bytes long. */
static inline bool node_id_read(struct node_id *out, struct bytes b)
{
    if (b.n != NODE_ID_N)
        return false;
    memcpy(out->b, b.p, NODE_ID_N);
    return true;
}
/* 32 hexadecimal digits. Returns out. */
const char *node_id_text(char out[NODE_ID_TEXT_N], const struct node_id *id);
/* The opposite; false: not 32 hexadecimal digits. */
bool node_id_parse(struct node_id *out, struct bytes text);

#endif
