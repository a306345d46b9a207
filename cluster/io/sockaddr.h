/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_IO_SOCKADDR_H
#define COVEY_CLUSTER_IO_SOCKADDR_H

/* Addresses of the kernel and addresses as nodes tell them to each other. */

#include "proto/rpc/net_addr.h"

#include <sys/socket.h>

/* IPv4 becomes sockaddr_in; family AF_INET6 makes it a mapped address, for a socket of that family. */
socklen_t sockaddr_of(struct sockaddr_storage *out, const struct net_addr *a, int family);
/* False: neither IPv4 nor IPv6. */
bool sockaddr_read(struct net_addr *out, const void *sa);
/* "10.0.0.1:7946", "[::1]:7946", "10.0.0.1", "::1"; a missing port becomes port. False: no such address. */
bool net_addr_parse(struct net_addr *out, const char *text, uint16_t port);
/* The host part of "host:port" or "host". False: malformed. */
bool host_port_split(const char *text, uint16_t port_default, char *host, size_t host_room, uint16_t *port);

/* The address from which this machine sends to `to`; nothing is sent. False: there is no route. */
bool net_local_for(struct net_addr *out, const struct net_addr *to);
/* The first address of an interface that is up and not loopback. */
bool net_local_first(struct net_addr *out, int family);

#endif
