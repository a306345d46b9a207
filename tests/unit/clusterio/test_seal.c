/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/datagram.h"
#include "cluster/io/seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sodium.h>
#include <cmocka.h>

static const uint8_t key[SEAL_KEY_N] = {7, 1, 9};

struct pair {
    struct seal tx, rx;
    uint8_t record[SEAL_RECORD_MAX];
};

static struct pair *pair_new(enum seal_cipher cipher)
{
    struct pair *p = calloc(1, sizeof *p);

    assert_non_null(p);
    seal_init(&p->tx, SEAL_TX, cipher, key);
    seal_init(&p->rx, SEAL_RX, cipher, key);
    return p;
}

static void pair_free(struct pair *p)
{
    seal_fini(&p->tx);
    seal_fini(&p->rx);
    free(p);
}

/* What stands in record number i. */
static uint8_t byte_of(uint32_t i, uint32_t k)
{
    return (uint8_t)(i * 31 + k * 7);
}

static uint32_t put(struct pair *p, uint32_t i, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        p->record[SEAL_LENGTH_N + k] = byte_of(i, k);
    return seal_put(&p->tx, p->record, n);
}

static void expect_open(struct pair *p, uint32_t i, uint32_t n, uint32_t record_n)
{
    struct bytes plain;
    uint32_t used;

    assert_int_equal(seal_open(&p->rx, p->record, record_n, &plain, &used), OK);
    assert_int_equal(used, record_n);
    assert_int_equal(plain.n, n);
    for (uint32_t k = 0; k < n; k++)
        if (plain.p[k] != byte_of(i, k))
            fail_msg("byte %u of record %u", k, i);
}

static void for_each_cipher(void (*test)(enum seal_cipher cipher))
{
    if (seal_ciphers() & SEAL_AES_256_GCM)
        test(SEAL_AES_256_GCM);
    test(SEAL_CHACHA20_POLY1305);
}

/* ---- records --------------------------------------------------------------------------------------- */

static void all_sizes(enum seal_cipher cipher)
{
    static const uint32_t sizes[] = {1, 2, 15, 16, 17, 1000, 16384, SEAL_PLAIN_MAX - 1, SEAL_PLAIN_MAX};
    struct pair *p = pair_new(cipher);

    for (uint32_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint32_t n = put(p, i, sizes[i]);
        assert_int_equal(n, sizes[i] + SEAL_LENGTH_N + SEAL_TAG_N);
        expect_open(p, i, sizes[i], n);
    }
    pair_free(p);
}
static void what_is_sealed_opens(void **state)
{
    (void)state;
    for_each_cipher(all_sizes);
}

static void every_byte(enum seal_cipher cipher)
{
    struct bytes plain;
    uint32_t used;

    for (uint32_t at = 0; at < 40 + SEAL_LENGTH_N + SEAL_TAG_N; at++) {
        struct pair *p = pair_new(cipher);
        uint32_t n = put(p, 1, 40);
        enum err e;
        p->record[at] ^= 0x20;
        e = seal_open(&p->rx, p->record, n, &plain, &used);
        /* A changed length is impossible, or announces more or less than there is. */
        if (at < SEAL_LENGTH_N)
            assert_int_not_equal(e, OK);
        else
            assert_int_equal(e, ERR_DENIED);
        pair_free(p);
    }
}
static void a_change_of_any_byte_is_found(void **state)
{
    (void)state;
    for_each_cipher(every_byte);
}

static void a_shorter_length_does_not_open(void **state)
{
    struct pair *p = pair_new(SEAL_CHACHA20_POLY1305);
    struct bytes plain;
    uint32_t used, n = put(p, 1, 40);

    (void)state;
    be32_put(p->record, 39 + SEAL_TAG_N);
    assert_int_equal(seal_open(&p->rx, p->record, n, &plain, &used), ERR_DENIED);
    pair_free(p);
}

