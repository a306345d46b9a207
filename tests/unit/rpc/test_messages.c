/* SPDX-License-Identifier: Apache-2.0 */
/* The messages between nodes: what is written is read as it was, and no cut body is taken for a whole one. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/rpc/frame.h"
#include "proto/rpc/messages.h"

#include <stdlib.h>

static const struct node_id id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};

struct codec {
    struct rpc_arena *arena;
    struct rpc_buf buf;
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
    rpc_arena_free(c->arena);
    rpc_buf_fini(&c->buf);
    free(c);
    return 0;
}

/* The text in memory of just its size, read; it is kept for the views until the next one. */
static uint8_t *exact;
static struct bytes exact_of(struct bytes b)
{
    free(exact);
    exact = malloc(b.n + !b.n);
    assert_non_null(exact);
    return bytes_of(bytes_put(exact, b) - b.n, b.n);
}

/* The reader of each message with its struct behind void, for cutting. */
typedef bool reader(void *out, struct bytes body, struct rpc_arena *a);
union any {
    struct rpc_hello hello;
    struct rpc_parcel parcel;
    struct rpc_retained retained;
    uint8_t room[512];
};

#define READER(name)                                                          \
    static bool name##_any(void *out, struct bytes body, struct rpc_arena *a) \
    {                                                                         \
        return rpc_##name##_read(out, body, a);                               \
    }
READER(hello)
READER(resume)
READER(results)
READER(settled)
READER(claim)
READER(grant)
READER(release)
READER(hold)
READER(parcel)
READER(parcel_ref)
READER(adopt)
READER(mark)
READER(retained)
READER(retained_bucket)
READER(retained_digests)
READER(retained_want)

/* Cut at any byte: refused, or, where the cut is between two fields, read without leading anywhere. Answers
 * how many cuts were refused. */
static uint32_t cut_everywhere(struct codec *c, reader *read)
{
    uint32_t refused = 0;
    struct bytes all = rpc_buf_bytes(&c->buf);
    for (uint32_t n = 0; n < all.n; n++) {
        union any out;
        rpc_arena_reset(c->arena);
        refused += !read(&out, exact_of(bytes_of(all.p, n)), c->arena);
    }
    rpc_arena_reset(c->arena);
    return refused;
}

static struct bytes whole(struct codec *c)
{
    rpc_arena_reset(c->arena);
    return exact_of(rpc_buf_bytes(&c->buf));
}

/* ---- connections ---------------------------------------------------------------------------------- */

static const struct rpc_hello hello = {.version = 2,
                                       .version_min = 1,
                                       .features = 0x8000000000000001,
                                       .node_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
                                       .epoch = 77,
                                       .cluster = {(const uint8_t *)"covey", 5},
                                       .name = {(const uint8_t *)"covey@n1", 8},
                                       .mqtt_address = {(const uint8_t *)"h:1883", 6},
                                       .address = {.ip = {[15] = 1}, .port = 7946},
                                       .is_draining = true};

static void hello_round(void **state)
{
    struct codec *c = *state;
    struct rpc_hello m;
    rpc_hello_put(&c->buf, &hello);
    assert_true(rpc_hello_read(&m, whole(c), c->arena));
    assert_true(m.version == 2 && m.version_min == 1 && m.features == hello.features && m.epoch == 77);
    assert_true(node_id_eq(&m.node_id, &id) && net_addr_eq(&m.address, &hello.address) && m.is_draining);
    assert_true(bytes_eq(m.cluster, hello.cluster) && bytes_eq(m.name, hello.name) &&
                bytes_eq(m.mqtt_address, hello.mqtt_address));
    assert_true(cut_everywhere(c, hello_any) > c->buf.n / 2);
}

static void hello_refused(struct codec *c, const struct rpc_hello *m)
{
    struct rpc_hello out;
    rpc_buf_reset(&c->buf);
    rpc_hello_put(&c->buf, m);
    assert_false(rpc_hello_read(&out, whole(c), c->arena));
}

