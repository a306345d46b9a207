/* SPDX-License-Identifier: Apache-2.0 */
/* Reason codes: names of the standard, and what becomes of them before 5.0. */
#include "tests/unit/mqtt/hex.h"

/* MQTT 5.0 table 2-6. */
static const uint8_t known[] = {0x00, 0x01, 0x02, 0x04, 0x10, 0x11, 0x18, 0x19, 0x80, 0x81, 0x82,
                                0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d,
                                0x8e, 0x8f, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
                                0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2};

static void every_code_has_a_name_of_its_own(void **state)
{
    (void)state;
    const char *unknown = reason_name((enum reason)0x7f);
    size_t named = 0;

    for (unsigned c = 0; c < 256; c++)
        named += strcmp(reason_name((enum reason)c), unknown) != 0;
    assert_int_equal(named, ROWS(known));
    for (size_t i = 0; i < ROWS(known); i++) {
        const char *name = reason_name((enum reason)known[i]);
        assert_string_not_equal(name, unknown);
        for (size_t k = i + 1; k < ROWS(known); k++)
            assert_string_not_equal(name, reason_name((enum reason)known[k]));
    }
    assert_string_equal(reason_name(RC_TOPIC_FILTER_INVALID), "Topic Filter invalid");
}

/* MQTT-3.2.2-6 of 3.1.1: no fitting code, no CONNACK. */
static void codes_before_5(void **state)
{
    (void)state;
    static const struct {
        enum reason code;
        int connack3;
    } rows[] = {
        {RC_SUCCESS, 0},
        {RC_UNSUPPORTED_PROTOCOL_VERSION, 1},
        {RC_CLIENT_ID_NOT_VALID, 2},
        {RC_SERVER_UNAVAILABLE, 3},
        {RC_SERVER_BUSY, 3},
        {RC_SERVER_SHUTTING_DOWN, 3},
        {RC_QUOTA_EXCEEDED, 3},
        {RC_CONNECTION_RATE_EXCEEDED, 3},
        {RC_USE_ANOTHER_SERVER, 3},
        {RC_SERVER_MOVED, 3},
        {RC_BAD_USER_NAME_OR_PASSWORD, 4},
        {RC_BAD_AUTHENTICATION_METHOD, 4},
        {RC_NOT_AUTHORIZED, 5},
        {RC_BANNED, 5},
        {RC_MALFORMED_PACKET, -1},
        {RC_PROTOCOL_ERROR, -1},
        {RC_TOPIC_NAME_INVALID, -1},
        {RC_PACKET_TOO_LARGE, -1},
        {RC_SESSION_TAKEN_OVER, -1},
    };

    for (size_t i = 0; i < ROWS(rows); i++)
        assert_int_equal(reason_to_connack3(rows[i].code), rows[i].connack3);
    for (unsigned c = 0; c < 256; c++)
        assert_in_range(reason_to_connack3((enum reason)c) + 1, 0, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_a_name_of_its_own),
        cmocka_unit_test(codes_before_5),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
