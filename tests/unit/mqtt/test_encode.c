/* SPDX-License-Identifier: Apache-2.0 */
/* What the server sends, except PUBLISH: the very bytes of the short forms, the rest through a reader of its
 * own, and each against the client's Maximum Packet Size. */
#include "tests/unit/mqtt/read.h"

#define NONE ((struct bytes){0})

/* A connack that says nothing beyond its code. */
static struct connack connack_of(enum reason code)
{
    return (struct connack){.code = code, .qos_max = 2};
}

static void connack_before_5(void **state)
{
    (void)state;
    uint8_t b[16];
    struct connack c = connack_of(RC_SUCCESS);

    assert_wire(b, encode_connack(b, MQTT_V31, &c, 0), "20 02 00 00");
    assert_wire(b, encode_connack(b, MQTT_V311, &c, 0), "20 02 00 00");
    c.session_present = true;
    assert_wire(b, encode_connack(b, MQTT_V311, &c, 0), "20 02 01 00"); /* MQTT-3.2.2-3 */
    assert_wire(b, encode_connack(b, MQTT_V31, &c, 0), "20 02 00 00");  /* 3.1 has no such bit */
    c.code = RC_NOT_AUTHORIZED;
    assert_wire(b, encode_connack(b, MQTT_V311, &c, 0), "20 02 00 05"); /* MQTT-3.2.2-4 of 3.1.1 */
    c.code = RC_UNSUPPORTED_PROTOCOL_VERSION;
    c.text = "no such version";
    assert_wire(b, encode_connack(b, MQTT_V311, &c, 0), "20 02 00 01");
    c.code = RC_MALFORMED_PACKET;
    assert_ptr_equal(encode_connack(b, MQTT_V311, &c, 0), b); /* MQTT-3.2.2-6 of 3.1.1 */
}

static void connack_of_few_words(void **state)
{
    (void)state;
    uint8_t b[64];
    struct connack c = connack_of(RC_SUCCESS);

    assert_wire(b, encode_connack(b, MQTT_V5, &c, 0), "20 03 00 00 00"); /* MQTT-2.2.2-1 */
    c.session_present = true;
    c.receive_max = 65535;
    assert_wire(b, encode_connack(b, MQTT_V5, &c, 0), "20 03 01 00 00");
    c.code = RC_BANNED;
    assert_wire(b, encode_connack(b, MQTT_V5, &c, 0), "20 03 00 8a 00"); /* MQTT-3.2.2-6 */
    c.text = "go";
    assert_wire(b, encode_connack(b, MQTT_V5, &c, 0), "20 08 00 8a (1f 0002 'go')");
    c = connack_of(RC_SUCCESS);
    c.qos_max = 0;
    assert_wire(b, encode_connack(b, MQTT_V5, &c, 0), "20 05 00 00 (24 00)");
    c.qos_max = 1;
    assert_wire(b, encode_connack(b, MQTT_V5, &c, 0), "20 05 00 00 (24 01)"); /* MQTT-3.2.2-9 */
}

static void connack_of_everything(void **state)
{
    (void)state;
    struct connack c = {
        .session_present = true,
        .code = RC_SUCCESS,
        .text = "welcome",
        .assigned_client_id = bytes_str("auto-1"),
        .response_info = bytes_str("resp/"),
        .server_reference = bytes_str("other:1883"),
        .auth_method = bytes_str("SCRAM-SHA-256"),
        .auth_data = bytes_str("v=rmF9"),
        .has_session_expiry = true,
        .session_expiry_s = 0,
        .has_server_keep_alive = true,
        .server_keep_alive_s = 0,
        .receive_max = 32,
        .topic_alias_max = 10,
        .packet_size_max = 1048576,
        .qos_max = 1,
        .retain_unavailable = true,
        .wildcard_unavailable = true,
        .subscription_id_unavailable = true,
        .shared_unavailable = true,
    };
    size_t views_n =
        c.assigned_client_id.n + c.response_info.n + c.server_reference.n + c.auth_method.n + c.auth_data.n;
    uint8_t *b = malloc(connack_size_max(views_n));

    assert_non_null(b);
    struct read_packet r = read_open(b, encode_connack(b, MQTT_V5, &c, 0));
    assert_int_equal(r.first, 0x20);
    assert_int_equal(read_u8(&r), 1);
    assert_int_equal(read_u8(&r), 0);
    read_props(&r);
    assert_ptr_equal(r.p, r.end);
    assert_int_equal(r.props_n, 16);
    assert_string_equal(read_prop_text(&r, 0x1f), "welcome");
    assert_string_equal(read_prop_text(&r, 0x12), "auto-1"); /* MQTT-3.2.2-16 */
    assert_string_equal(read_prop_text(&r, 0x1a), "resp/");
    assert_string_equal(read_prop_text(&r, 0x1c), "other:1883");
    assert_string_equal(read_prop_text(&r, 0x15), "SCRAM-SHA-256"); /* MQTT-4.12.0-5 */
    assert_string_equal(read_prop_text(&r, 0x16), "v=rmF9");
    assert_int_equal(read_prop_number(&r, 0x11), 0);
    assert_int_equal(read_prop_number(&r, 0x13), 0);
    assert_int_equal(read_prop_number(&r, 0x21), 32);
    assert_int_equal(read_prop_number(&r, 0x22), 10);
    assert_int_equal(read_prop_number(&r, 0x27), 1048576);
    assert_int_equal(read_prop_number(&r, 0x24), 1);
    assert_int_equal(read_prop_number(&r, 0x25), 0);
    assert_int_equal(read_prop_number(&r, 0x28), 0);
    assert_int_equal(read_prop_number(&r, 0x29), 0);
    assert_int_equal(read_prop_number(&r, 0x2a), 0);
    free(b);
}

