/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_AUTHN_SCRAM_H
#define COVEY_IO_AUTHN_SCRAM_H

/* The method SCRAM-SHA-256: users of the password file that have a verifier there. It costs a few hashes, so
 * that the worker answers itself; the client has the work. */

#include "node/auth/users.h"
#include "node/core/vet.h"

/* As vet_ops.scram. users: NULL: there is no file. seed: from which verifiers of unknown names are
 * invented, when the file has none. */
enum vet_verdict authn_scram(const struct users *users, const uint8_t seed[SCRAM_KEY_N],
                             const struct vet_scram_ask *q, struct vet_scram **x, struct vet_reply *reply,
                             struct vet_answer *out);
void authn_scram_free(struct vet_scram *x);

#endif
