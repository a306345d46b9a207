/* SPDX-License-Identifier: Apache-2.0 */
/* Properties: every identifier in every packet that a client sends, alone and twice, with each value at the
 * edge of what it may be; and blocks too large to be walked more than once. */
#include <time.h>

#include "proto/mqtt/props.h"
#include "tests/unit/mqtt/hex.h"

/* Packets as letters: Connect, Will, Publish, publish Acknowledgements, Subscribe, Unsubscribe, Disconnect,
 * aUth ('H'). The letters stand for what is around the block. */
static const struct place {
    char letter;
    enum packet_type type;
    const char *head;
    const char *tail;
} places[] = {
    {'C', PACKET_CONNECT, "0004 'MQTT' 05 02 003c", "0000"},
    {'W', PACKET_CONNECT, "0004 'MQTT' 05 06 003c 00 0000", "0001 't' 0000"},
    {'P', PACKET_PUBLISH, "0001 't'", ""},
    {'A', PACKET_PUBACK, "0001 00", ""},
    {'A', PACKET_PUBREC, "0001 00", ""},
    {'A', PACKET_PUBREL, "0001 00", ""},
    {'A', PACKET_PUBCOMP, "0001 00", ""},
    {'S', PACKET_SUBSCRIBE, "0001", "0001 't' 00"},
    {'U', PACKET_UNSUBSCRIBE, "0001", "0001 't'"},
    {'D', PACKET_DISCONNECT, "00", ""},
    {'H', PACKET_AUTH, "18", ""},
};

/* MQTT 5.0 table 2-4 again, from the standard; `client` is where a client may send it, `server` where only a
 * server may. */
static const struct known {
    uint8_t id;
    const char *client;
    const char *server;
    const char *value; /* one that is in order */
    bool may_repeat;
} knowns[] = {
    {0x01, "WP", "", "01", false},
    {0x02, "WP", "", "00000000", false},
    {0x03, "WP", "", "0004 'text'", false},
    {0x08, "WP", "", "0002 're'", false},
    {0x09, "WP", "", "0003 00ff80", false},
    {0x0b, "S", "P", "05", false},
    {0x11, "CD", "", "ffffffff", false},
    {0x12, "", "", "0001 'c'", false},
    {0x13, "", "", "0001", false},
    {0x15, "CH", "", "0001 'm'", false},
    {0x16, "CH", "", "0002 ff00", false},
    {0x17, "C", "", "00", false},
    {0x18, "W", "", "00000000", false},
    {0x19, "C", "", "01", false},
    {0x1a, "", "", "0001 'i'", false},
    {0x1c, "", "D", "0001 's'", false},
    {0x1f, "ADH", "", "0001 'r'", false},
    {0x21, "C", "", "0001", false},
    {0x22, "C", "", "0000", false},
    {0x23, "P", "", "ffff", false},
    {0x24, "", "", "01", false},
    {0x25, "", "", "01", false},
    {0x26, "CWPASUDH", "", "0001 'k' 0001 'v'", true},
    {0x27, "C", "", "00000001", false},
    {0x28, "", "", "01", false},
    {0x29, "", "", "01", false},
    {0x2a, "", "", "01", false},
};

static const struct known *known_find(unsigned id)
{
    for (size_t i = 0; i < ROWS(knowns); i++) {
        if (knowns[i].id == id)
            return &knowns[i];
    }
    return NULL;
}

/* Decodes the packet of that place with `block` in it; RC_SUCCESS when it is in order. */
static enum reason decode_at(const struct place *at, const char *block)
{
    char text[1024];
    struct fault f = {RC_SUCCESS, ""};
    bool is_ok = false;
    union {
        struct connect connect;
        struct publish publish;
        struct ack ack;
        struct subscribe subscribe;
        struct disconnect disconnect;
        struct auth auth;
    } u;

