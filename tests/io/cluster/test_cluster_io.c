/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/mail.h"
#include "proto/base/check.h"
#include "tests/io/cluster/rig.h"

#include <sys/socket.h>

static void do_echo(struct mesh *m, void *arg)
{
    (void)arg;
    m->is_echo = true;
}

static void do_pattern(struct mesh *m, void *arg)
{
    stub_send_pattern(m, *(uint64_t *)arg);
}

static struct peer *only_peer(struct mesh *m)
{
    return list_is_empty(&m->peers) ? NULL : container_of(m->peers.next, struct peer, link);
}

static bool has_received(struct mesh *m, void *arg)
{
    struct peer *p = only_peer(m);
    return p && p->received == *(uint64_t *)arg;
}

static bool has_last(struct mesh *m, void *arg)
{
    struct peer *p = only_peer(m);
    return p && strstr(p->last, arg);
}

static void expect_good(struct mesh *m, void *arg)
{
    (void)arg;
    assert_int_equal(only_peer(m)->bad, 0);
}

static void two_start(struct rig *a, struct rig *b)
{
    struct net_addr to;

    rig_init(a, 1);
    rig_init(b, 2);
    rig_start(a);
    rig_start(b);
    to = rig_addr(b);
    rig_dial(a, &to);
    rig_wait_peers(a, 1);
    rig_wait_peers(b, 1);
}

static void two_stop(struct rig *a, struct rig *b)
{
    rig_stop(a);
    rig_stop(b);
}

/* ---- links ----------------------------------------------------------------------------------------- */

static void bytes_go_both_ways_in_order(void **state)
{
    static struct rig a, b;
    uint64_t n = 24 << 20;

    (void)state;
    two_start(&a, &b);
    rig_ask(&b, do_echo, NULL);
    rig_ask(&a, do_pattern, &n);
    rig_wait(&a, has_received, &n);
    rig_ask(&a, expect_good, NULL);
    rig_ask(&b, expect_good, NULL);
    struct cluster_io_stats s = rig_stats(&a);
    assert_int_equal(s.connections, 1);
    assert_int_equal(s.established, 1);
    assert_int_equal(s.half_open, 0);
    assert_true(s.send_bytes > n && s.send_bytes < n + n / 100);
    assert_true(s.recv_bytes > n);
    two_stop(&a, &b);
}

static void both_send_at_once(void **state)
{
    static struct rig a, b;
    uint64_t n = 16 << 20;

    (void)state;
    two_start(&a, &b);
    rig_ask(&a, do_pattern, &n);
    rig_ask(&b, do_pattern, &n);
    rig_wait(&a, has_received, &n);
    rig_wait(&b, has_received, &n);
    rig_ask(&a, expect_good, NULL);
    rig_ask(&b, expect_good, NULL);
    two_stop(&a, &b);
}

static void ipv6_works_too(void **state)
{
    static struct rig a, b;
    struct net_addr to;

    (void)state;
    rig_init(&a, 1);
    rig_init(&b, 2);
    a.conf.bind = b.conf.bind = (struct net_addr){.ip = {[15] = 1}};
    rig_start(&a);
    rig_start(&b);
    to = rig_addr(&b);
    assert_false(net_addr_is_v4(&to));
    rig_dial(&a, &to);
    rig_wait_peers(&a, 1);
    two_stop(&a, &b);
}

static void a_dial_that_is_refused_is_told(void **state)
{
    static struct rig a, b;
    struct net_addr to;

    (void)state;
    rig_init(&a, 1);
    rig_init(&b, 2);
    rig_start(&a);
    rig_start(&b);
    to = rig_addr(&b);
    rig_stop(&b); /* nobody listens there now */
    rig_dial(&a, &to);
    for (int i = 0; i < 20000 && rig_stats(&a).dials_failed == 0; i++)
        rig_pause();
    assert_int_equal(rig_stats(&a).dials_failed, 1);
    rig_stop(&a);
}

