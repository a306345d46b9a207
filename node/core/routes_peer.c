/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/routes_i.h"

#include "proto/base/mem.h"

#include <stdlib.h>

/* Other nodes as destinations: each has its routes in a slot, a bit of route.peers. */

enum { SLOTS = 64 };

uint32_t routes_online_here(const struct routes *t, const struct route *r)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->shards; i++)
        n += __atomic_load_n(&r->u.share->online[i], __ATOMIC_RELAXED);
    return n;
}

static void online_set(struct route *r, uint32_t slot, uint32_t online)
{
    struct share *s = r->u.share;
    if (!s->peers_online && !online)
        return;
    if (!s->peers_online) {
        uint32_t *v = mem_zalloc(SLOTS * sizeof *v);
        v[slot] = online;
        __atomic_store_n(&s->peers_online, v, __ATOMIC_RELEASE);
        return;
    }
    __atomic_store_n(&s->peers_online[slot], online, __ATOMIC_RELAXED);
}

bool routes_peer_add(struct routes *t, struct bytes filter, struct bytes group, uint32_t slot,
                     uint32_t online)
{
    struct route *plain, *r = routes_get(t, filter, group, &plain);
    uint64_t bit = 1ull << slot;
    bool is_new = !(r->peers & bit);
    if (group.n)
        online_set(r, slot, online);
    if (!is_new)
        return false;
    __atomic_or_fetch(&r->peers, bit, __ATOMIC_RELEASE);
    routes_version_bump(t, plain);
    return true;
}

static void slot_out(struct routes *t, struct route *r, uint32_t slot)
{
    __atomic_and_fetch(&r->peers, ~(1ull << slot), __ATOMIC_RELEASE);
    if (route_is_shared(r))
        online_set(r, slot, 0);
    routes_release(t, r);
}

bool routes_peer_del(struct routes *t, struct bytes filter, struct bytes group, uint32_t slot)
{
    struct route *r = routes_find(t, filter, group);
    if (!r || !(r->peers & 1ull << slot))
        return false;
    slot_out(t, r, slot);
    return true;
}

bool routes_sweep(struct routes *t, uint32_t slot, uint32_t *at, uint32_t max)
{
    routes_lock(t);
    uint32_t end = routes_id_max(t), stop = end - *at < max ? end : *at + max;
    for (; *at < stop; (*at)++) {
        struct route *r = t->by_id[*at];
        if (r && r->peers & 1ull << slot)
            slot_out(t, r, slot);
    }
    bool is_over = *at == routes_id_max(t);
    routes_unlock(t);
    return is_over;
}
