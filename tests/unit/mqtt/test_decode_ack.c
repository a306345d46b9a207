/* SPDX-License-Identifier: Apache-2.0 */
/* PUBACK and its like, PINGREQ, DISCONNECT, AUTH. */
#include "tests/unit/mqtt/hex.h"

static const struct fault_row acks[] = {
    {"3.1", MQTT_V31, "0001", RC_SUCCESS},
    {"3.1.1", MQTT_V311, "ffff", RC_SUCCESS},
    {"5.0 without a code", MQTT_V5, "0001", RC_SUCCESS},
    {"5.0 with a code", MQTT_V5, "0001 00", RC_SUCCESS},
    {"5.0 with properties", MQTT_V5, "0001 00 (1f 0001 'x' 26 0000 0000 26 0000 0000)", RC_SUCCESS},
    {"nothing", MQTT_V311, "", RC_MALFORMED_PACKET},
    {"half an id", MQTT_V5, "00", RC_MALFORMED_PACKET},
    {"id 0", MQTT_V5, "0000", RC_PROTOCOL_ERROR},
    {"id 0", MQTT_V311, "0000", RC_PROTOCOL_ERROR},
    {"a code before 5.0", MQTT_V311, "0001 00", RC_MALFORMED_PACKET},
    {"a code before 5.0", MQTT_V31, "0001 00", RC_MALFORMED_PACKET},
    {"properties cut", MQTT_V5, "0001 00 02 1f", RC_MALFORMED_PACKET},
    {"bytes behind the properties", MQTT_V5, "0001 00 00 00", RC_MALFORMED_PACKET},
    {"MQTT-1.5.4-1", MQTT_V5, "0001 00 (1f 0001 ff)", RC_MALFORMED_PACKET},
    {"reason string twice", MQTT_V5, "0001 00 (1f 0000 1f 0000)", RC_PROTOCOL_ERROR},
};

static const enum packet_type ack_types[] = {PACKET_PUBACK, PACKET_PUBREC, PACKET_PUBREL, PACKET_PUBCOMP};

static void ack_faults(void **state)
{
    (void)state;
    for (size_t t = 0; t < ROWS(ack_types); t++) {
        for (size_t i = 0; i < ROWS(acks); i++) {
            struct buf b = buf_hex(acks[i].body);
            struct ack a;
            struct fault f = {RC_SUCCESS, NULL};
            bool is_ok = decode_ack(ack_types[t], b.p, b.n, acks[i].version, &a, &f);
            assert_fault(&acks[i], is_ok, &f);
            if (is_ok) {
                assert_int_equal(a.packet_id, be16_get(b.p));
                assert_int_equal(a.code, RC_SUCCESS);
            }
            buf_free(&b);
        }
    }
}

static bool is_listed(const char *codes, unsigned code)
{
    struct buf b = buf_hex(codes);
    bool is = b.n && memchr(b.p, (int)code, b.n);

    buf_free(&b);
    return is;
}

/* MQTT-3.4.2-1, MQTT-3.5.2-1, MQTT-3.6.2-1, MQTT-3.7.2-1: tables 3-4 to 3-7 */
static void ack_codes(void **state)
{
    (void)state;
    for (size_t t = 0; t < ROWS(ack_types); t++) {
        bool is_first = ack_types[t] == PACKET_PUBACK || ack_types[t] == PACKET_PUBREC;
        const char *listed = is_first ? "00 10 80 83 87 90 91 97 99" : "00 92";
        for (unsigned code = 0; code < 256; code++) {
            uint8_t body[] = {0x12, 0x34, (uint8_t)code};
            struct ack a;
            struct fault f;
            bool is_ok = decode_ack(ack_types[t], body, 3, MQTT_V5, &a, &f);
            assert_int_equal(is_ok, is_listed(listed, code));
            if (is_ok)
                assert_int_equal(a.code, code);
            else
                assert_int_equal(f.code, RC_MALFORMED_PACKET);
        }
    }
}

static void pingreq(void **state)
{
    (void)state;
    struct fault f;

    assert_true(decode_pingreq(0, &f));
    assert_false(decode_pingreq(1, &f));
    assert_int_equal(f.code, RC_MALFORMED_PACKET);
}

static const struct fault_row disconnects[] = {
    {"3.1", MQTT_V31, "", RC_SUCCESS},
    {"3.1.1", MQTT_V311, "", RC_SUCCESS},
    {"5.0", MQTT_V5, "", RC_SUCCESS},
    {"code", MQTT_V5, "00", RC_SUCCESS},
    {"code, no properties", MQTT_V5, "00 00", RC_SUCCESS},
    {"properties", MQTT_V5, "00 (11 00000005 1f 0001 'r' 26 0000 0000)", RC_SUCCESS},
    {"a body before 5.0", MQTT_V311, "00", RC_MALFORMED_PACKET},
    {"a body before 5.0", MQTT_V31, "00", RC_MALFORMED_PACKET},
    {"bytes behind the properties", MQTT_V5, "00 00 00", RC_MALFORMED_PACKET},
    {"properties cut", MQTT_V5, "00 05 11 000000", RC_MALFORMED_PACKET},
    {"expiry twice", MQTT_V5, "00 (11 00000005 11 00000005)", RC_PROTOCOL_ERROR},
    {"3.14.2.2.5 server reference", MQTT_V5, "00 (1c 0001 's')", RC_PROTOCOL_ERROR},
    {"MQTT-1.5.4-1", MQTT_V5, "00 (1f 0001 ff)", RC_MALFORMED_PACKET},
};