static bool has_waiting(struct mesh *m, void *arg)
{
    (void)arg;
    return m->ticks > 10 && stub_waiting(m) > 0;
}

static void do_close_all(struct mesh *m, void *arg)
{
    (void)arg;
    stub_close_all(m);
}

static void a_peer_that_does_not_read_holds_no_memory(void **state)
{
    static struct rig a;
    struct raw c;
    uint64_t n = 64 << 20;

    (void)state;
    rig_init(&a, 1);
    rig_start(&a);
    raw_open(&c, &a, 1);
    raw_shake(&c, &a);
    rig_wait_peers(&a, 1);
    rig_ask(&a, do_pattern, &n);
    rig_wait(&a, has_waiting, NULL);
    /* What the kernel took is gone; nearly all of it waits in the mesh, not in the connection. */
    struct cluster_io_stats s = rig_stats(&a);
    assert_true(s.send_bytes < n / 2);
    assert_true(s.records_sent * SEAL_PLAIN_MAX <= s.send_bytes + 2 * 256 * 1024);
    /* The mesh gives it up: that ends it although nothing can be written. */
    rig_ask(&a, do_close_all, NULL);
    rig_wait_peers(&a, 0);
    raw_expect_end(&c);
    raw_close(&c);
    rig_stop(&a);
}

static void a_peer_that_resets_is_gone(void **state)
{
    static struct rig a;
    struct raw c;

    (void)state;
    rig_init(&a, 1);
    rig_start(&a);
    for (int i = 0; i < 3; i++) {
        raw_open(&c, &a, 1);
        raw_shake(&c, &a);
        rig_wait_peers(&a, 1);
        if (i == 1)
            raw_close(&c);
        else
            raw_reset(&c);
        rig_wait_peers(&a, 0);
    }
    assert_int_equal(rig_stats(&a).connections, 0);
    rig_stop(&a);
}

static void records_arrive_whole_however_they_are_cut(void **state)
{
    static struct rig a;
    struct raw c;
    uint8_t record[SEAL_RECORD_MAX];
    char last[] = "behind it";
    uint64_t expected = 1000 + 3;
    uint32_t n;

    (void)state;
    rig_init(&a, 1);
    rig_start(&a);
    raw_open(&c, &a, 1);
    raw_shake(&c, &a);
    for (uint32_t i = 0; i < 1000; i++)
        record[SEAL_LENGTH_N + i] = stub_byte(i);
    n = seal_put(&c.tx, record, 1000);
    for (uint32_t i = 0; i < n; i++)
        raw_send(&c, record + i, 1);
    /* Three records in one piece. */
    uint8_t *p = record;
    for (uint32_t i = 0; i < 3; i++) {
        p[SEAL_LENGTH_N] = stub_byte(1000 + i);
        p += seal_put(&c.tx, p, 1);
    }
    raw_send(&c, record, (size_t)(p - record));
    rig_wait(&a, has_received, &expected);
    rig_ask(&a, expect_good, NULL);
    raw_send_record(&c, last);
    rig_wait(&a, has_last, last);
    raw_close(&c);
    rig_stop(&a);
}

static void do_farewell(struct mesh *m, void *arg)
{
    (void)arg;
    stub_send_text(m, "farewell");
}

static void a_wire_that_closes_is_written_to_the_end(void **state)
{
    static struct rig a;
    struct raw c;

    (void)state;
    rig_init(&a, 1);
    rig_start(&a);
    raw_open(&c, &a, 1);
    raw_shake(&c, &a);
    rig_wait_peers(&a, 1);
    cluster_io_call(a.io, do_farewell, NULL);
    rig_ask(&a, do_close_all, NULL);
    raw_expect_record(&c, "farewell");
    raw_expect_end(&c);
    raw_close(&c);
    rig_wait_peers(&a, 0);
    rig_stop(&a);
}

static void do_bye(struct mesh *m, void *arg)
{
    m->bye = arg;
}

