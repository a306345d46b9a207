/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens, signed here: what is let through, and each way of being wrong. */

#include "tests/unit/auth/jwt_make.h"

/* RFC 7515, appendices A.1 and A.3. */
static void the_examples_of_the_standard(void **state)
{
#define CLAIMS \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    static const struct {
        const char *key, *token;
    } rows[] = {
        {"{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
         "1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr"
         "1Z9CAow\"}",
         "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." CLAIMS ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_"
         "FEzRu9"
         "m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
         "eyJhbGciOiJFUzI1NiJ9." CLAIMS
         ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *why = NULL;
        struct jwt t;
        struct jwt_keys *k = set_keys(rows[i].key, &why);
        assert_int_equal(jwt_check(k, bytes_str(rows[i].token), 1300819379, 0, &t), JWT_OK);
        assert_int_equal(t.exp_s, 1300819380);
        assert_true(bytes_eq(jwt_claim(&t, "iss"), bytes_str("joe")));
        assert_null(jwt_claim(&t, "sub").p);
        assert_null(jwt_claim(&t, "exp").p); /* no text */
        assert_null(jwt_claim(&t, "http://example.com/is_root").p);
        jwt_fini(&t);
        assert_int_equal(check_at(k, rows[i].token, 1300819380, 0), JWT_EXPIRED);
        jwt_keys_free(k);
    }
}

static void signatures_are_of_the_key_and_the_text(void **state)
{
    EVP_PKEY *pairs[][2] = {{NULL, NULL}, {rsa, rsa_other}, {ec, ec_other}};
    static const char *const algs[] = {"HS256", "RS256", "ES256"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        const char *why = NULL;
        struct jwt_keys *k = i ? pem_keys(pairs[i][0], &why) : secret_keys();
        assert_int_equal(jwt_keys_are_slow(k), i != 0);
        assert_int_equal(check(k, token(algs[i], pairs[i][0], "{}")), JWT_OK);
        char *text = mem_dup(token(algs[i], pairs[i][0], "{\"a\":1}"), TEXT_MAX - 1);
        char *claims = strchr(text, '.') + 1, *sig = strrchr(text, '.') + 1;
        claims[4] ^= 1;
        assert_int_equal(check(k, text), JWT_BAD);
        claims[4] ^= 1;
        assert_int_equal(check(k, text), JWT_OK);
        sig[4] = sig[4] == 'A' ? 'B' : 'A';
        assert_int_equal(check(k, text), JWT_BAD);
        free(text);
        if (i)
            assert_int_equal(check(k, token(algs[i], pairs[i][1], "{}")), JWT_BAD);
        jwt_keys_free(k);
    }
    const char *why = NULL;
    struct jwt_keys *other = jwt_keys_of_secret(bytes_str("another secret, as long"), &why);
    assert_int_equal(check(other, token("HS256", NULL, "{}")), JWT_BAD);
    jwt_keys_free(other);
}

/* The key says the algorithm. Above all, a public key is no secret for HS256. */
static void algorithms_are_not_mixed_up(void **state)
{
    EVP_PKEY *keys[] = {rsa, ec};
    static const char *const others[] = {"none",  "None",  "NONE",  "hs256", "HS384", "HS512",
                                         "RS384", "PS256", "ES384", "EdDSA", ""};
    const char *why = NULL;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct jwt_keys *k = pem_keys(keys[i], &why);
        char *pem = pem_of(keys[i]);
        char *text = covered("{\"alg\":\"HS256\"}", "{}");
        assert_int_equal(check(k, with_signature(text, hs256(bytes_str(pem), text))), JWT_BAD);
        text = covered("{\"alg\":\"HS256\"}", "{}");
        assert_int_equal(check(k, with_signature(text, hs256(bytes_of(pem, strlen(pem) - 1), text))),
                         JWT_BAD);
        assert_int_equal(check(k, token(i ? "RS256" : "ES256", keys[i], "{}")), JWT_BAD);
        assert_int_equal(check(k, token("HS256", keys[i], "{}")), JWT_BAD);
        for (size_t a = 0; a < sizeof others / sizeof others[0]; a++)
            assert_int_equal(check(k, token(others[a], keys[i], "{}")), JWT_BAD);
        free(pem);
        jwt_keys_free(k);
    }
    struct jwt_keys *k = secret_keys();
    for (size_t a = 0; a < sizeof others / sizeof others[0]; a++)
        assert_int_equal(check(k, token(others[a], NULL, "{}")), JWT_BAD);
    assert_int_equal(check(k, token("RS256", rsa, "{}")), JWT_BAD);
    assert_int_equal(check(k, token("RS256", NULL, "{}")), JWT_BAD);
    char *unsigned_text = covered("{\"alg\":\"none\"}", "{}");
    memcpy(unsigned_text + strlen(unsigned_text), ".", 2);
    assert_int_equal(check(k, unsigned_text), JWT_NONE);
    jwt_keys_free(k);
}

