/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_RPC_GOSSIP_H
#define COVEY_RPC_GOSSIP_H

/* The datagrams of the membership protocol (gossip.proto) as plain structs. */

#include "proto/rpc/messages.h"

enum gossip_kind {
    GOSSIP_PING,
    GOSSIP_PING_REQ,
    GOSSIP_ACK,
    GOSSIP_NACK,
    GOSSIP_ONLY,
    GOSSIP_STATE,
    GOSSIP_KINDS
};
enum gossip_state {
    GOSSIP_ALIVE,
    GOSSIP_SUSPECT,
    GOSSIP_DEAD,
    GOSSIP_LEFT,
    GOSSIP_FORGOTTEN,
    GOSSIP_STATES,
};

enum { GOSSIP_NAME_MAX = 127, GOSSIP_RECORDS_MAX = 256 };

struct gossip_record {
    struct node_id id;
    struct node_id source; /* zero: not said */
    uint64_t epoch;
    uint32_t incarnation;
    enum gossip_state state;
    struct net_addr address;
    struct bytes name;
    bool is_draining;
};

struct gossip {
    uint64_t cluster;
    enum gossip_kind kind;
    uint32_t seq;
    struct node_id from;
    struct node_id target; /* zero: none */
    struct net_addr target_address;
    struct gossip_record *records;
    uint32_t n;
};

/* Appends to b. A datagram's size is what gossip_size() says for it without records and the sum of
 * gossip_record_size(). */
void gossip_put(struct rpc_buf *b, const struct gossip *g);
uint32_t gossip_record_size(const struct gossip_record *r);
enum { GOSSIP_HEAD_MAX = 80 };
/* False: malformed, or a value out of its bounds. */
bool gossip_read(struct gossip *g, struct bytes body, struct rpc_arena *a);

#endif
