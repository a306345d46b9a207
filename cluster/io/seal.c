/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/seal.h"

#include "proto/base/check.h"

#include <openssl/evp.h>
#include <sodium.h>

static const uint64_t rekey_records = 1ull << 32;
static const uint64_t rekey_bytes = 64ull << 30;

enum { NONCE_N = 12 };

/* ---- ciphers --------------------------------------------------------------------------------------- */

unsigned seal_ciphers(void)
{
    return (crypto_aead_aes256gcm_is_available() ? SEAL_AES_256_GCM : 0u) | SEAL_CHACHA20_POLY1305;
}

unsigned seal_cipher_choose(unsigned offer)
{
    unsigned both = offer & seal_ciphers();

    return both & SEAL_AES_256_GCM ? SEAL_AES_256_GCM : both & SEAL_CHACHA20_POLY1305;
}

const char *seal_cipher_name(unsigned cipher)
{
    return cipher == SEAL_AES_256_GCM ? "aes-256-gcm" : "chacha20-poly1305";
}

/* ---- keys ------------------------------------------------------------------------------------------ */

void seal_init(struct seal *s, enum seal_direction d, enum seal_cipher cipher, const uint8_t key[SEAL_KEY_N])
{
    EVP_CIPHER_CTX *evp = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *kind = cipher == SEAL_AES_256_GCM ? EVP_aes_256_gcm() : EVP_chacha20_poly1305();

    *s = (struct seal){.evp = evp};
    memcpy(s->key, key, SEAL_KEY_N);
    CHECK(evp && EVP_CipherInit_ex(evp, kind, NULL, key, NULL, d == SEAL_TX) == 1);
    seal_rekey_every(s, rekey_records, rekey_bytes);
}

void seal_fini(struct seal *s)
{
    EVP_CIPHER_CTX_free(s->evp); /* clears its key schedule */
    sodium_memzero(s, sizeof *s);
}

void seal_rekey_every(struct seal *s, uint64_t records, uint64_t bytes)
{
    CHECK(s->records == 0);
    s->rekey_at_records = s->rekey_records = records;
    s->rekey_at_bytes = s->rekey_bytes = bytes;
}

/* The record counter goes on: with a new key any nonce is new. */
static void rekey(struct seal *s)
{
    static const char label[] = "covey link rekey";
    uint8_t next[SEAL_KEY_N];

    crypto_generichash(next, sizeof next, (const uint8_t *)label, sizeof label - 1, s->key, sizeof s->key);
    memcpy(s->key, next, sizeof next);
    sodium_memzero(next, sizeof next);
    CHECK(EVP_CipherInit_ex(s->evp, NULL, NULL, s->key, NULL, -1) == 1);
    s->rekey_at_records = s->records + s->rekey_records;
    s->rekey_at_bytes = s->bytes + s->rekey_bytes;
    s->rekeys++;
}

/* Both sides count the same records and bytes, so they change the key at the same record. */
static void count(struct seal *s, uint32_t n)
{
    s->records++;
    s->bytes += n;
    if (unlikely(s->records >= s->rekey_at_records || s->bytes >= s->rekey_at_bytes))
        rekey(s);
}

/* ---- records --------------------------------------------------------------------------------------- */

static void begin_record(struct seal *s, const uint8_t *length)
{
    uint8_t nonce[NONCE_N] = {0};
    int k;

    be64_put(nonce + NONCE_N - 8, s->records);
    CHECK(EVP_CipherInit_ex(s->evp, NULL, NULL, NULL, nonce, -1) == 1);
    CHECK(EVP_CipherUpdate(s->evp, NULL, &k, length, SEAL_LENGTH_N) == 1);
}

uint32_t seal_put(struct seal *s, uint8_t *record, uint32_t n)
{
    uint8_t *text = record + SEAL_LENGTH_N;
    int k;

    CHECK(n >= 1 && n <= SEAL_PLAIN_MAX);
    be32_put(record, n + SEAL_TAG_N);
    begin_record(s, record);
    CHECK(EVP_CipherUpdate(s->evp, text, &k, text, (int)n) == 1 && k == (int)n);
    CHECK(EVP_CipherFinal_ex(s->evp, text + n, &k) == 1 && k == 0);
    CHECK(EVP_CIPHER_CTX_ctrl(s->evp, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_N, text + n) == 1);
    count(s, n);
    return SEAL_LENGTH_N + n + SEAL_TAG_N;
}

enum err seal_open(struct seal *s, uint8_t *b, uint32_t n, struct bytes *plain, uint32_t *used)
{
    uint8_t *text = b + SEAL_LENGTH_N;
    uint32_t length;
    int k;

    *used = 0;
    if (n < SEAL_LENGTH_N)
        return ERR_AGAIN;
    length = be32_get(b);
    if (length <= SEAL_TAG_N || length > SEAL_PLAIN_MAX + SEAL_TAG_N)
        return ERR_INVALID;
    *used = SEAL_LENGTH_N + length;
    if (n < *used)
        return ERR_AGAIN;
    length -= SEAL_TAG_N;
    begin_record(s, b);
    /* In place: what is there when the tag turns out to be wrong is looked at by nobody. */
    if (EVP_CipherUpdate(s->evp, text, &k, text, (int)length) != 1 ||
        EVP_CIPHER_CTX_ctrl(s->evp, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_N, text + length) != 1 ||
        EVP_CipherFinal_ex(s->evp, text + length, &k) != 1)
        return ERR_DENIED;
    count(s, length);
    *plain = bytes_of(text, length);
    return OK;
}
