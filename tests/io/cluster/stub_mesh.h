/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_STUB_MESH_H
#define COVEY_TESTS_STUB_MESH_H

/* A mesh that knows nothing about clusters: it dials what it is told, sends patterns of bytes, checks that
 * patterns come in order or sends everything back. Only used on the cluster thread: through cluster_io_ask().
 */

#include "node/mesh/mesh.h"
#include "proto/base/list.h"

enum { STUB_DIALS_MAX = 16, STUB_SEEDS_MAX = 32, STUB_BAGS_MAX = 16 };

/* A wire's other half. */
struct peer {
    struct list link;
    struct wire *wire;
    uint8_t *out; /* to be echoed, or text */
    uint32_t out_n, out_cap;
    uint64_t pattern_left, pattern_at; /* to be sent */
    uint64_t received, bad;            /* bytes that were not what the pattern says */
    bool is_dirty;
    char last[64]; /* the last bytes received, as text */
};

struct mesh {
    struct mesh_conf conf;
    struct list peers;
    uint32_t peers_n, wires_ever;
    bool is_echo; /* otherwise what comes is checked */
    struct net_addr dials[STUB_DIALS_MAX];
    uint32_t dials_n, dials_failed;
    struct net_addr seeds[STUB_SEEDS_MAX];
    uint32_t seeds_n, seeds_told;
    struct member_datagram datagram; /* to be sent so often */
    uint32_t datagrams_out, datagrams_in;
    struct net_addr datagram_from;
    char datagram_last[64];
    struct mailbag *bags[STUB_BAGS_MAX]; /* to go back to the shard that they came from */
    uint32_t bags_n;
    uint32_t ticks, leave_ticks;
    bool is_leaving;
    const char *bye; /* sent on every wire when leaving */
};

uint8_t stub_byte(uint64_t at);
void stub_dial(struct mesh *m, const struct net_addr *to);
/* On every wire. */
void stub_send_pattern(struct mesh *m, uint64_t n);
void stub_send_text(struct mesh *m, const char *text);
void stub_close_all(struct mesh *m);
/* Of all wires: bytes that wait to be sent. */
uint64_t stub_waiting(const struct mesh *m);

#endif
