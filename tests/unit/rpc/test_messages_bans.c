/* SPDX-License-Identifier: Apache-2.0 */
/* BANS: what is written is read again, what is cut or out of bounds is refused. */
#include "proto/rpc/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

struct codec {
    struct rpc_buf buf;
    struct rpc_arena *arena;
};

static int setup(void **state)
{
    struct codec *c = calloc(1, sizeof *c);
    c->arena = rpc_arena_new();
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct codec *c = *state;
    rpc_buf_fini(&c->buf);
    rpc_arena_free(c->arena);
    free(c);
    return 0;
}

/* From memory that ends where the message does. */
static bool read_n(struct codec *c, struct rpc_bans *out, uint32_t n)
{
    static uint8_t *exact;
    free(exact);
    exact = malloc(n + !n);
    assert_non_null(exact);
    bytes_put(exact, bytes_of(c->buf.b, n));
    rpc_arena_reset(c->arena);
    bool is_good = rpc_bans_read(out, bytes_of(exact, n), c->arena);
    if (n == 0) {
        free(exact);
        exact = NULL;
    }
    return is_good;
}

static void round_trip(void **state)
{
    struct codec *c = *state;
    struct rpc_ban items[] = {{.as = BAN_CLIENT_ID,
                               .who = bytes_str("c"),
                               .by = bytes_str("ctl"),
                               .reason = bytes_str("noise"),
                               .at_ms = 1,
                               .until_ms = 2,
                               .stamp = 3,
                               .node = UINT64_MAX},
                              {.as = BAN_USERNAME_RE, .who = bytes_str("^a"), .stamp = 4, .is_gone = true}};
    struct rpc_bans m = {items, 2}, out;
    rpc_bans_put(&c->buf, &m);
    assert_true(read_n(c, &out, c->buf.n));
    assert_int_equal(out.n, 2);
    for (int i = 0; i < 2; i++) {
        const struct rpc_ban *a = &items[i], *b = &out.items[i];
        assert_true(a->as == b->as && bytes_eq(a->who, b->who) && bytes_eq(a->by, b->by) &&
                    bytes_eq(a->reason, b->reason) && a->at_ms == b->at_ms && a->until_ms == b->until_ms &&
                    a->stamp == b->stamp && a->node == b->node && a->is_gone == b->is_gone);
    }
    unsigned refused = 0;
    for (uint32_t n = c->buf.n; n-- > 0;)
        refused += !read_n(c, &out, n);
    assert_true(refused > 0);
}

static void out_of_bounds(void **state)
{
    struct codec *c = *state;
    static uint8_t room[BAN_WHO_MAX + 1];
    struct bytes x = bytes_str("x"), text = bytes_of(room, BAN_TEXT_MAX + 1);
    const struct rpc_ban bad[] = {{.as = (enum rpc_ban_as)0, .who = x},
                                  {.as = BAN_AS_END, .who = x},
                                  {.as = BAN_USERNAME},
                                  {.as = BAN_USERNAME, .who = bytes_of(room, sizeof room)},
                                  {.as = BAN_NET, .who = x, .by = text},
                                  {.as = BAN_NET, .who = x, .reason = text}};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rpc_ban items[] = {{.as = BAN_CLIENT_ID, .who = x}, bad[i]};
        struct rpc_bans m = {items, 2}, out;
        rpc_buf_reset(&c->buf);
        rpc_bans_put(&c->buf, &m);
        assert_false(read_n(c, &out, c->buf.n));
    }
    struct rpc_bans none = {NULL, 0}, out;
    rpc_buf_reset(&c->buf);
    rpc_bans_put(&c->buf, &none);
    assert_true(read_n(c, &out, 0) && out.n == 0);
}

/* A table of the most frequent kind fits into what a reader may take for its size. */
static void many(void **state)
{
    struct codec *c = *state;
    enum { N = 500 };
    static struct rpc_ban items[N];
    struct rpc_bans m = {items, N}, out;
    for (unsigned i = 0; i < N; i++)
        items[i] = (struct rpc_ban){.as = BAN_CLIENT_ID, .who = bytes_str("c")};
    rpc_bans_put(&c->buf, &m);
    assert_true(read_n(c, &out, c->buf.n));
    assert_int_equal(out.n, N);
    assert_true(read_n(c, &out, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(many, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
