/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/datagram.h"
#include "tests/io/cluster/rig.h"

#include <sys/resource.h>
#include <unistd.h>

static void start(struct rig *r)
{
    rig_init(r, 1);
    rig_start(r);
}

/* Still serves those who have the secret. */
static void expect_serving(struct rig *r)
{
    struct raw c;

    raw_open(&c, r, 1);
    raw_shake(&c, r);
    rig_wait_peers(r, 1);
    raw_close(&c);
    rig_wait_peers(r, 0);
}

/* ---- handshakes ------------------------------------------------------------------------------------ */

static void another_secret_is_refused_and_counted_on_both_sides(void **state)
{
    static struct rig a, b;
    struct net_addr to;

    (void)state;
    rig_init(&a, 1);
    rig_init(&b, 2);
    rig_secret(&a, "one secret of sixteen or more\n", 0600);
    rig_secret(&b, "another secret of that kind\n", 0400);
    rig_start(&a);
    rig_start(&b);
    to = rig_addr(&b);
    rig_dial(&a, &to);
    rig_wait_fault(&b, CLUSTER_FAULT_HANDSHAKE_KEY, 1);
    rig_wait_fault(&a, CLUSTER_FAULT_HANDSHAKE_CLOSED, 1);
    rig_wait_peers(&a, 0);
    assert_int_equal(rig_stats(&a).dials_failed, 1);
    assert_int_equal(rig_logged(&b, "reason=handshake_key"), 1);
    expect_serving(&b);
    rig_stop(&a);
    rig_stop(&b);
}

static void other_protocols_are_cut_at_once(void **state)
{
    static struct rig a;
    struct raw c;

    (void)state;
    start(&a);
    raw_open(&c, &a, 1);
    raw_send(&c, "GET / HTTP/1.1\r\n", 16);
    raw_expect_end(&c);
    raw_close(&c);
    raw_open(&c, &a, 1);
    raw_send(&c, "\x10", 1); /* CONNECT */
    raw_expect_end(&c);
    raw_close(&c);
    rig_wait_fault(&a, CLUSTER_FAULT_HANDSHAKE_MALFORMED, 2);
    assert_int_equal(rig_logged(&a, "reason=handshake_malformed"), 1); /* once a second */
    expect_serving(&a);
    rig_stop(&a);
}

static void hello_sent(struct raw *c, struct rig *r, uint32_t change_at)
{
    uint8_t random[HANDSHAKE_RANDOM_N] = {1}, out[HANDSHAKE_MESSAGE_MAX];
    struct secret s = raw_secret(r);
    struct handshake h;

    handshake_dial(&h, &s, random, out);
    out[change_at] ^= 1;
    raw_open(c, r, 1);
    raw_send(c, out, HANDSHAKE_HELLO_N);
}

static void changed_handshakes_are_refused(void **state)
{
    static struct rig a;
    struct raw c;
    uint8_t reply[HANDSHAKE_REPLY_N], proof[HANDSHAKE_PROOF_N] = {0};

    (void)state;
    start(&a);
    hello_sent(&c, &a, 6);
    raw_expect_end(&c);
    raw_close(&c);
    rig_wait_fault(&a, CLUSTER_FAULT_HANDSHAKE_VERSION, 1);
    hello_sent(&c, &a, HANDSHAKE_HELLO_N - 1);
    raw_expect_end(&c);
    raw_close(&c);
    rig_wait_fault(&a, CLUSTER_FAULT_HANDSHAKE_FORGED, 1);
    hello_sent(&c, &a, 7); /* the offer is part of what is proven */
    raw_expect_end(&c);
    raw_close(&c);
    rig_wait_fault(&a, CLUSTER_FAULT_HANDSHAKE_FORGED, 2);
    /* An honest HELLO that somebody recorded: he gets an answer, and no further. */
    uint8_t random[HANDSHAKE_RANDOM_N] = {1}, out[HANDSHAKE_MESSAGE_MAX];
    struct secret s = raw_secret(&a);
    struct handshake h;
    handshake_dial(&h, &s, random, out);
    raw_open(&c, &a, 1);
    raw_send(&c, out, HANDSHAKE_HELLO_N);
    raw_recv(&c, reply, sizeof reply);
    raw_send(&c, proof, sizeof proof);
    raw_expect_end(&c);
    raw_close(&c);
    rig_wait_fault(&a, CLUSTER_FAULT_HANDSHAKE_FORGED, 3);
    assert_int_equal(rig_stats(&a).established, 0);
    expect_serving(&a);
    rig_stop(&a);
}

