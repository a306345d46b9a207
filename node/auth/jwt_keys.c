/* SPDX-License-Identifier: Apache-2.0 */
#include "node/auth/jwt_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 2048 /* bytes of a number of a key */ };

const char *jwt_alg_name(enum jwt_alg a)
{
    static const char *const names[] = {[JWT_HS256] = "HS256", [JWT_RS256] = "RS256", [JWT_ES256] = "ES256"};
    CHECK((unsigned)a < array_len(names));
    return names[a];
}

void jwt_keys_free(struct jwt_keys *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->n; i++) {
        free(k->v[i].kid);
        EVP_PKEY_free(k->v[i].public);
        if (k->v[i].secret)
            sodium_memzero(k->v[i].secret, k->v[i].secret_n);
        free(k->v[i].secret);
    }
    free(k);
}

bool jwt_keys_are_slow(const struct jwt_keys *k)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->v[i].alg != JWT_HS256)
            return true;
    return false;
}

/* What may be done with it follows from what it is. NULL: fine. */
static const char *public_judge(EVP_PKEY *p, enum jwt_alg *alg)
{
    char curve[32];
    size_t n;
    if (EVP_PKEY_get_base_id(p) == EVP_PKEY_RSA) {
        *alg = JWT_RS256;
        return EVP_PKEY_get_bits(p) >= JWT_RSA_BITS_MIN ? NULL : "an RSA key of less than 2048 bits";
    }
    *alg = JWT_ES256;
    if (EVP_PKEY_get_base_id(p) == EVP_PKEY_EC && EVP_PKEY_get_group_name(p, curve, sizeof curve, &n) &&
        strcmp(curve, "prime256v1") == 0)
        return NULL;
    return "neither an RSA key nor one of the curve P-256";
}

/* ---- one key -------------------------------------------------------------------------------------- */

struct jwt_keys *jwt_keys_of_secret(struct bytes secret, const char **why)
{
    if (secret.n < JWT_SECRET_MIN) {
        *why = "the secret has less than 16 bytes";
        return NULL;
    }
    struct jwt_keys *k = mem_zalloc(sizeof *k);
    k->n = 1;
    k->v[0] = (struct jwt_key){.alg = JWT_HS256, .secret = mem_alloc(secret.n), .secret_n = secret.n};
    memcpy(k->v[0].secret, secret.p, secret.n);
    return k;
}

static EVP_PKEY *pem_read(struct bytes text)
{
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    EVP_PKEY *p = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    if (bio && !p) {
        BIO_free(bio);
        bio = BIO_new_mem_buf(text.p, (int)text.n);
        X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
        p = cert ? X509_get_pubkey(cert) : NULL;
        X509_free(cert);
    }
    BIO_free(bio);
    ERR_clear_error();
    return p;
}

struct jwt_keys *jwt_keys_of_pem(struct bytes text, const char **why)
{
    enum jwt_alg alg;
    EVP_PKEY *p = pem_read(text);
    *why = p ? public_judge(p, &alg) : "neither a public key nor a certificate in PEM";
    if (*why) {
        EVP_PKEY_free(p);
        return NULL;
    }
    struct jwt_keys *k = mem_zalloc(sizeof *k);
    k->n = 1;
    k->v[0] = (struct jwt_key){.alg = alg, .public = p};
    return k;
}

/* ---- key sets ------------------------------------------------------------------------------------- */