    snprintf(text, sizeof text, "%s (%s) %s", at->head, block, at->tail);
    struct buf b = buf_hex(text);
    if (at->type == PACKET_CONNECT)
        is_ok = decode_connect(b.p, b.n, &u.connect, &f);
    else if (at->type == PACKET_PUBLISH)
        is_ok = decode_publish(0x30, b.p, b.n, MQTT_V5, TOPIC_NOW, &u.publish, &f);
    else if (at->type == PACKET_SUBSCRIBE)
        is_ok = decode_subscribe(b.p, b.n, MQTT_V5, &u.subscribe, &f);
    else if (at->type == PACKET_UNSUBSCRIBE)
        is_ok = decode_unsubscribe(b.p, b.n, MQTT_V5, &u.subscribe, &f);
    else if (at->type == PACKET_DISCONNECT)
        is_ok = decode_disconnect(b.p, b.n, MQTT_V5, &u.disconnect, &f);
    else if (at->type == PACKET_AUTH)
        is_ok = decode_auth(b.p, b.n, &u.auth, &f);
    else
        is_ok = decode_ack(at->type, b.p, b.n, MQTT_V5, &u.ack, &f);
    buf_free(&b);
    assert_int_equal(is_ok, f.code == RC_SUCCESS);
    return f.code;
}

/* What the standard asks for beside the property itself: AUTH has a method, and so has one with data. */
static const char *company(const struct place *at, unsigned id)
{
    bool needs_method = at->letter == 'H' || (at->letter == 'C' && id == 0x16);

    return needs_method && id != 0x15 ? "15 0001 'm'" : "";
}

static void every_identifier_everywhere(void **state)
{
    (void)state;
    for (unsigned id = 0; id < 256; id++) {
        const struct known *k = known_find(id);
        for (size_t p = 0; p < ROWS(places); p++) {
            const struct place *at = &places[p];
            char block[128];
            snprintf(block, sizeof block, "%02x %s %s", id, k ? k->value : "00000000", company(at, id));
            enum reason want = RC_MALFORMED_PACKET; /* MQTT 5.0 section 2.2.2.2 */
            if (k && strchr(k->client, at->letter))
                want = RC_SUCCESS;
            else if (k && strchr(k->server, at->letter))
                want = RC_PROTOCOL_ERROR;
            enum reason got = decode_at(at, block);
            if (got != want)
                fail_msg("property %02x in %s (%c): 0x%02x", id, packet_type_name(at->type), at->letter,
                         (unsigned)got);
        }
    }
}

static void every_property_twice(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(knowns); i++) {
        const struct known *k = &knowns[i];
        for (size_t p = 0; p < ROWS(places); p++) {
            const struct place *at = &places[p];
            char block[256];
            if (!strchr(k->client, at->letter))
                continue;
            snprintf(block, sizeof block, "%02x %s 26 0000 0000 %s %02x %s", k->id, k->value,
                     company(at, k->id), k->id, k->value);
            enum reason got = decode_at(at, block);
            if (got != (k->may_repeat ? RC_SUCCESS : RC_PROTOCOL_ERROR))
                fail_msg("property %02x twice in %s: 0x%02x", k->id, packet_type_name(at->type),
                         (unsigned)got);
        }
    }
}

/* A block that ends inside the property. */
static void every_property_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(knowns); i++) {
        const struct known *k = &knowns[i];
        uint32_t n = hex_put(NULL, k->value);
        for (size_t p = 0; p < ROWS(places); p++) {
            const struct place *at = &places[p];
            if (!strchr(k->client, at->letter))
                continue;
            for (uint32_t cut = 0; cut < n; cut++) {
                uint8_t value[32];
                char block[128];
                hex_put(value, k->value);
                int len = snprintf(block, sizeof block, "%s %02x", company(at, k->id), k->id);
                for (uint32_t b = 0; b < cut; b++)
                    len += snprintf(block + len, sizeof block - (size_t)len, "%02x", value[b]);
                enum reason got = decode_at(at, block);
                if (got != RC_MALFORMED_PACKET)
                    fail_msg("property %02x with %u bytes in %s: 0x%02x", k->id, cut,
                             packet_type_name(at->type), (unsigned)got);
            }
        }
    }
}

