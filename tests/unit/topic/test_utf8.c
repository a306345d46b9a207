/* SPDX-License-Identifier: Apache-2.0 */
/* utf8_is_valid against a validator that decodes code points the slow way. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "proto/topic/utf8.h"

/* Decodes by bit patterns alone and judges the code point afterwards. */
static bool naive_is_valid(const uint8_t *p, size_t n)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    for (size_t i = 0; i < n;) {
        unsigned ones = 0;
        while (ones < 8 && (p[i] & (0x80 >> ones)))
            ones++;
        if (ones == 1 || ones > 4)
            return false;
        unsigned len = ones ? ones : 1;
        uint32_t point = ones ? p[i] & (0xffu >> (ones + 1)) : p[i];
        if (len > n - i)
            return false;
        for (unsigned k = 1; k < len; k++) {
            if (p[i + k] >> 6 != 2)
                return false;
            point = point << 6 | (p[i + k] & 0x3f);
        }
        if (point == 0 || point < least[len] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
            return false;
        i += len;
    }
    return true;
}

static void check_same(const uint8_t *p, size_t n)
{
    if (utf8_is_valid(bytes_of(p, n)) != naive_is_valid(p, n))
        fail_msg("%zu bytes %02x %02x %02x %02x: naive says %d", n, p[0], p[1], p[2], p[3],
                 naive_is_valid(p, n));
}

static void all_of_one_to_three_bytes(void **state)
{
    (void)state;
    uint8_t b[4] = {0};

    for (uint32_t v = 0; v < 1u << 24; v++) {
        b[0] = (uint8_t)(v >> 16);
        b[1] = (uint8_t)(v >> 8);
        b[2] = (uint8_t)v;
        check_same(b, 3);
        if (b[2] == 0)
            check_same(b, 2);
        if (b[1] == 0 && b[2] == 0)
            check_same(b, 1);
    }
}

/* Every first and second byte, and for the last two the bytes at which a range begins or ends. */
static void four_bytes_at_the_edges(void **state)
{
    (void)state;
    static const uint8_t edges[] = {0x00, 0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f,
                                    0xa0, 0xbf, 0xc0, 0xc2, 0xe0, 0xf4, 0xff};
    uint8_t b[4];

    for (unsigned v = 0; v < 0x10000; v++) {
        b[0] = (uint8_t)(v >> 8);
        b[1] = (uint8_t)v;
        for (size_t i = 0; i < sizeof edges; i++) {
            for (size_t k = 0; k < sizeof edges; k++) {
                b[2] = edges[i];
                b[3] = edges[k];
                check_same(b, 4);
            }
        }
    }
}

/* A sequence at each offset of a long text, so that it meets the eight-byte steps at each phase; the text
 * lies in memory of just its size, for the address sanitizer. */
static void every_offset_in_long_text(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        bool is_valid;
    } rows[] = {
        {"\xc3\xa4", true},
        {"\xe2\x82\xac", true},
        {"\xf0\x9f\x90\xa6", true},
        {"\xef\xbb\xbf", true},
        {"\xff", false},
        {"\x80", false},
        {"\xc0\x80", false},
        {"\xed\xa0\x80", false},
        {"\xed\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false},
        {"\xe0\x80\x80", false},
        {"\xf0\x80\x80\x80", false},
        {"\xc3", false},
        {"\xe2\x82", false},
        {"\xf0\x9f\x90", false},
        {"\xf8\x88\x80\x80\x80", false},
        {"\xef\xbf\xbf", true},
        {"\x7f", true},
        {"\x01", true},
    };

    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        size_t len = strlen(rows[r].bytes);
        for (size_t n = len; n < 40; n++) {
            uint8_t *b = malloc(n);
            assert_non_null(b);
            for (size_t at = 0; at + len <= n; at++) {
                memset(b, 'x', n);
                memcpy(b + at, rows[r].bytes, len);
                if (utf8_is_valid(bytes_of(b, n)) != rows[r].is_valid)
                    fail_msg("row %zu at %zu of %zu", r, at, n);
            }
            free(b);
        }
    }
}

/* [MQTT-1.5.4-2] */
static void nul_is_refused_at_every_offset(void **state)
{
    (void)state;
    for (size_t n = 1; n < 40; n++) {
        uint8_t *b = malloc(n);
        assert_non_null(b);
        for (size_t at = 0; at < n; at++) {
            memset(b, 'x', n);
            assert_true(utf8_is_valid(bytes_of(b, n)));
            b[at] = 0;
            assert_false(utf8_is_valid(bytes_of(b, n)));
        }
        free(b);
    }
}

/* A zero byte makes borrows in the word trick: bytes beside it must not be misread. */
static void words_with_every_pair_of_bytes(void **state)
{
    (void)state;
    uint8_t b[16];

    for (unsigned v = 0; v < 0x10000; v++) {
        memset(b, 'a', sizeof b);
        b[3] = (uint8_t)(v >> 8);
        b[4] = (uint8_t)v;
        check_same(b, 8);
        check_same(b, 11);
    }
}

static void empty_is_valid(void **state)
{
    (void)state;
    assert_true(utf8_is_valid((struct bytes){0}));
    assert_true(utf8_is_valid(bytes_str("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_one_to_three_bytes),      cmocka_unit_test(four_bytes_at_the_edges),
        cmocka_unit_test(every_offset_in_long_text),      cmocka_unit_test(nul_is_refused_at_every_offset),
        cmocka_unit_test(words_with_every_pair_of_bytes), cmocka_unit_test(empty_is_valid),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
