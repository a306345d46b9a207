/* SPDX-License-Identifier: Apache-2.0 */
/* Datagrams of the membership protocol and publishes between nodes, written and read. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "proto/rpc/gossip.h"
#include "proto/rpc/pb.h"
#include "proto/rpc/publish_entry.h"

#include <stdlib.h>

static const struct node_id id = {{1, 2, 3}};

static struct gossip_record record(uint32_t i)
{
    struct gossip_record r = {.id = id, .epoch = i + 1, .incarnation = i, .name = bytes_str("covey@n1")};
    be32_put(r.id.b + 8, i);
    r.state = (enum gossip_state)(i % GOSSIP_STATES);
    r.address = net_addr_v4(10, 0, 0, (uint8_t)i, 7946);
    r.is_draining = i & 1;
    r.name.n = i % 9;
    if (i % 3 == 0)
        r.source = id;
    return r;
}

static void expect_record(const struct gossip_record *a, const struct gossip_record *b)
{
    assert_true(node_id_eq(&a->id, &b->id) && node_id_eq(&a->source, &b->source) && a->epoch == b->epoch);
    assert_true(a->incarnation == b->incarnation && a->state == b->state &&
                net_addr_eq(&a->address, &b->address) && bytes_eq(a->name, b->name) &&
                a->is_draining == b->is_draining);
}

/* Reads from memory of just that size. */
static bool read_exact(struct gossip *g, struct bytes b, struct rpc_arena *a)
{
    static uint8_t *copy;
    free(copy);
    copy = malloc(b.n + !b.n);
    bytes_put(copy, b);
    rpc_arena_reset(a);
    bool ok = gossip_read(g, bytes_of(copy, b.n), a);
    if (!b.n) {
        free(copy);
        copy = NULL;
    }
    return ok;
}

static void gossip_round_and_every_cut(void **state)
{
    struct rpc_arena *a = rpc_arena_new();
    (void)state;
    for (uint32_t n = 0; n <= GOSSIP_RECORDS_MAX; n = n * 3 + 1) {
        struct gossip_record records[GOSSIP_RECORDS_MAX];
        struct gossip g = {.cluster = UINT64_MAX, .seq = 5, .from = id, .records = records, .n = n}, out;
        struct rpc_buf b = {0};
        uint32_t size = GOSSIP_HEAD_MAX, refused = 0;
        g.kind = (enum gossip_kind)(n % GOSSIP_KINDS);
        for (uint32_t i = 0; i < n; i++) {
            records[i] = record(i);
            size += gossip_record_size(&records[i]);
        }
        if (g.kind == GOSSIP_PING_REQ) {
            g.target = id;
            g.target_address = net_addr_v4(1, 2, 3, 4, 5);
        }
        gossip_put(&b, &g);
        assert_true(b.n <= size);
        assert_true(read_exact(&out, rpc_buf_bytes(&b), a));
        assert_true(out.cluster == g.cluster && out.kind == g.kind && out.seq == 5 && out.n == n &&
                    node_id_eq(&out.from, &id) && node_id_eq(&out.target, &g.target) &&
                    net_addr_eq(&out.target_address, &g.target_address));
        for (uint32_t i = 0; i < n; i++)
            expect_record(&out.records[i], &records[i]);
        for (uint32_t k = 0; k < b.n; k++) {
            if (read_exact(&out, bytes_of(b.b, k), a))
                assert_true(out.n < n || n == 0); /* cut between two fields: fewer records, and whole ones */
            else
                refused++;
        }
        assert_true(refused >= b.n - n - 6);
        read_exact(&out, bytes_of(NULL, 0), a);
        rpc_buf_fini(&b);
    }
    rpc_arena_free(a);
}

static void out_of_bounds(void **state)
{
    struct rpc_arena *a = rpc_arena_new();
    static uint8_t name[GOSSIP_NAME_MAX + 1];
    (void)state;
    for (int turn = 0; turn < 9; turn++) {
        struct gossip_record r = record(1);
        struct gossip g = {.kind = GOSSIP_ONLY, .from = id, .records = &r, .n = 1}, out;
        struct rpc_buf b = {0};
        r.name = bytes_of(name, GOSSIP_NAME_MAX);
        switch (turn) {
        case 1:
            r.name.n++;
            break;
        case 2:
            r.epoch = 0;
            break;
        case 3:
            r.id = (struct node_id){{0}};
            break;
        case 4:
            r.state = GOSSIP_STATES;
            break;
        case 5:
            g.kind = GOSSIP_KINDS;
            break;
        case 6:
            g.from = (struct node_id){{0}};
            break;
        default:
            break;
        }
        gossip_put(&b, &g);
        assert_int_equal(gossip_read(&out, rpc_buf_bytes(&b), a), turn == 0 || turn > 6);
        rpc_buf_fini(&b);
        rpc_arena_reset(a);
    }
    struct gossip_record *many = calloc(GOSSIP_RECORDS_MAX + 1, sizeof *many);
    struct gossip g = {.from = id, .records = many, .n = GOSSIP_RECORDS_MAX + 1}, out;
    struct rpc_buf b = {0};
    for (uint32_t i = 0; i <= GOSSIP_RECORDS_MAX; i++)
        many[i] = record(i);
    gossip_put(&b, &g);
    assert_false(gossip_read(&out, rpc_buf_bytes(&b), a));
    free(many);
    rpc_buf_fini(&b);
    rpc_arena_free(a);
}

