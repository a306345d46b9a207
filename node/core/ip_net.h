/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_IP_NET_H
#define COVEY_CORE_IP_NET_H

/* Addresses and networks as text. IPv4 is kept as ::ffff:a.b.c.d, so that a client is the same whichever kind
 * of socket it came by. */

#include "proto/base/bytes.h"

enum { IP_TEXT_N = 56 /* "address/128" and the end */ };

struct ip_net {
    uint8_t ip[16];
    uint8_t bits; /* 0..128, of all 16 bytes */
};

/* "10.0.0.1", "fe80::1". */
bool ip_parse(uint8_t out[16], struct bytes text);
/* "10.0.0.0/8", "fe80::/10"; an address alone is a network of one. Bits behind the prefix are cleared. */
bool ip_net_parse(struct ip_net *out, struct bytes text);
bool ip_net_has(const struct ip_net *net, const uint8_t ip[16]);
/* The one way in which it is written. Returns out. */
const char *ip_text(char out[IP_TEXT_N], const uint8_t ip[16]);
const char *ip_net_text(char out[IP_TEXT_N], const struct ip_net *net);

#endif