static void silence_is_cut_after_some_seconds(void **state)
{
    static struct rig a;
    struct raw c;

    (void)state;
    start(&a);
    raw_open(&c, &a, 1);
    raw_send(&c, "COVEY", 5);
    raw_expect_end(&c);
    raw_close(&c);
    rig_wait_fault(&a, CLUSTER_FAULT_HANDSHAKE_TIMEOUT, 1);
    rig_wait_half_open(&a, 0);
    rig_stop(&a);
}

static void half_open_connections_are_bounded(void **state)
{
    enum { N = 100, PER_SOURCE = 5 };
    static struct rig a;
    static struct raw c[N];

    (void)state;
    start(&a);
    for (int i = 0; i < N; i++)
        raw_open(&c[i], &a, (uint8_t)(10 + i / PER_SOURCE));
    rig_wait_fault(&a, CLUSTER_FAULT_HALF_OPEN_MAX, N - 64);
    rig_wait_half_open(&a, 64); /* the last one gives way before the next is counted */
    assert_int_equal(rig_stats(&a).faults[CLUSTER_FAULT_HALF_OPEN_SOURCE_MAX], 0);
    raw_expect_end(&c[0]); /* the oldest gave way */
    expect_serving(&a);    /* and another one for this */
    for (int i = 0; i < N; i++)
        raw_close(&c[i]);
    rig_stop(&a);
}

static void one_source_does_not_take_the_places_of_the_others(void **state)
{
    enum { N = 40 };
    static struct rig a;
    static struct raw c[N], other;

    (void)state;
    start(&a);
    raw_open(&other, &a, 9);
    for (int i = 0; i < N; i++)
        raw_open(&c[i], &a, 10);
    rig_wait_fault(&a, CLUSTER_FAULT_HALF_OPEN_SOURCE_MAX, N - 16);
    rig_wait_half_open(&a, 17);
    raw_shake(&other, &a);
    rig_wait_peers(&a, 1);
    for (int i = 0; i < N; i++)
        raw_close(&c[i]);
    raw_close(&other);
    rig_stop(&a);
}

static void without_descriptors_it_waits(void **state)
{
    static struct rig a;
    struct rlimit was, little;
    struct raw c;
    int reserve;

    (void)state;
    start(&a);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    reserve = dup(0);
    raw_open(&c, &a, 1);
    raw_shake(&c, &a);
    rig_wait_peers(&a, 1);
    raw_close(&c);
    rig_wait_peers(&a, 0);
    /* One is left, and the client takes it. */
    little = was;
    little.rlim_cur = (rlim_t)reserve + 1;
    close(reserve);
    while ((reserve = dup(0)) >= 0 && reserve < (int)little.rlim_cur - 1)
        ;
    close(reserve);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &little), 0);
    raw_open(&c, &a, 1);
    rig_wait_fault(&a, CLUSTER_FAULT_DESCRIPTORS, 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    raw_shake(&c, &a);
    rig_wait_peers(&a, 1);
    raw_close(&c);
    rig_stop(&a);
}

/* ---- records --------------------------------------------------------------------------------------- */

static void impossible_records_end_the_connection(void **state)
{
    static const uint32_t lengths[] = {0x7fffffff, 0xffffffff, SEAL_PLAIN_MAX + SEAL_TAG_N + 1, 0,
                                       SEAL_TAG_N};
    static struct rig a;
    struct raw c;
    uint8_t b[SEAL_LENGTH_N];

    (void)state;
    start(&a);
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        raw_open(&c, &a, 1);
        raw_shake(&c, &a);
        rig_wait_peers(&a, 1);
        be32_put(b, lengths[i]);
        raw_send(&c, b, sizeof b);
        raw_expect_end(&c);
        raw_close(&c);
        rig_wait_peers(&a, 0);
        rig_wait_fault(&a, CLUSTER_FAULT_RECORD_LENGTH, i + 1);
    }
    rig_stop(&a);
}

