/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/hlc.h"

#include "proto/base/check.h"

uint64_t hlc_now(struct hlc *h, uint64_t wall_ms)
{
    uint64_t wall = wall_ms << HLC_SHIFT, next;
    uint64_t last = __atomic_load_n(&h->last, __ATOMIC_RELAXED);
    do
        next = wall > last ? wall : last + 1;
    while (!__atomic_compare_exchange_n(&h->last, &last, next, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
    return next;
}

void hlc_see(struct hlc *h, uint64_t stamp)
{
    CHECK(stamp < HLC_STAMP_MAX);
    uint64_t last = __atomic_load_n(&h->last, __ATOMIC_RELAXED);
    while (stamp > last &&
           !__atomic_compare_exchange_n(&h->last, &last, stamp, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        ;
}
