/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/uidmax.h"

#include "node/core/forward.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <stdlib.h>

enum { SLOTS_FIRST = 16 };

void uidmax_fini(struct uidmax *t)
{
    free(t->v);
    *t = (struct uidmax){0};
}

static uint64_t stream_of(struct bytes topic, uint64_t uid)
{
    return hash_bytes(topic.p, topic.n, uid >> UID_COUNT_BITS) | 1;
}

/* Its place, or the free one where it would be. */
static struct uidmax_slot *place_of(struct uidmax_slot *v, uint32_t mask, uint64_t stream)
{
    uint32_t at = (uint32_t)(stream >> 1);
    while (v[at & mask].stream && v[at & mask].stream != stream)
        at++;
    return &v[at & mask];
}

static void grow(struct uidmax *t)
{
    uint32_t mask = t->v ? t->mask * 2 + 1 : SLOTS_FIRST - 1;
    struct uidmax_slot *v = mem_zalloc(sizeof *v * ((size_t)mask + 1));
    for (uint32_t i = 0; t->v && i <= t->mask; i++) {
        if (t->v[i].stream)
            *place_of(v, mask, t->v[i].stream) = t->v[i];
    }
    free(t->v);
    t->v = v;
    t->mask = mask;
}

void uidmax_note(struct uidmax *t, struct bytes topic, uint64_t uid)
{
    if (!uid)
        return;
    if (!t->v || t->n * 2 > t->mask)
        grow(t);
    uint64_t stream = stream_of(topic, uid);
    struct uidmax_slot *at = place_of(t->v, t->mask, stream);
    if (!at->stream && t->n == UIDMAX_STREAMS)
        return;
    t->n += !at->stream;
    at->stream = stream;
    at->uid = uid > at->uid ? uid : at->uid;
}

bool uidmax_is_older(const struct uidmax *t, struct bytes topic, uint64_t uid)
{
    if (!uid || !t->v)
        return false;
    const struct uidmax_slot *at = place_of(t->v, t->mask, stream_of(topic, uid));
    return at->stream && at->uid > uid;
}
