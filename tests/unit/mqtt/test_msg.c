/* SPDX-License-Identifier: Apache-2.0 */
/* The counted message, its expiry and its stored form. */
#include <pthread.h>

#include "proto/mqtt/msg.h"
#include "tests/unit/mqtt/hex.h"

static const uint64_t NOW = 1700000000000;

static struct message_in message_of(const char *topic, const char *payload)
{
    return (struct message_in){.topic = bytes_str(topic), .payload = bytes_str(payload)};
}

static void a_copy_of_what_came(void **state)
{
    (void)state;
    struct buf topic = buf_hex("'a/b'"), props = buf_hex("01 01 26 0000 0000"),
               payload = buf_hex("00 ff 'x'");
    struct message_in in = {.topic = bytes_of(topic.p, topic.n),
                            .props = bytes_of(props.p, props.n),
                            .payload = bytes_of(payload.p, payload.n),
                            .expiry_s = 10,
                            .has_expiry = true,
                            .retain = true,
                            .qos = 2};
    struct msg *m = msg_new(&in, NOW, 42);

    buf_free(&topic);
    buf_free(&props);
    buf_free(&payload);
    assert_non_null(m);
    assert_view(msg_topic(m), "a/b");
    assert_wire(msg_props(m).p, msg_props(m).p + msg_props(m).n, "01 01 26 0000 0000");
    assert_wire(msg_payload(m).p, msg_payload(m).p + msg_payload(m).n, "00 ff 'x'");
    assert_int_equal(m->qos, 2);
    assert_true(m->retain && m->has_expiry);
    assert_int_equal(m->created_ms, NOW);
    assert_int_equal(m->expires_ms, NOW + 10000);
    assert_int_equal(m->origin, 42);
    assert_int_equal(msg_size(m), sizeof *m + 3 + 7 + 3);
    msg_unref(m);
}

static void the_last_reference_frees(void **state)
{
    (void)state;
    struct message_in in = message_of("t", "");
    struct msg *m = msg_new(&in, NOW, 0);

    assert_int_equal(m->refs, 1);
    assert_ptr_equal(msg_ref(m), m);
    assert_int_equal(m->refs, 2);
    msg_unref(m);
    assert_int_equal(m->refs, 1);
    msg_unref(m); /* the leak and address sanitizers watch this one */
    msg_unref(NULL);
}

enum { TURNS = 20000 };

static void *ref_and_unref(void *arg)
{
    for (int i = 0; i < TURNS; i++)
        msg_unref(msg_ref(arg));
    return NULL;
}

static void counted_by_many_threads(void **state)
{
    (void)state;
    struct message_in in = message_of("t", "");
    struct msg *m = msg_new(&in, NOW, 0);
    pthread_t threads[4];

    for (size_t i = 0; i < ROWS(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ref_and_unref, m), 0);
    for (size_t i = 0; i < ROWS(threads); i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(m->refs, 1);
    msg_unref(m);
}

/* MQTT-3.3.2-5, MQTT-3.3.2-6 */
static void expiry_counts_down(void **state)
{
    (void)state;
    static const struct {
        uint32_t expiry_s;
        int64_t after_ms;
        uint32_t left_s;
        bool is_expired;
    } rows[] = {
        {10, 0, 10, false},
        {10, 1, 10, false},
        {10, 999, 10, false},
        {10, 1000, 9, false},
        {10, 1001, 9, false},
        {10, 9001, 1, false},
        {10, 9999, 1, false},
        {10, 10000, 0, true},
        {10, 99999, 0, true},
        {10, -5000, 10, false}, /* a clock set back gives nobody more time */
        {0, 0, 0, true},
        {UINT32_MAX, 0, UINT32_MAX, false},
        {UINT32_MAX, 1000, UINT32_MAX - 1, false},
    };

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct message_in in = message_of("t", "x");
        in.has_expiry = true;
        in.expiry_s = rows[i].expiry_s;
        struct msg *m = msg_new(&in, NOW, 0);
        uint64_t now = NOW + (uint64_t)rows[i].after_ms;
        struct message_in view = msg_view(m, now);
        assert_true(view.has_expiry);
        if (view.expiry_s != rows[i].left_s || msg_is_expired(m, now) != rows[i].is_expired)
            fail_msg("row %zu: %u s left", i, view.expiry_s);
        msg_unref(m);
    }
    struct message_in in = message_of("t", "x");
    struct msg *m = msg_new(&in, NOW, 0);
    assert_false(msg_is_expired(m, UINT64_MAX));
    assert_false(msg_view(m, UINT64_MAX).has_expiry);
    assert_int_equal(msg_view(m, UINT64_MAX).expiry_s, 0);
    msg_unref(m);
}