static void records_repeated_left_out_or_swapped_do_not_open(void **state)
{
    struct pair *p = pair_new(SEAL_CHACHA20_POLY1305);
    uint8_t first[64], second[64];
    struct bytes plain;
    uint32_t used, n = put(p, 1, 40);

    (void)state;
    memcpy(first, p->record, n);
    put(p, 2, 40);
    memcpy(second, p->record, n);
    assert_int_equal(seal_open(&p->rx, second, n, &plain, &used), ERR_DENIED);
    pair_free(p);

    p = pair_new(SEAL_CHACHA20_POLY1305);
    n = put(p, 1, 40);
    memcpy(first, p->record, n);
    expect_open(p, 1, 40, n);
    assert_int_equal(seal_open(&p->rx, first, n, &plain, &used), ERR_DENIED);
    pair_free(p);
}

static void another_key_does_not_open(void **state)
{
    struct pair *p = pair_new(SEAL_CHACHA20_POLY1305);
    uint8_t other[SEAL_KEY_N] = {7, 1, 8};
    struct bytes plain;
    uint32_t used, n = put(p, 1, 40);

    (void)state;
    seal_fini(&p->rx);
    seal_init(&p->rx, SEAL_RX, SEAL_CHACHA20_POLY1305, other);
    assert_int_equal(seal_open(&p->rx, p->record, n, &plain, &used), ERR_DENIED);
    pair_free(p);
}

static void unfinished_records_wait_and_impossible_lengths_are_refused(void **state)
{
    static const uint32_t bad[] = {0, 1, SEAL_TAG_N, SEAL_PLAIN_MAX + SEAL_TAG_N + 1, 0x7fffffff, 0xffffffff};
    struct pair *p = pair_new(SEAL_CHACHA20_POLY1305);
    uint8_t head[SEAL_LENGTH_N];
    struct bytes plain;
    uint32_t used, n = put(p, 3, 500);

    (void)state;
    for (uint32_t k = 0; k < n; k++) {
        assert_int_equal(seal_open(&p->rx, p->record, k, &plain, &used), ERR_AGAIN);
        assert_int_equal(used, k < SEAL_LENGTH_N ? 0 : n);
    }
    expect_open(p, 3, 500, n);
    for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        be32_put(head, bad[i]);
        assert_int_equal(seal_open(&p->rx, head, sizeof head, &plain, &used), ERR_INVALID);
    }
    pair_free(p);
}

static void rekeying(enum seal_cipher cipher)
{
    struct pair *p = pair_new(cipher);

    seal_rekey_every(&p->tx, 3, 1000);
    seal_rekey_every(&p->rx, 3, 1000);
    for (uint32_t i = 0; i < 20; i++)
        expect_open(p, i, 10 + i * 40, put(p, i, 10 + i * 40));
    assert_true(p->tx.rekeys > 6);
    assert_int_equal(p->tx.rekeys, p->rx.rekeys);
    assert_memory_equal(p->tx.key, p->rx.key, SEAL_KEY_N);
    assert_memory_not_equal(p->tx.key, key, SEAL_KEY_N);
    pair_free(p);
}
static void both_sides_change_the_key_at_the_same_record(void **state)
{
    (void)state;
    for_each_cipher(rekeying);
}

static void the_best_cipher_of_both_is_chosen(void **state)
{
    unsigned mine = seal_ciphers();

    (void)state;
    assert_int_equal(seal_cipher_choose(0), 0);
    assert_int_equal(seal_cipher_choose(0xf0), 0);
    assert_int_equal(seal_cipher_choose(SEAL_CHACHA20_POLY1305), SEAL_CHACHA20_POLY1305);
    assert_int_equal(seal_cipher_choose(0xff),
                     mine & SEAL_AES_256_GCM ? SEAL_AES_256_GCM : SEAL_CHACHA20_POLY1305);
}

/* ---- datagrams ------------------------------------------------------------------------------------- */

static const struct datagram_head head = {.sender = {{1, 2, 3}}, .epoch = 5, .counter = 77};
static const uint8_t nonce[DATAGRAM_NONCE_N] = {9, 8, 7};

static struct secret secret_of(const char *text)
{
    struct secret s;
    unsigned line;

    assert_int_equal(secret_parse(&s, bytes_str(text), &line), OK);
    return s;
}

