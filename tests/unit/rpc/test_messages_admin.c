/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/rpc/messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static bool round_trip(struct rpc_admin *out, struct rpc_buf *buf, struct rpc_arena *arena,
                       const struct rpc_admin *m)
{
    rpc_buf_reset(buf);
    rpc_arena_reset(arena);
    rpc_admin_put(buf, m);
    return rpc_admin_read(out, rpc_buf_bytes(buf), arena);
}

static void what_is_written_is_read(void **state)
{
    struct rpc_arena *arena = rpc_arena_new();
    struct rpc_buf buf = {0};
    struct rpc_admin out;
    const struct rpc_admin m = {RPC_ADMIN_PIECE, UINT64_MAX - 1, 1 << 20, 500, bytes_str("piece")};
    (void)state;
    assert_true(round_trip(&out, &buf, arena, &m));
    assert_true(out.kind == m.kind && out.id == m.id && out.total == m.total && out.offset == m.offset);
    assert_true(bytes_eq(out.data, m.data));
    assert_true(round_trip(&out, &buf, arena, &(struct rpc_admin){.kind = RPC_ADMIN_CALL, .id = 1}));
    assert_int_equal(out.data.n, 0);
    rpc_buf_fini(&buf);
    rpc_arena_free(arena);
}

static void what_cannot_be_is_refused(void **state)
{
    static const uint8_t cut[] = {0x08};
    const struct rpc_admin wrong[] = {
        {0},
        {.kind = RPC_ADMIN_KIND_END},
        {.kind = RPC_ADMIN_PIECE, .total = 4, .data = bytes_str("piece")},
        {.kind = RPC_ADMIN_PIECE, .total = 5, .offset = 1, .data = bytes_str("piece")},
        {.kind = RPC_ADMIN_PIECE, .total = 5, .offset = 6},
        {.kind = RPC_ADMIN_PIECE, .total = UINT64_MAX, .offset = UINT64_MAX, .data = bytes_str("x")},
    };
    struct rpc_arena *arena = rpc_arena_new();
    struct rpc_buf buf = {0};
    struct rpc_admin out;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(round_trip(&out, &buf, arena, &wrong[i]));
    assert_false(rpc_admin_read(&out, bytes_of(cut, sizeof cut), arena));
    rpc_buf_fini(&buf);
    rpc_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
