/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rpc/frame.h"
#include "proto/rpc/net_addr.h"
#include "proto/rpc/node_id.h"

#include <stdio.h>

/* ---- node ids ------------------------------------------------------------------------------------- */

const char *node_id_text(char out[NODE_ID_TEXT_N], const struct node_id *id)
{
    static const char digits[] = "0123456789abcdef";
    for (unsigned i = 0; i < NODE_ID_N; i++) {
        out[2 * i] = digits[id->b[i] >> 4];
        out[2 * i + 1] = digits[id->b[i] & 15];
    }
    out[2 * NODE_ID_N] = 0;
    return out;
}

static int digit_of(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool node_id_parse(struct node_id *out, struct bytes text)
{
    struct node_id id;
    if (text.n != 2 * NODE_ID_N)
        return false;
    for (unsigned i = 0; i < NODE_ID_N; i++) {
        int high = digit_of(text.p[2 * i]), low = digit_of(text.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        id.b[i] = (uint8_t)(high << 4 | low);
    }
    *out = id;
    return true;
}

/* ---- addresses ------------------------------------------------------------------------------------ */

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};

bool net_addr_is_v4(const struct net_addr *a)
{
    return memcmp(a->ip, v4_prefix, sizeof v4_prefix) == 0;
}

bool net_addr_is_any(const struct net_addr *a)
{
    static const uint8_t zero[16];
    const uint8_t *rest = net_addr_is_v4(a) ? a->ip + 12 : a->ip;
    return memcmp(rest, zero, (size_t)(a->ip + 16 - rest)) == 0;
}

bool net_addr_is_loopback(const struct net_addr *a)
{
    static const uint8_t v6[16] = {[15] = 1};
    return net_addr_is_v4(a) ? a->ip[12] == 127 : memcmp(a->ip, v6, sizeof v6) == 0;
}

const char *net_addr_text(char out[NET_ADDR_TEXT_N], const struct net_addr *a)
{
    const uint8_t *p = a->ip;
    if (net_addr_is_v4(a)) {
        snprintf(out, NET_ADDR_TEXT_N, "%u.%u.%u.%u:%u", p[12], p[13], p[14], p[15], a->port);
        return out;
    }
    size_t n = 0;
    out[n++] = '[';
    for (unsigned i = 0; i < 8; i++)
        n += (size_t)snprintf(out + n, NET_ADDR_TEXT_N - n, i ? ":%x" : "%x", be16_get(p + 2 * i));
    snprintf(out + n, NET_ADDR_TEXT_N - n, "]:%u", a->port);
    return out;
}

uint8_t *net_addr_put(uint8_t *p, const struct net_addr *a)
{
    return be16_put(bytes_put(p, bytes_of(a->ip, sizeof a->ip)), a->port);
}

bool net_addr_read(struct net_addr *out, struct bytes b)
{
    if (b.n != NET_ADDR_N)
        return false;
    memcpy(out->ip, b.p, sizeof out->ip);
    out->port = be16_get(b.p + 16);
    return true;
}

/* ---- opcodes -------------------------------------------------------------------------------------- */

const char *rpc_op_name(unsigned op)
{
    switch ((enum rpc_op)op) {
#define X(name, number) \
    case RPC_##name:    \
        return #name;
        RPC_OPS(X)
#undef X
    }
    return NULL;
}
