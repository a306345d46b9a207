/* SPDX-License-Identifier: Apache-2.0 */
/* SUBSCRIBE and UNSUBSCRIBE. */
#include "tests/unit/mqtt/hex.h"

static const struct fault_row subscribes[] = {
    {"one filter", MQTT_V31, "0001 0001 'a' 00", RC_SUCCESS},
    {"one filter", MQTT_V311, "0001 0001 'a' 02", RC_SUCCESS},
    {"one filter", MQTT_V5, "0001 00 0001 'a' 2e", RC_SUCCESS},
    {"an empty filter is answered in the SUBACK", MQTT_V5, "0001 00 0000 00", RC_SUCCESS},
    {"an ill-formed filter is answered in the SUBACK", MQTT_V5, "0001 00 0002 'a#' 00", RC_SUCCESS},

    {"no packet id", MQTT_V5, "00", RC_MALFORMED_PACKET},
    {"no property length", MQTT_V5, "0001", RC_MALFORMED_PACKET},
    {"MQTT-2.2.1-3", MQTT_V5, "0000 00 0001 'a' 00", RC_PROTOCOL_ERROR},
    {"MQTT-2.3.1-1 of 3.1.1", MQTT_V311, "0000 0001 'a' 00", RC_PROTOCOL_ERROR},
    {"MQTT-3.8.3-2", MQTT_V5, "0001 00", RC_PROTOCOL_ERROR},
    {"MQTT-3.8.3-3 of 3.1.1", MQTT_V311, "0001", RC_PROTOCOL_ERROR},
    {"MQTT-3.8.3-1", MQTT_V5, "0001 00 0001 ff 00", RC_MALFORMED_PACKET},
    {"MQTT-3.8.3-1 in the second", MQTT_V5, "0001 00 0001 'a' 00 0001 00 00", RC_MALFORMED_PACKET},
    {"MQTT-3.8.3-1 of 3.1.1", MQTT_V311, "0001 0002 c080 00", RC_MALFORMED_PACKET},
    {"no options", MQTT_V5, "0001 00 0001 'a'", RC_MALFORMED_PACKET},
    {"no options", MQTT_V311, "0001 0001 'a' 00 0001 'b'", RC_MALFORMED_PACKET},
    {"filter past the packet", MQTT_V311, "0001 0005 'a' 00", RC_MALFORMED_PACKET},
    {"MQTT-3.8.3-5 bit 6", MQTT_V5, "0001 00 0001 'a' 40", RC_MALFORMED_PACKET},
    {"MQTT-3.8.3-5 bit 7", MQTT_V5, "0001 00 0001 'a' 81", RC_MALFORMED_PACKET},
    {"3.8.3.1 QoS 3", MQTT_V5, "0001 00 0001 'a' 03", RC_PROTOCOL_ERROR},
    {"3.8.3.1 Retain Handling 3", MQTT_V5, "0001 00 0001 'a' 30", RC_PROTOCOL_ERROR},
    {"MQTT-3.8.3-4", MQTT_V5, "0001 00 000a '$share/g/t' 04", RC_PROTOCOL_ERROR},
    {"the same without No Local", MQTT_V5, "0001 00 000a '$share/g/t' 2a", RC_SUCCESS},
    {"No Local beside a shared one", MQTT_V5, "0001 00 000a '$share/g/t' 00 0001 'a' 04", RC_SUCCESS},
    {"$shared is no share", MQTT_V5, "0001 00 000b '$shared/g/t' 04", RC_SUCCESS},
    {"MQTT-3.8.3-4 of 3.1.1, QoS 3", MQTT_V311, "0001 0001 'a' 03", RC_MALFORMED_PACKET},
    {"MQTT-3.8.3-4 of 3.1.1, bit 2", MQTT_V311, "0001 0001 'a' 04", RC_MALFORMED_PACKET},
    {"MQTT-3.8.3-4 of 3.1.1, bit 4", MQTT_V311, "0001 0001 'a' 10", RC_MALFORMED_PACKET},
    {"MQTT-3.8.3-4 of 3.1.1, bit 7", MQTT_V31, "0001 0001 'a' 80", RC_MALFORMED_PACKET},
    {"QoS 3 of 3.1", MQTT_V31, "0001 0001 'a' 03", RC_MALFORMED_PACKET},
    {"3.8.2.1.2 identifier 0", MQTT_V5, "0001 (0b 00) 0001 'a' 00", RC_PROTOCOL_ERROR},
    {"3.8.2.1.2 identifier twice", MQTT_V5, "0001 (0b 01 0b 02) 0001 'a' 00", RC_PROTOCOL_ERROR},
    {"largest identifier", MQTT_V5, "0001 (0b ffffff7f) 0001 'a' 00", RC_SUCCESS},
    {"MQTT-1.5.5-1 over-long identifier", MQTT_V5, "0001 (0b 8100) 0001 'a' 00", RC_MALFORMED_PACKET},
    {"identifier of five bytes", MQTT_V5, "0001 (0b ffffffff01) 0001 'a' 00", RC_MALFORMED_PACKET},
    {"identifier cut", MQTT_V5, "0001 (0b 80) 0001 'a' 00", RC_MALFORMED_PACKET},
};

