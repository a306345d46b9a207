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

/* Additions of version 2: type, two bytes of length, value. */
enum {
    TLV_HEAD = 3,
    TLV_CRC32C = 0x03,
    TLV_SSL = 0x20,
    TLV_SSL_CN = 0x22,
    SSL_HEAD = 5, /* what the client did, what verifying it came to */
    CLIENT_SSL = 0x01,
    CLIENT_CERT = 0x02 | 0x04, /* in this connection, or in its TLS session */
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

/* Castagnoli's polynomial, as RFC 3309 has it; bit by bit, since headers are few and short. */
static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return crc;
}

/* The next addition of *rest, which moves on behind it. False: it does not fit in. */
static bool tlv_take(struct bytes *rest, uint8_t *type, struct bytes *value)
{
    if (rest->n < TLV_HEAD || rest->n - TLV_HEAD < u16(rest->p + 1))
        return false;
    *type = rest->p[0];
    *value = bytes_of(rest->p + TLV_HEAD, u16(rest->p + 1));
    *rest = bytes_of(value->p + value->n, rest->n - TLV_HEAD - value->n);
    return true;
}

/* Over the whole header, with the checksum itself as four zeros. */
static bool checksum_is_right(struct bytes header, struct bytes sum)
{
    static const uint8_t zeros[4];
    const uint8_t *behind = sum.p + sizeof zeros;
    uint32_t crc = crc32c(UINT32_MAX, header.p, (size_t)(sum.p - header.p));
    crc = crc32c(crc, zeros, sizeof zeros);
    crc = crc32c(crc, behind, (size_t)(header.p + header.n - behind));
    return be32_get(sum.p) == (crc ^ UINT32_MAX);
}

static bool ssl_read(struct bytes value, struct proxy_header *out)
{
    struct bytes part;
    uint8_t type;
    if (value.n < SSL_HEAD)
        return false;
    bool is_verified = (value.p[0] & CLIENT_SSL) && (value.p[0] & CLIENT_CERT) && be32_get(value.p + 1) == 0;
    for (struct bytes rest = bytes_of(value.p + SSL_HEAD, value.n - SSL_HEAD); rest.n;) {
        if (!tlv_take(&rest, &type, &part))
            return false;
        if (type == TLV_SSL_CN && is_verified)
            out->cert_name = part;
    }
    return true;
}

static enum proxy_result v2_additions(struct bytes header, struct bytes rest, struct proxy_header *out)
{
    struct bytes value, sum = {0};
    uint8_t type;
    while (rest.n) {
        if (!tlv_take(&rest, &type, &value))
            return PROXY_BAD;
        if (type == TLV_CRC32C && (sum.p || value.n != 4))
            return PROXY_BAD;
        if (type == TLV_CRC32C)
            sum = value;
        else if (type == TLV_SSL && !ssl_read(value, out))
            return PROXY_BAD;
    }
    return !sum.p || checksum_is_right(header, sum) ? PROXY_DONE : PROXY_CHECKSUM;
}

static size_t addresses_size(uint8_t family)
{
    static const uint8_t sizes[] = {[FAMILY_INET] = 12, [FAMILY_INET6] = 36, [FAMILY_UNIX] = 216};
    return sizes[family];
}

static enum proxy_result v2_read(struct bytes header, uint8_t family, uint8_t protocol,
                                 struct proxy_header *out)
{
    const uint8_t *p = header.p + V2_FIXED;
    size_t n = addresses_size(family);
    bool is_ip = family == FAMILY_INET || family == FAMILY_INET6;
    if (header.n - V2_FIXED < n || (is_ip && protocol != STREAM))
        return PROXY_BAD;
    if (is_ip) {
        int af = family == FAMILY_INET ? AF_INET : AF_INET6;
        out->has_source = inet_ntop(af, p, out->address, sizeof out->address) != NULL;
        out->port = u16(p + n - 4);
    }
    return v2_additions(header, bytes_of(p + n, header.n - V2_FIXED - n), out);
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
    /* What else these bring is to be passed over, and where it would begin is not known. */
    if (p[12] == V2_LOCAL || family == FAMILY_UNSPEC)
        return PROXY_DONE;
    return v2_read(bytes_of(p, out->size), family, protocol, out);
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