/* The longest text and views fit what connack_size_max() promises. */
static void connack_fits_its_room(void **state)
{
    (void)state;
    enum { N = 65535 };
    uint8_t *big = malloc(N);
    char text[400];
    struct connack c = {.has_session_expiry = true,
                        .has_server_keep_alive = true,
                        .receive_max = 1,
                        .topic_alias_max = 1,
                        .packet_size_max = 1,
                        .retain_unavailable = true,
                        .wildcard_unavailable = true,
                        .subscription_id_unavailable = true,
                        .shared_unavailable = true,
                        .text = text};

    assert_non_null(big);
    memset(big, 'x', N);
    memset(text, 'y', sizeof text);
    text[sizeof text - 1] = 0;
    c.assigned_client_id = c.response_info = c.server_reference = c.auth_method = c.auth_data =
        bytes_of(big, N);
    uint8_t *b = malloc(connack_size_max(5 * (size_t)N));
    assert_non_null(b);
    uint8_t *end = encode_connack(b, MQTT_V5, &c, 0);
    assert_true((size_t)(end - b) <= connack_size_max(5 * (size_t)N));
    struct frame f;
    assert_int_equal(frame_peek(b, (size_t)(end - b), &f), FRAME_OK);
    assert_int_equal(f.header_n + f.body_n, end - b);
    free(b);
    free(big);
}

static void acks(void **state)
{
    (void)state;
    static const struct {
        enum packet_type type;
        enum mqtt_version version;
        enum reason code;
        const char *text;
        const char *want;
    } rows[] = {
        {PACKET_PUBACK, MQTT_V31, RC_SUCCESS, NULL, "40 02 1234"},
        {PACKET_PUBACK, MQTT_V311, RC_NOT_AUTHORIZED, "no", "40 02 1234"},
        {PACKET_PUBREC, MQTT_V311, RC_SUCCESS, NULL, "50 02 1234"},
        {PACKET_PUBREL, MQTT_V311, RC_SUCCESS, NULL, "62 02 1234"},
        {PACKET_PUBCOMP, MQTT_V311, RC_SUCCESS, NULL, "70 02 1234"},
        {PACKET_PUBACK, MQTT_V5, RC_SUCCESS, NULL, "40 02 1234"},
        {PACKET_PUBACK, MQTT_V5, RC_NO_MATCHING_SUBSCRIBERS, NULL, "40 03 1234 10"},
        {PACKET_PUBACK, MQTT_V5, RC_QUOTA_EXCEEDED, "full", "40 0b 1234 97 (1f 0004 'full')"},
        {PACKET_PUBACK, MQTT_V5, RC_SUCCESS, "fine", "40 0b 1234 00 (1f 0004 'fine')"},
        {PACKET_PUBREC, MQTT_V5, RC_PACKET_ID_IN_USE, "", "50 03 1234 91"},
        {PACKET_PUBREL, MQTT_V5, RC_SUCCESS, NULL, "62 02 1234"},
        {PACKET_PUBREL, MQTT_V5, RC_PACKET_ID_NOT_FOUND, NULL, "62 03 1234 92"},
        {PACKET_PUBCOMP, MQTT_V5, RC_PACKET_ID_NOT_FOUND, "eh", "70 09 1234 92 (1f 0002 'eh')"},
    };
    uint8_t b[ENCODE_SMALL_MAX];

    for (size_t i = 0; i < ROWS(rows); i++)
        assert_wire(b, encode_ack(b, rows[i].version, rows[i].type, 0x1234, rows[i].code, rows[i].text, 0),
                    rows[i].want);
}