static const struct {
    const char *rule;
    char letter;
    const char *block;
    enum reason code;
} values[] = {
    {"3.1.2.11.3", 'C', "21 0000", RC_PROTOCOL_ERROR},
    {"3.1.2.11.3", 'C', "21 ffff", RC_SUCCESS},
    {"3.1.2.11.4", 'C', "27 00000000", RC_PROTOCOL_ERROR},
    {"3.1.2.11.4", 'C', "27 ffffffff", RC_SUCCESS},
    {"3.1.2.11.6", 'C', "19 02", RC_PROTOCOL_ERROR},
    {"3.1.2.11.6", 'C', "19 00", RC_SUCCESS},
    {"3.1.2.11.7", 'C', "17 ff", RC_PROTOCOL_ERROR},
    {"3.1.2.11.7", 'C', "17 01", RC_SUCCESS},
    {"3.1.3.2.3", 'W', "01 02", RC_PROTOCOL_ERROR},
    {"MQTT-3.3.2-14", 'W', "08 0001 '+'", RC_PROTOCOL_ERROR},
    {"MQTT-1.5.4-1", 'W', "03 0001 80", RC_MALFORMED_PACKET},
    {"MQTT-1.5.4-1", 'C', "15 0003 eda080", RC_MALFORMED_PACKET},
    {"MQTT-1.5.7-1", 'C', "26 0001 00 0000", RC_MALFORMED_PACKET},
    {"MQTT-1.5.7-1", 'S', "26 0000 0001 ff", RC_MALFORMED_PACKET},
    {"MQTT-1.5.7-1", 'U', "26 0000 0001 ff", RC_MALFORMED_PACKET},
    {"MQTT-1.5.7-1", 'A', "26 0000 0001 ff", RC_MALFORMED_PACKET},
    {"3.3.2.3.4", 'P', "23 0000", RC_TOPIC_ALIAS_INVALID},
    {"3.8.2.1.2", 'S', "0b 00", RC_PROTOCOL_ERROR},
    {"an identifier is never longer than a byte", 'P', "8100 00", RC_MALFORMED_PACKET},
};

static void values_at_their_edges(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(values); i++) {
        for (size_t p = 0; p < ROWS(places); p++) {
            if (places[p].letter != values[i].letter)
                continue;
            enum reason got = decode_at(&places[p], values[i].block);
            if (got != values[i].code)
                fail_msg("%s: 0x%02x for %s", values[i].rule, (unsigned)got, values[i].block);
        }
    }
}

/* Every fault of the table names its property. */
static void texts_name_the_property(void **state)
{
    (void)state;
    struct fault f;
    struct publish p;
    struct buf b = buf_hex("0001 't' (23 0000)");

    assert_false(decode_publish(0x30, b.p, b.n, MQTT_V5, TOPIC_NOW, &p, &f));
    assert_string_equal(f.text, "Topic Alias must not be 0");
    buf_free(&b);
    b = buf_hex("0001 't' (01 00 01 00)");
    assert_false(decode_publish(0x30, b.p, b.n, MQTT_V5, TOPIC_NOW, &p, &f));
    assert_string_equal(f.text, "Payload Format Indicator must not be given more than once");
    buf_free(&b);
}

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A PUBLISH with n user properties and a few others that are taken out between them. */
static struct buf publish_of_user_props(uint32_t n)
{
    enum { PROP = 9 };
    static const uint8_t user[PROP + 1] = "\x26\0\2ab\0\2cd";
    uint32_t block_n = n * PROP + 8;
    struct buf b = {malloc(3 + 4 + (size_t)block_n), 0};

    assert_non_null(b.p);
    uint8_t *p = b.p;
    memcpy(p, "\0\1t", 3);
    p = varint_put(p + 3, block_n);
    for (uint32_t i = 0; i < n; i++) {
        if (i == n / 3) {
            memcpy(p, "\x02\0\0\0\1", 5);
            p += 5;
        } else if (i == n / 2) {
            memcpy(p, "\x23\0\1", 3);
            p += 3;
        }
        memcpy(p, user, PROP);
        p += PROP;
    }
    b.n = (uint32_t)(p - b.p);
    return b;
}