static void leaving_says_bye(void **state)
{
    static struct rig a;
    static char bye[] = "bye";
    struct raw c;

    (void)state;
    rig_init(&a, 1);
    rig_start(&a);
    raw_open(&c, &a, 1);
    raw_shake(&c, &a);
    rig_wait_peers(&a, 1);
    rig_ask(&a, do_bye, bye);
    cluster_io_stop(a.io, 5000);
    raw_expect_record(&c, "bye");
    raw_expect_end(&c);
    assert_int_equal(cluster_io_ask(a.io, do_echo, NULL), ERR_CLOSED);
    raw_close(&c);
    rig_stop(&a);
}

static void a_node_that_is_cut_says_nothing(void **state)
{
    static struct rig a;
    static char bye[] = "bye";
    struct raw c;
    char b;

    (void)state;
    rig_init(&a, 1);
    rig_start(&a);
    raw_open(&c, &a, 1);
    raw_shake(&c, &a);
    rig_wait_peers(&a, 1);
    rig_ask(&a, do_bye, bye);
    cluster_io_cut(a.io);
    assert_true(recv(c.fd, &b, 1, 0) <= 0);
    raw_close(&c);
    rig_stop(&a);
}

/* ---- datagrams and mail ---------------------------------------------------------------------------- */

static void do_datagrams(struct mesh *m, void *arg)
{
    m->datagram.to = *(struct net_addr *)arg;
    m->datagram.n = MEMBER_DATAGRAM_MAX;
    memset(m->datagram.b, 'x', MEMBER_DATAGRAM_MAX);
    m->datagrams_out = 100;
}

static bool has_datagrams(struct mesh *m, void *arg)
{
    return m->datagrams_in == *(uint32_t *)arg;
}

static bool comes_from(struct mesh *m, void *arg)
{
    return net_addr_eq(&m->datagram_from, arg);
}

static void datagrams_arrive_with_their_sender(void **state)
{
    static struct rig a, b;
    struct net_addr to, from;
    uint32_t n = 100;

    (void)state;
    rig_init(&a, 1);
    rig_init(&b, 2);
    rig_start(&a);
    rig_start(&b);
    to = rig_addr(&b);
    from = rig_addr(&a);
    rig_ask(&a, do_datagrams, &to);
    rig_wait(&b, has_datagrams, &n);
    rig_wait(&b, comes_from, &from);
    assert_int_equal(rig_stats(&a).datagrams_sent, 100);
    assert_int_equal(rig_stats(&b).datagrams_received, 100);
    two_stop(&a, &b);
}

static void bags_reach_the_mesh_and_come_back(void **state)
{
    static struct rig a;

    (void)state;
    rig_init(&a, 1);
    rig_start(&a);
    for (uint32_t i = 0; i < 10; i++) {
        struct mailbag *bag = calloc(1, sizeof *bag);
        assert_non_null(bag);
        bag->from = i % 2;
        cluster_io_post_bag(a.io, bag);
        while (a.posted[i % 2] != i / 2 + 1)
            rig_pause();
    }
    /* One that comes too late is still worked off. */
    cluster_io_stop(a.io, 0);
    cluster_io_post_bag(a.io, calloc(1, sizeof(struct mailbag)));
    rig_stop(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways_in_order),
        cmocka_unit_test(both_send_at_once),
        cmocka_unit_test(ipv6_works_too),
        cmocka_unit_test(a_dial_that_is_refused_is_told),
        cmocka_unit_test(a_peer_that_does_not_read_holds_no_memory),
        cmocka_unit_test(a_peer_that_resets_is_gone),
        cmocka_unit_test(records_arrive_whole_however_they_are_cut),
        cmocka_unit_test(a_wire_that_closes_is_written_to_the_end),
        cmocka_unit_test(leaving_says_bye),
        cmocka_unit_test(a_node_that_is_cut_says_nothing),
        cmocka_unit_test(datagrams_arrive_with_their_sender),
        cmocka_unit_test(bags_reach_the_mesh_and_come_back),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
