/* SPDX-License-Identifier: Apache-2.0 */

/* What sealing a record costs, by cipher and library; docs/decisions/0010-link-encryption.md has the numbers.
 *
 *     micro_seal        GB/s of sealing and of opening, one thread, in place */

#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROOM = 64 * 1024 + 64, TAG = 16, ROUND_BYTES = 256 << 20, ROUNDS = 5 };

static uint8_t buf[ROOM];
static uint8_t key[32] = {1, 2, 3};
static uint8_t nonce[12];

static void next_nonce(void)
{
    for (int i = 11; i >= 4 && ++nonce[i] == 0; i--)
        ;
}

static void must(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

/* ---- the candidates: seal in place, then open in place --------------------------------------------- */

static EVP_CIPHER_CTX *evp;
static crypto_aead_aes256gcm_state gcm;
static crypto_secretstream_xchacha20poly1305_state push, pull;

static void evp_begin(const EVP_CIPHER *c)
{
    evp = EVP_CIPHER_CTX_new();
    must(evp && EVP_CipherInit_ex(evp, c, NULL, key, NULL, 1), "EVP_CipherInit_ex");
}
static void evp_gcm_begin(void)
{
    evp_begin(EVP_aes_256_gcm());
}
static void evp_chacha_begin(void)
{
    evp_begin(EVP_chacha20_poly1305());
}
static void evp_seal(uint32_t n)
{
    uint8_t aad[4] = {0};
    int k;

    next_nonce();
    must(EVP_EncryptInit_ex(evp, NULL, NULL, NULL, nonce) && EVP_EncryptUpdate(evp, NULL, &k, aad, 4) &&
             EVP_EncryptUpdate(evp, buf, &k, buf, (int)n) && EVP_EncryptFinal_ex(evp, buf + n, &k) &&
             EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_GET_TAG, TAG, buf + n),
         "seal");
}
static void evp_open(uint32_t n)
{
    uint8_t aad[4] = {0};
    int k;

    must(EVP_DecryptInit_ex(evp, NULL, NULL, NULL, nonce) && EVP_DecryptUpdate(evp, NULL, &k, aad, 4) &&
             EVP_DecryptUpdate(evp, buf, &k, buf, (int)n) &&
             EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_SET_TAG, TAG, buf + n) &&
             EVP_DecryptFinal_ex(evp, buf + n, &k) > 0,
         "open");
}
static void evp_end(void)
{
    EVP_CIPHER_CTX_free(evp);
}

static void gcm_begin(void)
{
    must(crypto_aead_aes256gcm_is_available(), "AES in hardware");
    crypto_aead_aes256gcm_beforenm(&gcm, key);
}
static void gcm_seal(uint32_t n)
{
    uint8_t aad[4] = {0};

    next_nonce();
    crypto_aead_aes256gcm_encrypt_afternm(buf, NULL, buf, n, aad, 4, NULL, nonce, &gcm);
}
static void gcm_open(uint32_t n)
{
    uint8_t aad[4] = {0};

    must(crypto_aead_aes256gcm_decrypt_afternm(buf, NULL, NULL, buf, n + TAG, aad, 4, nonce, &gcm) == 0,
         "open");
}

static void chacha_begin(void) {}
static void chacha_seal(uint32_t n)
{
    uint8_t aad[4] = {0};

    next_nonce();
    crypto_aead_chacha20poly1305_ietf_encrypt(buf, NULL, buf, n, aad, 4, NULL, nonce, key);
}
static void chacha_open(uint32_t n)
{
    uint8_t aad[4] = {0};

    must(crypto_aead_chacha20poly1305_ietf_decrypt(buf, NULL, NULL, buf, n + TAG, aad, 4, nonce, key) == 0,
         "open");
}

static void stream_begin(void)
{
    uint8_t head[crypto_secretstream_xchacha20poly1305_HEADERBYTES];

    crypto_secretstream_xchacha20poly1305_init_push(&push, head, key);
    must(crypto_secretstream_xchacha20poly1305_init_pull(&pull, head, key) == 0, "init_pull");
}
static uint8_t sealed[ROOM];
static void stream_seal(uint32_t n)
{
    crypto_secretstream_xchacha20poly1305_push(&push, sealed, NULL, buf, n, NULL, 0, 0);
}
static void stream_open(uint32_t n)
{
    uint8_t tag;

    must(crypto_secretstream_xchacha20poly1305_pull(&pull, buf, NULL, &tag, sealed, n + 17, NULL, 0) == 0,
         "pull");
}

static void none(void) {}

struct candidate {
    const char *name;
    void (*begin)(void);
    void (*seal)(uint32_t n);
    void (*open)(uint32_t n);
    void (*end)(void);
};
static const struct candidate candidates[] = {
    {"OpenSSL EVP aes-256-gcm", evp_gcm_begin, evp_seal, evp_open, evp_end},
    {"OpenSSL EVP chacha20-poly1305", evp_chacha_begin, evp_seal, evp_open, evp_end},
    {"sodium aead_aes256gcm", gcm_begin, gcm_seal, gcm_open, none},
    {"sodium aead_chacha20poly1305_ietf", chacha_begin, chacha_seal, chacha_open, none},
    {"sodium secretstream", stream_begin, stream_seal, stream_open, none},
};

/* ---- the measurement ------------------------------------------------------------------------------- */

static double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* Seals and opens in turn, so that both see warm caches, as records do. */
static void measure(const struct candidate *c, uint32_t n, double *seal_s, double *open_s)
{
    *seal_s = *open_s = 0;
    c->begin();
    for (uint64_t done = 0; done < ROUND_BYTES; done += n) {
        double t0 = now_s(), t1, t2;
        c->seal(n);
        t1 = now_s();
        c->open(n);
        t2 = now_s();
        *seal_s += t1 - t0;
        *open_s += t2 - t1;
    }
    c->end();
}

int main(void)
{
    static const uint32_t sizes[] = {1024, 16 * 1024, 64 * 1024};

    must(sodium_init() >= 0, "sodium_init");
    printf("%-36s %8s %10s %10s\n", "", "bytes", "seal GB/s", "open GB/s");
    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++)
        for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
            double seal_best = 1e9, open_best = 1e9;
            for (int round = 0; round < ROUNDS; round++) {
                double seal_s, open_s;
                measure(&candidates[i], sizes[k], &seal_s, &open_s);
                seal_best = seal_s < seal_best ? seal_s : seal_best;
                open_best = open_s < open_best ? open_s : open_best;
            }
            printf("%-36s %8u %10.2f %10.2f\n", candidates[i].name, sizes[k], ROUND_BYTES / seal_best * 1e-9,
                   ROUND_BYTES / open_best * 1e-9);
        }
    return 0;
}
