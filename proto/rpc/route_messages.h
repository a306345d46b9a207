/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_RPC_ROUTE_MESSAGES_H
#define COVEY_RPC_ROUTE_MESSAGES_H

/* RouteDeltas, RouteSnapshot and their like of cluster.proto, coded by hand: a million routes are a million
 * of these. Readers give views into the body. */

#include "proto/base/bytes.h"

/* One change of a route, or one route of a page. Views. */
struct route_item {
    struct bytes filter;
    struct bytes group; /* n 0: not shared */
    uint32_t online;    /* of a shared route */
    bool is_gone;
};

/* The item as an element of the repeated field `field`. */
uint32_t route_item_size(const struct route_item *item);
uint8_t *route_item_put(uint8_t *p, unsigned field, const struct route_item *item);
enum { ROUTE_DELTAS_FIELD = 2, ROUTE_SNAPSHOT_FIELD = 4, ROUTE_HEAD_MAX = 32 };

/* What stands before the items; room for ROUTE_HEAD_MAX bytes. */
uint8_t *route_deltas_head_put(uint8_t *p, uint64_t first);
uint8_t *route_snapshot_head_put(uint8_t *p, uint64_t from_seq, uint32_t page, bool is_last);

/* A message's fields before its items, and the items one by one. false: malformed. */
struct route_reader {
    uint64_t first; /* of deltas; of a snapshot from_seq */
    uint32_t page;
    bool is_last;
    uint32_t items_n;
    uint8_t item_tag;
    struct cursor at;
};
/* Checks the whole body, so that route_next() cannot fail half way. */
bool route_deltas_read(struct route_reader *r, struct bytes body);
bool route_snapshot_read(struct route_reader *r, struct bytes body);
bool route_next(struct route_reader *r, struct route_item *item); /* false: that was all */

/* RouteAck, RouteWant (one number), RouteDigest. 32 bytes of room. */
uint32_t route_number_put(uint8_t *p, uint64_t n);
bool route_number_read(uint64_t *n, struct bytes body);
uint32_t route_digest_put(uint8_t *p, uint64_t seq, uint64_t sum, uint64_t count);
bool route_digest_read(struct bytes body, uint64_t *seq, uint64_t *sum, uint64_t *count);

#endif