/* ---- publishes ------------------------------------------------------------------------------------ */

static struct publish_entry entry_of(uint32_t bits)
{
    struct publish_entry e = {.topic = bytes_str("some/topic"), .qos = (uint8_t)(bits & 3) % 3};
    static uint8_t payload[300];
    e.payload = bytes_of(payload, bits & 4 ? 300 : 0);
    e.props = bits & 8 ? bytes_str("props") : bytes_of(NULL, 0);
    e.group = bits & 16 ? bytes_str("g") : bytes_of(NULL, 0);
    e.filter = bits & 16 ? bytes_str("some/#") : bytes_of(NULL, 0);
    e.uid = bits & 32 ? 0x8000000000000001 : 0;
    e.has_expiry = bits & 64;
    e.expiry_s = bits & 64 ? UINT32_MAX : 0;
    e.retain = bits & 128;
    e.wants_answer = e.qos && bits & 256;
    e.once = bits & 512;
    return e;
}

static void expect_entry(const struct publish_entry *a, const struct publish_entry *b)
{
    assert_true(bytes_eq(a->topic, b->topic) && bytes_eq(a->payload, b->payload) &&
                bytes_eq(a->props, b->props) && bytes_eq(a->group, b->group) &&
                bytes_eq(a->filter, b->filter));
    assert_true(a->uid == b->uid && a->expiry_s == b->expiry_s && a->qos == b->qos &&
                a->retain == b->retain && a->has_expiry == b->has_expiry &&
                a->wants_answer == b->wants_answer && a->once == b->once);
}

static void entries_round_and_every_cut(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 1024; bits++) {
        struct publish_entry e = entry_of(bits), out;
        uint32_t n = publish_entry_size(&e);
        uint8_t *b = malloc(2 * n);
        assert_ptr_equal(publish_entry_put(publish_entry_put(b, &e), &e), b + 2 * n);
        struct cursor c = cursor_of(bytes_of(b, 2 * n));
        for (int i = 0; i < 2; i++) {
            assert_true(publish_entry_take(&c, &out));
            expect_entry(&out, &e);
        }
        assert_int_equal(cursor_left(&c), 0);
        for (uint32_t k = 0; k<n; k += n> 100 && k > 40 && k < n - 40 ? 17 : 1) {
            uint8_t *cut = malloc(k + 1);
            memcpy(cut, b, k);
            c = cursor_of(bytes_of(cut, k));
            assert_false(publish_entry_take(&c, &out));
            free(cut);
        }
        free(b);
    }
}

/* Any order of fields, and fields that a later version has; not those that are known, with another type. */
static void any_encoding_is_understood(void **state)
{
    static const uint8_t good[] = {0x0a, 21,   0x38 + 2, 1, 'g',  0x42, 1,   '#',  0x12, 1,   'p', 0x18,
                                   0x11, 0x48, 0x96,     1, 0x52, 1,    'z', 0x0a, 2,    't', 't'};
    static const struct {
        uint32_t n;
        uint8_t b[12];
    } bad[] = {
        {2, {0x0a, 0}},                               /* no topic */
        {5, {0x0a, 3, 0x08, 1, 1}},                   /* topic as a number */
        {7, {0x0a, 5, 0x0a, 1, 't', 0x18, 3}},        /* QoS 3 */
        {7, {0x0a, 5, 0x0a, 1, 't', 0x18, 0x10}},     /* an answer to QoS 0 */
        {8, {0x0a, 6, 0x0a, 1, 't', 0x3a, 1, 'g'}},   /* a group without its filter */
        {8, {0x0a, 6, 0x0a, 1, 't', 0x42, 1, '#'}},   /* and the other way round */
        {5, {0x12, 3, 0x0a, 1, 't'}},                 /* no entry */
        {7, {0x0a, 5, 0x0a, 1, 't', 0x4b, 0}},        /* a group of protobuf */
        {7, {0x0a, 5, 0x0a, 0x80, 0x80, 0x80, 0x80}}, /* a length without an end */
    };
    struct publish_entry e;
    struct cursor c = cursor_of(bytes_of(good, sizeof good));
    (void)state;
    assert_true(publish_entry_take(&c, &e));
    assert_true(bytes_eq(e.topic, bytes_str("tt")) && bytes_eq(e.group, bytes_str("g")) &&
                bytes_eq(e.filter, bytes_str("#")) && bytes_eq(e.payload, bytes_str("p")) && e.qos == 1 &&
                e.wants_answer);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        c = cursor_of(bytes_of(bad[i].b, bad[i].n));
        if (publish_entry_take(&c, &e))
            fail_msg("number %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gossip_round_and_every_cut),
        cmocka_unit_test(out_of_bounds),
        cmocka_unit_test(entries_round_and_every_cut),
        cmocka_unit_test(any_encoding_is_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
