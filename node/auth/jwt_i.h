/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_AUTH_JWT_I_H
#define COVEY_AUTH_JWT_I_H

/* What jwt.c and jwt_keys.c share. */

#include "node/auth/jwt.h"

#include <jansson.h>
#include <openssl/types.h>

/* Of a signature with an RSA key of 16384 bits, in base64. */
enum { JWT_SIGNATURE_TEXT_MAX = 2800, JWT_KEYS_MAX = 100 };

enum jwt_alg { JWT_HS256, JWT_RS256, JWT_ES256 };
const char *jwt_alg_name(enum jwt_alg a);

struct jwt_key {
    enum jwt_alg alg;
    char *kid;        /* NULL: it has none */
    EVP_PKEY *public; /* NULL: it is a secret */
    uint8_t *secret;
    size_t secret_n;
};

struct jwt_keys {
    size_t n;
    struct jwt_key v[JWT_KEYS_MAX];
};

#endif
