/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sodium.h>
#include <cmocka.h>

static const char *const keys[] = {"the first of the keys", "the second of the keys",
                                   "the third of the keys"};

static struct secret secret_of(const char *text)
{
    struct secret s;
    unsigned line;

    assert_int_equal(secret_parse(&s, bytes_str(text), &line), OK);
    return s;
}

/* The two sides and what they said. */
struct talk {
    struct secret ds, as;
    struct handshake d, a;
    uint8_t hello[HANDSHAKE_MESSAGE_MAX], reply[HANDSHAKE_MESSAGE_MAX], proof[HANDSHAKE_MESSAGE_MAX];
    uint32_t n;
};

static void talk_begin(struct talk *t, const char *dialler, const char *acceptor)
{
    uint8_t dr[HANDSHAKE_RANDOM_N] = {1, 2, 3}, ar[HANDSHAKE_RANDOM_N] = {4, 5, 6};

    t->ds = secret_of(dialler);
    t->as = secret_of(acceptor);
    handshake_dial(&t->d, &t->ds, dr, t->hello);
    handshake_accept(&t->a, ar);
    assert_true(sodium_is_zero(dr, sizeof dr) && sodium_is_zero(ar, sizeof ar));
}

static enum handshake_result say_hello(struct talk *t)
{
    assert_int_equal(handshake_wants(&t->a), HANDSHAKE_HELLO_N);
    return handshake_on_message(&t->a, &t->as, t->hello, t->reply, &t->n);
}
static enum handshake_result say_reply(struct talk *t)
{
    assert_int_equal(handshake_wants(&t->d), HANDSHAKE_REPLY_N);
    return handshake_on_message(&t->d, &t->ds, t->reply, t->proof, &t->n);
}
static enum handshake_result say_proof(struct talk *t)
{
    uint8_t out[HANDSHAKE_MESSAGE_MAX];

    assert_int_equal(handshake_wants(&t->a), HANDSHAKE_PROOF_N);
    return handshake_on_message(&t->a, &t->as, t->proof, out, &t->n);
}

static void talk_whole(struct talk *t)
{
    assert_int_equal(say_hello(t), HANDSHAKE_OK);
    assert_int_equal(t->n, HANDSHAKE_REPLY_N);
    assert_int_equal(say_reply(t), HANDSHAKE_OK);
    assert_int_equal(t->n, HANDSHAKE_PROOF_N);
    assert_int_equal(say_proof(t), HANDSHAKE_OK);
    assert_int_equal(t->n, 0);
    assert_int_equal(handshake_wants(&t->a), 0);
    assert_int_equal(handshake_wants(&t->d), 0);
}

static void expect_talk(struct seal *tx, struct seal *rx)
{
    uint8_t record[64];
    struct bytes plain;
    uint32_t used, n;

    memcpy(record + SEAL_LENGTH_N, "something", 9);
    n = seal_put(tx, record, 9);
    assert_int_equal(seal_open(rx, record, n, &plain, &used), OK);
    assert_true(bytes_eq(plain, bytes_str("something")));
}

static void both_sides_get_the_same_keys(void **state)
{
    struct talk t;
    struct seal dtx, drx, atx, arx;

    (void)state;
    talk_begin(&t, keys[0], keys[0]);
    talk_whole(&t);
    assert_int_equal(t.a.cipher, t.d.cipher);
    handshake_keys(&t.d, &dtx, &drx);
    handshake_keys(&t.a, &atx, &arx);
    assert_memory_not_equal(dtx.key, atx.key, SEAL_KEY_N);
    expect_talk(&dtx, &arx);
    expect_talk(&atx, &drx);
    handshake_fini(&t.d);
    handshake_fini(&t.a);
    assert_true(sodium_is_zero((uint8_t *)&t.d, sizeof t.d));
    seal_fini(&dtx);
    seal_fini(&drx);
    seal_fini(&atx);
    seal_fini(&arx);
}

