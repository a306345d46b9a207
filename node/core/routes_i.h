/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_ROUTES_I_H
#define COVEY_CORE_ROUTES_I_H

/* The inside of the route table, for the file that changes it and the one that matches. */

#include "node/core/ptrtab.h"
#include "node/core/routes.h"
#include "proto/base/hash.h"
#include "proto/topic/topic.h"

enum { EXACT_VERSIONS = 1024 };

/* A node of the trie of filters with wildcards: one level. A '#' or '+' child hangs on a pointer, all others
 * are edges in the hash table, keyed by parent and level. */
struct tnode {
    struct route *end;  /* atomic: the filter that ends here */
    struct route *hash; /* atomic: the filter that goes on with '#' */
    struct tnode *plus; /* atomic */
    struct tnode *parent;
    uint32_t children; /* edges, plus, end and hash: what keeps the node alive */
    uint32_t edge_hash;
    uint32_t level_n;
    char level[];
};

struct routes {
    struct ptrtab exact; /* of struct route */
    struct ptrtab edges; /* of struct tnode */
    struct tnode *root;
    void (*defer_free)(void *p);
    uint64_t seed;
    uint32_t shards;
    uint64_t count;
    uint32_t *ids_free;
    uint32_t ids_free_n, ids_free_cap, id_next;
    struct route **by_id; /* under the lock */
    uint32_t by_id_cap;
    uint32_t lock;
    struct route_changes {
        bool is_on;
        uint64_t pending; /* atomic: bytes */
        uint8_t *b;
        size_t n, cap;
    } journal;
    uint64_t wild_version;
    uint32_t exact_versions[EXACT_VERSIONS];
};

/* ---- routes.c ------------------------------------------------------------------------------------- */
/* Finds or makes the route; the caller adds a destination. *plain: the one that it hangs on, or itself. */
struct route *routes_get(struct routes *t, struct bytes filter, struct bytes group, struct route **plain);
/* Whatever matched the filter of this plain route may match differently now. */
void routes_version_bump(struct routes *t, const struct route *plain);
/* A destination was taken out: what nobody needs any more goes. */
void routes_release(struct routes *t, struct route *r);

/* ---- routes_journal.c ----------------------------------------------------------------------------- */
enum route_change_kind { ROUTE_CHANGE_ADD, ROUTE_CHANGE_DEL, ROUTE_CHANGE_ONLINE };
void route_change_put(struct routes *t, const struct route *r, enum route_change_kind kind);

/* ---- routes_match.c ------------------------------------------------------------------------------- */
/* The edge of a level below a node, or NULL; h is its edge_hash(). */
static inline uint32_t edge_hash(const struct routes *t, const struct tnode *parent, uint64_t level_hash)
{
    return (uint32_t)hash_u64((uint64_t)(uintptr_t)parent ^ level_hash, t->seed);
}

struct tnode *routes_edge_find(const struct routes *t, const struct tnode *parent, struct bytes level,
                               uint32_t h);
/* The route of a filter without wildcards, or NULL. */
struct route *routes_exact_find(const struct routes *t, struct bytes topic, uint32_t h);

#endif
