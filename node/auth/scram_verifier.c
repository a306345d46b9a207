/* SPDX-License-Identifier: Apache-2.0 */
#include "node/auth/scram_verifier.h"

#include "node/auth/pwtext.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>

static const char prefix[] = "$scram-sha-256$";

bool scram_verifier_is(const char *text)
{
    return strncmp(text, prefix, sizeof prefix - 1) == 0;
}

static const char *key_take(const char *at, uint8_t out[SCRAM_KEY_N])
{
    size_t n;
    at = at && *at == '$' ? pwtext_base64_take(at + 1, out, SCRAM_KEY_N, &n) : NULL;
    return at && n == SCRAM_KEY_N ? at : NULL;
}

static bool take(struct scram_verifier *v, const char *text)
{
    unsigned long iterations;
    size_t salt_n = 0;
    const char *at = text + sizeof prefix - 1;
    *v = (struct scram_verifier){0};
    if (!scram_verifier_is(text) || !(at = pwtext_number_take(at, UINT32_MAX, &iterations)) || *at++ != '$')
        return false;
    at = pwtext_base64_take(at, v->salt, SCRAM_SALT_MAX, &salt_n);
    at = key_take(key_take(at, v->stored_key), v->server_key);
    v->iterations = (uint32_t)iterations;
    v->salt_n = (uint8_t)salt_n;
    return at && *at == 0;
}

static bool is_within_limits(const struct scram_verifier *v)
{
    return v->salt_n >= SCRAM_SALT_MIN && v->iterations >= SCRAM_ITERATIONS_MIN &&
           v->iterations <= SCRAM_ITERATIONS_MAX;
}

const char *scram_verifier_judge(const char *text)
{
    struct scram_verifier v;
    if (!take(&v, text))
        return "not a whole SCRAM verifier: $scram-sha-256$ITERATIONS$SALT$STOREDKEY$SERVERKEY";
    return is_within_limits(&v) ? NULL : "SCRAM takes 4096 to 1000000 iterations and a salt of 8 to 64 bytes";
}

bool scram_verifier_parse(struct scram_verifier *out, const char *text)
{
    return take(out, text) && is_within_limits(out);
}

bool scram_verifier_make(struct scram_verifier *v, struct bytes password)
{
    uint8_t salted[SCRAM_KEY_N], client_key[SCRAM_KEY_N];
    bool ok = PKCS5_PBKDF2_HMAC(password.n ? (const char *)password.p : "", (int)password.n, v->salt,
                                v->salt_n, (int)v->iterations, EVP_sha256(), sizeof salted, salted) == 1;
    if (ok) {
        crypto_auth_hmacsha256(client_key, (const uint8_t *)"Client Key", 10, salted);
        crypto_hash_sha256(v->stored_key, client_key, sizeof client_key);
        crypto_auth_hmacsha256(v->server_key, (const uint8_t *)"Server Key", 10, salted);
    }
    sodium_memzero(salted, sizeof salted);
    sodium_memzero(client_key, sizeof client_key);
    return ok;
}

bool scram_verifier_fits(const char *text, struct bytes password)
{
    struct scram_verifier kept, made;
    if (!scram_verifier_parse(&kept, text))
        return false;
    made = kept;
    bool ok = scram_verifier_make(&made, password) &&
              sodium_memcmp(made.stored_key, kept.stored_key, SCRAM_KEY_N) == 0;
    sodium_memzero(&made, sizeof made);
    return ok;
}

void scram_verifier_write(const struct scram_verifier *v, char out[SCRAM_VERIFIER_TEXT_MAX + 1])
{
    const int variant = sodium_base64_VARIANT_ORIGINAL;
    char salt[sodium_base64_ENCODED_LEN(SCRAM_SALT_MAX, sodium_base64_VARIANT_ORIGINAL)];
    char stored[sodium_base64_ENCODED_LEN(SCRAM_KEY_N, sodium_base64_VARIANT_ORIGINAL)];
    char server[sizeof stored];
    sodium_bin2base64(salt, sizeof salt, v->salt, v->salt_n, variant);
    sodium_bin2base64(stored, sizeof stored, v->stored_key, SCRAM_KEY_N, variant);
    sodium_bin2base64(server, sizeof server, v->server_key, SCRAM_KEY_N, variant);
    snprintf(out, SCRAM_VERIFIER_TEXT_MAX + 1, "%s%lu$%s$%s$%s", prefix, (unsigned long)v->iterations, salt,
             stored, server);
}

/* ---- users that are not there --------------------------------------------------------------------- */

void scram_kinds_add(struct scram_kinds *k, const struct scram_verifier *v)
{
    for (uint32_t i = 0; i < k->n; i++) {
        if (k->v[i].iterations == v->iterations && k->v[i].salt_n == v->salt_n)
            return;
    }
    if (k->n == SCRAM_KINDS_MAX)
        return;
    k->v[k->n].iterations = v->iterations;
    k->v[k->n++].salt_n = v->salt_n;
}

/* 64 bytes that follow from all of these. */
static void draw(uint8_t out[crypto_auth_hmacsha512_BYTES], const uint8_t seed[SCRAM_KEY_N], const char *what,
                 const struct scram_verifier *kind, struct bytes name)
{
    crypto_auth_hmacsha512_state st;
    uint8_t numbers[5];
    be32_put(numbers, kind->iterations);
    numbers[4] = kind->salt_n;
    crypto_auth_hmacsha512_init(&st, seed, SCRAM_KEY_N);
    crypto_auth_hmacsha512_update(&st, (const uint8_t *)what, strlen(what) + 1);
    crypto_auth_hmacsha512_update(&st, numbers, sizeof numbers);
    crypto_auth_hmacsha512_update(&st, name.p, name.n);
    crypto_auth_hmacsha512_final(&st, out);
}

/* The kind that draws the highest number: a further kind takes over some of the names, and for them the
 * salt is another one too. That is how it looks when users get new passwords. */
static void kind_choose(struct scram_verifier *out, const uint8_t seed[SCRAM_KEY_N], struct bytes name,
                        const struct scram_kinds *kinds)
{
    uint8_t drawn[crypto_auth_hmacsha512_BYTES];
    struct scram_verifier kind = {0};
    uint64_t best = 0;
    *out = (struct scram_verifier){.iterations = SCRAM_ITERATIONS, .salt_n = SCRAM_SALT_N};
    for (uint32_t i = 0; i < kinds->n; i++) {
        kind.iterations = kinds->v[i].iterations;
        kind.salt_n = kinds->v[i].salt_n;
        draw(drawn, seed, "kind", &kind, name);
        if (i == 0 || be64_get(drawn) > best) {
            best = be64_get(drawn);
            *out = kind;
        }
    }
}

void scram_verifier_invent(struct scram_verifier *out, const uint8_t seed[SCRAM_KEY_N], struct bytes name,
                           const struct scram_kinds *kinds)
{
    uint8_t drawn[crypto_auth_hmacsha512_BYTES];
    _Static_assert(sizeof drawn >= SCRAM_SALT_MAX && sizeof drawn >= 2 * SCRAM_KEY_N, "one draw is enough");
    kind_choose(out, seed, name, kinds);
    draw(drawn, seed, "salt", out, name);
    memcpy(out->salt, drawn, out->salt_n);
    draw(drawn, seed, "keys", out, name);
    memcpy(out->stored_key, drawn, SCRAM_KEY_N);
    memcpy(out->server_key, drawn + SCRAM_KEY_N, SCRAM_KEY_N);
    sodium_memzero(drawn, sizeof drawn);
}