static void datagrams_open_whole_and_only_whole(void **state)
{
    struct secret s = secret_of("the secret of this cluster\n");
    uint8_t d[DATAGRAM_MAX], copy[DATAGRAM_MAX];
    struct datagram_head h;
    struct bytes body;
    uint32_t n = datagram_seal(d, &s, nonce, &head, bytes_str("hello"));

    (void)state;
    assert_int_equal(n, DATAGRAM_OVERHEAD_N + 5);
    for (uint32_t at = 0; at < n; at++) {
        memcpy(copy, d, n);
        copy[at] ^= 1;
        enum datagram_result r = datagram_open(&s, copy, n, &h, &body);
        assert_int_equal(r, at == 0                ? DATAGRAM_MALFORMED
                            : at < 1 + SECRET_ID_N ? DATAGRAM_KEY
                                                   : DATAGRAM_FORGED);
    }
    for (uint32_t k = 0; k < n; k++) {
        memcpy(copy, d, n);
        assert_int_not_equal(datagram_open(&s, copy, k, &h, &body), DATAGRAM_OK);
    }
    assert_int_equal(datagram_open(&s, d, n, &h, &body), DATAGRAM_OK);
    assert_true(node_id_eq(&h.sender, &head.sender));
    assert_int_equal(h.epoch, 5);
    assert_int_equal(h.counter, 77);
    assert_true(bytes_eq(body, bytes_str("hello")));
}

static void the_longest_datagram_fits(void **state)
{
    struct secret s = secret_of("the secret of this cluster\n");
    static uint8_t big[DATAGRAM_MAX - DATAGRAM_OVERHEAD_N];
    uint8_t d[DATAGRAM_MAX + 1] = {0};
    struct datagram_head h;
    struct bytes body;

    (void)state;
    assert_int_equal(datagram_seal(d, &s, nonce, &head, bytes_of(big, sizeof big)), DATAGRAM_MAX);
    assert_int_equal(datagram_open(&s, d, DATAGRAM_MAX + 1, &h, &body), DATAGRAM_MALFORMED);
    assert_int_equal(datagram_open(&s, d, DATAGRAM_MAX, &h, &body), DATAGRAM_OK);
    assert_int_equal(body.n, sizeof big);
}

static void any_of_three_keys_opens_and_no_other(void **state)
{
    static const char *const keys[] = {"the first of the keys", "the second of the keys",
                                       "the third of the keys"};
    struct secret all =
        secret_of("the first of the keys\n\n  the second of the keys \r\nthe third of the keys");
    struct secret other = secret_of("a key of another cluster");
    struct datagram_head h;
    struct bytes body;
    uint8_t d[DATAGRAM_MAX];

    (void)state;
    assert_int_equal(all.n, 3);
    for (int i = 0; i < 3; i++) {
        struct secret one = secret_of(keys[i]);
        uint32_t n = datagram_seal(d, &one, nonce, &head, bytes_str("x"));
        assert_int_equal(datagram_open(&other, d, n, &h, &body), DATAGRAM_KEY);
        assert_int_equal(datagram_open(&all, d, n, &h, &body), DATAGRAM_OK);
        n = datagram_seal(d, &all, nonce, &head, bytes_str("x"));
        assert_int_equal(datagram_open(&one, d, n, &h, &body), i == 0 ? DATAGRAM_OK : DATAGRAM_KEY);
    }
}

/* ---- replay ---------------------------------------------------------------------------------------- */

static struct replay *replay_new(void)
{
    struct replay *r = calloc(1, sizeof *r);

    assert_non_null(r);
    return r;
}