static void a_view_of_all_of_it(void **state)
{
    (void)state;
    struct message_in in = message_of("a/b", "payload");
    in.props = bytes_of("\x01\x01", 2);
    in.qos = 1;
    in.retain = true;
    struct msg *m = msg_new(&in, NOW, 0);
    struct message_in view = msg_view(m, NOW);

    assert_view(view.topic, "a/b");
    assert_view(view.payload, "payload");
    assert_true(bytes_eq(view.props, in.props));
    assert_int_equal(view.qos, 1);
    assert_true(view.retain);
    msg_unref(m);
}

/* ---- stored form ------------------------------------------------------------------------------------ */

static struct buf record_of(const struct msg *m)
{
    struct buf b = {malloc(msg_record_size(m)), (uint32_t)msg_record_size(m)};

    assert_non_null(b.p);
    assert_ptr_equal(msg_record_put(b.p, m), b.p + b.n);
    return b;
}

/* The bytes are a promise to data directories of today. */
static void record_bytes(void **state)
{
    (void)state;
    struct message_in in = message_of("a/b", "hi");
    in.props = bytes_of("\x01\x01", 2);
    in.qos = 2;
    struct msg *m = msg_new(&in, 0x0102030405060708, 0x1112131415161718);
    struct buf b = record_of(m);

    assert_wire(b.p, b.p + b.n,
                "01 02 0102030405060708 1112131415161718 0003 'a/b' 00000002 0101 00000002 'hi'");
    buf_free(&b);
    msg_unref(m);

    in = message_of("t", "");
    in.retain = in.has_expiry = true;
    in.expiry_s = 1;
    m = msg_new(&in, 0, 0);
    b = record_of(m);
    assert_wire(b.p, b.p + b.n,
                "01 0c 0000000000000000 00000000000003e8 0000000000000000 0001 't' 00000000 00000000");
    buf_free(&b);
    msg_unref(m);
}

static void records_round_trip(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 24; i++) {
        struct message_in in = message_of("topic/of/it", "payload");
        in.qos = (uint8_t)(i % 3);
        in.retain = i & 4;
        in.has_expiry = i & 8;
        in.expiry_s = i < 12 ? 0 : 77;
        in.props = bytes_of("\x26\0\1k\0\1v", i >= 16 ? 7 : 0);
        struct msg *m = msg_new(&in, NOW, i);
        struct buf b = record_of(m);
        struct cursor c = {b.p, b.p + b.n};
        struct msg *again = msg_record_take(&c);
        assert_non_null(again);
        assert_ptr_equal(c.p, c.end);
        assert_int_equal(again->refs, 1);
        assert_int_equal(again->qos, m->qos);
        assert_int_equal(again->retain, m->retain);
        assert_int_equal(again->has_expiry, m->has_expiry);
        assert_int_equal(again->created_ms, m->created_ms);
        assert_int_equal(again->expires_ms, m->expires_ms);
        assert_int_equal(again->origin, m->origin);
        assert_true(bytes_eq(msg_topic(again), msg_topic(m)));
        assert_true(bytes_eq(msg_props(again), msg_props(m)));
        assert_true(bytes_eq(msg_payload(again), msg_payload(m)));
        /* And the other way round it is the same record. */
        struct buf b2 = record_of(again);
        assert_int_equal(b2.n, b.n);
        assert_memory_equal(b2.p, b.p, b.n);
        buf_free(&b2);
        buf_free(&b);
        msg_unref(again);
        msg_unref(m);
    }
}

