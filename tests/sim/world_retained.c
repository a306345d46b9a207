/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/retained_meta.h"
#include "proto/base/check.h"
#include "tests/sim/world_i.h"

#include <stdio.h>

/* Do the nodes have the same retained messages? */

struct table {
    const struct world_node *node;
    struct store_reader *reader;
    struct bytes key, value;
    enum err e;
};

/* Only what counts: stamps that have not faded. */
static void table_skip(struct table *t)
{
    struct retained_meta m;
    while (t->e == OK && retained_meta_read(&m, t->key, t->value) &&
           retained_has_faded(m.fades_ms, world_node_wall_ms(t->node)))
        t->e = store_next(t->reader, &t->key, &t->value);
}

static void table_begin(struct table *t, const struct world_node *n, enum store_table which)
{
    *t = (struct table){.node = n};
    CHECK(store_reader_new(&t->reader, n->store) == OK && store_read_begin(t->reader) == OK);
    t->e = store_seek(t->reader, which, bytes_of(NULL, 0), &t->key, &t->value);
}

static const char *tables_compare(struct world *w, uint32_t a, uint32_t b, enum store_table which)
{
    struct table t[2];
    const uint32_t head = which == STORE_RETAINED_META ? 2 : 0; /* the bucket */
    const char *differs = NULL;
    table_begin(&t[0], &w->nodes[a], which);
    table_begin(&t[1], &w->nodes[b], which);
    while (!differs) {
        for (int i = 0; i < 2 && which == STORE_RETAINED_META; i++)
            table_skip(&t[i]);
        if (t[0].e != t[1].e ||
            (t[0].e == OK && (!bytes_eq(t[0].key, t[1].key) || !bytes_eq(t[0].value, t[1].value))))
            differs = w->disagreement;
        if (t[0].e != OK)
            break;
        for (int i = 0; i < 2; i++)
            t[i].e = store_next(t[i].reader, &t[i].key, &t[i].value);
    }
    if (differs && t[0].e == OK)
        snprintf(w->disagreement, sizeof w->disagreement, "nodes %u and %u differ about retained %.*s", a, b,
                 (int)(t[0].key.n - head), (const char *)t[0].key.p + head);
    else if (differs)
        snprintf(w->disagreement, sizeof w->disagreement, "node %u lacks retained ones of node %u", a, b);
    store_reader_free(t[0].reader);
    store_reader_free(t[1].reader);
    return differs;
}

const char *retained_disagreement(struct world *w)
{
    const char *differs = NULL;
    for (uint32_t i = 1; i < w->nodes_n && !differs; i++) {
        differs = tables_compare(w, 0, i, STORE_RETAINED);
        if (!differs)
            differs = tables_compare(w, 0, i, STORE_RETAINED_META);
    }
    return differs;
}