static void hello_out_of_bounds(void **state)
{
    struct codec *c = *state;
    static uint8_t text[256];
    struct rpc_hello m = hello;
    memset(text, 'x', sizeof text);
    m.epoch = 0;
    hello_refused(c, &m);
    m = hello;
    m.node_id = (struct node_id){{0}};
    hello_refused(c, &m);
    m = hello;
    m.version_min = 3;
    hello_refused(c, &m);
    struct bytes *const texts[] = {&m.cluster, &m.name, &m.mqtt_address};
    for (int i = 0; i < 3; i++) {
        m = hello;
        *texts[i] = bytes_of(text, sizeof text);
        hello_refused(c, &m);
        *texts[i] = bytes_of(text, 255);
        rpc_buf_reset(&c->buf);
        rpc_hello_put(&c->buf, &m);
        assert_true(rpc_hello_read(&m, whole(c), c->arena));
    }
}

static void resume_and_mark_round(void **state)
{
    struct codec *c = *state;
    struct rpc_resume m = {UINT64_MAX, 2, 1ull << 63}, out;
    rpc_resume_put(&c->buf, &m);
    assert_true(rpc_resume_read(&out, whole(c), c->arena));
    assert_memory_equal(&m, &out, sizeof m);
    assert_true(cut_everywhere(c, resume_any) > c->buf.n / 2);
    /* Zeros are an empty body. */
    struct rpc_mark mark = {0}, mark_out = {9};
    struct rpc_buf empty = {0};
    rpc_mark_put(&empty, &mark);
    assert_int_equal(empty.n, 0);
    assert_true(rpc_mark_read(&mark_out, rpc_buf_bytes(&empty), c->arena));
    assert_int_equal(mark_out.token, 0);
    rpc_buf_fini(&empty);
    mark.token = 99;
    rpc_buf_reset(&c->buf);
    rpc_mark_put(&c->buf, &mark);
    assert_true(rpc_mark_read(&mark_out, whole(c), c->arena));
    assert_int_equal(mark_out.token, 99);
    cut_everywhere(c, mark_any);
}

/* ---- answers -------------------------------------------------------------------------------------- */

static void results_round(void **state)
{
    struct codec *c = *state;
    struct rpc_run runs[300];
    struct rpc_results m = {runs, 300}, out;
    for (uint32_t i = 0; i < 300; i++)
        runs[i] = (struct rpc_run){.seq = i * 1000003ull, .first = i * 7, .count = i, .code = i % 256};
    rpc_results_put(&c->buf, &m);
    assert_true(rpc_results_read(&out, whole(c), c->arena));
    assert_int_equal(out.n, 300);
    for (uint32_t i = 0; i < 300; i++)
        assert_true(out.runs[i].seq == runs[i].seq && out.runs[i].first == runs[i].first &&
                    out.runs[i].count == runs[i].count && out.runs[i].code == runs[i].code);
    cut_everywhere(c, results_any);
    runs[5].code = 256; /* no reason code */
    rpc_buf_reset(&c->buf);
    rpc_results_put(&c->buf, &m);
    assert_false(rpc_results_read(&out, whole(c), c->arena));
    m.n = 0;
    rpc_buf_reset(&c->buf);
    rpc_results_put(&c->buf, &m);
    assert_true(rpc_results_read(&out, whole(c), c->arena) && out.n == 0);
}

static void settled_round(void **state)
{
    struct codec *c = *state;
    uint64_t uids[] = {1, UINT64_MAX, 3};
    struct rpc_settled m = {uids, 3}, out;
    rpc_settled_put(&c->buf, &m);
    assert_true(rpc_settled_read(&out, whole(c), c->arena));
    assert_int_equal(out.n, 3);
    assert_memory_equal(out.uids, uids, sizeof uids);
    assert_int_equal(cut_everywhere(c, settled_any),
                     c->buf.n - 1); /* only nothing at all is a message, too */
}

/* ---- client ids ----------------------------------------------------------------------------------- */

