/* SPDX-License-Identifier: Apache-2.0 */
#include "node/auth/users.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

#define HASH "$2b$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"

#define SEED "#scram-seed:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"
#define SCRAM                                                                                    \
    "$scram-sha-256$4096$MDEyMzQ1Njc4OTAxMjM0NQ==$MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=$" \
    "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

static bool parse(struct users *u, const char *text, struct users_fault *f)
{
    *f = (struct users_fault){0};
    return users_parse(u, bytes_str(text), f);
}

static void names_are_found(void **state)
{
    struct users u;
    struct users_fault f;
    (void)state;
    assert_true(parse(&u, "# people\n\nzoe:" HASH "\r\nanna:" HASH "\nb ob:" HASH "\n", &f));
    assert_int_equal(u.n, 3);
    assert_string_equal(users_find(&u, bytes_str("zoe"))->hash, HASH);
    assert_int_equal(users_find(&u, bytes_str("anna"))->line, 4);
    assert_non_null(users_find(&u, bytes_str("b ob")));
    assert_null(users_find(&u, bytes_str("ann")));
    assert_null(users_find(&u, bytes_str("annaa")));
    assert_null(users_find(&u, bytes_str("")));
    users_fini(&u);
    assert_true(parse(&u, "", &f));
    assert_int_equal(u.n, 0);
    users_fini(&u);
}

static void what_scram_needs_is_kept(void **state)
{
    struct users u;
    struct users_fault f;
    (void)state;
    assert_true(parse(&u, "anna:" HASH "\n#scram-seeds\n", &f));
    assert_false(u.has_scram_seed);
    assert_int_equal(u.scram_kinds.n, 0);
    users_fini(&u);
    assert_true(parse(&u, SEED "anna:" SCRAM "\nbob:" HASH "\ncarl:" SCRAM "\n", &f));
    assert_int_equal(u.n, 3);
    assert_true(u.has_scram_seed);
    assert_memory_equal(u.scram_seed, "01234567890123456789012345678901", SCRAM_KEY_N);
    assert_int_equal(u.scram_kinds.n, 1);
    assert_int_equal(u.scram_kinds.v[0].iterations, 4096);
    assert_int_equal(u.scram_kinds.v[0].salt_n, 16);
    users_fini(&u);
}

static void wrong_files_are_refused_with_their_line(void **state)
{
    static const struct {
        const char *text;
        uint32_t line;
        const char *what;
    } rows[] = {
        {"anna:" HASH "\nbob:" HASH, 2, "whole"},
        {"anna:" HASH "\nbob\n", 2, "colon"},
        {"anna:secret\n", 1, "plain text"},
        {"anna:$9$x\n", 1, "kind"},
        {"anna:\n", 1, "plain text"},
        {":" HASH "\n", 1, "empty"},
        {"anna:" HASH "\nbob:" HASH "\nanna:" HASH "\n", 3, "already"},
        {"an\x01na:" HASH "\n", 1, "control"},
        {"an\xffna:" HASH "\n", 1, "UTF-8"},
        {SEED SEED, 2, "already"},
        {"anna:" HASH "\n#scram-seed:QUJD\n", 2, "whole"},
        {"#scram-seed:\n", 1, "whole"},
        {"anna:$scram-sha-256$4096$QUJD\n", 1, "whole"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct users u;
        struct users_fault f;
        assert_false(parse(&u, rows[i].text, &f));
        assert_int_equal(f.line, rows[i].line);
        if (!strstr(f.what, rows[i].what))
            fail_msg("%s: \"%s\"", rows[i].what, f.what);
        assert_null(strstr(f.what, "secret"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(what_scram_needs_is_kept),
        cmocka_unit_test(wrong_files_are_refused_with_their_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