static const struct fault_row unsubscribes[] = {
    {"one filter", MQTT_V31, "0001 0001 'a'", RC_SUCCESS},
    {"two filters", MQTT_V311, "0001 0001 'a' 0000", RC_SUCCESS},
    {"two filters", MQTT_V5, "0001 00 0001 'a' 0002 'a#'", RC_SUCCESS},
    {"with a user property", MQTT_V5, "0001 (26 0000 0000) 0001 'a'", RC_SUCCESS},
    {"no packet id", MQTT_V311, "00", RC_MALFORMED_PACKET},
    {"no property length", MQTT_V5, "0001", RC_MALFORMED_PACKET},
    {"MQTT-2.2.1-3", MQTT_V5, "0000 00 0001 'a'", RC_PROTOCOL_ERROR},
    {"MQTT-2.3.1-1 of 3.1.1", MQTT_V311, "0000 0001 'a'", RC_PROTOCOL_ERROR},
    {"MQTT-3.10.3-1", MQTT_V5, "0001 00 0001 ff", RC_MALFORMED_PACKET},
    {"MQTT-3.10.3-1 of 3.1.1", MQTT_V311, "0001 0001 00", RC_MALFORMED_PACKET},
    {"MQTT-3.10.3-2", MQTT_V5, "0001 00", RC_PROTOCOL_ERROR},
    {"MQTT-3.10.3-2 of 3.1.1", MQTT_V311, "0001", RC_PROTOCOL_ERROR},
    {"filter past the packet", MQTT_V311, "0001 0002 'a'", RC_MALFORMED_PACKET},
    {"one byte too many", MQTT_V5, "0001 00 0001 'a' 00", RC_MALFORMED_PACKET},
    {"2.2.2.2 no identifier here", MQTT_V5, "0001 (0b 01) 0001 'a'", RC_MALFORMED_PACKET},
};

static void subscribe_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(subscribes); i++) {
        struct buf b = buf_hex(subscribes[i].body);
        struct subscribe s;
        struct fault f = {RC_SUCCESS, NULL};
        bool is_ok = decode_subscribe(b.p, b.n, subscribes[i].version, &s, &f);
        assert_fault(&subscribes[i], is_ok, &f);
        buf_free(&b);
    }
}

static void unsubscribe_faults(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(unsubscribes); i++) {
        struct buf b = buf_hex(unsubscribes[i].body);
        struct subscribe s;
        struct fault f = {RC_SUCCESS, NULL};
        bool is_ok = decode_unsubscribe(b.p, b.n, unsubscribes[i].version, &s, &f);
        assert_fault(&unsubscribes[i], is_ok, &f);
        buf_free(&b);
    }
}

