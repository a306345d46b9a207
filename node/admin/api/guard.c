/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/guard.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void network_of(char out[GUARD_ADDRESS_MAX], const char *address)
{
    struct in6_addr a;
    if (inet_pton(AF_INET6, address, &a) == 1 && !IN6_IS_ADDR_V4MAPPED(&a)) {
        memset(a.s6_addr + 8, 0, 8);
        inet_ntop(AF_INET6, &a, out, GUARD_ADDRESS_MAX);
    } else {
        snprintf(out, GUARD_ADDRESS_MAX, "%s", address);
    }
}

static struct guard_entry *entry_find(struct guard *g, const char *network)
{
    for (struct guard_entry *e = g->v; e < g->v + GUARD_ADDRESSES_MAX; e++)
        if (e->address[0] && strcmp(e->address, network) == 0)
            return e;
    return NULL;
}

uint64_t guard_wait_ms(struct guard *g, const char *address, uint64_t now_ms)
{
    char network[GUARD_ADDRESS_MAX];
    network_of(network, address);
    const struct guard_entry *e = entry_find(g, network);
    uint64_t may_ms = now_ms + (uint64_t)(GUARD_TRIES_MAX - 1) * GUARD_WAIT_MS;
    return e && e->free_ms > may_ms ? e->free_ms - may_ms : 0;
}

/* The one that is forgotten next gives way. */
static struct guard_entry *entry_make(struct guard *g, const char *network)
{
    struct guard_entry *first = g->v;
    for (struct guard_entry *e = g->v; e < g->v + GUARD_ADDRESSES_MAX; e++)
        if (e->free_ms < first->free_ms)
            first = e;
    *first = (struct guard_entry){0};
    memcpy(first->address, network, strlen(network));
    return first;
}

void guard_on_failure(struct guard *g, const char *address, uint64_t now_ms)
{
    char network[GUARD_ADDRESS_MAX];
    network_of(network, address);
    struct guard_entry *e = entry_find(g, network);
    if (!e)
        e = entry_make(g, network);
    e->free_ms = (e->free_ms > now_ms ? e->free_ms : now_ms) + GUARD_WAIT_MS;
}

void guard_on_success(struct guard *g, const char *address)
{
    char network[GUARD_ADDRESS_MAX];
    network_of(network, address);
    struct guard_entry *e = entry_find(g, network);
    if (e)
        *e = (struct guard_entry){0};
}
