/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/core/arbiter.h"

#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { SLOTS_FIRST = 256 };

struct holding {
    uint64_t stamp;
    uint32_t hash;
    uint16_t node; /* in the list of nodes */
    uint16_t id_n;
    uint8_t id[];
};

#define GONE ((struct holding *)(uintptr_t)1)

struct arbiter {
    struct holding **v; /* open addressing */
    uint32_t mask;
    uint32_t used; /* with those that are gone */
    uint32_t n;
    uint64_t seed;
    struct node_id *nodes; /* all that were ever named */
    uint32_t nodes_n, nodes_cap;
};

struct arbiter *arbiter_new(uint64_t seed)
{
    struct arbiter *a = mem_zalloc(sizeof *a);
    a->seed = seed;
    a->mask = SLOTS_FIRST - 1;
    a->v = mem_zalloc(sizeof(struct holding *) * SLOTS_FIRST);
    return a;
}

static bool is_holding(const struct holding *h)
{
    return h && h != GONE;
}

void arbiter_clear(struct arbiter *a)
{
    for (uint32_t i = 0; i <= a->mask; i++) {
        if (is_holding(a->v[i]))
            free(a->v[i]);
        a->v[i] = NULL;
    }
    a->n = a->used = 0;
}

void arbiter_free(struct arbiter *a)
{
    if (!a)
        return;
    arbiter_clear(a);
    free(a->v);
    free(a->nodes);
    free(a);
}

uint64_t arbiter_count(const struct arbiter *a)
{
    return a->n;
}

/* ---- the table ------------------------------------------------------------------------------------ */

static uint16_t node_number(struct arbiter *a, const struct node_id *node)
{
    for (uint32_t i = 0; i < a->nodes_n; i++) {
        if (node_id_eq(&a->nodes[i], node))
            return (uint16_t)i;
    }
    CHECK(a->nodes_n < UINT16_MAX);
    if (a->nodes_n == a->nodes_cap) {
        a->nodes_cap = a->nodes_cap ? a->nodes_cap * 2 : 8;
        a->nodes = mem_realloc(a->nodes, sizeof *a->nodes * a->nodes_cap);
    }
    a->nodes[a->nodes_n] = *node;
    return (uint16_t)a->nodes_n++;
}

static struct holding **find(struct arbiter *a, struct bytes id)
{
    uint32_t hash = (uint32_t)hash_bytes(id.p, id.n, a->seed);
    for (uint32_t at = hash;; at++) {
        struct holding **slot = &a->v[at & a->mask];
        if (!*slot)
            return NULL;
        if (*slot != GONE && (*slot)->hash == hash && bytes_eq(bytes_of((*slot)->id, (*slot)->id_n), id))
            return slot;
    }
}

static void place(struct arbiter *a, struct holding *h)
{
    uint32_t at = h->hash;
    while (a->v[at & a->mask])
        at++;
    a->v[at & a->mask] = h;
    a->used++;
}

static void rebuild(struct arbiter *a)
{
    struct holding **old = a->v;
    uint32_t old_mask = a->mask, size = SLOTS_FIRST;
    while (size < a->n * 2 + 2)
        size *= 2;
    a->mask = size - 1;
    a->v = mem_zalloc(sizeof(struct holding *) * size);
    a->used = 0;
    for (uint32_t i = 0; i <= old_mask; i++)
        if (is_holding(old[i]))
            place(a, old[i]);
    free(old);
}

static void add(struct arbiter *a, struct bytes id, uint16_t node, uint64_t stamp)
{
    struct holding *h = mem_alloc(sizeof *h + id.n);
    *h = (struct holding){.stamp = stamp,
                          .hash = (uint32_t)hash_bytes(id.p, id.n, a->seed),
                          .node = node,
                          .id_n = (uint16_t)id.n};
    memcpy(h->id, id.p, id.n);
    if ((uint64_t)a->used * 4 >= (uint64_t)(a->mask + 1) * 3)
        rebuild(a);
    place(a, h);
    a->n++;
}

static void drop(struct arbiter *a, struct holding **slot)
{
    free(*slot);
    *slot = GONE;
    a->n--;
}

/* ---- verdicts ------------------------------------------------------------------------------------- */

struct arbiter_verdict arbiter_claim(struct arbiter *a, struct bytes client_id, const struct node_id *node,
                                     uint64_t stamp)
{
    struct arbiter_verdict v = {.is_granted = true, .winner = *node, .winner_stamp = stamp};
    struct holding **slot = find(a, client_id);
    uint16_t number = node_number(a, node);
    if (!slot) {
        add(a, client_id, number, stamp);
        return v;
    }
    struct holding *h = *slot;
    v.has_holder = h->node != number;
    v.holder = a->nodes[h->node];
    h->stamp = v.winner_stamp = stamp > h->stamp ? stamp : h->stamp + 1;
    h->node = number;
    return v;
}

static bool is_newer(const struct arbiter *a, uint64_t stamp, const struct node_id *node,
                     const struct holding *h)
{
    return stamp != h->stamp ? stamp > h->stamp : node_id_cmp(node, &a->nodes[h->node]) > 0;
}

struct arbiter_verdict arbiter_hold(struct arbiter *a, struct bytes client_id, const struct node_id *node,
                                    uint64_t stamp)
{
    struct arbiter_verdict v = {.is_granted = true, .winner = *node, .winner_stamp = stamp};
    struct holding **slot = find(a, client_id);
    uint16_t number = node_number(a, node);
    if (!slot) {
        add(a, client_id, number, stamp);
        return v;
    }
    struct holding *h = *slot;
    if (h->node == number) {
        h->stamp = stamp > h->stamp ? stamp : h->stamp;
        return v;
    }
    v.has_holder = true;
    v.is_granted = is_newer(a, stamp, node, h);
    v.holder = v.is_granted ? a->nodes[h->node] : *node;
    if (v.is_granted) {
        h->node = number;
        h->stamp = stamp;
    }
    v.winner = a->nodes[h->node];
    v.winner_stamp = h->stamp;
    return v;
}

bool arbiter_has(struct arbiter *a, struct bytes client_id)
{
    return find(a, client_id) != NULL;
}

void arbiter_unhold(struct arbiter *a, struct bytes client_id, const struct node_id *node, uint64_t stamp)
{
    struct holding **slot = find(a, client_id);
    if (slot && node_id_eq(&a->nodes[(*slot)->node], node) && (*slot)->stamp <= stamp)
        drop(a, slot);
}

void arbiter_drop_node(struct arbiter *a, const struct node_id *node)
{
    for (uint32_t i = 0; i <= a->mask; i++) {
        if (is_holding(a->v[i]) && node_id_eq(&a->nodes[a->v[i]->node], node))
            drop(a, &a->v[i]);
    }
}
