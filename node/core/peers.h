/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_PEERS_H
#define COVEY_CORE_PEERS_H

/* What the shards know of the other nodes of a cluster. Written by the cluster thread, read by all shards
 * without locks; each field is atomic by itself, and a shard that reads a state which has just passed does no
 * harm: what it sends to a peer that is gone comes back as undeliverable. */

#include "proto/base/bytes.h"
#include "proto/rpc/node_id.h"

enum { PEERS_MAX = 64 /* other nodes */, PEER_SLOTS = 64 /* sets of routes, see routes.h */ };

struct peers {
    uint64_t slots_live;           /* slots whose routes count */
    uint8_t slot_peer[PEER_SLOTS]; /* the number of the peer that a slot belongs to */
    uint64_t live;                 /* peers that are not dead */
    struct node_id ids[PEERS_MAX]; /* by number; set before the peer lives, for good */
    uint64_t congested;    /* peers whose link has half of its ring in use: no more QoS 1 and 2 is read */
    uint64_t full;         /* all of it: QoS 0 is dropped */
    uint64_t routes_acked; /* every reachable peer knows our route changes up to this number */
    uint32_t count;        /* peers that live */
    uint32_t is_draining;  /* clients are told to go to another node */
};

static inline uint64_t peers_get(const uint64_t *v)
{
    return __atomic_load_n(v, __ATOMIC_ACQUIRE);
}

/* The peers, a bit each, behind a set of slots. */
static inline uint64_t peers_of_slots(const struct peers *p, uint64_t slots)
{
    uint64_t out = 0;
    for (slots &= peers_get(&p->slots_live); slots; slots &= slots - 1) {
        unsigned slot = (unsigned)__builtin_ctzll(slots);
        out |= 1ull << __atomic_load_n(&p->slot_peer[slot], __ATOMIC_RELAXED);
    }
    return out;
}
/* The number of a peer that lives, or PEERS_MAX. */
static inline uint32_t peers_find(const struct peers *p, const struct node_id *id)
{
    for (uint64_t live = peers_get(&p->live); live; live &= live - 1) {
        uint32_t n = (uint32_t)__builtin_ctzll(live);
        if (node_id_eq(&p->ids[n], id))
            return n;
    }
    return PEERS_MAX;
}
static inline bool peers_any(const struct peers *p)
{
    return __atomic_load_n(&p->count, __ATOMIC_RELAXED) != 0;
}

#endif
