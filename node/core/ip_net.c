/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/ip_net.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { V4_AT = 12, V4_BITS_AT = 96 };

static const uint8_t v4_prefix[V4_AT] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const uint8_t ip[16])
{
    return memcmp(ip, v4_prefix, sizeof v4_prefix) == 0;
}

bool ip_parse(uint8_t out[16], struct bytes text)
{
    char buf[INET6_ADDRSTRLEN];
    if (text.n >= sizeof buf || (text.n && memchr(text.p, 0, text.n)))
        return false;
    bytes_put((uint8_t *)buf, text);
    buf[text.n] = 0;
    memcpy(out, v4_prefix, sizeof v4_prefix);
    return inet_pton(AF_INET, buf, out + V4_AT) == 1 || inet_pton(AF_INET6, buf, out) == 1;
}

/* A decimal number up to max and nothing else. */
static bool bits_parse(unsigned *out, struct bytes text, unsigned max)
{
    *out = 0;
    for (uint32_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        *out = *out * 10 + (unsigned)(text.p[i] - '0');
        if (*out > max)
            return false;
    }
    return text.n > 0;
}

bool ip_net_parse(struct ip_net *out, struct bytes text)
{
    unsigned bits = 128;
    const uint8_t *slash = text.n ? memchr(text.p, '/', text.n) : NULL;
    struct bytes address = slash ? bytes_of(text.p, (size_t)(slash - text.p)) : text;
    if (!ip_parse(out->ip, address))
        return false;
    if (slash) {
        bool v4 = is_v4(out->ip) && !memchr(address.p, ':', address.n);
        struct bytes rest = bytes_of(slash + 1, text.n - address.n - 1);
        if (!bits_parse(&bits, rest, v4 ? 32 : 128))
            return false;
        bits += v4 ? V4_BITS_AT : 0;
    }
    for (unsigned i = bits; i < 128; i++)
        out->ip[i / 8] &= (uint8_t) ~(0x80u >> (i % 8));
    out->bits = (uint8_t)bits;
    return true;
}

bool ip_net_has(const struct ip_net *net, const uint8_t ip[16])
{
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    if (memcmp(net->ip, ip, whole) != 0)
        return false;
    return rest == 0 || ((net->ip[whole] ^ ip[whole]) >> (8 - rest)) == 0;
}

const char *ip_text(char out[IP_TEXT_N], const uint8_t ip[16])
{
    if (is_v4(ip))
        inet_ntop(AF_INET, ip + V4_AT, out, IP_TEXT_N);
    else
        inet_ntop(AF_INET6, ip, out, IP_TEXT_N);
    return out;
}

const char *ip_net_text(char out[IP_TEXT_N], const struct ip_net *net)
{
    bool v4 = is_v4(net->ip) && net->bits >= V4_BITS_AT;
    ip_text(out, net->ip);
    size_t n = strlen(out);
    snprintf(out + n, IP_TEXT_N - n, "/%u", v4 ? net->bits - V4_BITS_AT : net->bits);
    return out;
}