static void claim_grant_release_round(void **state)
{
    struct codec *c = *state;
    struct rpc_claim claim = {bytes_str("client"), 5, 6, true}, claim_out;
    struct rpc_grant grant = {7, 8, true, id, bytes_str("client")}, grant_out;
    struct rpc_release release = {bytes_str("client"), 9, 10, id, true}, release_out;
    rpc_claim_put(&c->buf, &claim);
    assert_true(rpc_claim_read(&claim_out, whole(c), c->arena));
    assert_true(bytes_eq(claim_out.client_id, claim.client_id) && claim_out.stamp == 5 &&
                claim_out.token == 6 && claim_out.clean_start);
    assert_true(cut_everywhere(c, claim_any) > 0);
    rpc_buf_reset(&c->buf);
    rpc_grant_put(&c->buf, &grant);
    assert_true(rpc_grant_read(&grant_out, whole(c), c->arena));
    assert_true(grant_out.token == 7 && grant_out.stamp == 8 && grant_out.has_holder &&
                node_id_eq(&grant_out.holder, &id) && bytes_eq(grant_out.client_id, grant.client_id));
    assert_true(cut_everywhere(c, grant_any) > 0);
    grant.has_holder = false;
    rpc_buf_reset(&c->buf);
    rpc_grant_put(&c->buf, &grant);
    assert_true(rpc_grant_read(&grant_out, whole(c), c->arena) && !grant_out.has_holder);
    rpc_buf_reset(&c->buf);
    rpc_release_put(&c->buf, &release);
    assert_true(rpc_release_read(&release_out, whole(c), c->arena));
    assert_true(bytes_eq(release_out.client_id, release.client_id) && release_out.stamp == 9 &&
                release_out.token == 10 && node_id_eq(&release_out.to, &id) && release_out.clean_start);
    assert_true(cut_everywhere(c, release_any) > 0);
}

