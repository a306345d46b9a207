/* SPDX-License-Identifier: Apache-2.0 */
/* PUBLISH to subscribers: its bytes, its size, and what a message is after one way through the broker. */
#include "tests/unit/mqtt/read.h"

static uint8_t *publish_put(uint8_t *p, enum mqtt_version v, const struct publish_out *o)
{
    uint8_t *head_end = encode_publish_head(p, v, o);
    uint8_t *end = bytes_put(head_end, o->payload);

    assert_int_equal(end - p, publish_size(v, o));
    return end;
}

static void bytes_on_the_wire(void **state)
{
    (void)state;
    static const uint32_t ids[] = {1, 128, 268435455};
    uint8_t props[] = "\x01\x01\x26\0\1k\0\1v";
    uint8_t b[128];
    struct publish_out o = {.topic = bytes_str("a/b"), .payload = bytes_str("hi")};

    assert_wire(b, publish_put(b, MQTT_V311, &o), "30 07 0003 'a/b' 'hi'");
    assert_wire(b, publish_put(b, MQTT_V5, &o), "30 08 0003 'a/b' 00 'hi'"); /* MQTT-2.2.2-1 */
    o.dup = true;
    assert_wire(b, publish_put(b, MQTT_V311, &o), "30 07 0003 'a/b' 'hi'"); /* MQTT-3.3.1-2 */
    o.qos = 1;
    o.packet_id = 0x1234;
    o.retain = true;
    assert_wire(b, publish_put(b, MQTT_V31, &o), "3b 09 0003 'a/b' 1234 'hi'");
    o.dup = false;
    o.qos = 2;
    assert_wire(b, publish_put(b, MQTT_V5, &o), "35 0a 0003 'a/b' 1234 00 'hi'");
    o.has_expiry = true;
    o.expiry_s = 5;
    o.alias = 7;
    o.props = bytes_of(props, sizeof props - 1);
    o.subscription_ids = ids;
    o.subscription_ids_n = 3;
    assert_wire(
        b, publish_put(b, MQTT_V5, &o),
        "35 25 0003 'a/b' 1234 (02 00000005 23 0007 0b 01 0b 8001 0b ffffff7f 0101 26 0001 'k' 0001 'v') "
        "'hi'"); /* MQTT-3.3.4-3 */
    assert_wire(b, publish_put(b, MQTT_V311, &o), "35 09 0003 'a/b' 1234 'hi'");
    o.topic = (struct bytes){0};
    o.payload = (struct bytes){0};
    o.subscription_ids_n = 0;
    o.has_expiry = false;
    o.props = (struct bytes){0};
    assert_wire(b, publish_put(b, MQTT_V5, &o), "35 08 0000 1234 (23 0007)");
}

static void read_by_other_eyes(void **state)
{
    (void)state;
    static const uint32_t ids[] = {3, 70000};
    uint8_t props[] = "\x26\0\1k\0\1v\x03\0\1c\x26\0\1k\0\1w";
    uint8_t b[512];
    char payload[200];
    struct publish_out o = {.topic = bytes_str("t"),
                            .props = bytes_of(props, sizeof props - 1),
                            .payload = bytes_of(payload, sizeof payload),
                            .subscription_ids = ids,
                            .subscription_ids_n = 2,
                            .expiry_s = UINT32_MAX,
                            .has_expiry = true,
                            .packet_id = 1,
                            .qos = 1};

    memset(payload, 'p', sizeof payload);
    struct read_packet r = read_open(b, publish_put(b, MQTT_V5, &o));
    char topic[8];
    assert_int_equal(r.first, 0x32);
    read_string(&r, topic, sizeof topic);
    assert_string_equal(topic, "t");
    assert_int_equal(read_number(&r, 2), 1);
    read_props(&r);
    assert_int_equal(read_prop_number(&r, 0x02), UINT32_MAX);
    assert_null(read_find(&r, 0x23));
    assert_string_equal(read_prop_text(&r, 0x03), "c");
    assert_int_equal(r.props_n, 6);
    assert_int_equal(r.props[1].number, 3);
    assert_int_equal(r.props[2].number, 70000);
    assert_string_equal(r.props[3].value, "v"); /* MQTT-3.3.2-18 */
    assert_string_equal(r.props[5].value, "w");
    assert_int_equal(r.end - r.p, sizeof payload);
    assert_memory_equal(r.p, payload, sizeof payload);
}

