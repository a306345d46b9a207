/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/proxy_header.h"

#include <arpa/inet.h>
#include <string.h>

enum {
    V1_MAX = 107,
    V2_FIXED = 16,
    V2_LOCAL = 0x20,
    V2_PROXY = 0x21,
    FAMILY_UNSPEC = 0,
    FAMILY_INET = 1,
    FAMILY_INET6 = 2,
    FAMILY_UNIX = 3,
    STREAM = 1,
};

static const uint8_t v2_signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                         0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static bool begins(const uint8_t *p, size_t n, const void *with, size_t with_n)
{
    return memcmp(p, with, n < with_n ? n : with_n) == 0;
}

/* ---- version 1 ------------------------------------------------------------------------------------ */

/* A word up to the next space, without it; NULL: there is none, or it is longer than the buffer. */
static const char *word_take(char *out, size_t cap, const char *at, const char *end)
{
    const char *stop = memchr(at, ' ', (size_t)(end - at));
    size_t n = (size_t)((stop ? stop : end) - at);
    if (!n || n >= cap)
        return NULL;
    memcpy(out, at, n);
    out[n] = 0;
    return stop ? stop + 1 : end;
}

static bool port_read(const char *text, uint16_t *port)
{
    uint32_t v = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || (v == 0 && p > text))
            return false;
        v = v * 10 + (uint32_t)(*p - '0');
        if (v > 65535)
            return false;
    }
    *port = (uint16_t)v;
    return *text != 0;
}

/* "TCP4 SOURCE DESTINATION PORT PORT"; both addresses are of that family. */
static bool v1_read(const char *at, const char *end, struct proxy_header *out)
{
    char family[8], destination[46], source_port[6], destination_port[6];
    uint8_t ip[16];
    uint16_t ignored;
    at = word_take(family, sizeof family, at, end);
    if (!at)
        return false;
    if (strcmp(family, "UNKNOWN") == 0)
        return true; /* whatever follows */
    int af = strcmp(family, "TCP4") == 0 ? AF_INET : strcmp(family, "TCP6") == 0 ? AF_INET6 : -1;
    if (af < 0 || end[-1] == ' ' || !(at = word_take(out->address, sizeof out->address, at, end)) ||
        !(at = word_take(destination, sizeof destination, at, end)) ||
        !(at = word_take(source_port, sizeof source_port, at, end)) ||
        !(at = word_take(destination_port, sizeof destination_port, at, end)) || at != end)
        return false;
    out->has_source = true;
    return inet_pton(af, destination, ip) == 1 && inet_pton(af, out->address, ip) == 1 &&
           port_read(source_port, &out->port) && port_read(destination_port, &ignored) &&
           inet_ntop(af, ip, out->address, sizeof out->address);
}

static enum proxy_result v1_parse(const uint8_t *p, size_t n, struct proxy_header *out)
{
    const uint8_t *end = memchr(p, '\n', n < V1_MAX ? n : V1_MAX);
    if (!end)
        return n < V1_MAX ? PROXY_MORE : PROXY_BAD;
    out->size = (size_t)(end - p) + 1;
    if (end[-1] != '\r' || !v1_read((const char *)p + 6, (const char *)end - 1, out))
        return PROXY_BAD;
    return PROXY_DONE;
}

/* ---- version 2 ------------------------------------------------------------------------------------ */

static uint16_t u16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static enum proxy_result v2_source(const uint8_t *p, size_t n, uint8_t family, struct proxy_header *out)
{
    bool is_v4 = family == FAMILY_INET;
    size_t address_n = is_v4 ? 4 : 16;
    if (n < 2 * address_n + 4)
        return PROXY_BAD;
    out->has_source = inet_ntop(is_v4 ? AF_INET : AF_INET6, p, out->address, sizeof out->address) != NULL;
    out->port = u16(p + 2 * address_n);
    return PROXY_DONE;
}

static enum proxy_result v2_parse(const uint8_t *p, size_t n, struct proxy_header *out)
{
    if (n < V2_FIXED)
        return PROXY_MORE;
    size_t rest = u16(p + 14);
    uint8_t family = p[13] >> 4, protocol = p[13] & 15;
    out->size = V2_FIXED + rest;
    if ((p[12] != V2_LOCAL && p[12] != V2_PROXY) || out->size > PROXY_HEADER_MAX || family > FAMILY_UNIX ||
        protocol > 2)
        return PROXY_BAD;
    if (n < out->size)
        return PROXY_MORE;
    if (p[12] == V2_LOCAL || family == FAMILY_UNSPEC || family == FAMILY_UNIX)
        return PROXY_DONE;
    return protocol == STREAM ? v2_source(p + V2_FIXED, rest, family, out) : PROXY_BAD;
}

enum proxy_result proxy_header_parse(const uint8_t *p, size_t n, struct proxy_header *out)
{
    *out = (struct proxy_header){0};
    if (begins(p, n, "PROXY ", 6))
        return n < 6 ? PROXY_MORE : v1_parse(p, n, out);
    if (begins(p, n, v2_signature, sizeof v2_signature))
        return v2_parse(p, n, out);
    return PROXY_BAD;
}
