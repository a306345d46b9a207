/* SPDX-License-Identifier: Apache-2.0 */
/* What administrators ask other nodes: to whom it goes, who hears it, and what is said where nobody does. */
#include "node/mesh/mesh_i.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

/* ---- instead of peer.c, which is not linked ------------------------------------------------------- */

static struct sent {
    const struct peer *to;
    enum rpc_op op;
    uint8_t body[256];
    uint32_t n;
    uint32_t times;
} sent;

const char *peer_name(const struct peer *p)
{
    return p->name;
}

void peer_send(struct mesh *m, struct peer *p, enum rpc_op op, struct bytes body)
{
    (void)m;
    assert_true(body.n <= sizeof sent.body);
    sent = (struct sent){.to = p, .op = op, .n = body.n, .times = sent.times + 1};
    memcpy(sent.body, body.p, body.n);
}

/* ---- a mesh with three peers ---------------------------------------------------------------------- */

static struct wire wire;
static struct peer peers[] = {
    {.name = "old", .wire = &wire},
    {.name = "up", .wire = &wire, .features = RPC_FEATURE_ADMIN},
    {.name = "unlinked", .features = RPC_FEATURE_ADMIN},
    {.name = "dead", .wire = &wire, .features = RPC_FEATURE_ADMIN, .is_dead = true},
};

static void mesh_begin(struct mesh *m)
{
    *m = (struct mesh){.arena = rpc_arena_new()};
    for (uint32_t i = 0; i < sizeof peers / sizeof peers[0]; i++)
        m->peers[2 * i] = &peers[i]; /* with gaps, as where peers were forgotten */
    sent = (struct sent){0};
}

static void mesh_end(struct mesh *m)
{
    rpc_buf_fini(&m->scratch);
    rpc_arena_free(m->arena);
}

static const struct rpc_admin call = {.kind = RPC_ADMIN_CALL, .id = 7, .data = {(const uint8_t *)"{}", 2}};

static void sent_is(struct mesh *m, const struct peer *to, const struct rpc_admin *wanted)
{
    struct rpc_admin a;
    assert_int_equal(sent.times, 1);
    assert_ptr_equal(sent.to, to);
    assert_int_equal(sent.op, RPC_ADMIN);
    assert_true(rpc_admin_read(&a, bytes_of(sent.body, sent.n), m->arena));
    assert_int_equal(a.kind, wanted->kind);
    assert_int_equal(a.id, wanted->id);
    assert_int_equal(a.total, wanted->total);
    assert_int_equal(a.offset, wanted->offset);
    assert_true(bytes_eq(a.data, wanted->data));
}

/* ---- sending -------------------------------------------------------------------------------------- */

static void goes_to_the_node_of_that_name(void **state)
{
    struct mesh m;
    (void)state;
    mesh_begin(&m);
    assert_true(mesh_admin_send(&m, "up", &call));
    sent_is(&m, &peers[1], &call);
    mesh_end(&m);
}

static void goes_nowhere_else(void **state)
{
    static const char *const names[] = {"old", "unlinked", "dead", "nobody", ""};
    struct mesh m;
    (void)state;
    mesh_begin(&m);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_false(mesh_admin_send(&m, names[i], &call));
    assert_int_equal(sent.times, 0);
    mesh_end(&m);
}

/* ---- hearing -------------------------------------------------------------------------------------- */

struct heard {
    char from[MEMBER_NAME_MAX];
    struct rpc_admin what;
    char data[16];
    uint32_t times;
};

static void hear(void *ctx, const char *from, const struct rpc_admin *a)
{
    struct heard *h = ctx;
    h->times++;
    snprintf(h->from, sizeof h->from, "%s", from);
    h->what = *a;
    snprintf(h->data, sizeof h->data, "%.*s", (int)a->data.n, (const char *)a->data.p);
}

static bool frame(struct mesh *m, const struct rpc_admin *a)
{
    struct rpc_buf buf = {0};
    rpc_admin_put(&buf, a);
    bool is_good = admin_on_frame(m, &peers[1], rpc_buf_bytes(&buf));
    rpc_buf_fini(&buf);
    return is_good;
}

static void who_is_hooked_hears(void **state)
{
    const struct rpc_admin piece = {
        .kind = RPC_ADMIN_PIECE, .id = 9, .total = 10, .offset = 4, .data = {(const uint8_t *)"abc", 3}};
    struct heard h = {.times = 0};
    struct mesh m;
    (void)state;
    mesh_begin(&m);
    mesh_admin_hook(&m, hear, &h);
    assert_true(frame(&m, &call));
    assert_string_equal(h.from, "up");
    assert_int_equal(h.what.kind, RPC_ADMIN_CALL);
    assert_string_equal(h.data, "{}");
    assert_true(frame(&m, &piece));
    assert_int_equal(h.what.id, 9);
    assert_int_equal(h.what.offset, 4);
    assert_string_equal(h.data, "abc");
    assert_int_equal(h.times, 2);
    assert_int_equal(sent.times, 0); /* whoever hears it answers */
    mesh_end(&m);
}

/* A node without HTTP: who calls it learns at once that nobody is there. */
static void nobody_is_hooked(void **state)
{
    struct mesh m;
    struct heard h = {.times = 0};
    (void)state;
    mesh_begin(&m);
    mesh_admin_hook(&m, hear, &h);
    mesh_admin_hook(&m, NULL, NULL);
    assert_true(frame(&m, &call));
    sent_is(&m, &peers[1], &(struct rpc_admin){.kind = RPC_ADMIN_PIECE, .id = 7});
    sent = (struct sent){0};
    assert_true(frame(&m, &(struct rpc_admin){.kind = RPC_ADMIN_PIECE, .id = 7}));
    assert_true(frame(&m, &(struct rpc_admin){.kind = RPC_ADMIN_MORE, .id = 7, .offset = 3}));
    assert_int_equal(sent.times, 0); /* else two such nodes would never come to an end */
    assert_int_equal(h.times, 0);
    mesh_end(&m);
}

static void what_is_malformed_is_refused(void **state)
{
    static const uint8_t junk[] = {0xff, 0xff, 0xff};
    struct mesh m;
    struct heard h = {.times = 0};
    (void)state;
    mesh_begin(&m);
    mesh_admin_hook(&m, hear, &h);
    assert_false(admin_on_frame(&m, &peers[1], bytes_of(junk, sizeof junk)));
    assert_false(frame(&m, &(struct rpc_admin){.kind = RPC_ADMIN_KIND_END, .id = 1}));
    assert_false(frame(
        &m, &(struct rpc_admin){
                .kind = RPC_ADMIN_PIECE, .total = 2, .offset = 1, .data = {(const uint8_t *)"abc", 3}}));
    assert_int_equal(h.times, 0);
    mesh_end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_to_the_node_of_that_name), cmocka_unit_test(goes_nowhere_else),
        cmocka_unit_test(who_is_hooked_hears),           cmocka_unit_test(nobody_is_hooked),
        cmocka_unit_test(what_is_malformed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
