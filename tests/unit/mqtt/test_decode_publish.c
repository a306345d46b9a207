/* SPDX-License-Identifier: Apache-2.0 */
/* PUBLISH: faults, and what becomes of its properties. */
#include "tests/unit/mqtt/hex.h"

/* The first byte of each row is that of the fixed header. */
static const struct fault_row rows[] = {
    {"QoS 0", MQTT_V311, "30 0001 't' 'hello'", RC_SUCCESS},
    {"QoS 0 of 3.1", MQTT_V31, "31 0001 't'", RC_SUCCESS},
    {"QoS 0 of 5.0", MQTT_V5, "30 0001 't' 00 'hello'", RC_SUCCESS},
    {"QoS 2, DUP, RETAIN", MQTT_V5, "3d 0001 't' 0001 00", RC_SUCCESS},
    {"MQTT-3.3.1-4", MQTT_V311, "36 0001 't' 0001", RC_MALFORMED_PACKET},
    {"MQTT-3.3.1-4", MQTT_V5, "37 0001 't' 0001 00", RC_MALFORMED_PACKET},
    {"MQTT-3.3.1-2", MQTT_V5, "38 0001 't' 00", RC_MALFORMED_PACKET},
    {"MQTT-3.3.1-2", MQTT_V31, "39 0001 't'", RC_MALFORMED_PACKET},

    {"no topic", MQTT_V311, "30", RC_MALFORMED_PACKET},
    {"topic past the packet", MQTT_V311, "30 0002 't'", RC_MALFORMED_PACKET},
    {"MQTT-3.3.2-1", MQTT_V5, "30 0001 ff 00", RC_MALFORMED_PACKET},
    {"MQTT-1.5.4-1 surrogate", MQTT_V311, "30 0003 eda080", RC_MALFORMED_PACKET},
    {"MQTT-4.7.3-2", MQTT_V5, "30 0003 'a' 00 'b' 00", RC_MALFORMED_PACKET},
    {"MQTT-3.3.2-2 +", MQTT_V5, "30 0003 'a/+' 00", RC_TOPIC_NAME_INVALID},
    {"MQTT-3.3.2-2 #", MQTT_V311, "30 0001 '#'", RC_TOPIC_NAME_INVALID},
    {"3.3.2.1 empty, no alias", MQTT_V5, "30 0000 00", RC_PROTOCOL_ERROR},
    {"MQTT-4.7.3-1", MQTT_V311, "30 0000 'x'", RC_PROTOCOL_ERROR},
    {"empty with alias", MQTT_V5, "30 0000 (23 0001)", RC_SUCCESS},

    {"MQTT-2.2.1-3", MQTT_V5, "32 0001 't' 0000 00", RC_PROTOCOL_ERROR},
    {"MQTT-2.3.1-1 of 3.1.1", MQTT_V311, "34 0001 't' 0000", RC_PROTOCOL_ERROR},
    {"no packet id", MQTT_V311, "32 0001 't' 00", RC_MALFORMED_PACKET},

    {"no property length", MQTT_V5, "30 0001 't'", RC_MALFORMED_PACKET},
    {"no property length", MQTT_V5, "32 0001 't' 0001", RC_MALFORMED_PACKET},
    {"property length past the packet", MQTT_V5, "30 0001 't' 03 0101", RC_MALFORMED_PACKET},
    {"MQTT-1.5.5-1", MQTT_V5, "30 0001 't' 8000", RC_MALFORMED_PACKET},
    {"MQTT-3.3.2-8", MQTT_V5, "30 0001 't' (23 0000)", RC_TOPIC_ALIAS_INVALID},
    {"MQTT-3.3.4-6", MQTT_V5, "30 0001 't' (0b 05)", RC_PROTOCOL_ERROR},
    {"MQTT-3.3.4-6 by 3.8.2.1.2", MQTT_V5, "30 0001 't' (0b 00)", RC_PROTOCOL_ERROR},
    {"MQTT-3.3.2-14 +", MQTT_V5, "30 0001 't' (08 0003 'a/+')", RC_PROTOCOL_ERROR},
    {"MQTT-3.3.2-14 #", MQTT_V5, "30 0001 't' (08 0001 '#')", RC_PROTOCOL_ERROR},
    {"MQTT-3.3.2-13", MQTT_V5, "30 0001 't' (08 0001 ff)", RC_MALFORMED_PACKET},
    {"MQTT-4.7.3-1 of a response topic", MQTT_V5, "30 0001 't' (08 0000)", RC_PROTOCOL_ERROR},
    {"MQTT-3.3.2-19", MQTT_V5, "30 0001 't' (03 0001 ff)", RC_MALFORMED_PACKET},
    {"MQTT-1.5.7-1 name", MQTT_V5, "30 0001 't' (26 0001 ff 0001 'v')", RC_MALFORMED_PACKET},
    {"MQTT-1.5.7-1 value", MQTT_V5, "30 0001 't' (26 0001 'k' 0001 00)", RC_MALFORMED_PACKET},
    {"correlation data is binary", MQTT_V5, "30 0001 't' (09 0003 00ff00)", RC_SUCCESS},
    {"3.3.2.3.2 format 2", MQTT_V5, "30 0001 't' (01 02)", RC_PROTOCOL_ERROR},
    {"payload format 1 with a payload that is not UTF-8", MQTT_V5, "30 0001 't' (01 01) ff", RC_SUCCESS},
    {"3.3.2.3.4 alias twice", MQTT_V5, "30 0001 't' (23 0001 23 0001)", RC_PROTOCOL_ERROR},
};

