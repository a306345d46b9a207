/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_MQTT_READ_H
#define COVEY_TESTS_MQTT_READ_H

/* A tiny reader of packets that a server sends, written from the standard and without anything of the codec:
 * it looks at what encoders write with other eyes. It fails the test on anything out of order. */

#include "tests/unit/mqtt/hex.h"

struct read_prop {
    uint8_t id;
    uint32_t number;
    char text[600]; /* strings; binary data as it is, NUL-terminated */
    char value[64]; /* of a user property */
};

struct read_packet {
    uint8_t first;
    const uint8_t *p; /* what is not read yet */
    const uint8_t *end;
    struct read_prop props[24];
    unsigned props_n;
};

static inline uint8_t read_u8(struct read_packet *r)
{
    assert_true(r->p < r->end);
    return *r->p++;
}

static inline uint32_t read_number(struct read_packet *r, unsigned bytes)
{
    uint32_t v = 0;

    while (bytes--)
        v = v * 256 + read_u8(r);
    return v;
}

static inline uint32_t read_varint(struct read_packet *r)
{
    uint32_t v = 0, factor = 1;

    for (int i = 0; i < 4; i++, factor *= 128) {
        uint8_t b = read_u8(r);
        v += b % 128 * factor;
        if (b < 128) {
            assert_true(b || i == 0);
            return v;
        }
    }
    fail_msg("a length of five bytes");
    return 0;
}

static inline void read_string(struct read_packet *r, char *out, size_t room)
{
    uint32_t n = read_number(r, 2);

    assert_true(n < room);
    for (uint32_t i = 0; i < n; i++)
        out[i] = (char)read_u8(r);
    out[n] = 0;
}

/* The packet must end where the encoder says it does. */
static inline struct read_packet read_open(const uint8_t *p, const uint8_t *end)
{
    struct read_packet r = {.p = p, .end = end};

    r.first = read_u8(&r);
    uint32_t n = read_varint(&r);
    assert_int_equal(n, end - r.p);
    return r;
}

static inline void read_props(struct read_packet *r)
{
    uint32_t n = read_varint(r);
    const uint8_t *end = r->p + n;

    assert_true(end <= r->end);
    while (r->p < end) {
        assert_true(r->props_n < ROWS(r->props));
        struct read_prop *prop = &r->props[r->props_n++];
        prop->id = read_u8(r);
        switch (prop->id) {
        case 0x01:
        case 0x17:
        case 0x19:
        case 0x24:
        case 0x25:
        case 0x28:
        case 0x29:
        case 0x2a:
            prop->number = read_number(r, 1);
            break;
        case 0x13:
        case 0x21:
        case 0x22:
        case 0x23:
            prop->number = read_number(r, 2);
            break;
        case 0x02:
        case 0x11:
        case 0x18:
        case 0x27:
            prop->number = read_number(r, 4);
            break;
        case 0x0b:
            prop->number = read_varint(r);
            break;
        case 0x26:
            read_string(r, prop->text, sizeof prop->text);
            read_string(r, prop->value, sizeof prop->value);
            break;
        default:
            read_string(r, prop->text, sizeof prop->text);
        }
    }
    assert_ptr_equal(r->p, end);
}

/* The only property of that id; NULL when there is none. */
static inline const struct read_prop *read_find(const struct read_packet *r, uint8_t id)
{
    const struct read_prop *found = NULL;

    for (unsigned i = 0; i < r->props_n; i++) {
        if (r->props[i].id == id) {
            assert_null(found);
            found = &r->props[i];
        }
    }
    return found;
}

static inline uint32_t read_prop_number(const struct read_packet *r, uint8_t id)
{
    const struct read_prop *prop = read_find(r, id);

    if (!prop)
        fail_msg("property %02x is missing", id);
    return prop->number;
}

static inline const char *read_prop_text(const struct read_packet *r, uint8_t id)
{
    const struct read_prop *prop = read_find(r, id);

    if (!prop)
        fail_msg("property %02x is missing", id);
    return prop->text;
}

#endif
