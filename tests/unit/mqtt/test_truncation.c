/* SPDX-License-Identifier: Apache-2.0 */
/* Valid packets, cut at each byte and with each byte changed: no decoder reads outside of what it is given
 * (each body lies in memory of just its size), and what is cut is refused, except where the standard has a
 * shorter form. */
#include "tests/unit/mqtt/hex.h"

static const struct packet {
    enum mqtt_version version;
    const char *bytes;     /* first byte of the fixed header, then the body */
    const char *also_fine; /* lengths of body, in hex, at which the packet is whole as well */
} packets[] = {
    {MQTT_V31, "10 0006 'MQIsdp' 03 02 003c 0002 'id'", ""},
    {MQTT_V31, "10 0006 'MQIsdp' 83 ee 003c 0002 'id' 0001 't' 0003 'bye' 0001 'u' 0001 'p'", "18 1b"},
    {MQTT_V311, "10 0004 'MQTT' 04 02 003c 0002 'id'", ""},
    {MQTT_V311, "10 0004 'MQTT' 04 ee 003c 0002 'id' 0001 't' 0003 'bye' 0001 'u' 0001 'p'", ""},
    {MQTT_V5, "10 0004 'MQTT' 05 02 003c 00 0002 'id'", ""},
    {MQTT_V5,
     "10 0004 'MQTT' 05 ee 003c (11 00000e10 21 0010 27 00010000 22 0007 19 01 17 00 26 0001 'k' 0001 'v'"
     " 15 0001 'm' 16 0001 'd') 0002 'id' (18 0000000a 01 01 02 00000005 03 0001 'c' 08 0001 'r' 09 0001 'd'"
     " 26 0001 'a' 0001 'b') 0001 't' 0003 'bye' 0001 'u' 0001 'p'",
     ""},
    {MQTT_V311, "32 0003 'a/b' 0001", ""},
    {MQTT_V31, "3c 0003 'a/b' 0001", ""},
    {MQTT_V5,
     "35 0003 'a/b' 0001 (01 01 02 00000005 03 0001 'c' 08 0001 'r' 09 0001 'd' 23 0001 26 0001 'a' 0001 "
     "'b')",
     ""},
    {MQTT_V5, "30 0000 (23 0001)", ""},
    {MQTT_V311, "40 0001", ""},
    {MQTT_V5, "40 0001 10 (1f 0001 'r' 26 0001 'a' 0001 'b')", "02 03"},
    {MQTT_V5, "50 0001 87 (1f 0001 'r' 26 0001 'a' 0001 'b')", "02 03"},
    {MQTT_V5, "62 0001 92 (1f 0001 'r' 26 0001 'a' 0001 'b')", "02 03"},
    {MQTT_V5, "70 0001 00 (1f 0001 'r' 26 0001 'a' 0001 'b')", "02 03"},
    {MQTT_V311, "82 0001 0001 'a' 00 0001 'b' 01", "06"},
    {MQTT_V5, "82 0001 (0b 8001 26 0001 'a' 0001 'b') 0001 'a' 2e 0001 'b' 01", "11"},
    {MQTT_V311, "a2 0001 0001 'a' 0001 'b'", "05"},
    {MQTT_V5, "a2 0001 (26 0001 'a' 0001 'b') 0001 'a' 0001 'b'", "0d"},
    {MQTT_V311, "c0", ""},
    {MQTT_V311, "e0", ""},
    {MQTT_V5, "e0 04 (11 00000005 1f 0001 'r' 26 0001 'a' 0001 'b')", "00 01"},
    {MQTT_V5, "f0 18 (15 0001 'm' 16 0001 'd' 1f 0001 'r' 26 0001 'a' 0001 'b')", ""},
};

