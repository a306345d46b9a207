/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_IO_HANDSHAKE_H
#define COVEY_CLUSTER_IO_HANDSHAKE_H

/* How two nodes that share a secret agree on keys for a connection:
 *
 *     dialler                                                     acceptor
 *       HELLO  magic, version, ciphers offered, key id, e, mac   ->   the secret is right: the mac holds
 *       <-     magic, version, cipher chosen, e, mac         REPLY
 *       PROOF  mac                                               ->
 *       records                                                 <->   records
 *
 * In effect Noise's NNpsk0: fresh X25519 keys give secrecy that lasts when the secret becomes known later;
 * every mac and both keys depend on the secret, on the exchange and on all that was said. The construction:
 *
 *     psk      = the key that the key id names (secret.h)
 *     mac 1    = H(psk, "covey link hello" | HELLO up to the mac)
 *     t        = H(psk, "covey link transcript" | HELLO | REPLY up to the mac)
 *     master   = H(psk, "covey link master" | X25519(e, e) | t)
 *     mac 2, mac 3, key dialler to acceptor, key acceptor to dialler = H(master, "..." each)
 *
 * H(k, x) is BLAKE2b with key k, 32 bytes. mac 1 can be replayed, but leads nowhere without the private e: it
 * only keeps those without the secret from making us compute and answer. Nothing here does I/O; random bytes
 * are given. */

#include "cluster/io/seal.h"
#include "cluster/io/secret.h"

enum {
    HANDSHAKE_RANDOM_N = 32,
    HANDSHAKE_HELLO_N = 80,
    HANDSHAKE_REPLY_N = 72,
    HANDSHAKE_PROOF_N = 32,
    HANDSHAKE_MESSAGE_MAX = HANDSHAKE_HELLO_N,
};

enum handshake_side { HANDSHAKE_DIALLER, HANDSHAKE_ACCEPTOR };
enum handshake_state { HANDSHAKE_WAIT_HELLO, HANDSHAKE_WAIT_REPLY, HANDSHAKE_WAIT_PROOF, HANDSHAKE_DONE };

enum handshake_result {
    HANDSHAKE_OK,
    HANDSHAKE_MALFORMED, /* not this protocol, or nonsense in it */
    HANDSHAKE_VERSION,   /* a version that is not known here */
    HANDSHAKE_KEY,       /* no key has the id */
    HANDSHAKE_FORGED,    /* a mac is wrong */
};

struct handshake {
    enum handshake_side side;
    enum handshake_state state;
    enum seal_cipher cipher; /* once it is chosen */
    uint8_t secret_e[32];
    uint8_t hello[HANDSHAKE_HELLO_N];
    uint8_t master[32];
    uint8_t psk[SECRET_KEY_N]; /* a copy: the file may change meanwhile */
};

/* The dialler writes HELLO, HANDSHAKE_HELLO_N bytes, to out. random is forgotten. */
void handshake_dial(struct handshake *h, const struct secret *s, uint8_t random[HANDSHAKE_RANDOM_N],
                    uint8_t *out);
void handshake_accept(struct handshake *h, uint8_t random[HANDSHAKE_RANDOM_N]);
void handshake_fini(struct handshake *h); /* forgets everything; harmless on zeroed memory */

/* How many bytes the next message has; 0: done. */
uint32_t handshake_wants(const struct handshake *h);
/* Can the beginning of a message, n bytes, still become one of ours? For giving up early. */
bool handshake_may_become(const uint8_t *b, uint32_t n);
/* The next message, whole. Writes the answer to out (HANDSHAKE_MESSAGE_MAX bytes), *out_n may be 0. */
MUST_USE enum handshake_result handshake_on_message(struct handshake *h, const struct secret *s,
                                                    const uint8_t *msg, uint8_t *out, uint32_t *out_n);
/* Once it is done. */
void handshake_keys(const struct handshake *h, struct seal *tx, struct seal *rx);

#endif
