/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_AUTH_JWT_H
#define COVEY_AUTH_JWT_H

/* JSON Web Tokens (RFC 7519) that are signed with HS256, RS256 or ES256 (RFC 7518). What a key may be used
 * for is the key's, not the token's: a token that names another algorithm finds no key. No I/O. */

#include "proto/base/bytes.h"

enum { JWT_BYTES_MAX = 16384, JWT_SECRET_MIN = 16, JWT_RSA_BITS_MIN = 2048 };

struct jwt_keys;

/* Each from malloc(), freed with jwt_keys_free(); NULL: *why says what is wrong, in static memory. */
/* A secret for HS256, at least 16 bytes. */
struct jwt_keys *jwt_keys_of_secret(struct bytes secret, const char **why);
/* One public key (RSA: RS256; EC on P-256: ES256), or the certificate that has it. */
struct jwt_keys *jwt_keys_of_pem(struct bytes text, const char **why);
/* A key set (RFC 7517); keys for something else in it are passed over. */
struct jwt_keys *jwt_keys_of_jwks(struct bytes text, const char **why);
void jwt_keys_free(struct jwt_keys *k); /* NULL is fine; secrets are wiped */
/* Checking a signature takes some 100 us and not 1. */
bool jwt_keys_are_slow(const struct jwt_keys *k);

enum jwt_result {
    JWT_OK,
    JWT_NONE,    /* it is no token at all */
    JWT_BAD,     /* malformed, another algorithm, no such key, or its signature is wrong */
    JWT_EXPIRED, /* by exp */
    JWT_EARLY,   /* by nbf or iat */
};
const char *jwt_result_text(enum jwt_result r); /* for the client */

struct jwt {
    uint64_t exp_s; /* 0: it has none */
    void *claims;   /* of jansson */
};
void jwt_fini(struct jwt *t);

/* now_s: Unix time; leeway_s: how wrong clocks may be. *out is to be ended after JWT_OK. */
enum jwt_result jwt_check(const struct jwt_keys *keys, struct bytes token, uint64_t now_s, uint32_t leeway_s,
                          struct jwt *out);
/* A claim that is a text; p NULL: there is none. As long as t. */
struct bytes jwt_claim(const struct jwt *t, const char *name);

/* A claim with rules for its owner, as EMQX takes them: {"pub": [TOPIC, ...], "sub": ..., "all": ...}, which
 * is all that it may, or [{"permission": "allow", "action": "publish", "topic": TOPIC}, ...], in their order.
 * A topic that begins with "eq " is taken as it stands. *text: the same in the words of node/core/acl.h, a
 * line a rule, from malloc(); NULL: there is no such claim. *is_whole: what they do not allow is denied.
 * False: *why, in static memory. */
bool jwt_acl(const struct jwt *t, const char *claim, char **text, bool *is_whole, const char **why);

#endif