static void other_random_numbers_make_other_keys(void **state)
{
    uint8_t r[HANDSHAKE_RANDOM_N] = {42};
    struct talk one, two;

    (void)state;
    talk_begin(&one, keys[0], keys[0]);
    talk_whole(&one);
    talk_begin(&two, keys[0], keys[0]);
    handshake_accept(&two.a, r);
    talk_whole(&two);
    assert_memory_not_equal(one.a.master, two.a.master, sizeof one.a.master);
}

static void every_byte_of_hello_counts(void **state)
{
    (void)state;
    for (uint32_t at = 0; at < HANDSHAKE_HELLO_N; at++) {
        struct talk t;
        enum handshake_result r;
        talk_begin(&t, keys[0], keys[0]);
        t.hello[at] ^= 0x40;
        r = say_hello(&t);
        assert_int_equal(t.n, 0);
        if (at < 6)
            assert_int_equal(r, HANDSHAKE_MALFORMED);
        else if (at == 6)
            assert_int_equal(r, HANDSHAKE_VERSION);
        else
            assert_int_equal(r, at >= 8 && at < 8 + SECRET_ID_N ? HANDSHAKE_KEY : HANDSHAKE_FORGED);
    }
}

static void every_byte_of_reply_counts(void **state)
{
    (void)state;
    for (uint32_t at = 0; at < HANDSHAKE_REPLY_N; at++) {
        struct talk t;
        enum handshake_result r;
        talk_begin(&t, keys[0], keys[0]);
        assert_int_equal(say_hello(&t), HANDSHAKE_OK);
        t.reply[at] ^= 0x40;
        r = say_reply(&t);
        assert_int_equal(t.n, 0);
        assert_int_equal(r, at < 6 ? HANDSHAKE_MALFORMED : at == 6 ? HANDSHAKE_VERSION : HANDSHAKE_FORGED);
    }
}

static void every_byte_of_proof_counts(void **state)
{
    (void)state;
    for (uint32_t at = 0; at < HANDSHAKE_PROOF_N; at++) {
        struct talk t;
        talk_begin(&t, keys[0], keys[0]);
        assert_int_equal(say_hello(&t), HANDSHAKE_OK);
        assert_int_equal(say_reply(&t), HANDSHAKE_OK);
        t.proof[at] ^= 0x40;
        assert_int_equal(say_proof(&t), HANDSHAKE_FORGED);
        assert_int_equal(t.a.state, HANDSHAKE_WAIT_PROOF);
    }
}

static void another_secret_is_told_from_a_forged_one(void **state)
{
    struct talk t;

    (void)state;
    talk_begin(&t, keys[0], keys[1]);
    assert_int_equal(say_hello(&t), HANDSHAKE_KEY);
    /* Knows the id of our key, which is public, but not the key. */
    memcpy(t.hello + 8, t.as.keys[0].id, SECRET_ID_N);
    assert_int_equal(say_hello(&t), HANDSHAKE_FORGED);
}

/* Who records a HELLO and plays it again gets an answer that he cannot use. */
static void a_replayed_hello_ends_at_the_proof(void **state)
{
    uint8_t r[HANDSHAKE_RANDOM_N] = {99};
    struct talk t;

    (void)state;
    talk_begin(&t, keys[0], keys[0]);
    talk_whole(&t);
    handshake_accept(&t.a, r);
    assert_int_equal(say_hello(&t), HANDSHAKE_OK);
    assert_int_equal(say_proof(&t), HANDSHAKE_FORGED);
}

static void a_point_of_small_order_is_refused(void **state)
{
    struct talk t;

    (void)state;
    talk_begin(&t, keys[0], keys[0]);
    assert_int_equal(say_hello(&t), HANDSHAKE_OK);
    memset(t.reply + 8, 0, 32);
    assert_int_equal(say_reply(&t), HANDSHAKE_MALFORMED);
}

