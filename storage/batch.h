/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_STORAGE_BATCH_H
#define COVEY_STORAGE_BATCH_H

/* A list of store operations in the order in which they shall happen, in one growing buffer. A worker fills
 * one, hands it to the store whole, and reuses it. Keys and values are copied in. */

#include "proto/base/bytes.h"

/* Each table is an ordered map from a key of 1..STORE_KEY_MAX bytes to a value of any size up to
 * STORE_VALUE_MAX, also empty. */
enum store_table {
    STORE_META,     /* node id, boot epoch, format version */
    STORE_SESSIONS, /* session records */
    STORE_SUBS,     /* subscriptions of persistent sessions */
    STORE_QUEUE,    /* chunks of queued messages */
    STORE_STATE,    /* acknowledged and released packets, incoming QoS 2 ids */
    STORE_RETAINED, /* retained messages in topic order */
    STORE_HANDOFF,  /* messages on their way from one worker's sessions to another's */
    STORE_TABLES,
};

enum { STORE_KEY_MAX = 500, STORE_VALUE_MAX = 1 << 30 };

struct store_batch {
    uint8_t *buf;
    size_t n;
    size_t cap;
    uint32_t ops;
};

void store_batch_init(struct store_batch *b);
void store_batch_fini(struct store_batch *b);
void store_batch_reset(struct store_batch *b); /* empty, keeps a moderate buffer */
static inline bool store_batch_is_empty(const struct store_batch *b)
{
    return b->ops == 0;
}

void store_batch_put(struct store_batch *b, enum store_table t, struct bytes key, struct bytes value);
/* As put, but answers where the value's value_n bytes are to be written before the next call on b. */
uint8_t *store_batch_reserve(struct store_batch *b, enum store_table t, struct bytes key, uint32_t value_n);
/* Deleting what is not there is no error. An empty prefix empties the table. */
void store_batch_del(struct store_batch *b, enum store_table t, struct bytes key);
void store_batch_del_prefix(struct store_batch *b, enum store_table t, struct bytes prefix);

enum store_op_kind { STORE_PUT, STORE_DEL, STORE_DEL_PREFIX };
struct store_op {
    enum store_op_kind kind;
    enum store_table table;
    struct bytes key;
    struct bytes value;
};
/* Walks the operations: start with *at = 0; false behind the last. Views are into b. */
bool store_batch_next(const struct store_batch *b, size_t *at, struct store_op *op);

#endif