static void headers_and_claims_have_their_shape(void **state)
{
    static const struct {
        const char *header, *claims;
        enum jwt_result result;
    } rows[] = {
        {"{\"alg\":\"HS256\",\"typ\":\"JWT\",\"x\":{\"y\":[1]}}", "{\"sub\":\"a\"}", JWT_OK},
        {"{}", "{}", JWT_BAD},
        {"{\"alg\":null}", "{}", JWT_BAD},
        {"{\"alg\":[\"HS256\"]}", "{}", JWT_BAD},
        {"{\"ALG\":\"HS256\"}", "{}", JWT_BAD},
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", "{}", JWT_BAD},
        {"{\"alg\":\"HS256\",\"crit\":[]}", "{}", JWT_BAD},
        {"{\"alg\":\"HS256\",\"crit\":null}", "{}", JWT_BAD},
        {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "{}", JWT_NONE},
        {"{\"alg\":\"none\",\"alg\":\"HS256\"}", "{}", JWT_NONE},
        {"[\"HS256\"]", "{}", JWT_NONE},
        {"\"HS256\"", "{}", JWT_NONE},
        {"{\"alg\":\"HS256\"", "{}", JWT_NONE},
        {"{\"alg\":\"HS256\"} x", "{}", JWT_NONE},
        {"{\"alg\":\"HS256\\u0000\"}", "{}", JWT_NONE},
        {"{\"alg\":\"HS256\",\"x\":\"\xff\"}", "{}", JWT_NONE},
        {"{\"alg\":\"HS256\"}", "[]", JWT_BAD},
        {"{\"alg\":\"HS256\"}", "1", JWT_BAD},
        {"{\"alg\":\"HS256\"}", "{", JWT_BAD},
        {"{\"alg\":\"HS256\"}", "{} {}", JWT_BAD},
        {"{\"alg\":\"HS256\"}", "{\"sub\":\"a\",\"sub\":\"b\"}", JWT_BAD},
        {"{\"alg\":\"HS256\"}", "{\"a\":{\"b\":1,\"b\":2}}", JWT_BAD},
        {"{\"alg\":\"HS256\"}", "{\"sub\":\"\\u0000\"}", JWT_BAD},
        {"{\"alg\":\"HS256\"}", "{\"sub\":\"\xff\"}", JWT_BAD},
    };
    struct jwt_keys *k = secret_keys();
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (check(k, token_with(rows[i].header, rows[i].claims)) != rows[i].result)
            fail_msg("%s %s", rows[i].header, rows[i].claims);
    jwt_keys_free(k);
}

static void texts_that_are_no_tokens(void **state)
{
    static const char *const texts[] = {"",    "a",    "secret", ".",    "..",    "...",
                                        "a.b", "a.b.", ".b.c",   "a..c", "a.b.c", "e30.e30.e30.e30"};
    struct jwt_keys *k = secret_keys();
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (check(k, texts[i]) != JWT_NONE)
            fail_msg("a token: %s", texts[i]);
    struct jwt t;
    assert_int_equal(jwt_check(k, bytes_of(NULL, 0), NOW, 0, &t), JWT_NONE);
    jwt_keys_free(k);
}

