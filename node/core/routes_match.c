/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/routes_i.h"

#include "proto/base/mem.h"

#include <stdlib.h>

/* Reading the route table: what matches a topic. Runs on any shard while another one changes the table. */

struct tnode *routes_edge_find(const struct routes *t, const struct tnode *parent, struct bytes level,
                               uint32_t h)
{
    struct ptrslots *s = ptrtab_slots(&t->edges);
    uint32_t at = 0;
    struct tnode *n;
    while ((n = ptrslots_probe(s, h, &at))) {
        if (n->parent == parent && n->level_n == level.n && memcmp(n->level, level.p, level.n) == 0)
            return n;
    }
    return NULL;
}

struct route *routes_exact_find(const struct routes *t, struct bytes topic, uint32_t h)
{
    struct ptrslots *s = ptrtab_slots(&t->exact);
    uint32_t at = 0;
    struct route *r;
    while ((r = ptrslots_probe(s, h, &at))) {
        if (r->filter_n == topic.n && memcmp(r->text, topic.p, topic.n) == 0)
            return r;
    }
    return NULL;
}

static void list_add(struct route_list *l, struct route *r)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->v = mem_realloc(l->v, sizeof(struct route *) * l->cap);
    }
    l->v[l->n++] = r;
}

void route_list_fini(struct route_list *l)
{
    free(l->v);
    free(l->front[0]);
    free(l->front[1]);
    *l = (struct route_list){0};
}

static void front_add(struct route_list *l, unsigned which, uint32_t at, struct tnode *n)
{
    if (at == l->front_cap[which]) {
        l->front_cap[which] = at ? at * 2 : 16;
        l->front[which] = mem_realloc(l->front[which], sizeof(struct tnode *) * l->front_cap[which]);
    }
    l->front[which][at] = n;
}

static void add_slot(struct route_list *out, struct route *const *slot)
{
    struct route *r = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    if (r)
        list_add(out, r);
}

/* Level by level, with the set of nodes that match so far. */
static void wild_match(const struct routes *t, struct bytes topic, struct route_list *out)
{
    uint32_t n = 1, at = 0;
    unsigned cur = 0;
    struct bytes level;
    front_add(out, 0, 0, t->root);
    while (n && topic_level_next(topic, &at, &level)) {
        bool root_guard = level.p == topic.p && topic.n && topic.p[0] == '$'; /* [MQTT-4.7.2-1] */
        uint64_t lh = hash_bytes(level.p, level.n, t->seed);
        uint32_t m = 0;
        for (uint32_t i = 0; i < n; i++) {
            struct tnode *node = out->front[cur][i];
            struct tnode *plus = __atomic_load_n(&node->plus, __ATOMIC_ACQUIRE);
            if (!root_guard) {
                add_slot(out, &node->hash);
                if (plus)
                    front_add(out, !cur, m++, plus);
            }
            struct tnode *next = routes_edge_find(t, node, level, edge_hash(t, node, lh));
            if (next)
                front_add(out, !cur, m++, next);
        }
        n = m;
        cur = !cur;
    }
    for (uint32_t i = 0; i < n; i++) {
        add_slot(out, &out->front[cur][i]->end);
        add_slot(out, &out->front[cur][i]->hash); /* `a/#` matches `a` */
    }
}

void routes_match(const struct routes *t, struct bytes topic, uint64_t topic_hash, struct route_list *out)
{
    out->n = 0;
    struct route *r = routes_exact_find(t, topic, (uint32_t)topic_hash);
    if (r)
        list_add(out, r);
    if (__atomic_load_n(&t->root->children, __ATOMIC_RELAXED))
        wild_match(t, topic, out);
}
