/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_AUTHN_JWT_H
#define COVEY_IO_AUTHN_JWT_H

/* The method `jwt`: the client shows a token, which somebody has signed whom the node believes. */

#include "node/auth/jwt.h"
#include "node/io/authn.h"

/* now_s: Unix time. VET_ACCEPT, VET_REFUSE, or VET_NEXT: it shows no token. */
enum vet_verdict authn_jwt(const struct authn_jwt_conf *conf, const struct jwt_keys *keys, uint64_t now_s,
                           const struct vet_ask *q, struct vet_answer *out);

/* With strings of its own, but without the names of files. */
void authn_jwt_conf_copy(struct authn_jwt_conf *out, const struct authn_jwt_conf *conf);
void authn_jwt_conf_fini(struct authn_jwt_conf *copy);

/* What is wrong with a claim of the configuration; NULL: nothing. */
const char *authn_jwt_claim_judge(const char *claim);

#endif
