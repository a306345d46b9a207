/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void check(const void *in, size_t n, const char *also, const char *expected)
{
    struct text t = {0};
    text_escaped(&t, bytes_of(in, n), also);
    assert_int_equal(t.n, strlen(expected));
    assert_memory_equal(t.p ? t.p : "", expected, t.n);
    text_fini(&t);
}
#define CHECK_ESCAPED(in, also, expected) check(in, sizeof(in) - 1, also, expected)

static void what_is_harmless_stays(void **state)
{
    (void)state;
    CHECK_ESCAPED("", "", "");
    CHECK_ESCAPED("sensor-1/a b,c#+", "", "sensor-1/a b,c#+");
    CHECK_ESCAPED("K\xc3\xb6ln \xe6\x97\xa5\xf0\x9f\x90\xa6", "", "K\xc3\xb6ln \xe6\x97\xa5\xf0\x9f\x90\xa6");
}

static void what_would_break_a_line_does_not(void **state)
{
    (void)state;
    CHECK_ESCAPED("a\nb\r\tc\x1b[31m", "", "a\\x0ab\\x0d\\x09c\\x1b[31m");
    CHECK_ESCAPED("a\0b", "", "a\\x00b");
    CHECK_ESCAPED("\xe2\x80\xa8|\xe2\x80\xae|\xc2\x85", "", "\\u{2028}|\\u{202e}|\\u{85}");
    CHECK_ESCAPED("\xff\xc3", "", "\\xff\\xc3");
    CHECK_ESCAPED("\\x0a", "", "\\x5cx0a");
}

static void characters_asked_for_are_escaped(void **state)
{
    (void)state;
    CHECK_ESCAPED("a -> b, c)", ",)>", "a -\\x3e b\\x2c c\\x29");
    CHECK_ESCAPED(",", ",", "\\x2c");
}

/* Longer than one piece of the work: nothing is cut, wherever the characters of several bytes fall. */
static void length_does_not_matter(void **state)
{
    char in[1024], expected[2048];
    (void)state;
    for (size_t shift = 0; shift < 8; shift++) {
        size_t n = 0, e = 0;
        memset(in, 'x', shift);
        memset(expected, 'x', shift);
        n = e = shift;
        while (n + 8 < sizeof in) {
            memcpy(in + n, "\xf0\x9f\x90\xa6\xe2\x80\xae", 7);
            memcpy(expected + e, "\xf0\x9f\x90\xa6\\u{202e}", 12);
            n += 7;
            e += 12;
        }
        expected[e] = 0;
        check(in, n, "", expected);
    }
    memset(in, 0x80, 700);
    for (int i = 0; i < 400; i++)
        memcpy(expected + (size_t)4 * i, "\\x80", 4);
    expected[1600] = 0;
    check(in, 400, "", expected);
}

static void text_grows(void **state)
{
    struct text t = {0};
    (void)state;
    for (int i = 0; i < 1000; i++)
        text_printf(&t, "%03d", i);
    text_add(&t, "end");
    assert_int_equal(t.n, 3003);
    assert_memory_equal(t.p + 2997, "999end", 6);
    text_fini(&t);
    assert_int_equal(t.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_harmless_stays),
        cmocka_unit_test(what_would_break_a_line_does_not),
        cmocka_unit_test(characters_asked_for_are_escaped),
        cmocka_unit_test(length_does_not_matter),
        cmocka_unit_test(text_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
