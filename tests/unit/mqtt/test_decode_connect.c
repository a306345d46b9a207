/* SPDX-License-Identifier: Apache-2.0 */
/* CONNECT of all three versions. */
#include "tests/unit/mqtt/hex.h"

#define V31(rest)  "0006 'MQIsdp' 03 " rest
#define V311(rest) "0004 'MQTT' 04 " rest
#define V5(rest)   "0004 'MQTT' 05 " rest

static const struct fault_row rows[] = {
    {"smallest 3.1", MQTT_V31, V31("02 003c 0001 'a'"), RC_SUCCESS},
    {"smallest 3.1.1", MQTT_V311, V311("02 003c 0001 'a'"), RC_SUCCESS},
    {"smallest 5.0", MQTT_V5, V5("02 003c 00 0001 'a'"), RC_SUCCESS},
    {"an empty client id is not the decoder's business", MQTT_V31, V31("02 0000 0000"), RC_SUCCESS},
    {"an empty client id is not the decoder's business", MQTT_V311, V311("00 0000 0000"), RC_SUCCESS},
    {"an empty client id is not the decoder's business", MQTT_V5, V5("00 0000 00 0000"), RC_SUCCESS},
    {"bridge 3.1", MQTT_V31, "0006 'MQIsdp' 83 02 003c 0001 'a'", RC_SUCCESS},
    {"bridge 3.1.1", MQTT_V311, "0004 'MQTT' 84 02 003c 0001 'a'", RC_SUCCESS},

    /* Name and level; the version is what the refusal is written in. */
    {"MQTT-3.1.2-1", 0, "0004 'MQTX' 04 02 003c 0001 'a'", RC_UNSUPPORTED_PROTOCOL_VERSION},
    {"MQTT-3.1.2-1 case", 0, "0004 'mqtt' 04 02 003c 0001 'a'", RC_UNSUPPORTED_PROTOCOL_VERSION},
    {"MQTT-3.1.2-1 empty", 0, "0000 04 02 003c 0001 'a'", RC_UNSUPPORTED_PROTOCOL_VERSION},
    {"MQTT-3.1.2-1 cut", 0, "0003 'MQT' 04", RC_UNSUPPORTED_PROTOCOL_VERSION},
    {"MQTT-3.1.2-2 level 0", MQTT_V311, "0004 'MQTT' 00 02", RC_UNSUPPORTED_PROTOCOL_VERSION},
    {"MQTT-3.1.2-2 level 3 as MQTT", MQTT_V311, "0004 'MQTT' 03 02", RC_UNSUPPORTED_PROTOCOL_VERSION},
    {"MQTT-3.1.2-2 level 6", MQTT_V5, "0004 'MQTT' 06 02", RC_UNSUPPORTED_PROTOCOL_VERSION},
    {"MQTT-3.1.2-2 level 127, rest unreadable", MQTT_V5, "0004 'MQTT' 7f", RC_UNSUPPORTED_PROTOCOL_VERSION},
    {"MQTT-3.1.2-2 level 4 as MQIsdp", MQTT_V311, "0006 'MQIsdp' 04 02", RC_UNSUPPORTED_PROTOCOL_VERSION},
    {"MQTT-3.1.2-2 level 5 as MQIsdp", MQTT_V311, "0006 'MQIsdp' 05 02", RC_UNSUPPORTED_PROTOCOL_VERSION},
    {"no bridge of 5.0", MQTT_V5, "0004 'MQTT' 85 02", RC_UNSUPPORTED_PROTOCOL_VERSION},
    {"no level", 0, "0004 'MQTT'", RC_MALFORMED_PACKET},
    {"name past the packet", 0, "0005 'MQTT'", RC_MALFORMED_PACKET},
    {"nothing at all", 0, "", RC_MALFORMED_PACKET},

    /* Connect Flags */
    {"MQTT-3.1.2-3", MQTT_V311, V311("03 003c 0001 'a'"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-3", MQTT_V5, V5("03 003c 00 0001 'a'"), RC_MALFORMED_PACKET},
    {"and what follows is no user name", MQTT_V31, V31("03 003c 0001 'a' 0000"), RC_MALFORMED_PACKET},
    {"3.1 does not use bit 0", MQTT_V31, V31("03 003c 0001 'a'"), RC_SUCCESS},
    {"MQTT-3.1.2-11", MQTT_V5, V5("0a 003c 00 0001 'a'"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-11", MQTT_V311, V311("12 003c 0001 'a'"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-12", MQTT_V5, V5("1e 003c 00 0001 'a' 00 0001 't' 0000"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-14 of 3.1.1", MQTT_V311, V311("1e 003c 0001 'a' 0001 't' 0000"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-12 of 3.1", MQTT_V31, V31("1e 003c 0001 'a' 0001 't' 0000"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-13", MQTT_V5, V5("22 003c 00 0001 'a'"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-13", MQTT_V311, V311("22 003c 0001 'a'"), RC_MALFORMED_PACKET},

    /* Strings */
    {"MQTT-3.1.3-3", MQTT_V5, V5("02 003c 00"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.3-3", MQTT_V311, V311("02 003c"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.3-4", MQTT_V5, V5("02 003c 00 0001 ff"), RC_MALFORMED_PACKET},
    {"MQTT-1.5.4-2", MQTT_V311, V311("02 003c 0002 'a' 00"), RC_MALFORMED_PACKET},
    {"MQTT-1.5.4-1", MQTT_V31, V31("02 003c 0003 eda080"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.3-12", MQTT_V5, V5("82 003c 00 0001 'a' 0001 ff"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.3-12", MQTT_V311, V311("82 003c 0001 'a' 0001 ff"), RC_MALFORMED_PACKET},
    {"a password is binary", MQTT_V5, V5("c2 003c 00 0001 'a' 0001 'u' 0003 ff0000"), RC_SUCCESS},
    {"a password is binary", MQTT_V311, V311("c2 003c 0001 'a' 0001 'u' 0003 ff0000"), RC_SUCCESS},
    {"string length past the packet", MQTT_V5, V5("02 003c 00 0002 'a'"), RC_MALFORMED_PACKET},

    /* Will */
    {"MQTT-3.1.2-9 no topic", MQTT_V5, V5("06 003c 00 0001 'a' 00"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-9 no payload", MQTT_V5, V5("06 003c 00 0001 'a' 00 0001 't'"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-9 no properties", MQTT_V5, V5("06 003c 00 0001 'a'"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-9", MQTT_V311, V311("06 003c 0001 'a' 0001 't'"), RC_MALFORMED_PACKET},
    {"will of no bytes", MQTT_V5, V5("06 003c 00 0001 'a' 00 0001 't' 0000"), RC_SUCCESS},
    {"MQTT-3.1.3-11", MQTT_V5, V5("06 003c 00 0001 'a' 00 0001 ff 0000"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.3-10 of 3.1.1", MQTT_V311, V311("06 003c 0001 'a' 0001 ff 0000"), RC_MALFORMED_PACKET},
    {"MQTT-4.7.0-1", MQTT_V5, V5("06 003c 00 0001 'a' 00 0001 '#' 0000"), RC_TOPIC_NAME_INVALID},
    {"MQTT-4.7.1-1 of 3.1.1", MQTT_V311, V311("06 003c 0001 'a' 0003 'a/+' 0000"), RC_TOPIC_NAME_INVALID},
    {"MQTT-4.7.3-1", MQTT_V5, V5("06 003c 00 0001 'a' 00 0000 0000"), RC_PROTOCOL_ERROR},

    /* User name and password */
    {"MQTT-3.1.2-17", MQTT_V5, V5("82 003c 00 0001 'a'"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-19", MQTT_V5, V5("c2 003c 00 0001 'a' 0001 'u'"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-16", MQTT_V5, V5("02 003c 00 0001 'a' 0001 'u'"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-18", MQTT_V5, V5("82 003c 00 0001 'a' 0001 'u' 0001 'p'"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-18..21 of 3.1.1", MQTT_V311, V311("02 003c 0001 'a' 0001 'u'"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-18..21 of 3.1.1", MQTT_V311, V311("82 003c 0001 'a'"), RC_MALFORMED_PACKET},
    {"one byte too many", MQTT_V31, V31("02 003c 0001 'a' 00"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-19 password alone", MQTT_V5, V5("42 003c 00 0001 'a' 0001 'p'"), RC_SUCCESS},
    {"MQTT-3.1.2-22 of 3.1.1", MQTT_V311, V311("42 003c 0001 'a' 0001 'p'"), RC_MALFORMED_PACKET},
    {"MQTT-3.1.2-22 of 3.1", MQTT_V31, V31("42 003c 0001 'a' 0001 'p'"), RC_MALFORMED_PACKET},
    {"3.1: Remaining Length wins over the flags", MQTT_V31, V31("c2 003c 0001 'a'"), RC_SUCCESS},
    {"3.1: Remaining Length wins over the flags", MQTT_V31, V31("c2 003c 0001 'a' 0001 'u'"), RC_SUCCESS},
    {"3.1: but half a field is none", MQTT_V31, V31("c2 003c 0001 'a' 00"), RC_MALFORMED_PACKET},

    /* Properties beyond what the table of test_props.c covers */
    {"3.1.2.11.10 data without method", MQTT_V5, V5("02 003c (16 0001 'd') 0001 'a'"), RC_PROTOCOL_ERROR},
    {"data with method", MQTT_V5, V5("02 003c (16 0001 'd' 15 0001 'm') 0001 'a'"), RC_SUCCESS},
    {"property length past the packet", MQTT_V5, V5("02 003c 04 22 0001"), RC_MALFORMED_PACKET},
    {"property length past the packet", MQTT_V5, V5("02 003c 7f 0001 'a'"), RC_MALFORMED_PACKET},
    {"property length past the packet in a will", MQTT_V5, V5("06 003c 00 0001 'a' 7f 0001 't' 0000"),
     RC_MALFORMED_PACKET},
    {"MQTT-1.5.5-1 over-long property length", MQTT_V5, V5("02 003c 8000 0001 'a'"), RC_MALFORMED_PACKET},
    {"property length of five bytes", MQTT_V5, V5("02 003c 8080808001 0001 'a'"), RC_MALFORMED_PACKET},
};

static void faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct buf b = buf_hex(rows[i].body);
        struct connect c;
        struct fault f = {RC_SUCCESS, NULL};
        bool is_ok = decode_connect(b.p, b.n, &c, &f);
        assert_fault(&rows[i], is_ok, &f);
        if (c.version != rows[i].version)
            fail_msg("%s: version %d", rows[i].rule, c.version);
        buf_free(&b);
    }
}

static void everything_of_5_0(void **state)
{
    (void)state;
    struct buf b = buf_hex(V5("ee 1234 "
                              "(11 00000e10 21 0010 27 00010000 22 0007 19 01 17 00 26 0001 'k' 0001 'v'"
                              "   15 0005 'SCRAM' 16 0003 0001ff 26 0001 'k' 0001 'w')"
                              "0002 'id'"
                              "(18 0000000a 01 01 02 00000005 03 0004 'text' 08 0003 're/' 09 0002 00ff"
                              "   26 0001 'a' 0001 'b')"
                              "0004 'will' 0003 'bye' 0004 'user' 0002 'pw'"));
    struct connect c;
    struct fault f;

    if (!decode_connect(b.p, b.n, &c, &f))
        fail_msg("%s", f.text);
    assert_int_equal(c.version, MQTT_V5);
    assert_true(c.clean_start && c.has_will && c.has_username && c.has_password && !c.is_bridge);
    assert_int_equal(c.keep_alive_s, 0x1234);
    assert_int_equal(c.session_expiry_s, 3600);
    assert_int_equal(c.receive_max, 16);
    assert_int_equal(c.packet_size_max, 65536);
    assert_int_equal(c.topic_alias_max, 7);
    assert_true(c.request_response_info);
    assert_false(c.request_problem_info);
    assert_view(c.auth_method, "SCRAM");
    assert_true(bytes_eq(c.auth_data, bytes_of("\0\1\xff", 3)));
    assert_view(c.client_id, "id");
    assert_view(c.username, "user");
    assert_view(c.password, "pw");
    assert_int_equal(c.will_delay_s, 10);
    assert_view(c.will.topic, "will");
    assert_view(c.will.payload, "bye");
    assert_int_equal(c.will.qos, 1);
    assert_true(c.will.retain && c.will.has_expiry);
    assert_int_equal(c.will.expiry_s, 5);
    /* MQTT-3.1.3-10: delay and expiry are taken out, the rest is in its order. */
    assert_wire(c.will.props.p, c.will.props.p + c.will.props.n,
                "01 01 03 0004 'text' 08 0003 're/' 09 0002 00ff 26 0001 'a' 0001 'b'");
    buf_free(&b);
}

static void defaults(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        uint32_t session_expiry_s;
        bool clean_start;
        bool is_bridge;
    } cases[] = {
        {V31("02 003c 0001 'a'"), 0, true, false},
        {V31("00 003c 0001 'a'"), UINT32_MAX, false, false},
        {V311("02 003c 0001 'a'"), 0, true, false},
        {V311("00 003c 0001 'a'"), UINT32_MAX, false, false},
        {"0004 'MQTT' 84 00 003c 0001 'a'", UINT32_MAX, false, true},
        {"0006 'MQIsdp' 83 00 003c 0001 'a'", UINT32_MAX, false, true},
        {V5("02 003c 00 0001 'a'"), 0, true, false},
        {V5("00 003c 00 0001 'a'"), 0, false, false},
    };

    for (size_t i = 0; i < ROWS(cases); i++) {
        struct buf b = buf_hex(cases[i].body);
        struct connect c;
        struct fault f;
        assert_true(decode_connect(b.p, b.n, &c, &f));
        assert_int_equal(c.clean_start, cases[i].clean_start);
        assert_int_equal(c.is_bridge, cases[i].is_bridge);
        assert_int_equal(c.session_expiry_s, cases[i].session_expiry_s);
        assert_int_equal(c.keep_alive_s, 60);
        assert_int_equal(c.receive_max, 65535);
        assert_int_equal(c.packet_size_max, 0);
        assert_int_equal(c.topic_alias_max, 0);
        assert_int_equal(c.will_delay_s, 0);
        assert_true(c.request_problem_info);
        assert_false(c.request_response_info || c.has_will || c.has_username || c.has_password);
        assert_null(c.auth_method.p);
        assert_null(c.auth_data.p);
        assert_view(c.client_id, "a");
        buf_free(&b);
    }
}

static void fields_missing_in_3_1_are_none(void **state)
{
    (void)state;
    struct buf b = buf_hex(V31("c2 003c 0001 'a' 0001 'u'"));
    struct connect c;
    struct fault f;

    assert_true(decode_connect(b.p, b.n, &c, &f));
    assert_true(c.has_username);
    assert_false(c.has_password);
    buf_free(&b);
    b = buf_hex(V31("c2 003c 0001 'a'"));
    assert_true(decode_connect(b.p, b.n, &c, &f));
    assert_false(c.has_username || c.has_password);
    buf_free(&b);
}

static void a_plain_will(void **state)
{
    (void)state;
    struct buf b = buf_hex(V311("06 003c 0001 'a' 0005 'a/b/c' 0001 'w'"));
    struct connect c;
    struct fault f;

    assert_true(decode_connect(b.p, b.n, &c, &f));
    assert_true(c.has_will);
    assert_false(c.will.retain || c.will.has_expiry);
    assert_int_equal(c.will.qos, 0);
    assert_int_equal(c.will.props.n, 0);
    assert_view(c.will.topic, "a/b/c");
    assert_view(c.will.payload, "w");
    buf_free(&b);
}

/* The early look finds the same id as the whole decoder, and does not mind what comes behind it. */
static void client_id_alone(void **state)
{
    (void)state;
    struct bytes id;

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct buf b = buf_hex(rows[i].body);
        struct connect c;
        struct fault f;
        if (decode_connect(b.p, b.n, &c, &f)) {
            assert_true(decode_connect_client_id(b.p, b.n, &id));
            assert_true(bytes_eq(id, c.client_id));
            assert_ptr_equal(id.p, c.client_id.p);
        } else if (f.code == RC_UNSUPPORTED_PROTOCOL_VERSION) {
            assert_false(decode_connect_client_id(b.p, b.n, &id));
        }
        buf_free(&b);
    }
    struct buf b = buf_hex(V5("c6 003c (11 00000000) 0003 'abc'"));
    assert_true(decode_connect_client_id(b.p, b.n, &id));
    assert_view(id, "abc");
    for (uint32_t n = 0; n < b.n; n++) {
        struct buf cut = buf_copy(b.p, n);
        assert_false(decode_connect_client_id(cut.p, cut.n, &id));
        buf_free(&cut);
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults),          cmocka_unit_test(everything_of_5_0),
        cmocka_unit_test(defaults),        cmocka_unit_test(fields_missing_in_3_1_are_none),
        cmocka_unit_test(client_id_alone), cmocka_unit_test(a_plain_will),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
