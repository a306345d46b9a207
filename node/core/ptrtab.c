/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/ptrtab.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { SLOTS_MIN = 16 };

static struct ptrslots *slots_new(uint32_t n)
{
    struct ptrslots *s = mem_zalloc(sizeof *s + n * sizeof s->v[0]);
    s->mask = n - 1;
    return s;
}

void ptrtab_init(struct ptrtab *t, void (*defer_free)(void *p))
{
    t->slots = slots_new(SLOTS_MIN);
    t->n = 0;
    t->defer_free = defer_free ? defer_free : free;
}

void ptrtab_fini(struct ptrtab *t)
{
    free(t->slots);
    t->slots = NULL;
}

static void slots_put(struct ptrslots *s, uint32_t hash, void *p)
{
    uint32_t at = hash & s->mask;
    while (s->v[at].p)
        at = (at + 1) & s->mask;
    __atomic_store_n(&s->v[at].hash, hash, __ATOMIC_RELAXED);
    __atomic_store_n(&s->v[at].p, p, __ATOMIC_RELEASE);
    s->used++;
}

static void table_resize(struct ptrtab *t)
{
    uint32_t n = SLOTS_MIN;
    while (n < 2 * (t->n + 1))
        n *= 2;
    struct ptrslots *old = t->slots;
    struct ptrslots *s = slots_new(n);
    for (uint32_t i = 0; i <= old->mask; i++) {
        if (old->v[i].p && old->v[i].p != PTRTAB_GONE)
            slots_put(s, old->v[i].hash, old->v[i].p);
    }
    __atomic_store_n(&t->slots, s, __ATOMIC_RELEASE);
    t->defer_free(old);
}

/* Deleted slots are not used again in place: a reader that is between the hash and the pointer of a slot must
 * not see those of two elements. They go when the table is next rebuilt. */
void ptrtab_add(struct ptrtab *t, uint32_t hash, void *p)
{
    if ((t->slots->used + 1) * 4ull > (t->slots->mask + 1ull) * 3)
        table_resize(t);
    slots_put(t->slots, hash, p);
    t->n++;
}

void ptrtab_del(struct ptrtab *t, uint32_t hash, const void *p)
{
    struct ptrslots *s = t->slots;
    uint32_t at = hash & s->mask;
    while (s->v[at].p != p) {
        CHECK(s->v[at].p != NULL);
        at = (at + 1) & s->mask;
    }
    __atomic_store_n(&s->v[at].p, PTRTAB_GONE, __ATOMIC_RELEASE);
    t->n--;
    if (s->mask + 1 > SLOTS_MIN && t->n * 8ull < s->mask + 1ull)
        table_resize(t);
}
