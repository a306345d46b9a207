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
    STORE_HANDOFF,  /* messages on their way from one worker's sessions to another's, or to another node's */
    STORE_PARCELS,  /* sessions of other nodes that were imported and may be handed over again */
    STORE_SEEN,     /* of those that came from other nodes, as long as they may come again */
    STORE_RETAINED_META, /* stamps of retained messages, see node/core/retained_meta.h */
    STORE_DELAYED,       /* messages to be published later, see node/core/delayed.h */
    STORE_BANS,          /* who may not come in, see node/core/bans.h */
    STORE_TABLES,
};

enum { STORE_KEY_MAX = 500, STORE_VALUE_MAX = 1 << 30, STORE_RANK_N = 16 };

struct store_batch {
    uint8_t *buf;
    size_t n;
    size_t cap;
    uint32_t ops;
    bool is_open; /* the last one is a condition, and that which it is about is still to come */
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

/* Conditions. Each decides about the one operation that is put next into the same batch, which is no
 * condition itself: it is carried out or skipped. They look at what the transaction has made of the table so
 * far.
 *
 * The first STORE_RANK_N bytes of the value rank it. When the table has the key with a value that ranks as
 * high or higher, that one stays and the next operation is skipped; else value is put and the next operation
 * carried out. A stored value that is damaged, or too short to have a rank, is lower than all. */
void store_batch_if_newer(struct store_batch *b, enum store_table t, struct bytes key, struct bytes value);
/* The next operation is skipped unless the key's value begins with `start`. */
void store_batch_if_starts(struct store_batch *b, enum store_table t, struct bytes key, struct bytes start);
/* Appends all of `from`. */
void store_batch_append(struct store_batch *b, const struct store_batch *from);

enum store_op_kind { STORE_PUT, STORE_DEL, STORE_DEL_PREFIX, STORE_IF_NEWER, STORE_IF_STARTS };
struct store_op {
    enum store_op_kind kind;
    enum store_table table;
    struct bytes key;
    struct bytes value;
};
/* Walks the operations: start with *at = 0; false behind the last. Views are into b. */
bool store_batch_next(const struct store_batch *b, size_t *at, struct store_op *op);

#endif