static void records_one_behind_the_other(void **state)
{
    (void)state;
    struct buf b = buf_hex("01 00 0000000000000001 0000000000000000 0001 'a' 00000000 00000001 'x'"
                           "01 01 0000000000000002 0000000000000000 0001 'b' 00000000 00000000 ff");
    struct cursor c = {b.p, b.p + b.n};
    struct msg *m = msg_record_take(&c);

    assert_non_null(m);
    assert_view(msg_topic(m), "a");
    msg_unref(m);
    m = msg_record_take(&c);
    assert_non_null(m);
    assert_view(msg_topic(m), "b");
    msg_unref(m);
    assert_int_equal(cursor_left(&c), 1);
    assert_null(msg_record_take(&c));
    assert_int_equal(cursor_left(&c), 1);
    buf_free(&b);
}

#define TIMES "0000000000000001 0000000000000000"

/* Is it a record at all, with bad contents, or not even that? */
static const struct {
    const char *bytes;
    bool is_record;
} corrupt[] = {
    {"", false},
    {"00 00 " TIMES " 0001 'a' 00000000 00000000", false}, /* version 0 */
    {"02 00 " TIMES " 0001 'a' 00000000 00000000", false}, /* of the future */
    {"01 03 " TIMES " 0001 'a' 00000000 00000000", false}, /* QoS 3 */
    {"01 10 " TIMES " 0001 'a' 00000000 00000000", false}, /* unknown flags */
    {"01 80 " TIMES " 0001 'a' 00000000 00000000", false},
    {"01 00 " TIMES " 0000 00000000 00000000", true},     /* no topic */
    {"01 00 " TIMES " 0001 '#' 00000000 00000000", true}, /* not a topic name */
    {"01 00 " TIMES " 0001 ff 00000000 00000000", true},
    {"01 00 " TIMES " 0002 'a' 00 00000000 00000000", true},
    {"01 00 " TIMES " 0001 'a' 00000002 0102 00000000", true},   /* not a property */
    {"01 00 " TIMES " 0001 'a' 00000003 230001 00000000", true}, /* one that does not travel */
    {"01 00 " TIMES " 0001 'a' 00000001 01 00000000", true},     /* a cut one */
    {"01 00 " TIMES " 0001 'a' ffffffff 00000000", false},       /* lengths past the end */
    {"01 00 " TIMES " 0001 'a' 00000000 00000001", false},
    {"01 00 " TIMES " 0001 'a' 00000000 ffffffff 'x'", false},
    {"01 00 " TIMES " ffff 'a' 00000000 00000000", false},
    {"01 08 0000000000000002 0000000000000001 0000000000000000 0001 'a' 00000000 00000000",
     false}, /* dies unborn */
};

static void nonsense_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(corrupt); i++) {
        struct buf b = buf_hex(corrupt[i].bytes);
        struct cursor c = {b.p, b.p + b.n};
        struct message_in view;
        uint64_t origin;
        if (msg_record_take(&c))
            fail_msg("%s", corrupt[i].bytes);
        if (msg_record_view(bytes_of(b.p, b.n), 0, &view, &origin) != corrupt[i].is_record)
            fail_msg("as a view: %s", corrupt[i].bytes);
        assert_ptr_equal(c.p, b.p);
        buf_free(&b);
    }
}

static void cut_records_are_refused(void **state)
{
    (void)state;
    struct message_in in = message_of("a/b", "payload");
    in.props = bytes_of("\x01\x01", 2);
    in.has_expiry = true;
    in.expiry_s = 5;
    struct msg *m = msg_new(&in, NOW, 9);
    struct buf b = record_of(m);

    for (uint32_t n = 0; n < b.n; n++) {
        struct buf cut = buf_copy(b.p, n);
        struct cursor c = {cut.p, cut.p + cut.n};
        assert_null(msg_record_take(&c));
        assert_ptr_equal(c.p, cut.p);
        buf_free(&cut);
    }
    buf_free(&b);
    msg_unref(m);
}