static void faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct buf b = buf_hex(rows[i].body);
        struct buf body = buf_copy(b.p + 1, b.n - 1);
        struct publish p;
        struct fault f = {RC_SUCCESS, NULL};
        bool is_ok = decode_publish(b.p[0], body.p, body.n, rows[i].version, TOPIC_NOW, &p, &f);
        assert_fault(&rows[i], is_ok, &f);
        buf_free(&body);
        buf_free(&b);
    }
}

/* Only the topic's characters are left to the caller. */
static void topic_checked_later(void **state)
{
    (void)state;
    static const struct fault_row later[] = {
        {"wildcard passes", MQTT_V5, "30 0001 '#' 00", RC_SUCCESS},
        {"bad UTF-8 passes", MQTT_V311, "30 0001 ff", RC_SUCCESS},
        {"an empty topic does not", MQTT_V5, "30 0000 00", RC_PROTOCOL_ERROR},
        {"nor does alias 0", MQTT_V5, "30 0001 't' (23 0000)", RC_TOPIC_ALIAS_INVALID},
        {"nor packet id 0", MQTT_V311, "32 0001 't' 0000", RC_PROTOCOL_ERROR},
        {"nor a response topic with a wildcard", MQTT_V5, "30 0001 '#' (08 0001 '#')", RC_PROTOCOL_ERROR},
    };

    for (size_t i = 0; i < ROWS(later); i++) {
        struct buf b = buf_hex(later[i].body);
        struct publish p;
        struct fault f = {RC_SUCCESS, NULL};
        bool is_ok = decode_publish(b.p[0], b.p + 1, b.n - 1, later[i].version, TOPIC_LATER, &p, &f);
        assert_fault(&later[i], is_ok, &f);
        buf_free(&b);
    }
}

static void fields(void **state)
{
    (void)state;
    struct buf b = buf_hex("3d 0003 'a/b' 1234 (02 0000000a 23 0102 26 0001 'k' 0000) 'payload'");
    struct publish p;
    struct fault f;

    assert_true(decode_publish(b.p[0], b.p + 1, b.n - 1, MQTT_V5, TOPIC_NOW, &p, &f));
    assert_view(p.m.topic, "a/b");
    assert_view(p.m.payload, "payload");
    assert_int_equal(p.m.qos, 2);
    assert_int_equal(p.packet_id, 0x1234);
    assert_int_equal(p.alias, 0x102);
    assert_true(p.dup && p.m.retain && p.m.has_expiry);
    assert_int_equal(p.m.expiry_s, 10);
    buf_free(&b);

    /* Before 5.0 what would be a property length is payload. */
    b = buf_hex("32 0001 't' 0007 00 'x'");
    assert_true(decode_publish(b.p[0], b.p + 1, b.n - 1, MQTT_V311, TOPIC_NOW, &p, &f));
    assert_int_equal(p.m.payload.n, 2);
    assert_int_equal(p.m.props.n, 0);
    assert_int_equal(p.packet_id, 7);
    assert_int_equal(p.alias, 0);
    assert_false(p.dup || p.m.retain || p.m.has_expiry || p.props_verbatim);
    buf_free(&b);
}

/* What is left of a block, and whether it is the block itself. */
static const struct {
    const char *block;
    const char *kept;
    bool is_verbatim;
} blocks[] = {
    {"", "", true},
    {"01 00", "01 00", true},
    {"26 0001 'k' 0001 'v' 03 0001 'c'", "26 0001 'k' 0001 'v' 03 0001 'c'", true},
    {"23 0001", "", false},
    {"02 00000001", "", false},
    {"02 00000001 23 0001", "", false},
    {"23 0001 01 01", "01 01", false},
    {"01 01 23 0001", "01 01", false},
    {"01 01 23 0001 03 0001 'c'", "01 01 03 0001 'c'", false},
    {"23 0001 01 01 02 00000001 03 0001 'c'", "01 01 03 0001 'c'", false},
    {"01 01 23 0001 03 0001 'c' 02 00000001 09 0001 'd'", "01 01 03 0001 'c' 09 0001 'd'", false},
    {"01 01 23 0001 02 00000001 09 0001 'd'", "01 01 09 0001 'd'", false},
    {"26 0000 0000 26 0001 'b' 0000 23 0001 26 0001 'a' 0000 26 0000 0000",
     "26 0000 0000 26 0001 'b' 0000 26 0001 'a' 0000 26 0000 0000", false},
    {"08 0001 'r' 23 0001 09 000a '0123456789' 02 00000001 01 01", "08 0001 'r' 09 000a '0123456789' 01 01",
     false},
};

/* MQTT-3.3.2-4, MQTT-3.3.2-15 to MQTT-3.3.2-18, MQTT-3.3.2-20 */
static void properties_that_travel(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(blocks); i++) {
        char text[256];
        snprintf(text, sizeof text, "0001 't' (%s) 'payload'", blocks[i].block);
        struct buf b = buf_hex(text);
        struct buf before = buf_copy(b.p, b.n);
        struct publish p;
        struct fault f;
        if (!decode_publish(0x30, b.p, b.n, MQTT_V5, TOPIC_NOW, &p, &f))
            fail_msg("%s: %s", blocks[i].block, f.text);
        if (p.props_verbatim != blocks[i].is_verbatim)
            fail_msg("%s: verbatim %d", blocks[i].block, p.props_verbatim);
        assert_wire(p.m.props.p, p.m.props.p + p.m.props.n, blocks[i].kept);
        assert_view(p.m.topic, "t");
        assert_view(p.m.payload, "payload");
        if (p.props_verbatim) {
            assert_memory_equal(b.p, before.p, b.n);
            if (p.m.props.n)
                assert_ptr_equal(p.m.props.p, b.p + 4);
        }
        buf_free(&before);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults),
        cmocka_unit_test(topic_checked_later),
        cmocka_unit_test(fields),
        cmocka_unit_test(properties_that_travel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
