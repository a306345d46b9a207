/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/ptrtab.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { SLOTS_MIN = 16 };

static struct ptrslots *slots_new(uint32_t n, uint32_t hash_at)
{
    struct ptrslots *s = mem_zalloc(sizeof *s + n * sizeof s->v[0]);
    s->mask = n - 1;
    s->hash_at = hash_at;
    return s;
}

void ptrtab_init(struct ptrtab *t, uint32_t hash_at, void (*defer_free)(void *p))
{
    t->slots = slots_new(SLOTS_MIN, hash_at);
    t->n = 0;
    t->defer_free = defer_free ? defer_free : free;
}

void ptrtab_fini(struct ptrtab *t)
{
    free(t->slots);
    t->slots = NULL;
}

static void slots_put(struct ptrslots *s, void *p)
{
    uint32_t at = ptrslots_hash(s, p) & s->mask;
    while (s->v[at])
        at = (at + 1) & s->mask;
    __atomic_store_n(&s->v[at], p, __ATOMIC_RELEASE);
    s->used++;
}

static void table_resize(struct ptrtab *t)
{
    uint32_t n = SLOTS_MIN;
    while (n < 2 * (t->n + 1))
        n *= 2;
    struct ptrslots *old = t->slots;
    struct ptrslots *s = slots_new(n, old->hash_at);
    for (uint32_t i = 0; i <= old->mask; i++) {
        if (old->v[i] && old->v[i] != PTRTAB_GONE)
            slots_put(s, old->v[i]);
    }
    __atomic_store_n(&t->slots, s, __ATOMIC_RELEASE);
    t->defer_free(old);
}

/* Deleted slots are filled again only when the table is rebuilt, which keeps the readers' probes simple. */
void ptrtab_add(struct ptrtab *t, void *p)
{
    if ((t->slots->used + 1) * 4ull > (t->slots->mask + 1ull) * 3)
        table_resize(t);
    slots_put(t->slots, p);
    t->n++;
}

void ptrtab_del(struct ptrtab *t, const void *p)
{
    struct ptrslots *s = t->slots;
    uint32_t at = ptrslots_hash(s, p) & s->mask;
    while (s->v[at] != p) {
        CHECK(s->v[at] != NULL);
        at = (at + 1) & s->mask;
    }
    __atomic_store_n(&s->v[at], PTRTAB_GONE, __ATOMIC_RELEASE);
    t->n--;
    if (s->mask + 1 > SLOTS_MIN && t->n * 8ull < s->mask + 1ull)
        table_resize(t);
}
