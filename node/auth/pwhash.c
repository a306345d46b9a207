/* SPDX-License-Identifier: Apache-2.0 */
#include "node/auth/pwhash.h"

#include "node/auth/pwtext.h"
#include "node/auth/scram_verifier.h"

#include <crypt.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ARGON2_KIB_MAX = 1 << 20, /* 1 GB for one login is enough for anybody */
    ARGON2_PASSES_MAX = 64,
    BCRYPT_COST_MAX = 16,
    BCRYPT_TEXT_N = 60,
    BCRYPT_PASSWORD_MAX = 72, /* more it does not look at */
    PBKDF2_ITERATIONS_MAX = 10000000,
    PBKDF2_BYTES_MAX = 128,
    PBKDF2_BYTES_MIN = 16,
};

/* ---- PBKDF2 --------------------------------------------------------------------------------------- */

struct pbkdf2 {
    const EVP_MD *md;
    int iterations;
    uint8_t salt[PBKDF2_BYTES_MAX];
    size_t salt_n;
    uint8_t hash[PBKDF2_BYTES_MAX];
    size_t hash_n;
};

static bool pbkdf2_parse(const char *text, struct pbkdf2 *p)
{
    static const struct {
        const char *prefix;
        const EVP_MD *(*md)(void);
    } kinds[] = {{"$7$", EVP_sha512}, {"$pbkdf2-sha256$", EVP_sha256}, {"$pbkdf2-sha512$", EVP_sha512}};
    const char *at = NULL;
    unsigned long iterations;
    *p = (struct pbkdf2){0};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t n = strlen(kinds[i].prefix);
        if (strncmp(text, kinds[i].prefix, n) == 0) {
            p->md = kinds[i].md();
            at = text + n;
        }
    }
    if (!at || !(at = pwtext_number_take(at, PBKDF2_ITERATIONS_MAX, &iterations)) || *at++ != '$')
        return false;
    p->iterations = (int)iterations;
    if (!(at = pwtext_base64_take(at, p->salt, PBKDF2_BYTES_MAX, &p->salt_n)) || *at++ != '$')
        return false;
    at = pwtext_base64_take(at, p->hash, PBKDF2_BYTES_MAX, &p->hash_n);
    return at && *at == 0 && p->salt_n && p->hash_n >= PBKDF2_BYTES_MIN;
}

static bool pbkdf2_verify(const struct pbkdf2 *p, struct bytes password)
{
    uint8_t got[PBKDF2_BYTES_MAX];
    bool ok = PKCS5_PBKDF2_HMAC(password.n ? (const char *)password.p : "", (int)password.n, p->salt,
                                (int)p->salt_n, p->iterations, p->md, (int)p->hash_n, got) == 1 &&
              sodium_memcmp(got, p->hash, p->hash_n) == 0;
    sodium_memzero(got, sizeof got);
    return ok;
}

/* ---- bcrypt --------------------------------------------------------------------------------------- */

static bool is_bcrypt(const char *text)
{
    return text[0] == '$' && text[1] == '2' && text[2] && strchr("aby", text[2]) && text[3] == '$';
}

static const char *bcrypt_judge(const char *text)
{
    static const char alphabet[] = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    unsigned long cost;
    const char *at = pwtext_number_take(text + 4, 99, &cost);
    if (strlen(text) != BCRYPT_TEXT_N || at != text + 6 || *at != '$' || strspn(at + 1, alphabet) != 53)
        return "not a whole bcrypt hash";
    return cost < 4 || cost > BCRYPT_COST_MAX ? "the cost of bcrypt must be 04 to 16" : NULL;
}

