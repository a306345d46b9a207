/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rpc/route_messages.h"

#include "proto/rpc/pb.h"

enum {
    ITEM_FILTER = PB_TAG(1, PB_BYTES),
    ITEM_GROUP = PB_TAG(2, PB_BYTES),
    ITEM_GONE = PB_TAG(3, PB_VARINT),
    ITEM_ONLINE = PB_TAG(4, PB_VARINT),
};

/* ---- items ---------------------------------------------------------------------------------------- */

static uint32_t item_body_size(const struct route_item *i)
{
    return pb_bytes_size(i->filter) + pb_bytes_size(i->group) + (i->is_gone ? 2 : 0) +
           (i->online ? 1 + (i->online < 1u << 28 ? varint_size(i->online) : 5) : 0);
}

uint32_t route_item_size(const struct route_item *item)
{
    uint32_t n = item_body_size(item);
    return 1 + varint_size(n) + n;
}

uint8_t *route_item_put(uint8_t *p, unsigned field, const struct route_item *item)
{
    *p++ = (uint8_t)PB_TAG(field, PB_BYTES);
    p = varint_put(p, item_body_size(item));
    p = pb_bytes_put(p, ITEM_FILTER, item->filter);
    p = pb_bytes_put(p, ITEM_GROUP, item->group);
    if (item->is_gone) {
        *p++ = ITEM_GONE;
        *p++ = 1;
    }
    if (item->online) {
        *p++ = ITEM_ONLINE;
        p = varint_put(p, item->online);
    }
    return p;
}

static bool item_field_take(struct cursor *c, struct route_item *item)
{
    uint64_t tag, v;
    if (!pb_varint_take(c, &tag))
        return false;
    switch (tag) {
    case ITEM_FILTER:
        return pb_bytes_take(c, &item->filter);
    case ITEM_GROUP:
        return pb_bytes_take(c, &item->group);
    case ITEM_GONE:
        if (!pb_varint_take(c, &v))
            return false;
        item->is_gone = v != 0;
        return true;
    case ITEM_ONLINE:
        if (!pb_varint_take(c, &v) || v > UINT32_MAX)
            return false;
        item->online = (uint32_t)v;
        return true;
    default:
        return tag >> 3 > 4 && pb_skip(c, tag);
    }
}

static bool item_read(struct route_item *item, struct bytes body)
{
    struct cursor c = cursor_of(body);
    *item = (struct route_item){0};
    while (cursor_left(&c)) {
        if (!item_field_take(&c, item))
            return false;
    }
    return item->filter.n > 0 && item->filter.n <= UINT16_MAX && item->group.n <= UINT16_MAX;
}

/* ---- deltas and snapshots ------------------------------------------------------------------------- */

uint8_t *route_deltas_head_put(uint8_t *p, uint64_t first)
{
    *p++ = PB_TAG(1, PB_64);
    return pb_fixed_put(p, first, 8);
}

uint8_t *route_snapshot_head_put(uint8_t *p, uint64_t from_seq, uint32_t page, bool is_last)
{
    *p++ = PB_TAG(1, PB_64);
    p = pb_fixed_put(p, from_seq, 8);
    *p++ = PB_TAG(2, PB_VARINT);
    p = varint_put(p, page & ((1u << 28) - 1));
    *p++ = PB_TAG(3, PB_VARINT);
    *p++ = is_last;
    return p;
}

/* Any field of either message; the item's bytes are in *item when it was one. */
static bool field_take(struct route_reader *r, struct bytes *item)
{
    uint64_t tag, v;
    item->n = 0;
    if (!pb_varint_take(&r->at, &tag))
        return false;
    if (tag == r->item_tag)
        return pb_bytes_take(&r->at, item) && item->n > 0;
    if (tag == PB_TAG(1, PB_64))
        return pb_fixed_take(&r->at, 8, &r->first);
    if (r->item_tag == PB_TAG(ROUTE_SNAPSHOT_FIELD, PB_BYTES) &&
        (tag == PB_TAG(2, PB_VARINT) || tag == PB_TAG(3, PB_VARINT))) {
        if (!pb_varint_take(&r->at, &v))
            return false;
        if (tag == PB_TAG(2, PB_VARINT))
            r->page = (uint32_t)v;
        else
            r->is_last = v != 0;
        return true;
    }
    return tag >> 3 > 4 && pb_skip(&r->at, tag);
}

static bool all_read(struct route_reader *r, struct bytes body, unsigned field)
{
    struct bytes bytes;
    struct route_item item;
    *r = (struct route_reader){.item_tag = (uint8_t)PB_TAG(field, PB_BYTES), .at = cursor_of(body)};
    while (cursor_left(&r->at)) {
        if (!field_take(r, &bytes))
            return false;
        if (!bytes.n)
            continue;
        r->items_n++;
        if (!item_read(&item, bytes))
            return false;
    }
    r->at = cursor_of(body);
    return true;
}

bool route_deltas_read(struct route_reader *r, struct bytes body)
{
    return all_read(r, body, ROUTE_DELTAS_FIELD) && r->first > 0;
}

bool route_snapshot_read(struct route_reader *r, struct bytes body)
{
    return all_read(r, body, ROUTE_SNAPSHOT_FIELD);
}

bool route_next(struct route_reader *r, struct route_item *item)
{
    struct bytes bytes;
    while (cursor_left(&r->at)) {
        if (!field_take(r, &bytes))
            return false;
        if (bytes.n)
            return item_read(item, bytes);
    }
    return false;
}

/* ---- numbers -------------------------------------------------------------------------------------- */

static bool numbers_read(struct bytes body, uint64_t *v, unsigned n)
{
    struct cursor c = cursor_of(body);
    uint64_t tag, number;
    for (unsigned i = 0; i < n; i++)
        v[i] = 0;
    while (cursor_left(&c)) {
        if (!pb_varint_take(&c, &tag))
            return false;
        if ((tag & 7) == PB_64 && tag >> 3 >= 1 && tag >> 3 <= n) {
            if (!pb_fixed_take(&c, 8, &number))
                return false;
            v[(tag >> 3) - 1] = number;
        } else if (tag >> 3 <= n || !pb_skip(&c, tag)) {
            return false;
        }
    }
    return true;
}

uint32_t route_number_put(uint8_t *p, uint64_t n)
{
    *p = PB_TAG(1, PB_64);
    pb_fixed_put(p + 1, n, 8);
    return 9;
}

bool route_number_read(uint64_t *n, struct bytes body)
{
    return numbers_read(body, n, 1);
}

uint32_t route_digest_put(uint8_t *p, uint64_t seq, uint64_t sum, uint64_t count)
{
    const uint64_t v[] = {seq, sum, count};
    for (unsigned i = 0; i < 3; i++) {
        *p++ = (uint8_t)PB_TAG(i + 1, PB_64);
        p = pb_fixed_put(p, v[i], 8);
    }
    return 27;
}

bool route_digest_read(struct bytes body, uint64_t *seq, uint64_t *sum, uint64_t *count)
{
    uint64_t v[3];
    if (!numbers_read(body, v, 3))
        return false;
    *seq = v[0];
    *sum = v[1];
    *count = v[2];
    return true;
}
