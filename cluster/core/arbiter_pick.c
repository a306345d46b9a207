/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/core/arbiter.h"

#include "proto/base/check.h"

#include <sodium.h>

/* Rendezvous hashing (Thaler, Ravishankar 1996): when a node comes or goes only its own share of the ids
 * moves. The key is the node's id, so the hash is the same wherever it is asked for. */
uint32_t arbiter_pick(const struct node_id *nodes, uint32_t n, struct bytes client_id)
{
    uint64_t best = 0;
    uint32_t at = 0;
    CHECK(n > 0);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t h[crypto_shorthash_BYTES];
        crypto_shorthash(h, client_id.p, client_id.n, nodes[i].b);
        uint64_t v = be64_get(h);
        if (i == 0 || v > best || (v == best && node_id_cmp(&nodes[i], &nodes[at]) > 0)) {
            best = v;
            at = i;
        }
    }
    return at;
}