/* Decodes and walks to the end whatever `first` says it is. */
static bool decode_any(uint8_t first, uint8_t *body, uint32_t n, enum mqtt_version v)
{
    union {
        struct connect connect;
        struct publish publish;
        struct ack ack;
        struct subscribe subscribe;
        struct disconnect disconnect;
        struct auth auth;
    } u;
    struct fault f = {RC_SUCCESS, NULL};
    struct subscribe_item item;
    struct bytes filter;
    bool is_ok = false;

    switch (first >> 4) {
    case PACKET_CONNECT:
        is_ok = decode_connect(body, n, &u.connect, &f);
        break;
    case PACKET_PUBLISH:
        is_ok = decode_publish(first, body, n, v, TOPIC_NOW, &u.publish, &f);
        break;
    case PACKET_SUBSCRIBE:
        is_ok = decode_subscribe(body, n, v, &u.subscribe, &f);
        for (uint32_t left = is_ok ? u.subscribe.count : 0; left; left--)
            assert_true(subscribe_next(&u.subscribe, v, &item));
        assert_false(is_ok && subscribe_next(&u.subscribe, v, &item));
        break;
    case PACKET_UNSUBSCRIBE:
        is_ok = decode_unsubscribe(body, n, v, &u.subscribe, &f);
        for (uint32_t left = is_ok ? u.subscribe.count : 0; left; left--)
            assert_true(unsubscribe_next(&u.subscribe, &filter));
        assert_false(is_ok && unsubscribe_next(&u.subscribe, &filter));
        break;
    case PACKET_PINGREQ:
        is_ok = decode_pingreq(n, &f);
        break;
    case PACKET_DISCONNECT:
        is_ok = decode_disconnect(body, n, v, &u.disconnect, &f);
        break;
    case PACKET_AUTH:
        is_ok = decode_auth(body, n, &u.auth, &f);
        break;
    default:
        is_ok = decode_ack((enum packet_type)(first >> 4), body, n, v, &u.ack, &f);
    }
    if (!is_ok) {
        assert_true(f.code >= 0x80);
        assert_non_null(f.text);
    }
    return is_ok;
}

static bool is_whole_at(const struct packet *p, uint32_t n)
{
    struct buf lengths = buf_hex(p->also_fine);
    bool is = lengths.n && memchr(lengths.p, (int)n, lengths.n);

    buf_free(&lengths);
    return is;
}

static void cut_at_each_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(packets); i++) {
        struct buf b = buf_hex(packets[i].bytes);
        for (uint32_t n = 0; n < b.n; n++) {
            struct buf body = buf_copy(b.p + 1, n);
            bool want = n == b.n - 1 || is_whole_at(&packets[i], n);
            if (decode_any(b.p[0], body.p, body.n, packets[i].version) != want)
                fail_msg("%u bytes of %s", n, packets[i].bytes);
            buf_free(&body);
        }
        buf_free(&b);
    }
}

/* Nothing is asserted but what decode_any() does: a changed byte may well make another valid packet. */
static void each_byte_changed(void **state)
{
    (void)state;
    size_t refused = 0;

    for (size_t i = 0; i < ROWS(packets); i++) {
        struct buf b = buf_hex(packets[i].bytes);
        for (uint32_t at = 1; at < b.n; at++) {
            for (unsigned v = 0; v < 256; v++) {
                struct buf body = buf_copy(b.p + 1, b.n - 1);
                body.p[at - 1] = (uint8_t)v;
                refused += !decode_any(b.p[0], body.p, body.n, packets[i].version);
                buf_free(&body);
            }
        }
        buf_free(&b);
    }
    assert_true(refused > 10000);
}

/* The body of one packet as that of each other type and version. */
static void bodies_of_other_types(void **state)
{
    (void)state;
    static const enum mqtt_version versions[] = {MQTT_V31, MQTT_V311, MQTT_V5};
    static const uint8_t firsts[] = {0x10, 0x30, 0x34, 0x40, 0x50, 0x62, 0x70, 0x82, 0xa2, 0xc0, 0xe0, 0xf0};
    size_t refused = 0;

    for (size_t i = 0; i < ROWS(packets); i++) {
        struct buf b = buf_hex(packets[i].bytes);
        for (size_t f = 0; f < ROWS(firsts); f++) {
            for (size_t v = 0; v < ROWS(versions); v++) {
                struct buf body = buf_copy(b.p + 1, b.n - 1);
                refused += !decode_any(firsts[f], body.p, body.n, versions[v]);
                buf_free(&body);
            }
        }
        buf_free(&b);
    }
    assert_true(refused > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_at_each_byte),
        cmocka_unit_test(each_byte_changed),
        cmocka_unit_test(bodies_of_other_types),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