static void client_ids_have_bounds(void **state)
{
    struct codec *c = *state;
    static uint8_t big[UINT16_MAX + 1];
    static const uint32_t sizes[] = {0, 1, UINT16_MAX, UINT16_MAX + 1};
    for (int i = 0; i < 4; i++) {
        bool is_good = i == 1 || i == 2;
        struct bytes text = bytes_of(big, sizes[i]);
        struct rpc_claim claim = {.client_id = text};
        struct rpc_release release = {.client_id = text, .to = id};
        struct rpc_adopt adopt = {text};
        struct rpc_parcel_ref ref = {3, text};
        struct rpc_hold_item item = {text, 1};
        struct rpc_hold hold = {&item, 1};
        struct rpc_parcel parcel = {.kind = RPC_PARCEL_END, .client_id = text};
#define CHECK_BOUND(name, value)                                                    \
    do {                                                                            \
        rpc_buf_reset(&c->buf);                                                     \
        rpc_##name##_put(&c->buf, &(value));                                        \
        assert_int_equal(rpc_##name##_read(&(value), whole(c), c->arena), is_good); \
    } while (0)
        CHECK_BOUND(claim, claim);
        CHECK_BOUND(release, release);
        CHECK_BOUND(adopt, adopt);
        CHECK_BOUND(parcel_ref, ref);
        CHECK_BOUND(hold, hold);
        CHECK_BOUND(parcel, parcel);
    }
}

static void hold_round(void **state)
{
    struct codec *c = *state;
    struct rpc_hold_item items[] = {
        {bytes_str("a"), 1}, {bytes_str("bb"), UINT64_MAX}, {bytes_str("ccc"), 0}};
    struct rpc_hold m = {items, 3}, out;
    rpc_hold_put(&c->buf, &m);
    assert_true(rpc_hold_read(&out, whole(c), c->arena));
    assert_int_equal(out.n, 3);
    for (int i = 0; i < 3; i++)
        assert_true(bytes_eq(out.items[i].client_id, items[i].client_id) &&
                    out.items[i].stamp == items[i].stamp);
    assert_true(cut_everywhere(c, hold_any) > 0);
}

/* ---- sessions that move --------------------------------------------------------------------------- */

static void parcel_round(void **state)
{
    struct codec *c = *state;
    struct bytes subs[] = {bytes_str("sub"), bytes_str(""), bytes_str("third")},
                 messages[] = {bytes_str("m")};
    struct rpc_parcel m = {.number = 1,
                           .token = 2,
                           .kind = RPC_PARCEL_BEGIN,
                           .client_id = bytes_str("client"),
                           .session = bytes_str("session"),
                           .state = bytes_str("state"),
                           .subs = subs,
                           .subs_n = 3,
                           .messages = messages,
                           .messages_n = 1},
                      out;
    rpc_parcel_put(&c->buf, &m);
    assert_true(rpc_parcel_read(&out, whole(c), c->arena));
    assert_true(out.number == 1 && out.token == 2 && out.kind == RPC_PARCEL_BEGIN &&
                bytes_eq(out.client_id, m.client_id) && bytes_eq(out.session, m.session) &&
                bytes_eq(out.state, m.state));
    assert_int_equal(out.subs_n, 3);
    for (int i = 0; i < 3; i++)
        assert_true(bytes_eq(out.subs[i], subs[i]));
    assert_true(out.messages_n == 1 && bytes_eq(out.messages[0], messages[0]));
    assert_true(cut_everywhere(c, parcel_any) > 0);
    m.kind = RPC_PARCEL_KINDS;
    rpc_buf_reset(&c->buf);
    rpc_parcel_put(&c->buf, &m);
    assert_false(rpc_parcel_read(&out, whole(c), c->arena));
    struct rpc_parcel_ref ref = {7, bytes_str("client")}, ref_out;
    rpc_buf_reset(&c->buf);
    rpc_parcel_ref_put(&c->buf, &ref);
    assert_true(rpc_parcel_ref_read(&ref_out, whole(c), c->arena));
    assert_true(ref_out.number == 7 && bytes_eq(ref_out.client_id, ref.client_id));
    assert_true(cut_everywhere(c, parcel_ref_any) > 0);
    struct rpc_adopt adopt = {bytes_str("client")}, adopt_out;
    rpc_buf_reset(&c->buf);
    rpc_adopt_put(&c->buf, &adopt);
    assert_true(rpc_adopt_read(&adopt_out, whole(c), c->arena) &&
                bytes_eq(adopt.client_id, adopt_out.client_id));
    assert_int_equal(cut_everywhere(c, adopt_any), c->buf.n);
}

/* ---- retained messages ---------------------------------------------------------------------------- */

static void retained_round(void **state)
{
    struct codec *c = *state;
    struct rpc_retained_item items[] = {{bytes_str("a/b"), bytes_str("record"), 5, 6},
                                        {bytes_str("gone"), bytes_of(NULL, 0), 7, UINT64_MAX}};
    struct rpc_retained m = {.items = items, .n = 2, .bucket = 9, .is_last = true, .is_repair = true}, out;
    rpc_retained_put(&c->buf, &m);
    assert_true(rpc_retained_read(&out, whole(c), c->arena));
    assert_true(out.n == 2 && out.is_repair);
    for (int i = 0; i < 2; i++)
        assert_true(bytes_eq(out.items[i].key, items[i].key) &&
                    bytes_eq(out.items[i].record, items[i].record) && out.items[i].stamp == items[i].stamp &&
                    out.items[i].node == items[i].node);
    assert_true(cut_everywhere(c, retained_any) > 0);
    rpc_buf_reset(&c->buf);
    rpc_retained_bucket_put(&c->buf, &m);
    assert_true(rpc_retained_bucket_read(&out, whole(c), c->arena));
    assert_true(out.n == 2 && out.bucket == 9 && out.is_last && bytes_eq(out.items[1].key, items[1].key) &&
                out.items[0].record.n == 0 && out.items[1].stamp == 7);
    assert_true(cut_everywhere(c, retained_bucket_any) > 0);
    static uint8_t long_key[501];
    items[0].key = bytes_of(long_key, 501);
    rpc_buf_reset(&c->buf);
    rpc_retained_put(&c->buf, &m);
    assert_false(rpc_retained_read(&out, whole(c), c->arena));
    items[0].key = bytes_of(long_key, 0);
    rpc_buf_reset(&c->buf);
    rpc_retained_bucket_put(&c->buf, &m);
    assert_false(rpc_retained_bucket_read(&out, whole(c), c->arena));
}

static void digests_and_wants_round(void **state)
{
    struct codec *c = *state;
    uint64_t digests[1024];
    struct rpc_retained_digests m = {digests, 1024, true}, out;
    for (uint32_t i = 0; i < 1024; i++)
        digests[i] = i * 0x9e3779b97f4a7c15ull;
    rpc_retained_digests_put(&c->buf, &m);
    assert_true(rpc_retained_digests_read(&out, whole(c), c->arena));
    assert_true(out.n == 1024 && out.is_reply);
    assert_memory_equal(out.digests, digests, sizeof digests);
    assert_true(cut_everywhere(c, retained_digests_any) > 8000);
    struct bytes keys[] = {bytes_str("a"), bytes_str("b/c")};
    struct rpc_retained_want want = {keys, 2}, want_out;
    rpc_buf_reset(&c->buf);
    rpc_retained_want_put(&c->buf, &want);
    assert_true(rpc_retained_want_read(&want_out, whole(c), c->arena) && want_out.n == 2);
    assert_true(bytes_eq(want_out.keys[0], keys[0]) && bytes_eq(want_out.keys[1], keys[1]));
    assert_true(cut_everywhere(c, retained_want_any) > 0);
}

/* ---- memory --------------------------------------------------------------------------------------- */

/* A body of empty elements costs the sender two bytes each; the receiver may pay some, not without bound. */
static void a_message_takes_no_more_than_a_multiple_of_its_size(void **state)
{
    struct codec *c = *state;
    enum { N = 4 << 20 };
    uint8_t *b = malloc(N);
    struct rpc_results out;
    assert_non_null(b);
    for (uint32_t i = 0; i < N; i += 2) {
        b[i] = 1 << 3 | 2;
        b[i + 1] = 0;
    }
    rpc_arena_reset(c->arena);
    assert_false(rpc_results_read(&out, bytes_of(b, N), c->arena));
    rpc_arena_reset(c->arena);
    free(b);
    struct rpc_mark mark = {5}, mark_out; /* and it is good for the next one */
    rpc_buf_reset(&c->buf);
    rpc_mark_put(&c->buf, &mark);
    assert_true(rpc_mark_read(&mark_out, whole(c), c->arena) && mark_out.token == 5);
}

/* ---- frames, ids, addresses ----------------------------------------------------------------------- */

static void frames_have_heads_and_opcodes_names(void **state)
{
    uint8_t b[8];
    (void)state;
    assert_ptr_equal(rpc_frame_head_put(b, RPC_PUBLISHES, 0x01020304), b + RPC_FRAME_HEADER_N);
    assert_int_equal(be32_get(b), 0x01020305); /* the opcode counts */
    assert_int_equal(b[4], RPC_PUBLISHES);
    assert_string_equal(rpc_op_name(RPC_HELLO), "HELLO");
    assert_string_equal(rpc_op_name(RPC_RETAINED_WANT), "RETAINED_WANT");
    assert_null(rpc_op_name(0));
    assert_null(rpc_op_name(255));
    assert_true(rpc_op_is_control(RPC_BYE));
    assert_false(rpc_op_is_control(RPC_PUSH_PULL));
}

static void ids_and_addresses_are_read_as_written(void **state)
{
    char text[NODE_ID_TEXT_N], addr_text[NET_ADDR_TEXT_N];
    uint8_t b[NET_ADDR_N];
    struct node_id out;
    struct net_addr a = net_addr_v4(127, 0, 0, 1, 7946), a_out;
    (void)state;
    assert_string_equal(node_id_text(text, &id), "0102030405060708090a0b0c0d0e0f10");
    assert_true(node_id_parse(&out, bytes_str(text)) && node_id_eq(&out, &id));
    assert_false(node_id_parse(&out, bytes_str("0102030405060708090a0b0c0d0e0f1")));
    assert_false(node_id_parse(&out, bytes_str("0102030405060708090a0b0c0d0e0f1g")));
    assert_false(node_id_read(&out, bytes_of(id.b, 15)));
    assert_string_equal(net_addr_text(addr_text, &a), "127.0.0.1:7946");
    assert_true(net_addr_is_v4(&a) && net_addr_is_loopback(&a) && !net_addr_is_any(&a));
    net_addr_put(b, &a);
    assert_true(net_addr_read(&a_out, bytes_of(b, NET_ADDR_N)) && net_addr_eq(&a, &a_out));
    assert_false(net_addr_read(&a_out, bytes_of(b, NET_ADDR_N - 1)));
    struct net_addr v6 = {.ip = {0x20, 1, [15] = 1}, .port = 1}, any = {.port = 1};
    assert_string_equal(net_addr_text(addr_text, &v6), "[2001:0:0:0:0:0:0:1]:1");
    assert_true(net_addr_is_any(&any) && !net_addr_is_v4(&any) && !net_addr_is_loopback(&v6));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hello_round),
        TEST(hello_out_of_bounds),
        TEST(resume_and_mark_round),
        TEST(results_round),
        TEST(settled_round),
        TEST(claim_grant_release_round),
        TEST(client_ids_have_bounds),
        TEST(hold_round),
        TEST(parcel_round),
        TEST(retained_round),
        TEST(digests_and_wants_round),
        TEST(a_message_takes_no_more_than_a_multiple_of_its_size),
        cmocka_unit_test(frames_have_heads_and_opcodes_names),
        cmocka_unit_test(ids_and_addresses_are_read_as_written),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(exact);
    return failed;
}