static bool bcrypt_verify(const char *text, struct bytes password)
{
    char plain[BCRYPT_PASSWORD_MAX + 1];
    size_t n = password.n < BCRYPT_PASSWORD_MAX ? password.n : BCRYPT_PASSWORD_MAX;
    struct crypt_data *d;
    if (n && memchr(password.p, 0, n)) /* it would end there for crypt(3): never the one that was hashed */
        n = 0;
    if (n)
        memcpy(plain, password.p, n);
    plain[n] = 0;
    d = calloc(1, sizeof *d); /* 32 KB */
    const char *got = d ? crypt_r(plain, text, d) : NULL;
    bool ok = n == (password.n < BCRYPT_PASSWORD_MAX ? password.n : BCRYPT_PASSWORD_MAX) && got &&
              strlen(got) == BCRYPT_TEXT_N && sodium_memcmp(got, text, BCRYPT_TEXT_N) == 0;
    sodium_memzero(plain, sizeof plain);
    if (d)
        sodium_memzero(d, sizeof *d);
    free(d);
    return ok;
}

/* ---- Argon2id ------------------------------------------------------------------------------------- */

static bool is_argon2id(const char *text)
{
    return strncmp(text, crypto_pwhash_argon2id_STRPREFIX, sizeof crypto_pwhash_argon2id_STRPREFIX - 1) == 0;
}

static const char *argon2id_judge(const char *text)
{
    unsigned long kib, passes;
    int n = 0;
    uint8_t salt[PBKDF2_BYTES_MAX], hash[PBKDF2_BYTES_MAX];
    size_t salt_n, hash_n;
    const char *at = text + strlen("$argon2id$v=19$m=");
    if (strncmp(text, "$argon2id$v=19$m=", strlen("$argon2id$v=19$m=")) != 0 ||
        !(at = pwtext_number_take(at, UINT32_MAX, &kib)) || strncmp(at, ",t=", 3) != 0 ||
        !(at = pwtext_number_take(at + 3, UINT32_MAX, &passes)) || (sscanf(at, ",p=1$%n", &n), n != 5) ||
        !(at = pwtext_base64_take(at + n, salt, PBKDF2_BYTES_MAX, &salt_n)) || *at++ != '$' ||
        !(at = pwtext_base64_take(at, hash, PBKDF2_BYTES_MAX, &hash_n)) || *at != 0 ||
        salt_n < crypto_pwhash_argon2id_SALTBYTES || hash_n < PBKDF2_BYTES_MIN)
        return "not a whole Argon2id hash (version 19, one lane)";
    if (kib < 8 || kib > ARGON2_KIB_MAX || passes > ARGON2_PASSES_MAX)
        return "Argon2id may cost 8 KB to 1 GB of memory (m=) and 1 to 64 passes (t=)";
    return NULL;
}

/* ---- all ------------------------------------------------------------------------------------------ */

const char *pwhash_judge(const char *text)
{
    struct pbkdf2 p;
    if (strlen(text) > PWHASH_TEXT_MAX)
        return "too long for a hash";
    if (is_argon2id(text))
        return argon2id_judge(text);
    if (is_bcrypt(text))
        return bcrypt_judge(text);
    if (strncmp(text, "$7$", 3) == 0 || strncmp(text, "$pbkdf2-", 8) == 0)
        return pbkdf2_parse(text, &p) ? NULL : "not a whole PBKDF2 hash";
    if (scram_verifier_is(text))
        return scram_verifier_judge(text);
    if (text[0] != '$')
        return "not a hash: a password must not stand here in plain text";
    return "not a hash of a kind that is known: Argon2id, bcrypt ($2b$), PBKDF2 ($7$, $pbkdf2-sha256$), "
           "SCRAM ($scram-sha-256$)";
}

bool pwhash_verify(const char *text, struct bytes password)
{
    struct pbkdf2 p;
    if (is_argon2id(text))
        return crypto_pwhash_argon2id_str_verify(text, (const char *)password.p, password.n) == 0;
    if (is_bcrypt(text))
        return bcrypt_verify(text, password);
    /* HMAC fills a key up with zeros: with some at its end a password would be as good as without. */
    bool has_nul = password.n && memchr(password.p, 0, password.n);
    bool fits = scram_verifier_is(text) ? scram_verifier_fits(text, password)
                                        : pbkdf2_parse(text, &p) && pbkdf2_verify(&p, password);
    return fits && !has_nul;
}
