/* SPDX-License-Identifier: Apache-2.0 */
#include "node/auth/jwt.h"

#include "node/auth/jwt_i.h"
#include "proto/base/mem.h"

#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { ES256_HALF = 32, DEPTH_MAX = 16 };

const char *jwt_result_text(enum jwt_result r)
{
    switch (r) {
    case JWT_OK:
        break;
    case JWT_NONE:
    case JWT_BAD:
        return "Bad token";
    case JWT_EXPIRED:
        return "The token has expired";
    case JWT_EARLY:
        return "The token is not valid yet";
    }
    return "";
}

/* ---- parts ---------------------------------------------------------------------------------------- */

/* Header, payload and signature, in base64url. */
struct parts {
    struct bytes part[3];
    struct bytes covered; /* what is signed */
};

static bool parts_read(struct bytes token, struct parts *p)
{
    const uint8_t *at = token.p, *end = token.p + token.n;
    for (int i = 0; i < 3; i++) {
        const uint8_t *dot = i < 2 ? memchr(at, '.', (size_t)(end - at)) : end;
        if (!dot || dot == at)
            return false;
        p->part[i] = bytes_of(at, (size_t)(dot - at));
        at = dot + 1;
    }
    p->covered = bytes_of(token.p, (size_t)(p->part[2].p - 1 - token.p));
    return !memchr(p->part[2].p, '.', p->part[2].n);
}

/* Into out, of at least b.n bytes; false: it is no base64url. */
static bool base64_read(uint8_t *out, size_t cap, struct bytes b, size_t *n)
{
    return sodium_base642bin(out, cap, (const char *)b.p, b.n, NULL, n, NULL,
                             sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0;
}

static json_t *object_read(struct bytes b)
{
    uint8_t *text = mem_alloc(b.n);
    size_t n;
    json_t *o = base64_read(text, b.n, b, &n)
                    ? json_loadb((const char *)text, n, JSON_REJECT_DUPLICATES, NULL)
                    : NULL;
    free(text);
    if (!json_is_object(o)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

/* ---- signatures ----------------------------------------------------------------------------------- */

/* r and s, as the token has them, in DER, as OpenSSL wants them; 0: it cannot be one. OPENSSL_free() it. */
static int es256_der(const uint8_t *sig, size_t n, unsigned char **out)
{
    int len = 0;
    *out = NULL;
    ECDSA_SIG *s = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(sig, ES256_HALF, NULL), *v = BN_bin2bn(sig + ES256_HALF, ES256_HALF, NULL);
    if (n == 2 * ES256_HALF && s && r && v && ECDSA_SIG_set0(s, r, v))
        len = i2d_ECDSA_SIG(s, out);
    else {
        BN_free(r);
        BN_free(v);
    }
    ECDSA_SIG_free(s);
    return len > 0 ? len : 0;
}

static bool public_fits(const struct jwt_key *k, struct bytes covered, const uint8_t *sig, size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, k->public) == 1 &&
              EVP_DigestVerify(ctx, sig, n, covered.p, covered.n) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

static bool secret_fits(const struct jwt_key *k, struct bytes covered, const uint8_t *sig, size_t n)
{
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state st;
    crypto_auth_hmacsha256_init(&st, k->secret, k->secret_n);
    crypto_auth_hmacsha256_update(&st, covered.p, covered.n);
    crypto_auth_hmacsha256_final(&st, mac);
    sodium_memzero(&st, sizeof st);
    return n == sizeof mac && sodium_memcmp(mac, sig, n) == 0;
}

static bool key_fits(const struct jwt_key *k, struct bytes covered, const uint8_t *sig, size_t n)
{
    unsigned char *der;
    switch (k->alg) {
    case JWT_HS256:
        return secret_fits(k, covered, sig, n);
    case JWT_RS256:
        return public_fits(k, covered, sig, n);
    case JWT_ES256:
        break;
    }
    if (n != 2 * ES256_HALF)
        return false;
    int len = es256_der(sig, n, &der);
    bool ok = len && public_fits(k, covered, der, (size_t)len);
    OPENSSL_free(der);
    return ok;
}

/* A key that has no kid goes with every token of its algorithm. */
static bool is_for(const struct jwt_key *k, const char *alg, const char *kid)
{
    return strcmp(alg, jwt_alg_name(k->alg)) == 0 && (!k->kid || !kid || strcmp(k->kid, kid) == 0);
}

static bool is_signed(const struct jwt_keys *keys, const json_t *header, const struct parts *p)
{
    const char *alg = json_string_value(json_object_get(header, "alg"));
    const char *kid = json_string_value(json_object_get(header, "kid"));
    bool ok = false;
    size_t n;
    /* An extension that must be understood is none that we do [RFC 7515 4.1.11]. */
    if (!alg || json_object_get(header, "crit") || p->part[2].n > JWT_SIGNATURE_TEXT_MAX)
        return false;
    uint8_t *sig = mem_alloc(p->part[2].n);
    if (base64_read(sig, p->part[2].n, p->part[2], &n))
        for (size_t i = 0; i < keys->n && !ok; i++)
            ok = is_for(&keys->v[i], alg, kid) && key_fits(&keys->v[i], p->covered, sig, n);
    free(sig);
    return ok;
}

/* ---- time ----------------------------------------------------------------------------------------- */

/* A NumericDate: seconds, which may have a fraction. False: there is one, and it is none. */
static bool date_read(const json_t *claims, const char *name, uint64_t *s)
{
    const json_t *v = json_object_get(claims, name);
    *s = 0;
    if (!v)
        return true;
    double d = json_number_value(v);
    if (!json_is_number(v) || !(d >= 1 && d < 1e15))
        return false;
    *s = (uint64_t)d;
    return true;
}

static enum jwt_result time_check(const json_t *claims, uint64_t now_s, uint32_t leeway_s, uint64_t *exp_s)
{
    uint64_t nbf, iat;
    if (!date_read(claims, "exp", exp_s) || !date_read(claims, "nbf", &nbf) ||
        !date_read(claims, "iat", &iat))
        return JWT_BAD;
    if (*exp_s && now_s >= *exp_s + leeway_s)
        return JWT_EXPIRED;
    return nbf > now_s + leeway_s || iat > now_s + leeway_s ? JWT_EARLY : JWT_OK;
}

/* ---- tokens --------------------------------------------------------------------------------------- */

void jwt_fini(struct jwt *t)
{
    json_decref(t->claims);
    t->claims = NULL;
}

enum jwt_result jwt_check(const struct jwt_keys *keys, struct bytes token, uint64_t now_s, uint32_t leeway_s,
                          struct jwt *out)
{
    struct parts p;
    *out = (struct jwt){0};
    if (token.n > JWT_BYTES_MAX || !token.n || !parts_read(token, &p))
        return JWT_NONE;
    json_t *header = object_read(p.part[0]);
    if (!header)
        return JWT_NONE;
    json_t *claims = is_signed(keys, header, &p) ? object_read(p.part[1]) : NULL;
    json_decref(header);
    enum jwt_result r = claims ? time_check(claims, now_s, leeway_s, &out->exp_s) : JWT_BAD;
    if (r == JWT_OK)
        out->claims = claims;
    else
        json_decref(claims);
    return r;
}

struct bytes jwt_claim(const struct jwt *t, const char *name)
{
    const json_t *v = json_object_get(t->claims, name);
    return json_is_string(v) ? bytes_of((const uint8_t *)json_string_value(v), json_string_length(v))
                             : bytes_of(NULL, 0);
}
