/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/uidset.h"

#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { SLOTS_FIRST = 64 };

void uidset_fini(struct uidset *s)
{
    free(s->now);
    free(s->before);
    *s = (struct uidset){0};
}

/* Its place, or the free one where it would be. */
static uint64_t *place_of(uint64_t *v, uint32_t mask, uint64_t uid)
{
    uint32_t at = (uint32_t)hash_u64(uid, 0);
    while (v[at & mask] && v[at & mask] != uid)
        at++;
    return &v[at & mask];
}

static void grow(struct uidset *s)
{
    uint32_t mask = s->now ? s->now_mask * 2 + 1 : SLOTS_FIRST - 1;
    uint64_t *v = mem_zalloc(sizeof *v * ((size_t)mask + 1));
    for (uint32_t i = 0; s->now && i <= s->now_mask; i++) {
        if (s->now[i])
            *place_of(v, mask, s->now[i]) = s->now[i];
    }
    free(s->now);
    s->now = v;
    s->now_mask = mask;
}

bool uidset_has(const struct uidset *s, uint64_t uid)
{
    if (!uid)
        return false;
    return (s->now && *place_of(s->now, s->now_mask, uid)) ||
           (s->before && *place_of(s->before, s->before_mask, uid));
}

void uidset_add(struct uidset *s, uint64_t uid)
{
    if (!uid)
        return;
    if (s->n == UIDSET_KEEP) {
        free(s->before);
        s->before = s->now;
        s->before_mask = s->now_mask;
        s->now = NULL;
        s->n = 0;
    }
    if (!s->now || s->n * 2 > s->now_mask)
        grow(s);
    uint64_t *at = place_of(s->now, s->now_mask, uid);
    s->n += *at == 0;
    *at = uid;
}
