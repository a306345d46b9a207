/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/access.h"

#include "node/core/ip_net.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <netinet/in.h>
#include <stdlib.h>

struct access_rule {
    bool is_allow;
    struct ip_net net; /* of no bits: all */
};

struct access {
    size_t n;
    bool otherwise; /* where none fits */
    struct access_rule rules[];
};

static bool net_read(const char *text, struct ip_net *out)
{
    *out = (struct ip_net){0};
    return strcmp(text, "all") == 0 || ip_net_parse(out, bytes_str(text));
}

static bool rule_read(const char *text, struct access_rule *out)
{
    size_t word = strcspn(text, " ");
    out->is_allow = word == 5 && memcmp(text, "allow", 5) == 0;
    if (!out->is_allow && (word != 4 || memcmp(text, "deny", 4) != 0))
        return false;
    return net_read(text + word + strspn(text + word, " "), &out->net);
}

const char *access_rule_judge(const char *rule)
{
    struct access_rule r;
    return rule_read(rule, &r)
               ? NULL
               : "must be allow or deny and all, an address or a network, such as \"allow 10.0.0.0/8\"";
}

const char *access_net_judge(const char *net)
{
    struct ip_net n;
    return net_read(net, &n) ? NULL : "must be all, an address or a network, such as 10.0.0.0/8";
}

static struct access *make(size_t n, bool otherwise)
{
    struct access *a = n ? mem_zalloc(sizeof *a + n * sizeof a->rules[0]) : NULL;
    if (a) {
        a->n = n;
        a->otherwise = otherwise;
    }
    return a;
}

struct access *access_new(const char *const *rules, size_t n)
{
    struct access *a = make(n, true);
    for (size_t i = 0; i < n; i++)
        CHECK(rule_read(rules[i], &a->rules[i]));
    return a;
}

struct access *access_new_nets(const char *const *nets, size_t n)
{
    struct access *a = make(n, false);
    for (size_t i = 0; i < n; i++) {
        a->rules[i].is_allow = true;
        CHECK(net_read(nets[i], &a->rules[i].net));
    }
    return a;
}

/* IPv4 as ::ffff:a.b.c.d, see ip_net.h. */
static bool ip_of(const struct sockaddr_storage *addr, uint8_t ip[16])
{
    if (addr->ss_family == AF_INET6) {
        memcpy(ip, &((const struct sockaddr_in6 *)addr)->sin6_addr, 16);
        return true;
    }
    if (addr->ss_family != AF_INET)
        return false;
    memset(ip, 0, 10);
    ip[10] = ip[11] = 0xff;
    memcpy(ip + 12, &((const struct sockaddr_in *)addr)->sin_addr, 4);
    return true;
}

bool access_allows(const struct access *a, const struct sockaddr_storage *addr)
{
    uint8_t ip[16];
    if (!a || !ip_of(addr, ip))
        return true;
    for (size_t i = 0; i < a->n; i++)
        if (ip_net_has(&a->rules[i].net, ip))
            return a->rules[i].is_allow;
    return a->otherwise;
}
