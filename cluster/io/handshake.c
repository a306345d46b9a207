/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/handshake.h"

#include "proto/base/check.h"

#include <sodium.h>

enum { VERSION = 1, E_N = 32, MAC_N = 32, HASH_N = 32 };

/* Places in HELLO and in REPLY. */
static const uint8_t magic[6] = {'C', 'O', 'V', 'E', 'Y', 'L'};
enum {
    AT_VERSION = 6,
    AT_CIPHERS = 7,
    HELLO_AT_ID = 8,
    HELLO_AT_E = HELLO_AT_ID + SECRET_ID_N,
    HELLO_AT_MAC = HELLO_AT_E + E_N,
    REPLY_AT_E = 8,
    REPLY_AT_MAC = REPLY_AT_E + E_N,
};
_Static_assert(HELLO_AT_MAC + MAC_N == HANDSHAKE_HELLO_N, "HELLO");
_Static_assert(REPLY_AT_MAC + MAC_N == HANDSHAKE_REPLY_N, "REPLY");
_Static_assert((int)MAC_N == (int)HANDSHAKE_PROOF_N, "PROOF");

/* H(key, label | a | b). The parts have fixed lengths, so that no two inputs look alike. */
static void hash(uint8_t out[HASH_N], const uint8_t key[32], const char *label, struct bytes a,
                 struct bytes b)
{
    crypto_generichash_state st;

    crypto_generichash_init(&st, key, 32, HASH_N);
    crypto_generichash_update(&st, (const uint8_t *)label, strlen(label));
    crypto_generichash_update(&st, a.p, a.n);
    crypto_generichash_update(&st, b.p, b.n);
    crypto_generichash_final(&st, out, HASH_N);
    sodium_memzero(&st, sizeof st);
}

static void derive(uint8_t out[HASH_N], const uint8_t key[32], const char *label)
{
    hash(out, key, label, bytes_of(NULL, 0), bytes_of(NULL, 0));
}

static bool mac_holds(const uint8_t *mac, const uint8_t expected[MAC_N])
{
    return sodium_memcmp(mac, expected, MAC_N) == 0;
}

/* ---- begin ----------------------------------------------------------------------------------------- */

static void take_random(struct handshake *h, uint8_t random[HANDSHAKE_RANDOM_N])
{
    memcpy(h->secret_e, random, sizeof h->secret_e);
    sodium_memzero(random, HANDSHAKE_RANDOM_N);
}

void handshake_dial(struct handshake *h, const struct secret *s, uint8_t random[HANDSHAKE_RANDOM_N],
                    uint8_t *out)
{
    *h = (struct handshake){.side = HANDSHAKE_DIALLER, .state = HANDSHAKE_WAIT_REPLY};
    take_random(h, random);
    memcpy(h->psk, s->keys[0].link, sizeof h->psk);
    memcpy(h->hello, magic, sizeof magic);
    h->hello[AT_VERSION] = VERSION;
    h->hello[AT_CIPHERS] = (uint8_t)seal_ciphers();
    memcpy(h->hello + HELLO_AT_ID, s->keys[0].id, SECRET_ID_N);
    crypto_scalarmult_base(h->hello + HELLO_AT_E, h->secret_e);
    hash(h->hello + HELLO_AT_MAC, h->psk, "covey link hello", bytes_of(h->hello, HELLO_AT_MAC),
         bytes_of(NULL, 0));
    memcpy(out, h->hello, sizeof h->hello);
}

void handshake_accept(struct handshake *h, uint8_t random[HANDSHAKE_RANDOM_N])
{
    *h = (struct handshake){.side = HANDSHAKE_ACCEPTOR, .state = HANDSHAKE_WAIT_HELLO};
    take_random(h, random);
}

void handshake_fini(struct handshake *h)
{
    sodium_memzero(h, sizeof *h);
}

uint32_t handshake_wants(const struct handshake *h)
{
    switch (h->state) {
    case HANDSHAKE_WAIT_HELLO:
        return HANDSHAKE_HELLO_N;
    case HANDSHAKE_WAIT_REPLY:
        return HANDSHAKE_REPLY_N;
    case HANDSHAKE_WAIT_PROOF:
        return HANDSHAKE_PROOF_N;
    case HANDSHAKE_DONE:
        break;
    }
    return 0;
}

bool handshake_may_become(const uint8_t *b, uint32_t n)
{
    return memcmp(b, magic, n < sizeof magic ? n : sizeof magic) == 0;
}

/* ---- messages -------------------------------------------------------------------------------------- */

/* False: the other side sent a point of small order, which no honest one does. */
static bool make_master(struct handshake *h, const uint8_t *their_e, const uint8_t *reply)
{
    uint8_t dh[crypto_scalarmult_BYTES], transcript[HASH_N];

    if (crypto_scalarmult(dh, h->secret_e, their_e) != 0)
        return false;
    hash(transcript, h->psk, "covey link transcript", bytes_of(h->hello, sizeof h->hello),
         bytes_of(reply, REPLY_AT_MAC));
    hash(h->master, h->psk, "covey link master", bytes_of(dh, sizeof dh),
         bytes_of(transcript, sizeof transcript));
    sodium_memzero(dh, sizeof dh);
    sodium_memzero(h->secret_e, sizeof h->secret_e);
    return true;
}

