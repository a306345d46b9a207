/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/sockaddr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

socklen_t sockaddr_of(struct sockaddr_storage *out, const struct net_addr *a, int family)
{
    memset(out, 0, sizeof *out);
    if (net_addr_is_v4(a) && family != AF_INET6) {
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->ip + 12, 4);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)out;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(a->port);
    memcpy(&in6->sin6_addr, a->ip, 16);
    return sizeof *in6;
}

bool sockaddr_read(struct net_addr *out, const void *sa)
{
    switch (((const struct sockaddr *)sa)->sa_family) {
    case AF_INET: {
        const struct sockaddr_in *in = sa;
        *out = net_addr_v4(0, 0, 0, 0, ntohs(in->sin_port));
        memcpy(out->ip + 12, &in->sin_addr, 4);
        return true;
    }
    case AF_INET6: {
        const struct sockaddr_in6 *in6 = sa;
        out->port = ntohs(in6->sin6_port);
        memcpy(out->ip, &in6->sin6_addr, 16);
        return true;
    }
    }
    return false;
}

/* ---- text ------------------------------------------------------------------------------------------ */

static bool port_parse(const char *text, uint16_t *port)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end || v == 0 || v > 65535)
        return false;
    *port = (uint16_t)v;
    return true;
}

bool host_port_split(const char *text, uint16_t port_default, char *host, size_t host_room, uint16_t *port)
{
    const char *colon = strchr(text, ':');
    const char *begin = text, *end = text + strlen(text);

    *port = port_default;
    if (text[0] == '[') {
        begin = text + 1;
        end = strchr(begin, ']');
        if (!end || (end[1] && (end[1] != ':' || !port_parse(end + 2, port))))
            return false;
    } else if (colon && !strchr(colon + 1, ':')) { /* more than one: an IPv6 address without port */
        end = colon;
        if (!port_parse(colon + 1, port))
            return false;
    }
    if (end == begin || (size_t)(end - begin) >= host_room || *port == 0)
        return false;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    return true;
}

bool net_addr_parse(struct net_addr *out, const char *text, uint16_t port)
{
    char host[INET6_ADDRSTRLEN];
    struct net_addr a = net_addr_v4(0, 0, 0, 0, 0);

    if (!host_port_split(text, port, host, sizeof host, &a.port))
        return false;
    if (inet_pton(AF_INET, host, a.ip + 12) != 1 && inet_pton(AF_INET6, host, a.ip) != 1)
        return false;
    *out = a;
    return true;
}

/* ---- our own addresses ----------------------------------------------------------------------------- */

bool net_local_for(struct net_addr *out, const struct net_addr *to)
{
    struct sockaddr_storage sa;
    socklen_t n = sockaddr_of(&sa, to, AF_UNSPEC);
    int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok;

    if (fd < 0)
        return false;
    ok = connect(fd, (struct sockaddr *)&sa, n) == 0;
    n = sizeof sa;
    ok = ok && getsockname(fd, (struct sockaddr *)&sa, &n) == 0 && sockaddr_read(out, &sa);
    close(fd);
    return ok;
}

bool net_local_first(struct net_addr *out, int family)
{
    struct ifaddrs *all;
    bool found = false;

    if (getifaddrs(&all) != 0)
        return false;
    for (struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != family || !(i->ifa_flags & IFF_UP) ||
            i->ifa_flags & IFF_LOOPBACK || !sockaddr_read(out, i->ifa_addr))
            continue;
        found = family != AF_INET6 || !(out->ip[0] == 0xfe && (out->ip[1] & 0xc0) == 0x80); /* link-local */
    }
    freeifaddrs(all);
    return found;
}