/* A number of the key, in base64url; 0: there is none, or it is too long. */
static size_t number_read(const json_t *o, const char *name, uint8_t out[NUMBER_MAX])
{
    const char *text = json_string_value(json_object_get(o, name));
    size_t n = 0;
    if (!text || sodium_base642bin(out, NUMBER_MAX, text, strlen(text), NULL, &n, NULL,
                                   sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return 0;
    return n;
}

static EVP_PKEY *key_make(const char *type, OSSL_PARAM_BLD *b)
{
    EVP_PKEY *p = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
    if (ctx && params && EVP_PKEY_fromdata_init(ctx) == 1)
        EVP_PKEY_fromdata(ctx, &p, EVP_PKEY_PUBLIC_KEY, params);
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return p;
}

static EVP_PKEY *rsa_read(const json_t *o)
{
    uint8_t n[NUMBER_MAX], e[NUMBER_MAX];
    size_t n_n = number_read(o, "n", n), e_n = number_read(o, "e", e);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    BIGNUM *bn = BN_bin2bn(n, (int)n_n, NULL), *be = BN_bin2bn(e, (int)e_n, NULL);
    EVP_PKEY *p = NULL;
    if (n_n && e_n && b && bn && be && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, bn) &&
        OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, be))
        p = key_make("RSA", b);
    BN_free(bn);
    BN_free(be);
    OSSL_PARAM_BLD_free(b);
    return p;
}

static EVP_PKEY *ec_read(const json_t *o)
{
    uint8_t point[65] = {POINT_CONVERSION_UNCOMPRESSED}, x[NUMBER_MAX], y[NUMBER_MAX];
    const char *curve = json_string_value(json_object_get(o, "crv"));
    if (!curve || strcmp(curve, "P-256") != 0 || number_read(o, "x", x) != 32 || number_read(o, "y", y) != 32)
        return NULL;
    memcpy(point + 1, x, 32);
    memcpy(point + 33, y, 32);
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    EVP_PKEY *p = NULL;
    if (b && OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
        OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point))
        p = key_make("EC", b);
    OSSL_PARAM_BLD_free(b);
    return p;
}

static bool text_is(const json_t *o, const char *name, const char *wanted)
{
    const char *v = json_string_value(json_object_get(o, name));
    return v && strcmp(v, wanted) == 0;
}

/* Does the key set mean it for this? Without saying, it does. */
static bool is_meant(const json_t *o, enum jwt_alg alg)
{
    return (!json_object_get(o, "use") || text_is(o, "use", "sig")) &&
           (!json_object_get(o, "alg") || text_is(o, "alg", jwt_alg_name(alg)));
}

static bool key_read(const json_t *o, struct jwt_key *out)
{
    uint8_t secret[NUMBER_MAX];
    *out = (struct jwt_key){0};
    if (text_is(o, "kty", "oct") && is_meant(o, JWT_HS256)) {
        out->secret_n = number_read(o, "k", secret);
        if (out->secret_n < JWT_SECRET_MIN)
            return false;
        out->secret = mem_alloc(out->secret_n);
        memcpy(out->secret, secret, out->secret_n);
        sodium_memzero(secret, sizeof secret);
    } else if (text_is(o, "kty", "RSA") || text_is(o, "kty", "EC")) {
        out->public = text_is(o, "kty", "RSA") ? rsa_read(o) : ec_read(o);
        if (!out->public || public_judge(out->public, &out->alg) || !is_meant(o, out->alg)) {
            EVP_PKEY_free(out->public);
            return false;
        }
    } else {
        return false;
    }
    const char *kid = json_string_value(json_object_get(o, "kid"));
    out->kid = kid ? mem_text(kid) : NULL;
    return true;
}

struct jwt_keys *jwt_keys_of_jwks(struct bytes text, const char **why)
{
    size_t i;
    json_t *o, *set = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *keys = json_object_get(set, "keys");
    *why = !set ? "no JSON" : !json_is_array(keys) ? "there is no list \"keys\"" : NULL;
    if (*why) {
        json_decref(set);
        return NULL;
    }
    struct jwt_keys *k = mem_zalloc(sizeof *k);
    json_array_foreach((json_t *)(uintptr_t)keys, i, o) if (k->n < JWT_KEYS_MAX && key_read(o, &k->v[k->n]))
        k->n++;
    json_decref(set);
    if (!k->n) {
        *why = "no key in it can be used: RSA of 2048 bits or more, EC on P-256, or oct of 16 bytes or more";
        jwt_keys_free(k);
        return NULL;
    }
    return k;
}
