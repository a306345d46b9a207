/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/core/routelog.h"

/* What a peer says of its routes. */

void routetake_start(struct routetake *t)
{
    *t = (struct routetake){.gaps = t->gaps, .digests_failed = t->digests_failed};
}

static void apply(const struct route_item *item, const struct routetake_ops *ops, uint64_t *sum,
                  uint64_t *count)
{
    bool changed = item->is_gone ? ops->del(ops->ctx, item) : ops->add(ops->ctx, item);
    if (!changed)
        return;
    uint64_t h = route_item_hash(item->filter, item->group);
    *sum += item->is_gone ? -h : h;
    *count += item->is_gone ? -1ull : 1;
}

enum routetake_verdict routetake_deltas(struct routetake *t, struct bytes body,
                                        const struct routetake_ops *ops)
{
    struct route_reader r;
    struct route_item item;
    if (!route_deltas_read(&r, body))
        return ROUTETAKE_MALFORMED;
    if (!t->is_complete || t->is_loading || r.first > t->seq + 1) {
        t->gaps++;
        return t->is_loading ? ROUTETAKE_OK : ROUTETAKE_GAP; /* a snapshot that is coming has it all */
    }
    for (uint64_t number = r.first; route_next(&r, &item); number++) {
        if (number <= t->seq)
            continue;
        apply(&item, ops, &t->sum, &t->count);
        t->seq = number;
    }
    return ROUTETAKE_OK;
}

enum routetake_verdict routetake_snapshot(struct routetake *t, struct bytes body,
                                          const struct routetake_ops *ops)
{
    struct route_reader r;
    struct route_item item;
    if (!route_snapshot_read(&r, body))
        return ROUTETAKE_MALFORMED;
    if (r.page == 0) {
        t->is_loading = true;
        t->load_sum = t->load_count = 0;
        t->page = 0;
        t->from_seq = r.first;
        ops->load_begin(ops->ctx);
    }
    if (!t->is_loading || r.page != t->page || r.first != t->from_seq) {
        t->gaps++;
        t->is_loading = false;
        return ROUTETAKE_WRONG;
    }
    t->page++;
    while (route_next(&r, &item))
        apply(&item, ops, &t->load_sum, &t->load_count);
    if (!r.is_last)
        return ROUTETAKE_OK;
    ops->load_end(ops->ctx);
    t->is_loading = false;
    t->is_complete = true;
    t->sum = t->load_sum;
    t->count = t->load_count;
    t->seq = t->from_seq;
    t->acked = UINT64_MAX; /* to be said, even when it is 0 */
    return ROUTETAKE_OK;
}

enum routetake_verdict routetake_digest(struct routetake *t, struct bytes body)
{
    uint64_t seq, sum, count;
    if (!route_digest_read(body, &seq, &sum, &count))
        return ROUTETAKE_MALFORMED;
    if (!t->is_complete || t->is_loading || seq != t->seq || (sum == t->sum && count == t->count))
        return ROUTETAKE_OK;
    t->digests_failed++;
    return ROUTETAKE_WRONG;
}

uint32_t routetake_ack(struct routetake *t, uint8_t out[32])
{
    if (!t->is_complete || t->acked == t->seq)
        return 0;
    t->acked = t->seq;
    return route_number_put(out, t->seq);
}

uint32_t route_want_put(uint8_t out[32], uint64_t from)
{
    return route_number_put(out, from);
}
