/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/config_number.h"
#include "node/app/config_value.h"

#include <arpa/inet.h>
#include <string.h>

/* Only addresses are taken, no names to resolve: what a listener binds to must not depend on a name server.
 * "localhost" is the one name with a fixed meaning. */
static bool host_parse(struct config_addr *out, const char *host, uint16_t port)
{
    memset(out, 0, sizeof *out);
    if (*host == 0 || strcmp(host, "*") == 0)
        host = "0.0.0.0";
    else if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &out->u.in.sin_addr) == 1) {
        out->u.in.sin_family = AF_INET;
        out->u.in.sin_port = htons(port);
        out->len = sizeof out->u.in;
        return true;
    }
    if (inet_pton(AF_INET6, host, &out->u.in6.sin6_addr) == 1) {
        out->u.in6.sin6_family = AF_INET6;
        out->u.in6.sin6_port = htons(port);
        out->len = sizeof out->u.in6;
        return true;
    }
    return false;
}

bool config_addr_parse(struct config_addr *out, const char *text)
{
    char host[INET6_ADDRSTRLEN] = "";
    const char *start = text;
    const char *colon = strrchr(text, ':');
    const char *port_text = colon ? colon + 1 : text;
    size_t host_n = colon ? (size_t)(colon - text) : 0;
    bool has_brackets = host_n >= 2 && text[0] == '[' && text[host_n - 1] == ']';
    uint64_t port;

    if (has_brackets) {
        start++;
        host_n -= 2;
    }
    if (host_n >= sizeof host || !config_number_int(port_text, &port) || port == 0 || port > UINT16_MAX)
        return false;
    memcpy(host, start, host_n);
    /* Without brackets "::1:1883" could be read in two ways; with them only IPv6 makes sense. */
    if ((strchr(host, ':') != NULL) != has_brackets)
        return false;
    return host_parse(out, host, (uint16_t)port);
}

const char *config_addr_text(const struct config_addr *addr, struct config_arena *arena)
{
    char host[INET6_ADDRSTRLEN] = "";
    if (addr->u.sa.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &addr->u.in6.sin6_addr, host, sizeof host);
        return config_arena_printf(arena, "[%s]:%u", host, (unsigned)config_addr_port(addr));
    }
    inet_ntop(AF_INET, &addr->u.in.sin_addr, host, sizeof host);
    return config_arena_printf(arena, "%s:%u", host, (unsigned)config_addr_port(addr));
}

uint16_t config_addr_port(const struct config_addr *addr)
{
    return ntohs(addr->u.sa.sa_family == AF_INET6 ? addr->u.in6.sin6_port : addr->u.in.sin_port);
}

bool config_addr_is_loopback(const struct config_addr *addr)
{
    const struct in6_addr *six = &addr->u.in6.sin6_addr;
    if (addr->u.sa.sa_family == AF_INET)
        return ntohl(addr->u.in.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

static bool is_any(const struct config_addr *a)
{
    if (a->u.sa.sa_family == AF_INET)
        return a->u.in.sin_addr.s_addr == htonl(INADDR_ANY);
    return IN6_IS_ADDR_UNSPECIFIED(&a->u.in6.sin6_addr);
}

bool config_addr_collides(const struct config_addr *a, const struct config_addr *b)
{
    if (config_addr_port(a) != config_addr_port(b))
        return false;
    if (a->u.sa.sa_family != b->u.sa.sa_family) {
        /* [::] takes IPv4 too; 0.0.0.0 takes no IPv6. */
        const struct config_addr *six = a->u.sa.sa_family == AF_INET6 ? a : b;
        return is_any(six);
    }
    if (is_any(a) || is_any(b))
        return true;
    if (a->u.sa.sa_family == AF_INET)
        return a->u.in.sin_addr.s_addr == b->u.in.sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr);
}
