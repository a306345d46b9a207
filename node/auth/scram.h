/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_AUTH_SCRAM_H
#define COVEY_AUTH_SCRAM_H

/* SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677), without a transport.
 *
 *     client-first   n,,n=NAME,r=NONCE               scram_first_parse()
 *     server-first   r=NONCES,s=SALT,i=ITERATIONS    scram_begin()
 *     client-final   c=biws,r=NONCES,p=PROOF         scram_finish()
 *     server-final   v=SIGNATURE
 *
 * Channel binding is not offered: of the header, `n,,` and `y,,` are taken, and `p=...` is refused. So are an
 * authorization identity and every mandatory extension (`m=`), for none is known; other extensions are passed
 * over. Messages are UTF-8. There is no SASLprep: names and passwords are what their bytes are, and a client
 * that normalises what the administrator has typed otherwise is not let in. */

#include "node/auth/scram_verifier.h"

#include <sodium.h>

enum {
    SCRAM_MESSAGE_MAX = 4096, /* of the client's */
    SCRAM_NAME_MAX = 1024,
    SCRAM_NONCE_MAX = 256,       /* the client's part */
    SCRAM_SERVER_NONCE_MAX = 64, /* the server's */
    SCRAM_REPLY_MAX = 512,
};

struct scram_first {
    struct bytes bare;  /* view: the message behind the header */
    struct bytes nonce; /* view */
    char flag;          /* 'n', or 'y': the client thinks that the server has no channel binding */
    uint32_t name_n;
    char name[SCRAM_NAME_MAX + 1]; /* without escapes; ends with NUL, and has none within */
};

/* NULL: good. Else what is wrong with it, for people; lives as long as the program. */
const char *scram_first_parse(struct scram_first *out, struct bytes message);

/* Between the two messages of the client; caller's memory, without pointers. */
struct scram {
    crypto_auth_hmacsha256_state client; /* of the messages so far, with the stored key */
    crypto_auth_hmacsha256_state server; /* the same with the server's */
    uint8_t stored_key[SCRAM_KEY_N];
    char flag;
    bool is_invented;
    uint32_t nonce_n;
    char nonce[SCRAM_NONCE_MAX + SCRAM_SERVER_NONCE_MAX];
};

/* Makes server-first, returns its size. server_nonce: 1 to SCRAM_SERVER_NONCE_MAX characters that nobody can
 * foresee, printable and without a comma. is_invented: the verifier is not of a user; it takes as long, and
 * scram_finish() lets nobody in. */
enum scram_user { SCRAM_USER_REAL, SCRAM_USER_INVENTED };
uint32_t scram_begin(struct scram *s, const struct scram_first *first, const struct scram_verifier *v,
                     enum scram_user user, struct bytes server_nonce, char out[SCRAM_REPLY_MAX]);

enum scram_result {
    SCRAM_OK,
    SCRAM_WRONG,     /* not the password, not the nonce, not the header of before, or no such user */
    SCRAM_MALFORMED, /* not a client-final */
};
/* SCRAM_OK: out has server-final of *out_n bytes. Once. */
enum scram_result scram_finish(struct scram *s, struct bytes message, char out[SCRAM_REPLY_MAX],
                               uint32_t *out_n);

#endif
