/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of all frames between nodes, as a peer with the secret may send them. The first byte is the
 * opcode, the rest its body. What is read is written and read again: the same; no view leads out of the body
 * or the arena. Routes go through both halves of route sync. */
#include "cluster/core/link.h"
#include "cluster/core/routelog.h"
#include "proto/rpc/gossip.h"
#include "proto/rpc/publish_entry.h"

#include <stdlib.h>

#define REQUIRE(cond) \
    do {              \
        if (!(cond))  \
            abort();  \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct rpc_arena *arena, *arena_again;

/* Reads what a view shows, so that a sanitizer sees where it leads. */
static void look(struct bytes b)
{
    static volatile uint8_t sink;
    for (uint32_t i = 0; i < b.n; i++)
        sink = (uint8_t)(sink ^ b.p[i]);
}

/* Reads, writes what was read, reads that and writes it: both texts are the same. */
#define ROUND(name)                                                          \
    static void on_##name(struct bytes body)                                 \
    {                                                                        \
        struct rpc_##name first, second;                                     \
        struct rpc_buf a = {0}, b = {0};                                     \
        if (!rpc_##name##_read(&first, body, arena))                         \
            return;                                                          \
        rpc_##name##_put(&a, &first);                                        \
        REQUIRE(rpc_##name##_read(&second, rpc_buf_bytes(&a), arena_again)); \
        rpc_##name##_put(&b, &second);                                       \
        REQUIRE(bytes_eq(rpc_buf_bytes(&a), rpc_buf_bytes(&b)));             \
        rpc_buf_fini(&a);                                                    \
        rpc_buf_fini(&b);                                                    \
    }
ROUND(admin)
ROUND(hello)
ROUND(resume)
ROUND(results)
ROUND(settled)
ROUND(claim)
ROUND(grant)
ROUND(release)
ROUND(hold)
ROUND(parcel)
ROUND(parcel_ref)
ROUND(adopt)
ROUND(mark)
ROUND(retained)
ROUND(retained_digests)
ROUND(retained_want)
ROUND(bans)

static void on_retained_bucket(struct bytes body)
{
    struct rpc_retained m;
    if (!rpc_retained_bucket_read(&m, body, arena))
        return;
    for (uint32_t i = 0; i < m.n; i++)
        look(m.items[i].key);
}

static void on_push_pull(struct bytes body)
{
    struct gossip first, second;
    struct rpc_buf a = {0}, b = {0};
    if (!gossip_read(&first, body, arena))
        return;
    gossip_put(&a, &first);
    REQUIRE(gossip_read(&second, rpc_buf_bytes(&a), arena_again) && second.n == first.n);
    gossip_put(&b, &second);
    REQUIRE(bytes_eq(rpc_buf_bytes(&a), rpc_buf_bytes(&b)));
    rpc_buf_fini(&a);
    rpc_buf_fini(&b);
}

static void on_publishes(struct bytes body)
{
    struct cursor c = cursor_of(body);
    struct publish_entry e, again;
    while (cursor_left(&c) && publish_entry_take(&c, &e)) {
        uint32_t n = publish_entry_size(&e);
        uint8_t *b = malloc(n);
        REQUIRE(b && publish_entry_put(b, &e) == b + n);
        struct cursor at = cursor_of(bytes_of(b, n));
        REQUIRE(publish_entry_take(&at, &again) && cursor_left(&at) == 0);
        REQUIRE(bytes_eq(e.topic, again.topic) && bytes_eq(e.payload, again.payload) &&
                bytes_eq(e.props, again.props) && bytes_eq(e.group, again.group) &&
                bytes_eq(e.filter, again.filter));
        REQUIRE(e.uid == again.uid && e.qos == again.qos && e.retain == again.retain &&
                e.once == again.once && e.wants_answer == again.wants_answer &&
                e.has_expiry == again.has_expiry && (!e.has_expiry || e.expiry_s == again.expiry_s));
        free(b);
    }
}

/* ---- routes --------------------------------------------------------------------------------------- */

struct slots {
    uint32_t changes;
    bool is_loading;
};

static bool on_route(void *ctx, const struct route_item *item)
{
    struct slots *s = ctx;
    look(item->filter);
    look(item->group);
    REQUIRE(item->filter.n > 0);
    return s->changes++ % 3 != 0;
}
static void on_load_begin(void *ctx)
{
    ((struct slots *)ctx)->is_loading = true;
}
static void on_load_end(void *ctx)
{
    struct slots *s = ctx;
    REQUIRE(s->is_loading);
    s->is_loading = false;
}

/* Taken by a receiver that has a whole set, and by one that has nothing. */
static void on_routes(unsigned op, struct bytes body)
{
    struct slots slots = {0};
    struct routetake_ops ops = {on_route, on_route, on_load_begin, on_load_end, &slots};
    for (int is_new = 0; is_new < 2; is_new++) {
        struct routetake t = {.seq = 3, .acked = 3, .sum = 1, .count = 1, .is_complete = true};
        if (is_new)
            routetake_start(&t);
        uint64_t before = t.seq;
        enum routetake_verdict v = op == RPC_ROUTE_DELTAS     ? routetake_deltas(&t, body, &ops)
                                   : op == RPC_ROUTE_SNAPSHOT ? routetake_snapshot(&t, body, &ops)
                                                              : routetake_digest(&t, body);
        REQUIRE(v == ROUTETAKE_OK || t.seq == before);
        uint8_t out[32];
        uint64_t number;
        uint32_t n = routetake_ack(&t, out);
        REQUIRE(!n || (route_number_read(&number, bytes_of(out, n)) && number == t.seq));
    }
}

static void on_feed(unsigned op, struct bytes body)
{
    static uint8_t out[128 << 10];
    struct routelog *l = routelog_new();
    struct routefeed f = {0};
    struct route_item item = {.filter = bytes_str("a/b")};
    for (int i = 0; i < 5; i++)
        routelog_add(l, &item, ROUTELOG_MEMBERSHIP);
    routelog_trim(l, 2);
    f.sent = f.told = 4;
    if (op == RPC_ROUTE_ACK)
        REQUIRE(!routefeed_on_ack(&f, body) || f.acked <= f.sent);
    else if (routefeed_on_want(&f, l, body) && !f.is_snapshot)
        REQUIRE(routefeed_deltas(&f, l, out, sizeof out) > 0 || f.is_snapshot || f.sent == 5);
    routelog_free(l);
}

static void on_ack(struct bytes body)
{
    struct link l;
    link_init(&l, 1 << 20);
    REQUIRE(link_attach(&l, 0, 0, 0, 9) == LINK_RESET);
    for (int i = 0; i < 3; i++) {
        struct frame_buf *f = frame_buf_new(4);
        frame_buf_seal(f, RPC_MARK, 4);
        memset(frame_buf_body(f), 0, 4);
        link_push(&l, f);
    }
    link_out_done(&l, 9 + 5); /* one and a half */
    REQUIRE(!link_on_ack(&l, body) || l.tx_acked <= 2);
    link_fini(&l);
}

static void on_frame(unsigned op, struct bytes body)
{
    static void (*const readers[256])(struct bytes body) = {
        [RPC_HELLO] = on_hello,
        [RPC_RESUME] = on_resume,
        [RPC_ACK] = on_ack,
        [RPC_PUSH_PULL] = on_push_pull,
        [RPC_PUSH_PULL_REPLY] = on_push_pull,
        [RPC_PUBLISHES] = on_publishes,
        [RPC_RESULTS] = on_results,
        [RPC_SETTLED] = on_settled,
        [RPC_CLAIM] = on_claim,
        [RPC_GRANT] = on_grant,
        [RPC_RELEASE] = on_release,
        [RPC_HOLD] = on_hold,
        [RPC_UNHOLD] = on_hold,
        [RPC_PARCEL] = on_parcel,
        [RPC_PARCEL_STORED] = on_parcel_ref,
        [RPC_PARCEL_FINISH] = on_parcel_ref,
        [RPC_PARCEL_GONE] = on_parcel_ref,
        [RPC_ADOPT] = on_adopt,
        [RPC_MARK] = on_mark,
        [RPC_MARK_REPLY] = on_mark,
        [RPC_ADMIN] = on_admin,
        [RPC_RETAINED] = on_retained,
        [RPC_RETAINED_DIGESTS] = on_retained_digests,
        [RPC_RETAINED_BUCKET] = on_retained_bucket,
        [RPC_RETAINED_WANT] = on_retained_want,
        [RPC_BANS] = on_bans,
    };
    if (op == RPC_ROUTE_DELTAS || op == RPC_ROUTE_SNAPSHOT || op == RPC_ROUTE_DIGEST)
        on_routes(op, body);
    else if (op == RPC_ROUTE_ACK || op == RPC_ROUTE_WANT)
        on_feed(op, body);
    else if (readers[op])
        readers[op](body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1 || n > 1 << 17)
        return 0;
    arena = rpc_arena_new();
    arena_again = rpc_arena_new();
    uint8_t *b = malloc(n); /* just this size, so that a read behind it is found */
    REQUIRE(b);
    memcpy(b, data + 1, n - 1);
    on_frame(data[0], bytes_of(b, n - 1));
    free(b);
    rpc_arena_free(arena);
    rpc_arena_free(arena_again);
    return 0;
}