static void numbers_count_once_in_any_order(void **state)
{
    struct replay *r = replay_new();
    struct node_id a = {{1}};

    (void)state;
    assert_false(replay_note(r, &a, 1, 0));
    assert_true(replay_note(r, &a, 1, 100));
    assert_false(replay_note(r, &a, 1, 100));
    for (uint64_t i = 99; i > 100 - REPLAY_WINDOW; i--) {
        assert_true(replay_note(r, &a, 1, i));
        assert_false(replay_note(r, &a, 1, i));
    }
    assert_false(replay_note(r, &a, 1, 100 - REPLAY_WINDOW));
    assert_true(replay_note(r, &a, 1, 102));
    assert_true(replay_note(r, &a, 1, 101));
    assert_false(replay_note(r, &a, 1, 102));
    assert_true(replay_note(r, &a, 1, 1000000));
    assert_false(replay_note(r, &a, 1, 102));
    assert_true(replay_note(r, &a, 1, 1000000 - 63));
    assert_false(replay_note(r, &a, 1, 1000000 - 64));
    assert_true(replay_note(r, &a, 1, UINT64_MAX));
    assert_false(replay_note(r, &a, 1, UINT64_MAX));
    free(r);
}

/* Against a model that remembers everything. */
static void the_window_is_that_of_the_model(void **state)
{
    enum { TOP = 4096 };
    struct replay *r = replay_new();
    struct node_id a = {{1}};
    static bool seen[TOP + 200];
    uint64_t top = 0, random = 12345;

    (void)state;
    for (int i = 0; i < 20000 && top < TOP; i++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        uint64_t step = random >> 33;
        uint64_t at = step % 8 == 0 ? top + 1 + step / 8 % 90 : top > 80 ? top - step / 8 % 80 : top + 1;
        bool expected = at > top || (top - at < REPLAY_WINDOW && !seen[at]);
        assert_int_equal(replay_note(r, &a, 1, at), expected);
        seen[at] = true;
        top = at > top ? at : top;
    }
    free(r);
}

static void a_new_epoch_begins_anew_and_old_ones_are_over(void **state)
{
    struct replay *r = replay_new();
    struct node_id a = {{1}}, b = {{2}};

    (void)state;
    assert_true(replay_note(r, &a, 1, 50));
    assert_true(replay_note(r, &b, 1, 50));
    assert_true(replay_note(r, &a, 2, 1));
    assert_false(replay_note(r, &a, 1, 51));
    assert_false(replay_note(r, &a, 2, 1));
    assert_true(replay_note(r, &b, 1, 51));
    free(r);
}

static void the_sender_unused_longest_is_forgotten(void **state)
{
    struct replay *r = replay_new();
    struct node_id id = {{0}};

    (void)state;
    for (uint32_t i = 0; i < REPLAY_SENDERS_MAX; i++) {
        be32_put(id.b, i);
        assert_true(replay_note(r, &id, 1, 7));
    }
    be32_put(id.b, 0);
    assert_false(replay_note(r, &id, 1, 7));
    be32_put(id.b, REPLAY_SENDERS_MAX);
    assert_true(replay_note(r, &id, 1, 7)); /* takes the place of number 1 */
    be32_put(id.b, 0);
    assert_false(replay_note(r, &id, 1, 7));
    be32_put(id.b, 2);
    assert_false(replay_note(r, &id, 1, 7));
    be32_put(id.b, 1);
    assert_true(replay_note(r, &id, 1, 7));
    assert_int_equal(r->n, REPLAY_SENDERS_MAX);
    free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sealed_opens),
        cmocka_unit_test(a_change_of_any_byte_is_found),
        cmocka_unit_test(a_shorter_length_does_not_open),
        cmocka_unit_test(records_repeated_left_out_or_swapped_do_not_open),
        cmocka_unit_test(another_key_does_not_open),
        cmocka_unit_test(unfinished_records_wait_and_impossible_lengths_are_refused),
        cmocka_unit_test(both_sides_change_the_key_at_the_same_record),
        cmocka_unit_test(the_best_cipher_of_both_is_chosen),
        cmocka_unit_test(datagrams_open_whole_and_only_whole),
        cmocka_unit_test(the_longest_datagram_fits),
        cmocka_unit_test(any_of_three_keys_opens_and_no_other),
        cmocka_unit_test(numbers_count_once_in_any_order),
        cmocka_unit_test(the_window_is_that_of_the_model),
        cmocka_unit_test(a_new_epoch_begins_anew_and_old_ones_are_over),
        cmocka_unit_test(the_sender_unused_longest_is_forgotten),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
