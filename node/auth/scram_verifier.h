/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_AUTH_SCRAM_VERIFIER_H
#define COVEY_AUTH_SCRAM_VERIFIER_H

/* What the server keeps of a user of SCRAM-SHA-256 (RFC 5802 section 3): enough to check him, not enough to
 * be him. One line of the password file has it as
 *
 *     $scram-sha-256$ITERATIONS$SALT$STOREDKEY$SERVERKEY     base64 with + and /
 *
 * Passwords are taken as the bytes that they are: there is no SASLprep. Those of ASCII without control
 * characters, which SASLprep leaves alone, are the same everywhere. */

#include "proto/base/bytes.h"

enum {
    SCRAM_KEY_N = 32,
    SCRAM_SALT_N = 16, /* of what Covey writes */
    SCRAM_SALT_MIN = 8,
    SCRAM_SALT_MAX = 64,
    SCRAM_ITERATIONS = 100000,      /* unless another number is asked for */
    SCRAM_ITERATIONS_MIN = 4096,    /* RFC 7677 section 4 */
    SCRAM_ITERATIONS_MAX = 1000000, /* the client has to do them, and clients are small */
    SCRAM_VERIFIER_TEXT_MAX = 255,
};

struct scram_verifier {
    uint32_t iterations;
    uint8_t salt_n;
    uint8_t salt[SCRAM_SALT_MAX];
    uint8_t stored_key[SCRAM_KEY_N];
    uint8_t server_key[SCRAM_KEY_N];
};

/* Does it begin as one? */
bool scram_verifier_is(const char *text);
/* NULL: it is a whole one; else what is wrong, for people. */
const char *scram_verifier_judge(const char *text);
/* False: it is none. */
bool scram_verifier_parse(struct scram_verifier *out, const char *text);
/* Is it the password? text is one that was judged good. Takes as long as its iterations: never on a thread
 * that serves clients. */
bool scram_verifier_fits(const char *text, struct bytes password);

/* The verifier of a password; iterations and the salt are in *v already. False: the library cannot. */
bool scram_verifier_make(struct scram_verifier *v, struct bytes password);
void scram_verifier_write(const struct scram_verifier *v, char out[SCRAM_VERIFIER_TEXT_MAX + 1]);

/* ---- users that are not there --------------------------------------------------------------------- */

/* Which iterations and lengths of salts occur, so that those of invented verifiers do not stand out. */
enum { SCRAM_KINDS_MAX = 8 };
struct scram_kinds {
    uint32_t n; /* 0: none occurs, which is as if there were one of Covey's own */
    struct {
        uint32_t iterations;
        uint8_t salt_n;
    } v[SCRAM_KINDS_MAX];
};
void scram_kinds_add(struct scram_kinds *k, const struct scram_verifier *v);

/* A verifier for a name that has none: the same for the same seed, name and kinds, and nothing by which
 * whoever does not know the seed could tell it from a real one. No password fits. */
void scram_verifier_invent(struct scram_verifier *out, const uint8_t seed[SCRAM_KEY_N], struct bytes name,
                           const struct scram_kinds *kinds);

#endif
