/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/pidset.h"

#include "proto/base/mem.h"

#include <stdlib.h>

enum { SLOTS_MIN = 8 };

struct pidset *pidset_new(void)
{
    struct pidset *s = mem_zalloc(sizeof *s);
    s->mask = SLOTS_MIN - 1;
    s->v = mem_zalloc(sizeof *s->v * SLOTS_MIN);
    return s;
}

void pidset_free(struct pidset *s)
{
    if (!s)
        return;
    free(s->v);
    free(s);
}

/* Ids are mostly consecutive: steps of the golden ratio spread them evenly, with gaps between. Side by side
 * they would be one long run, and taking one out would mean to look at all behind it. */
static uint32_t place_of(const struct pidset *s, uint16_t id)
{
    uint32_t at = id * 2654435769u >> __builtin_clz(s->mask);
    while (s->v[at].id && s->v[at].id != id)
        at = (at + 1) & s->mask;
    return at;
}

static void grow(struct pidset *s)
{
    struct pidset_item *old = s->v;
    uint32_t old_n = s->mask + 1;
    s->mask = s->mask * 2 + 1;
    s->v = mem_zalloc(sizeof *s->v * (s->mask + 1));
    for (uint32_t i = 0; i < old_n; i++) {
        if (old[i].id)
            s->v[place_of(s, old[i].id)] = old[i];
    }
    free(old);
}

bool pidset_add(struct pidset *s, uint16_t id, uint32_t now_s)
{
    uint32_t at = place_of(s, id);
    if (s->v[at].id)
        return false;
    s->v[at] = (struct pidset_item){.id = id, .since_s = now_s};
    if (++s->n * 4 > (s->mask + 1) * 3)
        grow(s);
    return true;
}

bool pidset_has(const struct pidset *s, uint16_t id)
{
    return s && s->v[place_of(s, id)].id != 0;
}

bool pidset_del(struct pidset *s, uint16_t id)
{
    if (!s)
        return false;
    uint32_t at = place_of(s, id);
    if (!s->v[at].id)
        return false;
    s->n--;
    s->old_n -= s->v[at].is_old;
    s->v[at].id = 0;
    /* Close the gap: what follows in the run may belong further forward. */
    for (uint32_t i = (at + 1) & s->mask; s->v[i].id; i = (i + 1) & s->mask) {
        struct pidset_item item = s->v[i];
        s->v[i].id = 0;
        s->v[place_of(s, item.id)] = item;
    }
    return true;
}

void pidset_age(struct pidset *s)
{
    for (uint32_t i = 0; s && i <= s->mask; i++)
        s->v[i].is_old = s->v[i].id != 0;
    if (s)
        s->old_n = s->n;
}

void pidset_renew(struct pidset *s, uint16_t id)
{
    struct pidset_item *item = &s->v[place_of(s, id)];
    if (!item->id || !item->is_old)
        return;
    item->is_old = false;
    s->old_n--;
}

uint16_t pidset_older(const struct pidset *s, uint32_t since_s)
{
    for (uint32_t i = 0; i <= s->mask; i++) {
        if (s->v[i].id && s->v[i].since_s < since_s)
            return s->v[i].id;
    }
    return 0;
}
