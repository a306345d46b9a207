/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/proxy_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define V2 "\r\n\r\n\0\r\nQUIT\n"

struct row {
    const char *bytes;
    size_t n;
    enum proxy_result result;
    const char *address; /* NULL: none */
    uint16_t port;
};
#define ROW(literal, ...)                         \
    {                                             \
        literal, sizeof(literal) - 1, __VA_ARGS__ \
    }

static const struct row rows[] = {
    ROW("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", PROXY_DONE, "192.0.2.1", 56324),
    ROW("PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", PROXY_DONE, "2001:db8::1", 1),
    ROW("PROXY UNKNOWN\r\n", PROXY_DONE, NULL, 0),
    ROW("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", PROXY_DONE, NULL, 0),
    ROW("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n", PROXY_BAD, NULL, 0),
    ROW("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 \r\n", PROXY_BAD, NULL, 0),
    ROW("PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n", PROXY_BAD, NULL, 0),
    ROW("PROXY TCP4 192.0.2.1  198.51.100.2 56324 443\r\n", PROXY_BAD, NULL, 0),
    ROW("PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n", PROXY_BAD, NULL, 0),
    ROW("PROXY TCP4 192.0.2.1 198.51.100.2 010 443\r\n", PROXY_BAD, NULL, 0),
    ROW("PROXY TCP4 ::1 ::1 1 2\r\n", PROXY_BAD, NULL, 0),
    ROW("PROXY TCP4 host.example 198.51.100.2 1 2\r\n", PROXY_BAD, NULL, 0),
    ROW("PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", PROXY_BAD, NULL, 0),
    ROW("PROXY TCP4", PROXY_MORE, NULL, 0),
    ROW("", PROXY_MORE, NULL, 0),
    ROW("\x10\x0c\0\x04MQTT\x04", PROXY_BAD, NULL, 0),
    ROW(V2 "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb", PROXY_DONE, "192.0.2.1", 56324),
    ROW(V2 "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01", PROXY_MORE, NULL, 0),
    ROW(V2 "\x21\x11\0\x10\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb\x04\0\x01x", PROXY_DONE, "192.0.2.1",
        56324),
    ROW(V2 "\x21\x11\0\x0b\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01", PROXY_BAD, NULL, 0),
    ROW(V2 "\x20\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb", PROXY_DONE, NULL, 0), /* LOCAL */
    ROW(V2 "\x21\x00\0\0", PROXY_DONE, NULL, 0),                                                 /* UNSPEC */
    ROW(V2 "\x21\x12\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb", PROXY_BAD, NULL,
        0),                                       /* a datagram */
    ROW(V2 "\x31\x11\0\x0c", PROXY_BAD, NULL, 0), /* another version */
    ROW(V2 "\x22\x11\0\x0c", PROXY_BAD, NULL, 0), /* another command */
    ROW(V2 "\x21\x41\0\x0c", PROXY_BAD, NULL, 0), /* another family */
    ROW(V2 "\x21\x11\xff\xff", PROXY_BAD, NULL, 0),
    ROW("\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c", PROXY_BAD, NULL, 0),
};

static void headers_are_told_apart(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *r = &rows[i];
        struct proxy_header h;
        enum proxy_result got = proxy_header_parse((const uint8_t *)r->bytes, r->n, &h);
        if (got != r->result)
            print_error("row %zu: %.*s\n", i, (int)r->n, r->bytes);
        assert_int_equal(got, r->result);
        if (got != PROXY_DONE)
            continue;
        assert_int_equal(h.size, r->n);
        assert_int_equal(h.has_source, r->address != NULL);
        assert_string_equal(h.address, r->address ? r->address : h.has_source ? "" : h.address);
        assert_int_equal(h.port, r->address ? r->port : h.port);
    }
}

#define HEAD(size) V2 "\x21\x11\0" size "\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x01\xbb"
#define CN(client)                           \
    "\x20\0\x0d" client "\0\0\0\0\x22\0\x05" \
    "alice"