static void a_part_of_a_signature_is_none(void **state)
{
    struct jwt_keys *k = secret_keys();
    (void)state;
    for (size_t n = 1; n < 34; n++) {
        char *text = covered("{\"alg\":\"HS256\"}", "{}");
        struct signature s = hs256(bytes_str(secret), text);
        s.p[32] = 0;
        s.n = n;
        assert_int_equal(check(k, with_signature(text, s)), n == 32 ? JWT_OK : JWT_BAD);
    }
    jwt_keys_free(k);
}

/* It has to be base64url without padding, in its one form. */
static void base64url_is_strict(void **state)
{
    static const struct {
        const char *header, *claims;
        enum jwt_result result;
    } rows[] = {
        {"eyJhbGciOiJIUzI1NiJ9", "e30", JWT_OK},
        {"eyJhbGciOiJIUzI1NiJ9=", "e30", JWT_NONE},
        {"eyJhbGciOiJIUzI1NiJ9", "e30=", JWT_BAD},
        {"eyJhbGciOiJIUzI1NiJ9", "e31", JWT_BAD}, /* bits that are left over */
        {"eyJhbGciOiJIUzI1NiJ9", "e3", JWT_BAD},
        {"eyJhbGciOiJIUzI1NiJ9", "e", JWT_BAD},
        {"eyJhbGciOiJIUzI1NiJ9\n", "e30", JWT_NONE},
        {" eyJhbGciOiJIUzI1NiJ9", "e30", JWT_NONE},
        {"eyJhbGciOiJIUzI1NiJ9", "e3 0", JWT_BAD},
        {"eyJhbGciOiJIUzI1NiJ9", "eyJ4Ijoi++8ifQ", JWT_BAD}, /* the other alphabet */
        {"eyJhbGciOiJIUzI1NiJ9", "eyJ4Ijoi//8ifQ", JWT_BAD},
    };
    struct jwt_keys *k = secret_keys();
    char text[TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(text, sizeof text, "%s.%s", rows[i].header, rows[i].claims);
        if (check(k, with_signature(text, hs256(bytes_str(secret), text))) != rows[i].result)
            fail_msg("%s.%s", rows[i].header, rows[i].claims);
    }
    /* 32 bytes leave two bits over in the last of 43 letters. */
    snprintf(text, sizeof text, "%s", token("HS256", NULL, "{}"));
    size_t n = strlen(text);
    assert_int_equal(check(k, text), JWT_OK);
    text[n - 1]++;
    assert_int_equal(check(k, text), JWT_BAD);
    text[n - 1]--;
    memcpy(text + n, "=", 2);
    assert_int_equal(check(k, text), JWT_BAD);
    memcpy(text + n, "A", 2);
    assert_int_equal(check(k, text), JWT_BAD);
    text[n - 1] = 0;
    assert_int_equal(check(k, text), JWT_BAD);
    jwt_keys_free(k);
}

static void tokens_have_a_size(void **state)
{
    static char claims[JWT_BYTES_MAX];
    struct jwt_keys *k = secret_keys();
    (void)state;
    const size_t fixed = strlen("{\"a\":\"\"}"), room = (JWT_BYTES_MAX - 20 - 43 - 2) / 4 * 3;
    memcpy(claims, "{\"a\":\"", 6);
    memset(claims + 6, 'x', room - fixed);
    memcpy(claims + room - 2, "\"}", 3);
    assert_in_range(strlen(token("HS256", NULL, claims)), JWT_BYTES_MAX - 3, JWT_BYTES_MAX);
    assert_int_equal(check(k, token("HS256", NULL, claims)), JWT_OK);
    memcpy(claims + room - 2, "xxx\"}", 6);
    assert_int_equal(check(k, token("HS256", NULL, claims)), JWT_NONE);
    jwt_keys_free(k);
}

