/* SPDX-License-Identifier: Apache-2.0 */
/* Keys for tokens: sets of them, PEM, secrets; which of them a token is held against. */

#include "tests/unit/auth/jwt_make.h"

/* ---- key sets ------------------------------------------------------------------------------------- */

static const char *token_of_kid(const char *alg, EVP_PKEY *key, const char *kid)
{
    char header[128];
    snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":%s}", alg, kid);
    char *text = covered(header, "{}");
    return with_signature(text, EVP_PKEY_get_base_id(key) == EVP_PKEY_EC ? es256(key, text)
                                                                         : signed_with(key, text));
}

static void key_sets_are_chosen_from_by_kid(void **state)
{
    char a[1024], b[1024], c[1024], members[4096];
    const char *why = NULL;
    (void)state;
    jwk(a, sizeof a, rsa, ",\"kid\":\"one\",\"use\":\"sig\",\"alg\":\"RS256\"");
    jwk(b, sizeof b, rsa_other, ",\"kid\":\"two\"");
    jwk(c, sizeof c, ec, "");
    snprintf(members, sizeof members, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"},3,%s,%s,%s", a, b,
             c);
    struct jwt_keys *k = set_keys(members, &why);
    assert_int_equal(check(k, token_of_kid("RS256", rsa, "\"one\"")), JWT_OK);
    assert_int_equal(check(k, token_of_kid("RS256", rsa, "\"two\"")), JWT_BAD);
    assert_int_equal(check(k, token_of_kid("RS256", rsa, "\"three\"")), JWT_BAD);
    assert_int_equal(check(k, token_of_kid("RS256", rsa_other, "\"two\"")), JWT_OK);
    assert_int_equal(check(k, token_of_kid("RS256", rsa_other, "7")), JWT_OK); /* none that could be meant */
    assert_int_equal(check(k, token_of_kid("ES256", ec, "\"whatever\"")), JWT_OK); /* the key has none */
    assert_int_equal(check(k, token("RS256", rsa, "{}")), JWT_OK);                 /* the token has none */
    assert_int_equal(check(k, token("RS256", rsa_other, "{}")), JWT_OK);
    assert_int_equal(check(k, token("ES256", ec_other, "{}")), JWT_BAD);
    assert_int_equal(check(k, token_of_kid("ES256", ec, "\"one\"")), JWT_OK);
    jwt_keys_free(k);
}

static void keys_for_something_else_are_passed_over(void **state)
{
    static const char *const sets[] = {
        "",
        "{}",
        "{\"kty\":\"oct\"}",
        "{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}",
        "{\"kty\":\"oct\",\"k\":\"YSBzZWNyZXQgdGhhdCBpcyBsb25nIGVub3VnaA==\"}",
        "{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"YSBzZWNyZXQgdGhhdCBpcyBsb25nIGVub3VnaA\"}",
        "{\"kty\":\"oct\",\"alg\":\"HS512\",\"k\":\"YSBzZWNyZXQgdGhhdCBpcyBsb25nIGVub3VnaA\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"e\":\"AQAB\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":"
        "\"f83OJ3D2xF1Bg"
        "8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}", /* not on the curve */
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}",
    };
    const char *why;
    char a[1024], b[1024];
    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        why = NULL;
        if (set_keys(sets[i], &why) || !strstr(why, "no key"))
            fail_msg("taken: %s", sets[i]);
    }
    why = NULL;
    assert_null(set_keys(jwk(a, sizeof a, rsa, ",\"alg\":\"PS256\""), &why));
    why = NULL;
    assert_null(set_keys(jwk(a, sizeof a, ec, ",\"use\":\"enc\""), &why));
    why = NULL;
    snprintf(b, sizeof b, "%s", "{\"kty\":\"oct\",\"k\":\"YSBzZWNyZXQgdGhhdCBpcyBsb25nIGVub3VnaA\"}");
    struct jwt_keys *k = set_keys(b, &why);
    assert_int_equal(check(k, token("HS256", NULL, "{}")), JWT_OK);
    assert_false(jwt_keys_are_slow(k));
    jwt_keys_free(k);
}