static double best_decode_s(uint32_t n)
{
    double best = 1e9;

    for (int i = 0; i < 5; i++) {
        struct buf b = publish_of_user_props(n);
        struct publish p;
        struct fault f;
        double start = cpu_s();
        if (!decode_publish(0x30, b.p, b.n, MQTT_V5, TOPIC_NOW, &p, &f))
            fail_msg("%s", f.text);
        double took = cpu_s() - start;
        best = took < best ? took : best;
        assert_int_equal(p.m.props.n, n * 9);
        assert_int_equal(p.alias, 1);
        assert_int_equal(p.m.expiry_s, 1);
        buf_free(&b);
    }
    return best;
}

/* Ten times the properties take about ten times as long; were it a hundred times, it would be quadratic. */
static void a_hundred_thousand_user_properties(void **state)
{
    (void)state;
    double small = best_decode_s(10000), large = best_decode_s(100000);

    if (large > 40 * small + 0.001)
        fail_msg("%.6f s for 10,000, %.6f s for 100,000", small, large);
}

static void blocks_that_travel(void **state)
{
    (void)state;
    static const struct {
        const char *block;
        bool is_message;
    } rows[] = {
        {"", true},
        {"01 01 03 0001 'c' 08 0001 'r' 09 0001 ff 26 0000 0000 26 0000 0000", true},
        {"02 00000001", false},
        {"23 0001", false},
        {"18 00000001", false},
        {"0b 01", false},
        {"01 02", false},
        {"01 01 01 01", false},
        {"01", false},
        {"08 0001 '#'", false},
        {"26 0001 ff 0000", false},
        {"ff", false},
    };

    for (size_t i = 0; i < ROWS(rows); i++) {
        struct buf b = buf_hex(rows[i].block);
        if (props_is_message(bytes_of(b.p, b.n)) != rows[i].is_message)
            fail_msg("%s", rows[i].block);
        buf_free(&b);
    }
    assert_true(props_is_message((struct bytes){0}));
}

static void another_response_topic(void **state)
{
    static const struct {
        const char *block, *topic, *after; /* topic NULL: there is none */
    } rows[] = {
        {"08 0001 'r'", "r", "08 0003 'm/r'"},
        {"01 01 08 0002 'rr' 26 0001 'a' 0001 'b'", "rr", "01 01 08 0003 'm/r' 26 0001 'a' 0001 'b'"},
        {"26 0008 '08000172' 0000 08 0004 'long' 09 0002 0801", "long",
         "26 0008 '08000172' 0000 08 0003 'm/r' 09 0002 0801"},
        {"01 00 03 0001 '8'", NULL, NULL},
        {"09 0004 08000172", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct buf b = buf_hex(rows[i].block);
        struct bytes block = bytes_of(b.p, b.n), topic = bytes_of(NULL, 0), next = bytes_str("m/r");
        assert_int_equal(message_response_topic(block, &topic), rows[i].topic != NULL);
        if (rows[i].topic) {
            struct buf after = buf_hex(rows[i].after);
            uint8_t out[64];
            assert_true(bytes_eq(topic, bytes_str(rows[i].topic)));
            assert_int_equal(block.n - topic.n + next.n, after.n);
            message_response_topic_put(out, block, topic, next);
            assert_memory_equal(out, after.p, after.n);
            buf_free(&after);
        }
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_identifier_everywhere), cmocka_unit_test(every_property_twice),
        cmocka_unit_test(every_property_cut),          cmocka_unit_test(values_at_their_edges),
        cmocka_unit_test(texts_name_the_property),     cmocka_unit_test(a_hundred_thousand_user_properties),
        cmocka_unit_test(blocks_that_travel),          cmocka_unit_test(another_response_topic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
