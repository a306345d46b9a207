/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_UNIT_AUTH_JWT_MAKE_H
#define COVEY_TESTS_UNIT_AUTH_JWT_MAKE_H

/* Makes tokens and keys with OpenSSL, for tests of who checks them. Texts are in static memory, until the
 * next is made, unless it is said that they are the caller's. */

#include "node/auth/jwt.h"
#include "proto/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { NOW = 1800000000, TEXT_MAX = 32768 };

static const char secret[] = "a secret that is long enough";
static EVP_PKEY *rsa, *rsa_other, *ec, *ec_other; /* jwt_make_keys() */

/* ---- signing -------------------------------------------------------------------------------------- */

static inline char *b64(const void *p, size_t n)
{
    size_t cap = sodium_base64_ENCODED_LEN(n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return sodium_bin2base64(mem_alloc(cap), cap, p, n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

struct signature {
    uint8_t p[512];
    size_t n;
};

static inline struct signature hs256(struct bytes key, const char *text)
{
    struct signature s;
    unsigned n = 0;
    assert_non_null(HMAC(EVP_sha256(), key.p, (int)key.n, (const uint8_t *)text, strlen(text), s.p, &n));
    s.n = n;
    return s;
}

static inline struct signature signed_with(EVP_PKEY *key, const char *text)
{
    struct signature s = {.n = sizeof s.p};
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(ctx, s.p, &s.n, (const uint8_t *)text, strlen(text)), 1);
    EVP_MD_CTX_free(ctx);
    return s;
}

/* r and s, 32 bytes each, out of the DER that OpenSSL writes. */
static inline struct signature es256(EVP_PKEY *key, const char *text)
{
    struct signature der = signed_with(key, text), s = {.n = 64};
    const uint8_t *at = der.p;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)der.n);
    assert_non_null(sig);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(sig), s.p, 32), 32);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(sig), s.p + 32, 32), 32);
    ECDSA_SIG_free(sig);
    return s;
}

/* Header and claims, in base64url. */
static inline char *covered(const char *header, const char *claims)
{
    static char text[TEXT_MAX];
    char *h = b64(header, strlen(header)), *c = b64(claims, strlen(claims));
    snprintf(text, sizeof text, "%s.%s", h, c);
    free(h);
    free(c);
    return text;
}

static inline char *with_signature(char *text, struct signature s)
{
    char *sig = b64(s.p, s.n);
    size_t n = strlen(text);
    snprintf(text + n, TEXT_MAX - n, ".%s", sig);
    free(sig);
    return text;
}

/* Of the header {"alg": ALG}; key NULL: the secret. Valid until the next one is made. */
static inline const char *token(const char *alg, EVP_PKEY *key, const char *claims)
{
    char header[64];
    snprintf(header, sizeof header, "{\"alg\":\"%s\"}", alg);
    char *text = covered(header, claims);
    struct signature s = !key                                       ? hs256(bytes_str(secret), text)
                         : EVP_PKEY_get_base_id(key) == EVP_PKEY_EC ? es256(key, text)
                                                                    : signed_with(key, text);
    return with_signature(text, s);
}

/* A token of the secret, with any header. */
static inline const char *token_with(const char *header, const char *claims)
{
    char *text = covered(header, claims);
    return with_signature(text, hs256(bytes_str(secret), text));
}

/* ---- keys ----------------------------------------------------------------------------------------- */

static inline struct jwt_keys *secret_keys(void)
{
    const char *why = NULL;
    struct jwt_keys *k = jwt_keys_of_secret(bytes_str(secret), &why);
    assert_non_null(k);
    return k;
}

/* The public key in PEM; the caller's to free. */
static inline char *pem_of(EVP_PKEY *key)
{
    char *text;
    BIO *bio = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_PUBKEY(bio, key), 1);
    long n = BIO_get_mem_data(bio, &text);
    text = mem_dup(text, (size_t)n);
    BIO_free(bio);
    return text;
}

static inline struct jwt_keys *pem_keys(EVP_PKEY *key, const char **why)
{
    char *text = pem_of(key);
    struct jwt_keys *k = jwt_keys_of_pem(bytes_str(text), why);
    assert_int_equal(k == NULL, *why != NULL);
    free(text);
    return k;
}

static inline char *number_of(EVP_PKEY *key, const char *name, int n)
{
    uint8_t bytes[512];
    BIGNUM *bn = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(key, name, &bn), 1);
    n = n ? n : BN_num_bytes(bn);
    assert_int_equal(BN_bn2binpad(bn, bytes, n), n);
    BN_free(bn);
    return b64(bytes, (size_t)n);
}

/* The key as a member of a key set; more: further members, with their comma. */
static inline const char *jwk(char *out, size_t cap, EVP_PKEY *key, const char *more)
{
    bool is_ec = EVP_PKEY_get_base_id(key) == EVP_PKEY_EC;
    char *a = number_of(key, is_ec ? OSSL_PKEY_PARAM_EC_PUB_X : OSSL_PKEY_PARAM_RSA_N, is_ec ? 32 : 0);
    char *b = number_of(key, is_ec ? OSSL_PKEY_PARAM_EC_PUB_Y : OSSL_PKEY_PARAM_RSA_E, is_ec ? 32 : 0);
    snprintf(out, cap,
             is_ec ? "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"%s}"
                   : "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s}",
             a, b, more);
    free(a);
    free(b);
    return out;
}

static inline struct jwt_keys *set_keys(const char *members, const char **why)
{
    char text[8192];
    snprintf(text, sizeof text, "{\"keys\":[%s]}", members);
    struct jwt_keys *k = jwt_keys_of_jwks(bytes_str(text), why);
    assert_int_equal(k == NULL, *why != NULL);
    return k;
}

/* ---- checking ------------------------------------------------------------------------------------- */

static inline enum jwt_result check_at(const struct jwt_keys *k, const char *text, uint64_t now_s,
                                       uint32_t leeway_s)
{
    struct jwt t;
    enum jwt_result r = jwt_check(k, bytes_str(text), now_s, leeway_s, &t);
    if (r == JWT_OK)
        jwt_fini(&t);
    assert_null(t.claims);
    return r;
}

static inline enum jwt_result check(const struct jwt_keys *k, const char *text)
{
    return check_at(k, text, NOW, 0);
}

static inline int jwt_make_keys(void **state)
{
    (void)state;
    rsa = EVP_RSA_gen(2048);
    rsa_other = EVP_RSA_gen(2048);
    ec = EVP_EC_gen("P-256");
    ec_other = EVP_EC_gen("P-256");
    return !rsa || !rsa_other || !ec || !ec_other;
}

static inline int jwt_drop_keys(void **state)
{
    (void)state;
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(rsa_other);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(ec_other);
    return 0;
}

#endif