static void key_sets_that_are_none(void **state)
{
    static const char *const texts[] = {
        "", "x", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]}", "{\"keys\":[],\"keys\":[]}"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *why = NULL;
        assert_null(jwt_keys_of_jwks(bytes_str(texts[i]), &why));
        assert_non_null(why);
    }
}

static void only_so_many_keys_are_taken(void **state)
{
    static char members[32768];
    const char *why = NULL;
    size_t n = 0;
    (void)state;
    n += (size_t)snprintf(members, sizeof members, "{\"keys\":[");
    for (int i = 0; i < 150; i++)
        n += (size_t)snprintf(members + n, sizeof members - n,
                              "%s{\"kty\":\"oct\",\"kid\":\"%d\",\"k\":\"%s\"}", i ? "," : "", i,
                              "YSBzZWNyZXQgdGhhdCBpcyBsb25nIGVub3VnaA");
    snprintf(members + n, sizeof members - n, "]}");
    struct jwt_keys *k = jwt_keys_of_jwks(bytes_str(members), &why);
    assert_int_equal(check(k, token_with("{\"alg\":\"HS256\",\"kid\":\"99\"}", "{}")), JWT_OK);
    assert_int_equal(check(k, token_with("{\"alg\":\"HS256\",\"kid\":\"100\"}", "{}")), JWT_BAD);
    jwt_keys_free(k);
}

/* ---- keys in files -------------------------------------------------------------------------------- */

static char *certificate_of(EVP_PKEY *key)
{
    char *text;
    X509 *cert = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(bio, cert), 1);
    long n = BIO_get_mem_data(bio, &text);
    text = mem_dup(text, (size_t)n);
    BIO_free(bio);
    X509_free(cert);
    return text;
}

static char *private_of(EVP_PKEY *key)
{
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    long n = BIO_get_mem_data(bio, &text);
    text = mem_dup(text, (size_t)n);
    BIO_free(bio);
    return text;
}

static void keys_come_as_pem(void **state)
{
    const char *why = NULL;
    (void)state;
    char *text = certificate_of(rsa);
    struct jwt_keys *k = jwt_keys_of_pem(bytes_str(text), &why);
    assert_non_null(k);
    assert_int_equal(check(k, token("RS256", rsa, "{}")), JWT_OK);
    jwt_keys_free(k);
    free(text);
    EVP_PKEY *small = EVP_RSA_gen(1024), *curve = EVP_EC_gen("P-384"),
             *edwards = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    assert_null(pem_keys(small, &why));
    assert_non_null(strstr(why, "2048"));
    assert_null(pem_keys(curve, &why));
    assert_null(pem_keys(edwards, &why));
    EVP_PKEY_free(small);
    EVP_PKEY_free(curve);
    EVP_PKEY_free(edwards);
    text = private_of(rsa); /* the node has no use for it, and should not have it */
    why = NULL;
    assert_null(jwt_keys_of_pem(bytes_str(text), &why));
    assert_non_null(why);
    free(text);
    why = NULL;
    assert_null(jwt_keys_of_pem(bytes_str("secret"), &why));
    assert_null(jwt_keys_of_pem(bytes_str(""), &why));
}

static void secrets_have_a_length(void **state)
{
    const char *why = NULL;
    (void)state;
    assert_null(jwt_keys_of_secret(bytes_of("0123456789abcde", 15), &why));
    assert_non_null(strstr(why, "16"));
    struct jwt_keys *k = jwt_keys_of_secret(bytes_of("0123456789\0bcdef", 16), &why);
    char *text = covered("{\"alg\":\"HS256\"}", "{}");
    assert_int_equal(check(k, with_signature(text, hs256(bytes_of("0123456789\0bcdef", 16), text))), JWT_OK);
    text = covered("{\"alg\":\"HS256\"}", "{}");
    assert_int_equal(check(k, with_signature(text, hs256(bytes_of("0123456789", 10), text))), JWT_BAD);
    jwt_keys_free(k);
    jwt_keys_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_sets_are_chosen_from_by_kid),
        cmocka_unit_test(keys_for_something_else_are_passed_over),
        cmocka_unit_test(key_sets_that_are_none),
        cmocka_unit_test(only_so_many_keys_are_taken),
        cmocka_unit_test(keys_come_as_pem),
        cmocka_unit_test(secrets_have_a_length),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, jwt_make_keys, jwt_drop_keys);
}
