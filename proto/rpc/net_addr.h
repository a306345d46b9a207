/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_RPC_NET_ADDR_H
#define COVEY_RPC_NET_ADDR_H

/* An IP address and a port, as nodes tell them to each other. IPv4 is kept as ::ffff:a.b.c.d. */

#include "proto/base/bytes.h"

enum { NET_ADDR_N = 18 /* 16 of address, 2 of port */, NET_ADDR_TEXT_N = 56 };

struct net_addr {
    uint8_t ip[16];
    uint16_t port; /* 0: no address */
};

static inline bool net_addr_eq(const struct net_addr *a, const struct net_addr *b)
{
    return a->port == b->port && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}
static inline struct net_addr net_addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    return (struct net_addr){.ip = {[10] = 0xff, [11] = 0xff, [12] = a, [13] = b, [14] = c, [15] = d},
                             .port = port};
}
bool net_addr_is_v4(const struct net_addr *a);
bool net_addr_is_any(const struct net_addr *a); /* 0.0.0.0 or :: */
bool net_addr_is_loopback(const struct net_addr *a);
/* "127.0.0.1:7946", "[::1]:7946". Returns out. */
const char *net_addr_text(char out[NET_ADDR_TEXT_N], const struct net_addr *a);
/* NET_ADDR_N bytes. Returns the place behind them. */
uint8_t *net_addr_put(uint8_t *p, const struct net_addr *a);
/* False: not NET_ADDR_N bytes. */
bool net_addr_read(struct net_addr *out, struct bytes b);

#endif
