/* SPDX-License-Identifier: Apache-2.0 */
/* What a node takes from the network between nodes, from strangers and from peers that have the secret. The
 * first byte says what the rest is; where a mac would stop everything, it is made right first for half of the
 * inputs. Whatever comes: nothing that was not sealed with the key opens, and no length leads out of its
 * buffer. */
#include "cluster/io/datagram.h"
#include "cluster/io/handshake.h"
#include "cluster/io/sockaddr.h"

#include <sodium.h>
#include <stdlib.h>

#define REQUIRE(cond) \
    do {              \
        if (!(cond))  \
            abort();  \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct secret secret;

static void on_datagram(uint8_t *b, uint32_t n)
{
    struct datagram_head head;
    struct bytes body;

    if (n > 1 + SECRET_ID_N)
        memcpy(b + 1, secret.keys[0].id, SECRET_ID_N);
    REQUIRE(datagram_open(&secret, b, n, &head, &body) != DATAGRAM_OK);
}

/* As a peer with the secret would send it. */
static void on_sealed_datagram(const uint8_t *b, uint32_t n)
{
    static const uint8_t nonce[DATAGRAM_NONCE_N];
    struct datagram_head head = {{{1}}, 2, 3}, got;
    uint8_t d[DATAGRAM_MAX];
    struct bytes body;

    if (n > DATAGRAM_MAX - DATAGRAM_OVERHEAD_N)
        return;
    n = datagram_seal(d, &secret, nonce, &head, bytes_of(b, n));
    REQUIRE(datagram_open(&secret, d, n, &got, &body) == DATAGRAM_OK);
    REQUIRE(bytes_eq(body, bytes_of(b, body.n)) && got.epoch == 2 && got.counter == 3);
}

static void on_handshake(const uint8_t *b, uint32_t n, bool mac_is_right)
{
    uint8_t random[HANDSHAKE_RANDOM_N] = {1}, msg[HANDSHAKE_MESSAGE_MAX] = {0}, out[HANDSHAKE_MESSAGE_MAX];
    struct handshake d, a;
    uint32_t out_n;

    handshake_dial(&d, &secret, random, out);
    memcpy(msg, b, n < sizeof msg ? n : sizeof msg);
    REQUIRE(handshake_on_message(&d, &secret, msg, out, &out_n) != HANDSHAKE_OK && out_n == 0);
    random[0] = 2;
    handshake_accept(&a, random);
    if (mac_is_right) {
        crypto_generichash_state st;
        memcpy(msg + 8, secret.keys[0].id, SECRET_ID_N);
        crypto_generichash_init(&st, secret.keys[0].link, SECRET_KEY_N, 32);
        crypto_generichash_update(&st, (const uint8_t *)"covey link hello", 16);
        crypto_generichash_update(&st, msg, HANDSHAKE_HELLO_N - 32);
        crypto_generichash_final(&st, msg + HANDSHAKE_HELLO_N - 32, 32);
    }
    if (handshake_on_message(&a, &secret, msg, out, &out_n) != HANDSHAKE_OK) {
        REQUIRE(out_n == 0);
        return;
    }
    REQUIRE(mac_is_right && out_n == HANDSHAKE_REPLY_N && a.state == HANDSHAKE_WAIT_PROOF);
    REQUIRE(handshake_on_message(&a, &secret, msg, out, &out_n) == HANDSHAKE_FORGED);
}

static void on_records(uint8_t *b, uint32_t n)
{
    static const uint8_t key[SEAL_KEY_N] = {3};
    struct seal rx;
    struct bytes plain;
    uint32_t used;
    enum err e;

    seal_init(&rx, SEAL_RX, SEAL_CHACHA20_POLY1305, key);
    e = seal_open(&rx, b, n, &plain, &used);
    REQUIRE(e != OK && (e != ERR_AGAIN || used == 0 || (used > n && used <= SEAL_RECORD_MAX)));
    seal_fini(&rx);
}

static void on_text(const char *text, uint32_t n)
{
    struct secret s;
    struct net_addr a;
    char host[16];
    uint16_t port;
    unsigned line;

    if (secret_parse(&s, bytes_of(text, n), &line) == OK)
        REQUIRE(s.n >= 1 && s.n <= SECRET_KEYS_MAX);
    if (net_addr_parse(&a, text, 1))
        REQUIRE(a.port != 0);
    if (host_port_split(text, 1, host, sizeof host, &port))
        REQUIRE(port != 0 && host[0] && strlen(host) < sizeof host);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t *b;

    if (n < 1 || n > 1 << 17)
        return 0;
    if (!secret.n) {
        REQUIRE(sodium_init() >= 0);
        secret_from_name(&secret, "fuzz");
    }
    /* A copy of just this size, with the NUL that texts need behind it. */
    b = malloc(n);
    REQUIRE(b);
    memcpy(b, data + 1, n - 1);
    b[n - 1] = '\0';
    switch (data[0] % 6) {
    case 0:
        on_datagram(b, (uint32_t)n - 1);
        break;
    case 1:
        on_sealed_datagram(b, (uint32_t)n - 1);
        break;
    case 2:
        on_handshake(b, (uint32_t)n - 1, false);
        break;
    case 3:
        on_handshake(b, (uint32_t)n - 1, true);
        break;
    case 4:
        on_records(b, (uint32_t)n - 1);
        break;
    case 5:
        on_text((const char *)b, (uint32_t)n - 1);
        break;
    }
    free(b);
    return 0;
}
