/* SPDX-License-Identifier: Apache-2.0 */
/* The fixed header: lengths, flags, names. */
#include "tests/unit/mqtt/hex.h"

static const struct {
    const char *bytes;
    enum frame_status status;
    uint8_t header_n;
    uint32_t body_n;
} frames[] = {
    {"", FRAME_INCOMPLETE, 0, 0},
    {"c0", FRAME_INCOMPLETE, 0, 0},
    {"c000", FRAME_OK, 2, 0},
    {"307f", FRAME_OK, 2, 127},
    {"3080", FRAME_INCOMPLETE, 0, 0},
    {"308001", FRAME_OK, 3, 128},
    {"30ff7f", FRAME_OK, 3, 16383},
    {"308080", FRAME_INCOMPLETE, 0, 0},
    {"30808001", FRAME_OK, 4, 16384},
    {"30ffff7f", FRAME_OK, 4, 2097151},
    {"30808080", FRAME_INCOMPLETE, 0, 0},
    {"3080808001", FRAME_OK, 5, 2097152},
    {"30ffffff7f", FRAME_OK, 5, PACKET_BODY_MAX},
    {"30ffffff7f00", FRAME_OK, 5, PACKET_BODY_MAX},
    {"3080808080", FRAME_MALFORMED, 0, 0}, /* a fifth length byte would follow */
    {"30ffffffff01", FRAME_MALFORMED, 0, 0},
    {"308000", FRAME_MALFORMED, 0, 0}, /* MQTT-1.5.5-1 */
    {"30ff00", FRAME_MALFORMED, 0, 0},
    {"30808000", FRAME_MALFORMED, 0, 0},
    {"3080808000", FRAME_MALFORMED, 0, 0},
};

static void lengths_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(frames); i++) {
        struct buf b = buf_hex(frames[i].bytes);
        struct frame f = {0};
        enum frame_status status = frame_peek(b.p, b.n, &f);
        if (status != frames[i].status)
            fail_msg("%s: status %d", frames[i].bytes, status);
        if (status == FRAME_OK) {
            assert_int_equal(f.header_n, frames[i].header_n);
            assert_int_equal(f.body_n, frames[i].body_n);
            assert_int_equal(f.first, b.p[0]);
        }
        buf_free(&b);
    }
}

static void varints_round_trip(void **state)
{
    (void)state;
    for (uint64_t v = 0; v <= PACKET_BODY_MAX; v = v < 70000 ? v + 1 : v * 2 - 17) {
        uint8_t b[6] = {0x30};
        uint32_t n = (uint32_t)(varint_put(b + 1, (uint32_t)v) - (b + 1));
        struct frame f;
        assert_int_equal(n, varint_size((uint32_t)v));
        assert_int_equal(frame_peek(b, n + 1, &f), FRAME_OK);
        assert_int_equal(f.body_n, v);
        assert_int_equal(f.header_n, n + 1);
        assert_int_equal(frame_peek(b, n, &f), FRAME_INCOMPLETE);
    }
}

/* MQTT 5.0 table 2-2 as letters, one for each value of the flags: '.' in order, 'm' malformed, 'p' protocol
 * error. */
static const struct {
    const char *rule;
    const char *flags_v5;
    const char *flags_v31; /* NULL: as in 5.0 */
    uint8_t type;
} flags[] = {
    {"type 0 is reserved", "pppppppppppppppp", NULL, 0},
    {"MQTT-2.1.3-1 CONNECT", ".mmmmmmmmmmmmmmm", NULL, PACKET_CONNECT},
    {"CONNACK is the server's", "pppppppppppppppp", NULL, PACKET_CONNACK},
    {"MQTT-3.3.1-2, MQTT-3.3.1-4", "......mmmm....mm", NULL, PACKET_PUBLISH},
    {"MQTT-2.1.3-1 PUBACK", ".mmmmmmmmmmmmmmm", NULL, PACKET_PUBACK},
    {"MQTT-2.1.3-1 PUBREC", ".mmmmmmmmmmmmmmm", NULL, PACKET_PUBREC},
    {"MQTT-3.6.1-1", "mm.mmmmmmmmmmmmm", "mm.mmmmmmm.mmmmm", PACKET_PUBREL},
    {"MQTT-2.1.3-1 PUBCOMP", ".mmmmmmmmmmmmmmm", NULL, PACKET_PUBCOMP},
    {"MQTT-3.8.1-1", "mm.mmmmmmmmmmmmm", "mm.mmmmmmm.mmmmm", PACKET_SUBSCRIBE},
    {"SUBACK is the server's", "pppppppppppppppp", NULL, PACKET_SUBACK},
    {"MQTT-3.10.1-1", "mm.mmmmmmmmmmmmm", "mm.mmmmmmm.mmmmm", PACKET_UNSUBSCRIBE},
    {"UNSUBACK is the server's", "pppppppppppppppp", NULL, PACKET_UNSUBACK},
    {"MQTT-2.1.3-1 PINGREQ", ".mmmmmmmmmmmmmmm", NULL, PACKET_PINGREQ},
    {"PINGRESP is the server's", "pppppppppppppppp", NULL, PACKET_PINGRESP},
    {"MQTT-3.14.1-1", ".mmmmmmmmmmmmmmm", NULL, PACKET_DISCONNECT},
    {"MQTT-3.15.1-1", ".mmmmmmmmmmmmmmm", "pppppppppppppppp", PACKET_AUTH},
};

static void flags_are_checked(void **state)
{
    (void)state;
    static const enum mqtt_version versions[] = {MQTT_V31, MQTT_V311, MQTT_V5};

    assert_int_equal(ROWS(flags), 16);
    for (unsigned first = 0; first < 256; first++) {
        for (size_t i = 0; i < ROWS(versions); i++) {
            enum mqtt_version v = versions[i];
            const char *row = flags[first >> 4].flags_v5;
            if (flags[first >> 4].flags_v31 &&
                (v == MQTT_V31 || (v == MQTT_V311 && first >> 4 == PACKET_AUTH)))
                row = flags[first >> 4].flags_v31;
            enum reason want = row[first & 15] == '.'   ? RC_SUCCESS
                               : row[first & 15] == 'm' ? RC_MALFORMED_PACKET
                                                        : RC_PROTOCOL_ERROR;
            struct fault f = {RC_SUCCESS, NULL};
            bool is_ok = frame_check((uint8_t)first, v, &f);
            if (is_ok != (want == RC_SUCCESS) || (!is_ok && (f.code != want || !f.text)))
                fail_msg("%s: first byte %02x in version %d", flags[first >> 4].rule, first, v);
        }
    }
}

static void types_have_names(void **state)
{
    (void)state;
    assert_string_equal(packet_type_name(PACKET_CONNECT), "CONNECT");
    assert_string_equal(packet_type_name(PACKET_UNSUBACK), "UNSUBACK");
    assert_string_equal(packet_type_name(PACKET_AUTH), "AUTH");
    assert_string_equal(packet_type_name(0), "?");
    assert_string_equal(packet_type_name(16), "?");
    for (unsigned i = 1; i < 16; i++) {
        for (unsigned k = i + 1; k < 16; k++)
            assert_string_not_equal(packet_type_name(i), packet_type_name(k));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_are_read),
        cmocka_unit_test(varints_round_trip),
        cmocka_unit_test(flags_are_checked),
        cmocka_unit_test(types_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