static void disconnect_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(disconnects); i++) {
        struct buf b = buf_hex(disconnects[i].body);
        struct disconnect d;
        struct fault f = {RC_SUCCESS, NULL};
        bool is_ok = decode_disconnect(b.p, b.n, disconnects[i].version, &d, &f);
        assert_fault(&disconnects[i], is_ok, &f);
        buf_free(&b);
    }
}

/* MQTT-3.14.2-1, table 3-10 with its column "Sent by" */
static void disconnect_codes(void **state)
{
    (void)state;
    const char *client = "00 04 80 81 82 83 90 93 94 95 96 97 98 99";
    const char *server = "87 89 8b 8d 8e 8f 9a 9b 9c 9d 9e 9f a0 a1 a2";

    for (unsigned code = 0; code < 256; code++) {
        uint8_t body = (uint8_t)code;
        struct disconnect d;
        struct fault f;
        bool is_ok = decode_disconnect(&body, 1, MQTT_V5, &d, &f);
        assert_int_equal(is_ok, is_listed(client, code));
        if (is_ok)
            assert_int_equal(d.code, code);
        else
            assert_int_equal(f.code, is_listed(server, code) ? RC_PROTOCOL_ERROR : RC_MALFORMED_PACKET);
    }
}

static void disconnect_fields(void **state)
{
    (void)state;
    struct buf b = buf_hex("04 (1f 0003 'why' 11 0000003c)");
    struct disconnect d;
    struct fault f;

    assert_true(decode_disconnect(b.p, b.n, MQTT_V5, &d, &f));
    assert_int_equal(d.code, RC_DISCONNECT_WITH_WILL);
    assert_true(d.has_session_expiry);
    assert_int_equal(d.session_expiry_s, 60);
    assert_view(d.reason_string, "why");
    assert_true(decode_disconnect(b.p, 0, MQTT_V5, &d, &f));
    assert_int_equal(d.code, RC_SUCCESS);
    assert_false(d.has_session_expiry);
    buf_free(&b);
}

static const struct fault_row auths[] = {
    {"method", MQTT_V5, "18 (15 0001 'm')", RC_SUCCESS},
    {"method, data", MQTT_V5, "19 (16 0002 00ff 15 0001 'm')", RC_SUCCESS},
    {"everything", MQTT_V5, "18 (15 0001 'm' 16 0000 1f 0001 'r' 26 0000 0000)", RC_SUCCESS},
    {"table 3-11: 0x00 is the server's", MQTT_V5, "", RC_PROTOCOL_ERROR},
    {"table 3-11: 0x00 is the server's", MQTT_V5, "00 (15 0001 'm')", RC_PROTOCOL_ERROR},
    {"MQTT-3.15.2-1", MQTT_V5, "1a (15 0001 'm')", RC_MALFORMED_PACKET},
    {"MQTT-3.15.2-1", MQTT_V5, "87 (15 0001 'm')", RC_MALFORMED_PACKET},
    {"no properties", MQTT_V5, "18", RC_MALFORMED_PACKET},
    {"3.15.2.2.2 no method", MQTT_V5, "18 00", RC_PROTOCOL_ERROR},
    {"3.15.2.2.2 no method", MQTT_V5, "18 (16 0001 'd')", RC_PROTOCOL_ERROR},
    {"method twice", MQTT_V5, "18 (15 0001 'm' 15 0001 'm')", RC_PROTOCOL_ERROR},
    {"bytes behind the properties", MQTT_V5, "18 (15 0001 'm') 00", RC_MALFORMED_PACKET},
    {"MQTT-1.5.4-1", MQTT_V5, "18 (15 0001 ff)", RC_MALFORMED_PACKET},
};

static void auth_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(auths); i++) {
        struct buf b = buf_hex(auths[i].body);
        struct auth a;
        struct fault f = {RC_SUCCESS, NULL};
        bool is_ok = decode_auth(b.p, b.n, &a, &f);
        assert_fault(&auths[i], is_ok, &f);
        buf_free(&b);
    }
}

static void auth_fields(void **state)
{
    (void)state;
    struct buf b = buf_hex("19 (16 0002 'da' 15 0002 'me')");
    struct auth a;
    struct fault f;

    assert_true(decode_auth(b.p, b.n, &a, &f));
    assert_int_equal(a.code, RC_REAUTHENTICATE);
    assert_view(a.method, "me");
    assert_view(a.data, "da");
    buf_free(&b);
    b = buf_hex("18 (15 0002 'me')");
    assert_true(decode_auth(b.p, b.n, &a, &f));
    assert_int_equal(a.code, RC_CONTINUE_AUTHENTICATION);
    assert_null(a.data.p);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ack_faults),       cmocka_unit_test(ack_codes),
        cmocka_unit_test(pingreq),          cmocka_unit_test(disconnect_faults),
        cmocka_unit_test(disconnect_codes), cmocka_unit_test(disconnect_fields),
        cmocka_unit_test(auth_faults),      cmocka_unit_test(auth_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