static void a_secret_is_changed_without_stopping(void **state)
{
    /* Old only; new added behind; new in front; new only: neighbours in this order understand each other. */
    static const char *const steps[] = {"the old key of ours", "the old key of ours\nthe new key of ours",
                                        "the new key of ours\nthe old key of ours", "the new key of ours"};

    (void)state;
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++) {
            struct talk t;
            talk_begin(&t, steps[i], steps[k]);
            if (abs(i - k) <= 1)
                talk_whole(&t);
            else if (abs(i - k) == 3)
                assert_int_equal(say_hello(&t), HANDSHAKE_KEY);
        }
}

static void three_keys_are_accepted(void **state)
{
    char all[200];
    struct talk t;

    (void)state;
    snprintf(all, sizeof all, "%s\n%s\n%s\n", keys[0], keys[1], keys[2]);
    for (int i = 0; i < 3; i++) {
        talk_begin(&t, keys[i], all);
        talk_whole(&t);
    }
}

static void other_protocols_are_known_by_their_first_bytes(void **state)
{
    (void)state;
    assert_true(handshake_may_become((const uint8_t *)"C", 1));
    assert_true(handshake_may_become((const uint8_t *)"COVEYL\1\1", 8));
    assert_false(handshake_may_become((const uint8_t *)"GET", 3));
    assert_false(handshake_may_become((const uint8_t *)"COVEYM", 6));
}

/* ---- secrets --------------------------------------------------------------------------------------- */

static void malformed_secrets_are_refused(void **state)
{
    struct secret s;
    unsigned line;

    (void)state;
    assert_int_equal(secret_parse(&s, bytes_str(""), &line), ERR_INVALID);
    assert_int_equal(secret_parse(&s, bytes_str("\n \n"), &line), ERR_INVALID);
    assert_int_equal(secret_parse(&s, bytes_str("fifteen letters"), &line), ERR_INVALID);
    assert_int_equal(line, 1);
    assert_int_equal(secret_parse(&s, bytes_str("sixteen letters.\nshort"), &line), ERR_INVALID);
    assert_int_equal(line, 2);
    assert_int_equal(
        secret_parse(&s, bytes_str("sixteen letters1\nsixteen letters2\nsixteen letters3\nsixteen letters4"),
                     &line),
        ERR_INVALID);
    assert_int_equal(line, 4);
    assert_int_equal(secret_parse(&s, bytes_str("sixteen letters."), &line), OK);
}

static void a_key_serves_each_purpose_with_another_value(void **state)
{
    struct secret s = secret_of(keys[0]), t = secret_of(keys[1]), named;

    (void)state;
    assert_memory_not_equal(s.keys[0].link, s.keys[0].datagram, SECRET_KEY_N);
    assert_memory_not_equal(s.keys[0].link, s.keys[0].id, SECRET_ID_N);
    assert_memory_not_equal(s.keys[0].link, t.keys[0].link, SECRET_KEY_N);
    secret_from_name(&named, keys[0]);
    assert_memory_not_equal(s.keys[0].link, named.keys[0].link, SECRET_KEY_N);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_get_the_same_keys),
        cmocka_unit_test(other_random_numbers_make_other_keys),
        cmocka_unit_test(every_byte_of_hello_counts),
        cmocka_unit_test(every_byte_of_reply_counts),
        cmocka_unit_test(every_byte_of_proof_counts),
        cmocka_unit_test(another_secret_is_told_from_a_forged_one),
        cmocka_unit_test(a_replayed_hello_ends_at_the_proof),
        cmocka_unit_test(a_point_of_small_order_is_refused),
        cmocka_unit_test(a_secret_is_changed_without_stopping),
        cmocka_unit_test(three_keys_are_accepted),
        cmocka_unit_test(other_protocols_are_known_by_their_first_bytes),
        cmocka_unit_test(malformed_secrets_are_refused),
        cmocka_unit_test(a_key_serves_each_purpose_with_another_value),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