static void tokens_have_their_time(void **state)
{
    static const struct {
        const char *claims;
        uint32_t leeway_s;
        enum jwt_result result;
    } rows[] = {
        {"{\"exp\":1800000001}", 0, JWT_OK},
        {"{\"exp\":1800000000}", 0, JWT_EXPIRED},
        {"{\"exp\":1800000000}", 1, JWT_OK},
        {"{\"exp\":1799999990}", 10, JWT_EXPIRED},
        {"{\"exp\":1799999991}", 10, JWT_OK},
        {"{\"exp\":1800000000.9}", 0, JWT_EXPIRED},
        {"{\"exp\":1800000001.5}", 0, JWT_OK},
        {"{\"exp\":1.8e9}", 0, JWT_EXPIRED},
        {"{\"nbf\":1800000000}", 0, JWT_OK},
        {"{\"nbf\":1800000001}", 0, JWT_EARLY},
        {"{\"nbf\":1800000001}", 1, JWT_OK},
        {"{\"nbf\":1800000011}", 10, JWT_EARLY},
        {"{\"iat\":1800000000}", 0, JWT_OK},
        {"{\"iat\":1800000001}", 0, JWT_EARLY},
        {"{\"iat\":1800000010}", 10, JWT_OK},
        {"{\"exp\":1799999999,\"nbf\":1800000001}", 0, JWT_EXPIRED},
        {"{\"exp\":\"1800000001\"}", 0, JWT_BAD},
        {"{\"exp\":null}", 0, JWT_BAD},
        {"{\"exp\":true}", 0, JWT_BAD},
        {"{\"exp\":0}", 0, JWT_BAD},
        {"{\"exp\":-1}", 0, JWT_BAD},
        {"{\"exp\":1e300}", 0, JWT_BAD},
        {"{\"exp\":18446744073709551616}", 0, JWT_BAD},
        {"{\"nbf\":\"\"}", 0, JWT_BAD},
        {"{\"nbf\":-5}", 0, JWT_BAD},
        {"{\"iat\":{}}", 0, JWT_BAD},
    };
    struct jwt_keys *k = secret_keys();
    struct jwt t;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (check_at(k, token("HS256", NULL, rows[i].claims), NOW, rows[i].leeway_s) != rows[i].result)
            fail_msg("%s", rows[i].claims);
    assert_int_equal(check_at(k, token("HS256", NULL, "{\"exp\":1800000001}"), NOW + 1, UINT32_MAX), JWT_OK);
    assert_int_equal(jwt_check(k, bytes_str(token("HS256", NULL, "{}")), NOW, 0, &t), JWT_OK);
    assert_int_equal(t.exp_s, 0);
    jwt_fini(&t);
    jwt_keys_free(k);
}

/* ES256 is 64 bytes, r and s, and not DER. */
static void signatures_of_ec_have_one_form(void **state)
{
    const char *why = NULL;
    struct jwt_keys *k = pem_keys(ec, &why);
    (void)state;
    for (int form = 0; form < 7; form++) {
        char *text = covered("{\"alg\":\"ES256\"}", "{}");
        struct signature s = es256(ec, text), was = s;
        switch (form) {
        case 0:
            break;
        case 1:
            s.n = 63;
            break;
        case 2:
            s.p[s.n++] = 0;
            break;
        case 3:
            s = signed_with(ec, text);
            break;
        case 4:
            memset(s.p, 0, 64);
            break;
        case 5:
            memset(s.p, 0xff, 64);
            break;
        case 6:
            memcpy(s.p, was.p + 32, 32);
            memcpy(s.p + 32, was.p, 32);
            break;
        }
        if (check(k, with_signature(text, s)) != (form ? JWT_BAD : JWT_OK))
            fail_msg("form %d", form);
    }
    jwt_keys_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_standard),
        cmocka_unit_test(signatures_are_of_the_key_and_the_text),
        cmocka_unit_test(algorithms_are_not_mixed_up),
        cmocka_unit_test(headers_and_claims_have_their_shape),
        cmocka_unit_test(texts_that_are_no_tokens),
        cmocka_unit_test(a_part_of_a_signature_is_none),
        cmocka_unit_test(base64url_is_strict),
        cmocka_unit_test(tokens_have_a_size),
        cmocka_unit_test(tokens_have_their_time),
        cmocka_unit_test(signatures_of_ec_have_one_form),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, jwt_make_keys, jwt_drop_keys);
}