/* What is known to be a record is read in place. */
static void records_are_viewed(void **state)
{
    (void)state;
    static const struct {
        int64_t after_ms;
        uint32_t left_s;
    } rows[] = {{0, 5}, {1, 5}, {1000, 4}, {4999, 1}, {5000, 0}, {90000, 0}, {-90000, 5}};
    struct message_in in = message_of("a/b", "payload"), view;
    struct bytes topic;
    uint64_t origin, expires_ms;

    in.props = bytes_of("\x01\x01", 2);
    in.has_expiry = in.retain = true;
    in.expiry_s = 5;
    in.qos = 1;
    struct msg *m = msg_new(&in, NOW, 9);
    struct buf b = record_of(m);
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_true(msg_record_view(bytes_of(b.p, b.n), NOW + (uint64_t)rows[i].after_ms, &view, &origin));
        assert_int_equal(view.expiry_s, rows[i].left_s);
        /* The view of the record and that of the message say the same. */
        assert_int_equal(msg_view(m, NOW + (uint64_t)rows[i].after_ms).expiry_s, rows[i].left_s);
    }
    assert_true(bytes_eq(view.topic, in.topic));
    assert_true(bytes_eq(view.props, in.props));
    assert_true(bytes_eq(view.payload, in.payload));
    assert_true(view.payload.p >= b.p && view.payload.p + view.payload.n == b.p + b.n);
    assert_true(view.has_expiry && view.retain);
    assert_int_equal(view.qos, 1);
    assert_int_equal(origin, 9);
    assert_true(msg_record_topic(bytes_of(b.p, b.n), &topic));
    assert_view(topic, "a/b");
    assert_true(msg_record_expiry(bytes_of(b.p, b.n), &expires_ms));
    assert_int_equal(expires_ms, NOW + 5000);
    for (uint32_t n = 0; n < b.n; n++) {
        struct buf cut = buf_copy(b.p, n);
        struct bytes record = bytes_of(cut.p, cut.n);
        assert_false(msg_record_view(record, NOW, &view, &origin));
        assert_false(msg_record_topic(record, &topic));
        assert_false(msg_record_expiry(record, &expires_ms));
        buf_free(&cut);
    }
    buf_free(&b);
    msg_unref(m);
    b = buf_hex("01 00 " TIMES " 0001 'a' 00000000 00000000");
    assert_false(msg_record_expiry(bytes_of(b.p, b.n), &expires_ms));
    assert_int_equal(expires_ms, 0);
    assert_true(msg_record_view(bytes_of(b.p, b.n), UINT64_MAX, &view, &origin));
    assert_false(view.has_expiry);
    assert_int_equal(view.expiry_s, 0);
    buf_free(&b);
}

static void the_longest_topic(void **state)
{
    (void)state;
    enum { N = 65535 };
    struct buf topic = {malloc(N), N};
    assert_non_null(topic.p);
    memset(topic.p, '/', N);
    struct message_in in = {.topic = bytes_of(topic.p, N)};
    struct msg *m = msg_new(&in, NOW, 0);
    struct buf b = record_of(m);
    struct cursor c = {b.p, b.p + b.n};
    struct msg *again = msg_record_take(&c);

    assert_non_null(again);
    assert_true(bytes_eq(msg_topic(again), in.topic));
    msg_unref(again);
    msg_unref(m);
    buf_free(&b);
    buf_free(&topic);
}

/* An expiry that no publisher could ask for does not wrap around. */
static void far_expiry_is_bounded(void **state)
{
    (void)state;
    struct buf b =
        buf_hex("01 08 0000000000000000 ffffffffffffffff 0000000000000000 0001 'a' 00000000 00000000");
    struct message_in view;
    uint64_t origin;

    assert_true(msg_record_view(bytes_of(b.p, b.n), 0, &view, &origin));
    assert_int_equal(view.expiry_s, UINT32_MAX);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_of_what_came),     cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(counted_by_many_threads), cmocka_unit_test(expiry_counts_down),
        cmocka_unit_test(a_view_of_all_of_it),     cmocka_unit_test(record_bytes),
        cmocka_unit_test(records_round_trip),      cmocka_unit_test(records_one_behind_the_other),
        cmocka_unit_test(nonsense_is_refused),     cmocka_unit_test(cut_records_are_refused),
        cmocka_unit_test(records_are_viewed),      cmocka_unit_test(far_expiry_is_bounded),
        cmocka_unit_test(the_longest_topic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