/* The size at each border of the Remaining Length, and beyond what MQTT carries. */
static void sizes(void **state)
{
    (void)state;
    static const uint8_t byte;
    /* Sizes are counted, not read, so the payload may be a promise. */
    struct publish_out o = {.topic = bytes_str("t"), .payload = bytes_of(&byte, 0)};
    static const struct {
        uint32_t body_n, size;
    } rows[] = {
        {127, 129},         {128, 131},         {16383, 16386},         {16384, 16388},
        {2097151, 2097155}, {2097152, 2097157}, {268435455, 268435460}, {268435456, 0},
        {4294967295, 0},
    };

    for (size_t i = 0; i < ROWS(rows); i++) {
        o.payload.n = rows[i].body_n - 3;
        assert_int_equal(publish_size(MQTT_V311, &o), rows[i].size);
        o.payload.n = rows[i].body_n - 4;
        assert_int_equal(publish_size(MQTT_V5, &o), rows[i].size);
    }
    /* The longest of all can be begun. */
    uint8_t head[16];
    o.payload.n = PACKET_BODY_MAX - 4;
    assert_wire(head, encode_publish_head(head, MQTT_V5, &o), "30 ffffff7f 0001 't' 00");
    o.payload.n = 0;
    o.props = bytes_of(&byte, 300000000);
    assert_int_equal(publish_size(MQTT_V5, &o), 0);
    assert_int_equal(publish_size(MQTT_V311, &o), 5);
}

static uint64_t random_next(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* Properties that travel, in any order and number. */
static uint32_t random_props(uint64_t *seed, uint8_t *p)
{
    static const char *const pieces[] = {"01 00", "01 01", "03 0003 'c/t'", "08 0003 'r/t'", "09 0002 00ff"};
    unsigned used = 0;
    uint32_t n = 0;

    for (unsigned left = (unsigned)(random_next(seed) % 8); left; left--) {
        unsigned i = (unsigned)(random_next(seed) % 8);
        if (i < 5 && !(used & (i < 2 ? 3u : 1u << i))) {
            used |= i < 2 ? 3u : 1u << i;
            n += hex_put(p + n, pieces[i]);
        } else {
            n += hex_put(p + n, i % 2 ? "26 0001 'k' 0001 'v'" : "26 0000 0003 'xyz'");
        }
    }
    return n;
}

/* Encoded, framed, decoded again: the same message, whatever alias, expiry and identifiers went with it. */
static void round_trips(void **state)
{
    (void)state;
    uint64_t seed = 77;

    for (unsigned round = 0; round < 20000; round++) {
        uint8_t topic[64], props[256], payload[400], b[800];
        enum mqtt_version v = (enum mqtt_version)(MQTT_V31 + random_next(&seed) % 3);
        uint32_t topic_n = 1 + (uint32_t)(random_next(&seed) % 60);
        memset(topic, 't', topic_n);
        struct publish_out o = {
            .topic = bytes_of(topic, topic_n),
            .props = bytes_of(props, random_props(&seed, props)),
            .payload = bytes_of(payload, random_next(&seed) % 300),
            .expiry_s = (uint32_t)random_next(&seed),
            .has_expiry = random_next(&seed) % 2,
            .alias = random_next(&seed) % 2 ? (uint16_t)random_next(&seed) : 0,
            .qos = (uint8_t)(random_next(&seed) % 3),
            .retain = random_next(&seed) % 2,
        };
        memset(payload, (int)round, sizeof payload);
        o.packet_id = o.qos ? (uint16_t)(1 + random_next(&seed) % 65535) : 0;
        o.dup = o.qos && random_next(&seed) % 2;
        uint8_t *end = publish_put(b, v, &o);

        struct frame frame;
        struct publish p;
        struct fault f;
        assert_int_equal(frame_peek(b, (size_t)(end - b), &frame), FRAME_OK);
        assert_int_equal(frame.header_n + frame.body_n, end - b);
        assert_true(frame_check(frame.first, v, &f));
        if (!decode_publish(frame.first, b + frame.header_n, frame.body_n, v, TOPIC_NOW, &p, &f))
            fail_msg("round %u: %s", round, f.text);
        assert_true(bytes_eq(p.m.topic, o.topic));
        assert_true(bytes_eq(p.m.payload, o.payload));
        assert_int_equal(p.packet_id, o.packet_id);
        assert_int_equal(p.m.qos, o.qos);
        assert_int_equal(p.m.retain, o.retain);
        assert_int_equal(p.dup, o.dup);
        bool is_5 = v == MQTT_V5;
        assert_true(bytes_eq(p.m.props, is_5 ? o.props : (struct bytes){0}));
        assert_int_equal(p.alias, is_5 ? o.alias : 0);
        assert_int_equal(p.m.has_expiry, is_5 && o.has_expiry);
        assert_int_equal(p.m.expiry_s, is_5 && o.has_expiry ? o.expiry_s : 0);
        assert_int_equal(p.props_verbatim, is_5 && !o.alias && !o.has_expiry);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_on_the_wire),
        cmocka_unit_test(read_by_other_eyes),
        cmocka_unit_test(sizes),
        cmocka_unit_test(round_trips),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