static enum handshake_result head_check(const uint8_t *msg)
{
    if (memcmp(msg, magic, sizeof magic) != 0)
        return HANDSHAKE_MALFORMED;
    return msg[AT_VERSION] == VERSION ? HANDSHAKE_OK : HANDSHAKE_VERSION;
}

static enum handshake_result on_hello(struct handshake *h, const struct secret *s, const uint8_t *msg,
                                      uint8_t *out)
{
    const struct secret_key *key = secret_find(s, msg + HELLO_AT_ID);
    enum handshake_result r = head_check(msg);
    uint8_t mac[MAC_N];

    if (r != HANDSHAKE_OK)
        return r;
    if (!key)
        return HANDSHAKE_KEY;
    hash(mac, key->link, "covey link hello", bytes_of(msg, HELLO_AT_MAC), bytes_of(NULL, 0));
    if (!mac_holds(msg + HELLO_AT_MAC, mac))
        return HANDSHAKE_FORGED;
    h->cipher = seal_cipher_choose(msg[AT_CIPHERS]);
    if (!h->cipher)
        return HANDSHAKE_MALFORMED;
    memcpy(h->psk, key->link, sizeof h->psk);
    memcpy(h->hello, msg, sizeof h->hello);
    memcpy(out, magic, sizeof magic);
    out[AT_VERSION] = VERSION;
    out[AT_CIPHERS] = (uint8_t)h->cipher;
    crypto_scalarmult_base(out + REPLY_AT_E, h->secret_e);
    if (!make_master(h, msg + HELLO_AT_E, out))
        return HANDSHAKE_MALFORMED;
    derive(out + REPLY_AT_MAC, h->master, "covey link reply");
    h->state = HANDSHAKE_WAIT_PROOF;
    return HANDSHAKE_OK;
}

static enum handshake_result on_reply(struct handshake *h, const uint8_t *msg, uint8_t *out)
{
    enum handshake_result r = head_check(msg);
    unsigned cipher = msg[AT_CIPHERS];
    uint8_t mac[MAC_N];

    if (r != HANDSHAKE_OK)
        return r;
    if (!make_master(h, msg + REPLY_AT_E, msg))
        return HANDSHAKE_MALFORMED;
    derive(mac, h->master, "covey link reply");
    if (!mac_holds(msg + REPLY_AT_MAC, mac))
        return HANDSHAKE_FORGED;
    /* Authentic from here on: only a node of another make could choose what was not offered. */
    if (cipher != seal_cipher_choose(cipher))
        return HANDSHAKE_MALFORMED;
    h->cipher = cipher;
    derive(out, h->master, "covey link proof");
    h->state = HANDSHAKE_DONE;
    return HANDSHAKE_OK;
}

static enum handshake_result on_proof(struct handshake *h, const uint8_t *msg)
{
    uint8_t mac[MAC_N];

    derive(mac, h->master, "covey link proof");
    if (!mac_holds(msg, mac))
        return HANDSHAKE_FORGED;
    h->state = HANDSHAKE_DONE;
    return HANDSHAKE_OK;
}

enum handshake_result handshake_on_message(struct handshake *h, const struct secret *s, const uint8_t *msg,
                                           uint8_t *out, uint32_t *out_n)
{
    enum handshake_result r = HANDSHAKE_MALFORMED;

    *out_n = 0;
    switch (h->state) {
    case HANDSHAKE_WAIT_HELLO:
        r = on_hello(h, s, msg, out);
        *out_n = r == HANDSHAKE_OK ? HANDSHAKE_REPLY_N : 0;
        break;
    case HANDSHAKE_WAIT_REPLY:
        r = on_reply(h, msg, out);
        *out_n = r == HANDSHAKE_OK ? HANDSHAKE_PROOF_N : 0;
        break;
    case HANDSHAKE_WAIT_PROOF:
        r = on_proof(h, msg);
        break;
    case HANDSHAKE_DONE:
        CHECK(!"a handshake that is done takes no messages");
    }
    return r;
}

void handshake_keys(const struct handshake *h, struct seal *tx, struct seal *rx)
{
    bool dialled = h->side == HANDSHAKE_DIALLER;
    uint8_t to_acceptor[SEAL_KEY_N], to_dialler[SEAL_KEY_N];

    CHECK(h->state == HANDSHAKE_DONE);
    derive(to_acceptor, h->master, "covey link dialler to acceptor");
    derive(to_dialler, h->master, "covey link acceptor to dialler");
    seal_init(tx, SEAL_TX, h->cipher, dialled ? to_acceptor : to_dialler);
    seal_init(rx, SEAL_RX, h->cipher, dialled ? to_dialler : to_acceptor);
    sodium_memzero(to_acceptor, sizeof to_acceptor);
    sodium_memzero(to_dialler, sizeof to_dialler);
}