/* Additions of version 2, and what they come to. */
static void additions_are_bounded(void **state)
{
    static const struct {
        struct row row;
        const char *cert_name;
    } additions[] = {
        {ROW(HEAD("\x0f") "\x04\0\0", PROXY_DONE, NULL, 0), ""},    /* nothing, to fill up */
        {ROW(HEAD("\x10") "\xea\0\x01x", PROXY_DONE, NULL, 0), ""}, /* of somebody's own */
        {ROW(HEAD("\x0d") "\x04", PROXY_BAD, NULL, 0), ""},         /* no length */
        {ROW(HEAD("\x0e") "\x04\0", PROXY_BAD, NULL, 0), ""},
        {ROW(HEAD("\x0f") "\x04\0\x01", PROXY_BAD, NULL, 0), ""},    /* no value */
        {ROW(HEAD("\x10") "\x04\xff\xffx", PROXY_BAD, NULL, 0), ""}, /* points behind the end */
        {ROW(HEAD("\x12") "\x03\0\x03xyz", PROXY_BAD, NULL, 0), ""}, /* a checksum of three bytes */
        {ROW(HEAD("\x13") "\x03\0\x04wxyz", PROXY_CHECKSUM, NULL, 0), ""},
        {ROW(HEAD("\x1a") "\x03\0\x04wxyz"
                          "\x03\0\x04wxyz",
             PROXY_BAD, NULL, 0),
         ""},
        {ROW(HEAD("\x1c") CN("\x07"), PROXY_DONE, NULL, 0), "alice"},
        {ROW(HEAD("\x1c") CN("\x05"), PROXY_DONE, NULL, 0), "alice"}, /* shown when the session began */
        {ROW(HEAD("\x1c") CN("\x01"), PROXY_DONE, NULL, 0), ""},      /* TLS, but no certificate */
        {ROW(HEAD("\x1c") CN("\x06"), PROXY_DONE, NULL, 0), ""},      /* no TLS */
        {ROW(HEAD("\x1c") "\x20\0\x0d\x07\0\0\0\x01\x22\0\x05"
                          "alice",
             PROXY_DONE, NULL, 0),
         ""},                                                               /* not verified */
        {ROW(HEAD("\x13") "\x20\0\x04\x07\0\0\0", PROXY_BAD, NULL, 0), ""}, /* ends too early */
        {ROW(HEAD("\x1c") "\x20\0\x0d\x07\0\0\0\0\x22\0\x06"
                          "alice",
             PROXY_BAD, NULL, 0),
         ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof additions / sizeof additions[0]; i++) {
        const struct row *r = &additions[i].row;
        struct proxy_header h;
        enum proxy_result got = proxy_header_parse((const uint8_t *)r->bytes, r->n, &h);
        if (got != r->result)
            print_error("row %zu\n", i);
        assert_int_equal(got, r->result);
        assert_int_equal(h.size, r->n);
        if (got == PROXY_DONE)
            assert_true(bytes_eq(h.cert_name, bytes_str(additions[i].cert_name)));
    }
}

/* Made by HAProxy's own rules; behind the checksum is one more addition. */
static const char summed[] = HEAD("\x17") "\x03\0\x04"
                                          "\xf1\x80\x50\x0a"
                                          "\x04\0\x01x";

static void one_wrong_bit_is_found(void **state)
{
    uint8_t bytes[sizeof summed];
    struct proxy_header h;
    (void)state;
    memcpy(bytes, summed, sizeof summed);
    assert_int_equal(proxy_header_parse(bytes, sizeof summed - 1, &h), PROXY_DONE);
    assert_string_equal(h.address, "192.0.2.1");
    for (size_t i = 16; i < sizeof summed - 1; i++) {
        if (i == 28) /* it says that there is a checksum */
            continue;
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes[i] ^= (uint8_t)(1u << bit);
            assert_int_not_equal(proxy_header_parse(bytes, sizeof summed - 1, &h), PROXY_DONE);
            bytes[i] ^= (uint8_t)(1u << bit);
        }
    }
}

static void what_follows_is_left_alone(void **state)
{
    static const char bytes[] = "PROXY UNKNOWN\r\n\x10\x0c";
    struct proxy_header h;
    (void)state;
    assert_int_equal(proxy_header_parse((const uint8_t *)bytes, sizeof bytes - 1, &h), PROXY_DONE);
    assert_int_equal(h.size, 15);
}

static void a_line_without_an_end_is_given_up(void **state)
{
    uint8_t bytes[PROXY_HEADER_MAX];
    struct proxy_header h;
    (void)state;
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "PROXY ", 6);
    assert_int_equal(proxy_header_parse(bytes, 106, &h), PROXY_MORE);
    assert_int_equal(proxy_header_parse(bytes, 107, &h), PROXY_BAD);
    assert_int_equal(proxy_header_parse(bytes, sizeof bytes, &h), PROXY_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_told_apart),
        cmocka_unit_test(additions_are_bounded),
        cmocka_unit_test(one_wrong_bit_is_found),
        cmocka_unit_test(what_follows_is_left_alone),
        cmocka_unit_test(a_line_without_an_end_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