static void subacks(void **state)
{
    (void)state;
    static const uint8_t codes[] = {0x00, 0x01, 0x02, 0x80, 0x87, 0x8f, 0xa2};
    uint8_t b[16 + sizeof codes + REASON_TEXT_MAX];
    const uint32_t n = sizeof codes;

    assert_wire(b, encode_suback(b, MQTT_V5, PACKET_SUBACK, 7, codes, n, NULL, 0),
                "90 0a 0007 00 00 01 02 80 87 8f a2"); /* MQTT-3.9.3-1 */
    assert_wire(b, encode_suback(b, MQTT_V5, PACKET_SUBACK, 7, codes, n, "no", 0),
                "90 0f 0007 (1f 0002 'no') 00 01 02 80 87 8f a2");
    assert_wire(b, encode_suback(b, MQTT_V311, PACKET_SUBACK, 7, codes, n, "no", 0),
                "90 09 0007 00 01 02 80 80 80 80");
    assert_wire(b, encode_suback(b, MQTT_V31, PACKET_SUBACK, 7, codes, 1, NULL, 0), "90 03 0007 00");
    assert_wire(b, encode_suback(b, MQTT_V5, PACKET_UNSUBACK, 7, codes, 2, NULL, 0), "b0 05 0007 00 00 01");
    assert_wire(b, encode_suback(b, MQTT_V311, PACKET_UNSUBACK, 7, codes, 2, NULL, 0), "b0 02 0007");
    assert_wire(b, encode_suback(b, MQTT_V31, PACKET_UNSUBACK, 7, codes, 2, NULL, 0), "b0 02 0007");
}

static void subacks_of_many(void **state)
{
    (void)state;
    enum { N = 65535 };
    uint8_t *codes = malloc(N), *b = malloc(16 + N + REASON_TEXT_MAX);
    char text[REASON_TEXT_MAX + 1];

    assert_non_null(codes);
    assert_non_null(b);
    memset(codes, 0x97, N);
    memset(text, 't', REASON_TEXT_MAX);
    text[REASON_TEXT_MAX] = 0;
    struct read_packet r = read_open(b, encode_suback(b, MQTT_V5, PACKET_SUBACK, 9, codes, N, text, 0));
    assert_int_equal(read_number(&r, 2), 9);
    read_props(&r);
    assert_string_equal(read_prop_text(&r, 0x1f), text);
    assert_int_equal(r.end - r.p, N);
    assert_memory_equal(r.p, codes, N);
    free(b);
    free(codes);
}

static void the_rest(void **state)
{
    (void)state;
    uint8_t b[2 * ENCODE_SMALL_MAX];

    assert_wire(b, encode_pingresp(b), "d0 00");
    assert_wire(b, encode_disconnect(b, RC_SUCCESS, NULL, NONE, 0), "e0 00");
    assert_wire(b, encode_disconnect(b, RC_SESSION_TAKEN_OVER, NULL, NONE, 0), "e0 01 8e");
    assert_wire(b, encode_disconnect(b, RC_PROTOCOL_ERROR, "bad", NONE, 0), "e0 08 82 (1f 0003 'bad')");
    assert_wire(b, encode_disconnect(b, RC_USE_ANOTHER_SERVER, NULL, bytes_str("n2"), 0),
                "e0 07 9c (1c 0002 'n2')");
    assert_wire(b, encode_disconnect(b, RC_USE_ANOTHER_SERVER, "go", bytes_str("n2"), 0),
                "e0 0c 9c (1c 0002 'n2' 1f 0002 'go')");
    assert_wire(b, encode_auth(b, RC_CONTINUE_AUTHENTICATION, bytes_str("m"), bytes_str("data"), NULL, 0),
                "f0 0d 18 (15 0001 'm' 16 0004 'data')"); /* MQTT-4.12.0-2, MQTT-4.12.0-5 */
    assert_wire(b, encode_auth(b, RC_SUCCESS, bytes_str("m"), NONE, "ok", 0),
                "f0 0b 00 (15 0001 'm' 1f 0002 'ok')");
    assert_wire(b, encode_auth(b, RC_SUCCESS, bytes_str("m"), bytes_str(""), NULL, 0),
                "f0 09 00 (15 0001 'm' 16 0000)");
}

