/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says what the rest is: a token; claims, which are signed here; a key set; a key in PEM. */

#include "node/auth/jwt.h"
#include "node/core/acl.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { NOW = 1800000000 };

static const char secret[] = "a secret that is long enough";

static struct jwt_keys *keys(void)
{
    static struct jwt_keys *k;
    const char *why = NULL;
    if (!k)
        k = jwt_keys_of_secret(bytes_str(secret), &why);
    CHECK(k && sodium_init() >= 0);
    return k;
}

/* Each rule that is written is one of the grammar: what is refused is a topic. */
static void check_rules(const struct jwt *t)
{
    const char *why = NULL;
    struct acl_fault fault;
    char *text;
    bool is_whole;
    if (!jwt_acl(t, "acl", &text, &is_whole, &why)) {
        CHECK(why && !text);
        return;
    }
    struct acl *a = text ? acl_parse_own(bytes_str(text), is_whole, &fault) : NULL;
    uint32_t lines = 0;
    for (const char *at = text; a && *at; at++)
        lines += *at == '\n';
    CHECK(!a || acl_rules(a) == lines);
    acl_unref(a);
    free(text);
}

static void check(struct bytes token)
{
    struct jwt t;
    if (jwt_check(keys(), token, NOW, 0, &t) != JWT_OK)
        return;
    CHECK(!t.exp_s || t.exp_s > NOW);
    struct bytes sub = jwt_claim(&t, "sub");
    CHECK(sub.p || !sub.n);
    check_rules(&t);
    jwt_fini(&t);
}

/* A token of these claims: they are what is fuzzed, and not the signature. */
static void check_signed(struct bytes claims)
{
    static const char header[] = "eyJhbGciOiJIUzI1NiJ9."; /* {"alg":"HS256"} */
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    crypto_auth_hmacsha256_state st;
    size_t n = sodium_base64_ENCODED_LEN(claims.n, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    char *token = mem_alloc(sizeof header + n + 64);
    memcpy(token, header, sizeof header);
    sodium_bin2base64(token + sizeof header - 1, n, claims.p, claims.n,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    size_t at = strlen(token);
    crypto_auth_hmacsha256_init(&st, (const uint8_t *)secret, sizeof secret - 1);
    crypto_auth_hmacsha256_update(&st, (const uint8_t *)token, at);
    crypto_auth_hmacsha256_final(&st, mac);
    token[at++] = '.';
    sodium_bin2base64(token + at, 64, mac, sizeof mac, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    check(bytes_str(token));
    free(token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *why = NULL;
    if (!n)
        return 0;
    struct bytes rest = bytes_of(data + 1, n - 1);
    switch (data[0] % 4) {
    case 0:
        check(rest);
        break;
    case 1:
        check_signed(rest);
        break;
    case 2:
        jwt_keys_free(jwt_keys_of_jwks(rest, &why));
        break;
    case 3:
        jwt_keys_free(jwt_keys_of_pem(rest, &why));
        break;
    }
    return 0;
}