static void forged_records_end_the_connection(void **state)
{
    static struct rig a;
    struct raw c;
    uint8_t record[SEAL_LENGTH_N + 100 + SEAL_TAG_N] = {0};

    (void)state;
    start(&a);
    raw_open(&c, &a, 1);
    raw_shake(&c, &a);
    raw_send_record(&c, "good");
    uint32_t n = seal_put(&c.tx, record, 100);
    record[50] ^= 1;
    raw_send(&c, record, n);
    raw_expect_end(&c);
    raw_close(&c);
    rig_wait_fault(&a, CLUSTER_FAULT_RECORD_FORGED, 1);
    rig_wait_peers(&a, 0);
    rig_stop(&a);
}

/* ---- datagrams ------------------------------------------------------------------------------------- */

static bool has_datagrams(struct mesh *m, void *arg)
{
    return m->datagrams_in == *(uint32_t *)arg;
}

static uint32_t sealed(struct rig *r, uint8_t out[DATAGRAM_MAX], uint8_t sender, uint64_t epoch,
                       uint64_t counter)
{
    struct secret s = raw_secret(r);
    struct datagram_head head = {.sender = {{sender}}, .epoch = epoch, .counter = counter};
    uint8_t nonce[DATAGRAM_NONCE_N] = {sender, (uint8_t)counter};

    return datagram_seal(out, &s, nonce, &head, bytes_str("ping"));
}

static void datagrams_count_once(void **state)
{
    static struct rig a;
    uint8_t d[DATAGRAM_MAX], big[1500] = {1};
    uint32_t n, one = 1, two = 2;

    (void)state;
    start(&a);
    n = sealed(&a, d, 7, 3, 10);
    raw_datagram(&a, d, n);
    rig_wait(&a, has_datagrams, &one);
    raw_datagram(&a, d, n);
    rig_wait_fault(&a, CLUSTER_FAULT_DATAGRAM_REPLAYED, 1);
    n = sealed(&a, d, 7, 2, 11); /* of an earlier life */
    raw_datagram(&a, d, n);
    rig_wait_fault(&a, CLUSTER_FAULT_DATAGRAM_REPLAYED, 2);
    n = sealed(&a, d, 7, 3, 11);
    raw_datagram(&a, d, n - 1);
    rig_wait_fault(&a, CLUSTER_FAULT_DATAGRAM_FORGED, 1);
    raw_datagram(&a, d, 20);
    rig_wait_fault(&a, CLUSTER_FAULT_DATAGRAM_MALFORMED, 1);
    raw_datagram(&a, "", 0);
    rig_wait_fault(&a, CLUSTER_FAULT_DATAGRAM_MALFORMED, 2);
    raw_datagram(&a, big, sizeof big);
    rig_wait_fault(&a, CLUSTER_FAULT_DATAGRAM_MALFORMED, 3);
    d[3] ^= 1;
    raw_datagram(&a, d, n);
    rig_wait_fault(&a, CLUSTER_FAULT_DATAGRAM_KEY, 1);
    d[3] ^= 1;
    raw_datagram(&a, d, n);
    rig_wait(&a, has_datagrams, &two);
    /* Its own, sent back by somebody. */
    n = sealed(&a, d, 1, 1, 1);
    raw_datagram(&a, d, n);
    for (int i = 0; i < 20000 && rig_stats(&a).datagrams_own == 0; i++)
        rig_pause();
    assert_int_equal(rig_stats(&a).datagrams_own, 1);
    rig_wait(&a, has_datagrams, &two);
    rig_stop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_secret_is_refused_and_counted_on_both_sides),
        cmocka_unit_test(other_protocols_are_cut_at_once),
        cmocka_unit_test(changed_handshakes_are_refused),
        cmocka_unit_test(silence_is_cut_after_some_seconds),
        cmocka_unit_test(half_open_connections_are_bounded),
        cmocka_unit_test(one_source_does_not_take_the_places_of_the_others),
        cmocka_unit_test(without_descriptors_it_waits),
        cmocka_unit_test(impossible_records_end_the_connection),
        cmocka_unit_test(forged_records_end_the_connection),
        cmocka_unit_test(datagrams_count_once),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
