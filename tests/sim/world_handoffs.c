/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/handoff_peer.h"
#include "proto/base/check.h"
#include "tests/sim/world_i.h"

/* What waits on the nodes' disks for other nodes. */

static void record_look(struct bytes value, void (*fn)(void *ctx, struct bytes payload), void *ctx)
{
    struct cursor c = cursor_of(value);
    struct bytes id;
    uint64_t uid;
    uint32_t to;
    if (!cursor_u32(&c, &to) || to != HANDOFF_TO_PEER)
        return;
    struct msg *m = cursor_bytes(&c, NODE_ID_N, &id) && cursor_u64(&c, &uid) ? msg_record_take(&c) : NULL;
    CHECK(m != NULL);
    fn(ctx, msg_payload(m));
    msg_unref(m);
}

void world_handoffs(const struct world *w, void (*fn)(void *ctx, struct bytes payload), void *ctx)
{
    static const uint8_t first = 0;
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        struct store_reader *r;
        struct bytes key, value;
        CHECK(store_reader_new(&r, w->nodes[i].store) == OK && store_read_begin(r) == OK);
        enum err e = store_seek(r, STORE_HANDOFF, bytes_of(&first, 1), &key, &value);
        for (; e == OK; e = store_next(r, &key, &value))
            record_look(value, fn, ctx);
        store_read_end(r);
        store_reader_free(r);
    }
}