static void filters_of_5_0(void **state)
{
    (void)state;
    static const struct {
        const char *filter;
        uint8_t qos, handling;
        bool no_local, as_published;
    } want[] = {
        {"a", 0, 0, false, false}, {"b/#", 2, 2, true, true},  {"", 1, 1, false, true},
        {"c", 0, 0, true, false},  {"d+", 2, 2, false, false},
    };
    struct buf b =
        buf_hex("1234 (26 0001 'k' 0001 'v' 0b 8001) 0001 'a' 00 0003 'b/#' 2e 0000 19 0001 'c' 04 "
                "0002 'd+' 22");
    struct subscribe s;
    struct subscribe_item item;
    struct fault f;

    assert_true(decode_subscribe(b.p, b.n, MQTT_V5, &s, &f));
    assert_int_equal(s.packet_id, 0x1234);
    assert_int_equal(s.subscription_id, 128);
    assert_int_equal(s.count, ROWS(want));
    for (size_t i = 0; i < ROWS(want); i++) {
        assert_true(subscribe_next(&s, MQTT_V5, &item));
        assert_view(item.filter, want[i].filter);
        assert_int_equal(item.qos, want[i].qos);
        assert_int_equal(item.retain_handling, want[i].handling);
        assert_int_equal(item.no_local, want[i].no_local);
        assert_int_equal(item.retain_as_published, want[i].as_published);
    }
    assert_false(subscribe_next(&s, MQTT_V5, &item));
    buf_free(&b);
}

static void filters_before_5(void **state)
{
    (void)state;
    struct buf b = buf_hex("0007 0001 'a' 01 0001 'b' 02");
    struct subscribe s;
    struct subscribe_item item;
    struct fault f;

    assert_true(decode_subscribe(b.p, b.n, MQTT_V311, &s, &f));
    assert_int_equal(s.packet_id, 7);
    assert_int_equal(s.subscription_id, 0);
    assert_int_equal(s.count, 2);
    for (uint8_t qos = 1; qos <= 2; qos++) {
        assert_true(subscribe_next(&s, MQTT_V311, &item));
        assert_int_equal(item.qos, qos);
        assert_false(item.no_local || item.retain_as_published || item.retain_handling);
    }
    assert_false(subscribe_next(&s, MQTT_V311, &item));
    buf_free(&b);
}

static void filters_to_unsubscribe(void **state)
{
    (void)state;
    struct buf b = buf_hex("0007 00 0001 'a' 0003 '+/#'");
    struct subscribe s;
    struct bytes filter;
    struct fault f;

    assert_true(decode_unsubscribe(b.p, b.n, MQTT_V5, &s, &f));
    assert_int_equal(s.packet_id, 7);
    assert_int_equal(s.count, 2);
    assert_true(unsubscribe_next(&s, &filter));
    assert_view(filter, "a");
    assert_true(unsubscribe_next(&s, &filter));
    assert_view(filter, "+/#");
    assert_false(unsubscribe_next(&s, &filter));
    buf_free(&b);
}

/* One more filter than the count can hold. */
static void filters_beyond_the_count(void **state)
{
    (void)state;
    enum { MOST = 65535, ITEM = 4 };
    uint8_t *body = malloc(3 + (MOST + 1) * ITEM);
    struct subscribe s;
    struct subscribe_item item;
    struct fault f;

    assert_non_null(body);
    memcpy(body, "\0\1\0", 3);
    for (uint32_t i = 0; i <= MOST; i++)
        memcpy(body + 3 + i * ITEM, "\0\1x\0", ITEM);
    assert_true(decode_subscribe(body, 3 + MOST * ITEM, MQTT_V5, &s, &f));
    assert_int_equal(s.count, MOST);
    uint32_t n = 0;
    while (subscribe_next(&s, MQTT_V5, &item))
        n++;
    assert_int_equal(n, MOST);
    assert_false(decode_subscribe(body, 3 + (MOST + 1) * ITEM, MQTT_V5, &s, &f));
    assert_int_equal(f.code, RC_QUOTA_EXCEEDED);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscribe_faults),       cmocka_unit_test(unsubscribe_faults),
        cmocka_unit_test(filters_of_5_0),         cmocka_unit_test(filters_before_5),
        cmocka_unit_test(filters_to_unsubscribe), cmocka_unit_test(filters_beyond_the_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