/* Each encoder at each limit: never longer than the limit; with its text when that fits, without it when
 * only that does, and nothing when neither does. */
static uint8_t *encode_row(unsigned row, uint8_t *b, const char *text, uint32_t limit)
{
    static const uint8_t codes[] = {0x00, 0x87, 0x87};
    struct connack c = connack_of(RC_NOT_AUTHORIZED);

    c.text = text;
    c.server_reference = bytes_str("elsewhere");
    switch (row) {
    case 0: /* MQTT-3.2.2-19 */
        return encode_connack(b, MQTT_V5, &c, limit);
    case 1: /* MQTT-3.4.2-2 */
        return encode_ack(b, MQTT_V5, PACKET_PUBACK, 1, RC_NOT_AUTHORIZED, text, limit);
    case 2: /* MQTT-3.5.2-2 */
        return encode_ack(b, MQTT_V5, PACKET_PUBREC, 1, RC_QUOTA_EXCEEDED, text, limit);
    case 3: /* MQTT-3.6.2-2 */
        return encode_ack(b, MQTT_V5, PACKET_PUBREL, 1, RC_SUCCESS, text, limit);
    case 4: /* MQTT-3.7.2-2 */
        return encode_ack(b, MQTT_V5, PACKET_PUBCOMP, 1, RC_PACKET_ID_NOT_FOUND, text, limit);
    case 5: /* MQTT-3.9.2-1 */
        return encode_suback(b, MQTT_V5, PACKET_SUBACK, 1, codes, 3, text, limit);
    case 6: /* MQTT-3.11.2-1 */
        return encode_suback(b, MQTT_V5, PACKET_UNSUBACK, 1, codes, 3, text, limit);
    case 7: /* MQTT-3.14.2-3 */
        return encode_disconnect(b, RC_SERVER_BUSY, text, NONE, limit);
    case 8:
        return encode_disconnect(b, RC_SERVER_MOVED, text, bytes_str("elsewhere"), limit);
    default: /* MQTT-3.15.2-2 */
        return encode_auth(b, RC_CONTINUE_AUTHENTICATION, bytes_str("m"), bytes_str("d"), text, limit);
    }
}

static void limits_of_the_client(void **state)
{
    (void)state;
    uint8_t b[1024];
    char text[151];

    memset(text, 't', sizeof text - 1);
    text[sizeof text - 1] = 0;
    for (unsigned row = 0; row < 10; row++) {
        size_t with = (size_t)(encode_row(row, b, text, 0) - b);
        size_t without = (size_t)(encode_row(row, b, NULL, 0) - b);
        assert_true(with > without + sizeof text);
        for (uint32_t limit = 1; limit < 400; limit++) {
            size_t n = (size_t)(encode_row(row, b, text, limit) - b);
            size_t want = limit >= with ? with : limit >= without ? without : 0; /* MQTT-3.1.2-24 */
            if (n != want)
                fail_msg("row %u, limit %u: %zu bytes instead of %zu", row, limit, n, want);
        }
    }
}

/* A text that is too long is cut between characters, and the packet stays within its room. */
static void long_texts(void **state)
{
    (void)state;
    char text[600];
    uint8_t b[ENCODE_SMALL_MAX];

    for (unsigned shift = 0; shift < 4; shift++) {
        memset(text, 'x', sizeof text);
        for (unsigned i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 3);
        text[sizeof text - 1] = 0;
        uint8_t *end = encode_disconnect(b, RC_UNSPECIFIED_ERROR, text, NONE, 0);
        assert_true((size_t)(end - b) <= sizeof b);
        struct read_packet r = read_open(b, end);
        assert_int_equal(read_u8(&r), 0x80);
        read_props(&r);
        const char *said = read_prop_text(&r, 0x1f);
        size_t n = strlen(said);
        assert_in_range(n, REASON_TEXT_MAX - 2, REASON_TEXT_MAX);
        assert_memory_equal(said, text, n);
        assert_int_equal((n - shift) % 3, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connack_before_5),
        cmocka_unit_test(connack_of_few_words),
        cmocka_unit_test(connack_of_everything),
        cmocka_unit_test(connack_fits_its_room),
        cmocka_unit_test(acks),
        cmocka_unit_test(subacks),
        cmocka_unit_test(subacks_of_many),
        cmocka_unit_test(the_rest),
        cmocka_unit_test(limits_of_the_client),
        cmocka_unit_test(long_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
