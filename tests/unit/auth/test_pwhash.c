/* SPDX-License-Identifier: Apache-2.0 */
#include "node/auth/pwhash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sodium.h>
#include <stdio.h>

/* All of "secret", made by Python's hashlib and crypt. */
static const char *const hashes[] = {
    "$7$101$MDEyMzQ1Njc4OWFi$EO/"
    "lLlkeUgIiBaS8G8UK0ZMP1u508TA7Tl+AdJ1cEsmlbGyEPAERErpfq84j1kepISs0UzmcdL4ucgZ2uodxfQ==",
    "$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFi$rTxGBtjq5II2cJ/DCFK+LSUOdHqJSN8ny3wt4ln+A/s=",
    "$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFi$ZJEeM8haE9d5XdQRkROfY+VNm95TyLII2wMF7gvAreqXSheCQReksJ+"
    "3flNZrfPrV1dYquIBGQmTU89cHgTqUg==",
    "$scram-sha-256$4096$MDEyMzQ1Njc4OWFi$bYK/"
    "nA2Lw17JpvFo7Xz+64KAvksJi35PWUI0Nlws+tE=$onD7JCIEsXfFHvhrhUQVXk6l+TLDHrZuJdZLULvPDX0=",
    "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
};

static void hashes_of_others_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        assert_null(pwhash_judge(hashes[i]));
        assert_true(pwhash_verify(hashes[i], bytes_str("secret")));
        assert_false(pwhash_verify(hashes[i], bytes_str("secre")));
        assert_false(pwhash_verify(hashes[i], bytes_str("secrets")));
        assert_false(pwhash_verify(hashes[i], bytes_of("secret\0x", 8)));
        assert_false(pwhash_verify(hashes[i], bytes_of(NULL, 0)));
        assert_false(pwhash_verify(hashes[i], bytes_of("secret\0", 7)));
    }
}

static void own_hashes_are_checked(void **state)
{
    char hash[crypto_pwhash_STRBYTES];
    (void)state;
    assert_int_equal(crypto_pwhash_str(hash, "secret", 6, 1, 8192), 0);
    assert_null(pwhash_judge(hash));
    assert_true(pwhash_verify(hash, bytes_str("secret")));
    assert_false(pwhash_verify(hash, bytes_str("Secret")));
    hash[strlen(hash) - 1] ^= 1;
    assert_false(pwhash_verify(hash, bytes_str("secret")));
}

static void what_is_no_hash_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "secret",
        "$",
        "$7$",
        "$7$0$MDEyMzQ1Njc4OWFi$EO==",
        "$7$101$MDEyMzQ1Njc4OWFi$EO8=",
        "$7$99999999999$MDEyMzQ1Njc4OWFi$EO/lLlkeUgIiBaS8G8UK0ZMP1u508TA7Tl+AdJ1cEsmlbGyE",
        "$pbkdf2-sha256$1000$!!$rTxGBtjq5II2cJ/DCFK+LSUOdHqJSN8ny3wt4ln+A/s=",
        "$pbkdf2-md5$1000$MDEyMzQ1Njc4OWFi$rTxGBtjq5II2cJ/DCFK+LSUOdHqJSN8ny3wt4ln+A/s=",
        "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIr",
        "$2b$31$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
        "$2x$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW",
        "$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA",
        "$argon2id$v=19$m=9999999,t=2,p=1$MDEyMzQ1Njc4OTAxMjM0NQ$MDEyMzQ1Njc4OTAxMjM0NQ",
        "$argon2id$v=19$m=65536,t=2,p=4$MDEyMzQ1Njc4OTAxMjM0NQ$MDEyMzQ1Njc4OTAxMjM0NQ",
        "$argon2i$v=19$m=65536,t=2,p=1$MDEyMzQ1Njc4OTAxMjM0NQ$MDEyMzQ1Njc4OTAxMjM0NQ",
    };
    char longer[2 * PWHASH_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (!pwhash_judge(wrong[i]))
            fail_msg("taken: %s", wrong[i]);
    memset(longer, 'a', sizeof longer);
    memcpy(longer, "$7$101$", 7);
    longer[sizeof longer - 1] = 0;
    assert_non_null(pwhash_judge(longer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_of_others_are_checked),
        cmocka_unit_test(own_hashes_are_checked),
        cmocka_unit_test(what_is_no_hash_is_refused),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
