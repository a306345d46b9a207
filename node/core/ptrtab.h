/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_PTRTAB_H
#define COVEY_CORE_PTRTAB_H

/* An open-addressing hash table of pointers, with the 32-bit hash kept beside each so that a probe seldom
 * follows a pointer to a wrong element. One writer; readers may probe concurrently without locks: slots are
 * published with release stores, and a grown table replaces the old one, which is freed by defer_free. The
 * keys are the elements' own business: callers walk candidates with the same hash and compare. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ptrslots {
    uint32_t mask;
    uint32_t used;    /* live and deleted slots */
    uint32_t hash_at; /* where an element keeps its hash */
    void *v[];        /* NULL: free; PTRTAB_GONE: deleted */
};

struct ptrtab {
    struct ptrslots *slots; /* atomic */
    uint32_t n;
    void (*defer_free)(void *p);
};

#define PTRTAB_GONE ((void *)(uintptr_t)1)

/* hash_at: offsetof() of the element's uint32_t hash, which never changes while it is in. defer_free NULL:
 * free(). */
void ptrtab_init(struct ptrtab *t, uint32_t hash_at, void (*defer_free)(void *p));
void ptrtab_fini(struct ptrtab *t);
void ptrtab_add(struct ptrtab *t, void *p);
/* p must be there. */
void ptrtab_del(struct ptrtab *t, const void *p);

static inline uint32_t ptrslots_hash(const struct ptrslots *s, const void *p)
{
    uint32_t hash;
    memcpy(&hash, (const char *)p + s->hash_at, sizeof hash);
    return hash;
}

/* Walks candidates for a hash: start with *at = 0, end with NULL. Take the slots once per walk. */
static inline struct ptrslots *ptrtab_slots(const struct ptrtab *t)
{
    return __atomic_load_n(&t->slots, __ATOMIC_ACQUIRE);
}
static inline void *ptrslots_probe(struct ptrslots *s, uint32_t hash, uint32_t *at)
{
    for (;;) {
        void *p = __atomic_load_n(&s->v[(hash + (*at)++) & s->mask], __ATOMIC_ACQUIRE);
        if (!p)
            return NULL;
        if (p != PTRTAB_GONE && ptrslots_hash(s, p) == hash)
            return p;
    }
}
/* Walks all: start with *at = 0; NULL at the end. Nothing may be added or deleted meanwhile. */
static inline void *ptrtab_next(const struct ptrtab *t, uint32_t *at)
{
    struct ptrslots *s = ptrtab_slots(t);
    while (*at <= s->mask) {
        void *p = s->v[(*at)++];
        if (p && p != PTRTAB_GONE)
            return p;
    }
    return NULL;
}

#endif
