/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CLUSTER_IO_SEAL_H
#define COVEY_CLUSTER_IO_SEAL_H

/* Records: how the bytes of a connection are sealed, once the handshake has made keys.
 *
 *     be32 length of what follows | ciphertext | 16-byte tag
 *
 * The nonce is the number of the record in its direction, which both sides count; the length is authenticated
 * with it. So a record that is changed, left out, repeated or moved does not open. After rekey_records
 * records or rekey_bytes bytes of plaintext both sides replace the key by a hash of it: what was sent before
 * cannot be opened with what is in memory later. Nothing here does I/O. */

#include "proto/base/bytes.h"
#include "proto/base/err.h"

enum {
    SEAL_KEY_N = 32,
    SEAL_TAG_N = 16,
    SEAL_LENGTH_N = 4,
    SEAL_PLAIN_MAX = 64 * 1024,
    SEAL_RECORD_MAX = SEAL_LENGTH_N + SEAL_PLAIN_MAX + SEAL_TAG_N,
};

/* Bits of the offer in the handshake; one of them is chosen. */
enum seal_cipher { SEAL_AES_256_GCM = 1, SEAL_CHACHA20_POLY1305 = 2 };
/* Those that this machine does well: AES only where the processor has it, both for speed and because AES
 * from tables leaks by timing. */
unsigned seal_ciphers(void);
/* The best of an offer, or 0: nothing in common. */
unsigned seal_cipher_choose(unsigned offer);
const char *seal_cipher_name(unsigned cipher);

/* One direction of one connection. */
struct seal {
    void *evp; /* EVP_CIPHER_CTX */
    uint8_t key[SEAL_KEY_N];
    uint64_t records;                    /* since the connection began: the nonce */
    uint64_t bytes;                      /* of plaintext */
    uint64_t rekey_records, rekey_bytes; /* the same on both sides; changed by tests */
    uint64_t rekey_at_records, rekey_at_bytes;
    uint64_t rekeys;
};
enum seal_direction { SEAL_TX, SEAL_RX };
/* s is to be cleared by seal_fini() in any case. */
void seal_init(struct seal *s, enum seal_direction d, enum seal_cipher cipher, const uint8_t key[SEAL_KEY_N]);
void seal_fini(struct seal *s); /* forgets the key; harmless on zeroed memory */
/* For tests: other limits than 2^32 records and 64 GiB. Before the first record. */
void seal_rekey_every(struct seal *s, uint64_t records, uint64_t bytes);

/* Seals n bytes, 1..SEAL_PLAIN_MAX, that stand at record + SEAL_LENGTH_N, in place. Answers the length of the
 * record, which is n + SEAL_LENGTH_N + SEAL_TAG_N. */
uint32_t seal_put(struct seal *s, uint8_t *record, uint32_t n);

/* Opens the record at the beginning of b, in place. OK: *plain is its content, *used the bytes of b that it
 * took; ERR_AGAIN: it is not whole yet, *used is how long it will be, or 0 when that is not known;
 * ERR_INVALID: an impossible length is announced; ERR_DENIED: it does not open. After the last two the
 * connection has to end. */
MUST_USE enum err seal_open(struct seal *s, uint8_t *b, uint32_t n, struct bytes *plain, uint32_t *used);

#endif
