/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/sockaddr.h"
#include "tests/io/cluster/dns.h"
#include "tests/io/cluster/rig.h"

#include <stdio.h>

/* ---- bind and secret ------------------------------------------------------------------------------- */

static void expect_refused(struct rig *r, enum err e, const char *logged)
{
    assert_int_equal(cluster_io_new(&r->io, &r->conf), e);
    r->io = NULL;
    assert_int_equal(rig_logged(r, logged), 1);
}

static void what_cannot_be_bound_is_named(void **state)
{
    static struct rig a, b;

    (void)state;
    rig_init(&a, 1);
    rig_start(&a);
    rig_init(&b, 2);
    b.conf.bind.port = cluster_io_port(a.io);
    expect_refused(&b, ERR_EXISTS, "bind_failed transport=tcp address=127.0.0.1:");
    rig_init(&b, 2);
    rig_secret(&b, "a secret of sixteen characters\n", 0600);
    b.conf.bind = net_addr_v4(192, 0, 2, 77, 7946);
    expect_refused(&b, ERR_INVALID, "address=192.0.2.77:7946");
    rig_stop(&b);
    rig_stop(&a);
}

static void others_can_reach_it_only_with_a_secret(void **state)
{
    static struct rig a;

    (void)state;
    rig_init(&a, 1);
    a.conf.bind = net_addr_v4(0, 0, 0, 0, 0);
    expect_refused(&a, ERR_DENIED, "secret_missing bind=0.0.0.0:0");
    rig_init(&a, 1);
    rig_secret(&a, "a secret of sixteen characters\n", 0600);
    a.conf.bind = net_addr_v4(0, 0, 0, 0, 0);
    rig_start(&a);
    struct net_addr own = rig_addr(&a);
    assert_false(net_addr_is_any(&own));
    assert_int_equal(own.port, cluster_io_port(a.io));
    rig_stop(&a);
}

static void what_is_advertised_may_be_configured(void **state)
{
    static struct rig a;

    (void)state;
    rig_init(&a, 1);
    a.conf.mesh.advertise = net_addr_v4(198, 51, 100, 3, 1234);
    rig_start(&a);
    struct net_addr own = rig_addr(&a);
    assert_true(net_addr_eq(&own, &a.conf.mesh.advertise));
    rig_stop(&a);
}

static void secrets_that_others_can_read_are_refused(void **state)
{
    static const unsigned modes[] = {0640, 0604, 0660, 0610, 0644};
    static struct rig a;

    (void)state;
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        char logged[32];
        rig_init(&a, 1);
        rig_secret(&a, "a secret of sixteen characters\n", modes[i]);
        snprintf(logged, sizeof logged, "mode=%04o", modes[i]);
        expect_refused(&a, ERR_DENIED, logged);
        assert_int_equal(rig_logged(&a, a.secret_file), 1);
        rig_stop(&a);
    }
}

static void secrets_that_are_none_are_refused(void **state)
{
    static struct rig a;
    static char big[5000];

    (void)state;
    rig_init(&a, 1);
    a.conf.secret_file = "/nonexistent/secret";
    expect_refused(&a, ERR_NOTFOUND, "file=/nonexistent/secret");
    rig_init(&a, 1);
    rig_secret(&a, "short\n", 0600);
    expect_refused(&a, ERR_INVALID, "secret_malformed");
    rig_secret(&a, "", 0600);
    assert_int_equal(cluster_io_new(&a.io, &a.conf), ERR_INVALID);
    memset(big, 'k', sizeof big - 1);
    rig_secret(&a, big, 0600);
    assert_int_equal(cluster_io_new(&a.io, &a.conf), ERR_INVALID);
    a.io = NULL;
    rig_stop(&a);
}

static void malformed_seeds_are_named(void **state)
{
    static const char *const bad[] = {"",     "node:",  "node:0", "node:65536", "node:12x",
                                      "[::1", "[::1]7", "a:b:c",  ":1"};
    static struct rig a;

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        rig_init(&a, 1);
        a.conf.seeds = &bad[i];
        a.conf.seeds_n = 1;
        expect_refused(&a, ERR_INVALID, "seed_malformed");
    }
}

static void secret_now(struct rig *r, const char *text, unsigned mode, uint64_t reloads, uint64_t failures)
{
    rig_secret(r, text, mode);
    for (int i = 0; i < 20000; i++) {
        struct cluster_io_stats s = rig_stats(r);
        if (s.secret_reloads >= reloads && s.faults[CLUSTER_FAULT_SECRET_UNUSABLE] >= failures)
            return;
        rig_pause();
    }
    fail_msg("the secret was not looked at");
}

static void secrets_change_while_it_runs(void **state)
{
    static struct rig a;
    struct raw c;

    (void)state;
    rig_init(&a, 1);
    rig_secret(&a, "the first secret of ours\n", 0600);
    rig_start(&a);
    secret_now(&a, "the other secret of ours\nthe first secret of ours\n", 0600, 1, 0);
    raw_open(&c, &a, 1);
    raw_shake(&c, &a); /* with the new one: the first line */
    rig_wait_peers(&a, 1);
    raw_close(&c);
    rig_wait_peers(&a, 0);
    /* One that cannot be used changes nothing. */
    secret_now(&a, "bad\n", 0600, 1, 1);
    rig_secret(&a, "the first secret of ours\n", 0600);
    raw_open(&c, &a, 1);
    raw_shake(&c, &a);
    rig_wait_peers(&a, 1);
    raw_close(&c);
    rig_stop(&a);
}

/* ---- seeds ----------------------------------------------------------------------------------------- */

struct expected {
    const char *seeds[4];
};

static bool has_seeds(struct mesh *m, void *arg)
{
    const struct expected *e = arg;
    uint32_t n = 0;

    for (; n < 4 && e->seeds[n]; n++) {
        struct net_addr want;
        bool found = false;
        assert_true(net_addr_parse(&want, e->seeds[n], 0));
        for (uint32_t i = 0; i < m->seeds_n; i++)
            found |= net_addr_eq(&want, &m->seeds[i]);
        if (!found)
            return false;
    }
    return m->seeds_n == n;
}

static void numbers_are_told_at_once(void **state)
{
    /* The last one is the node itself. */
    static const char *const seeds[] = {"127.0.0.5:7001", "[::1]:7002", "127.0.0.6", "127.0.0.1"};
    static struct rig a;
    char last[32];

    (void)state;
    rig_init(&a, 1);
    a.conf.seeds = seeds;
    a.conf.seeds_n = 4;
    rig_start(&a);
    snprintf(last, sizeof last, "127.0.0.6:%u", cluster_io_port(a.io));
    struct expected e = {{"127.0.0.5:7001", "[::1]:7002", last}};
    rig_wait(&a, has_seeds, &e);
    rig_stop(&a);
}

static void names_of_the_hosts_file_are_found(void **state)
{
    static const char *const seeds[] = {"localhost:7003"};
    static struct rig a;
    struct expected e = {{"127.0.0.1:7003"}};

    (void)state;
    rig_init(&a, 1);
    a.conf.seeds = seeds;
    a.conf.seeds_n = 1;
    rig_start(&a);
    rig_wait(&a, has_seeds, &e);
    rig_stop(&a);
}

static void dns_rig(struct rig *r, struct dns *d, enum cluster_dns kind, const char *name)
{
    rig_init(r, 1);
    r->conf.dns = kind;
    r->conf.dns_name = name;
    r->conf.dns_port = 7004;
    r->conf.dns_servers = d->address;
    r->conf.resolve_ms = 50;
    rig_start(r);
}

static void addresses_and_services_are_asked_for(void **state)
{
    static struct rig a;
    static struct dns d;
    struct expected v4 = {{"127.0.0.21:7004", "127.0.0.22:7004"}}, v6 = {{"[::1]:7004"}},
                    srv = {{"127.0.0.21:7001", "127.0.0.22:7001"}};

    (void)state;
    dns_start(&d);
    dns_rig(&a, &d, CLUSTER_DNS_A, "node.test.");
    rig_wait(&a, has_seeds, &v4);
    rig_stop(&a);
    dns_rig(&a, &d, CLUSTER_DNS_AAAA, "v6.test.");
    rig_wait(&a, has_seeds, &v6);
    rig_stop(&a);
    dns_rig(&a, &d, CLUSTER_DNS_SRV, "_covey._tcp.test.");
    rig_wait(&a, has_seeds, &srv);
    rig_stop(&a);
    dns_stop(&d);
}

static bool told_often(struct mesh *m, void *arg)
{
    return m->seeds_told >= *(uint32_t *)arg;
}

static void a_name_that_fails_keeps_its_addresses(void **state)
{
    static struct rig a;
    static struct dns d;
    struct expected none = {{NULL}}, v4 = {{"127.0.0.21:7004", "127.0.0.22:7004"}};
    uint32_t often = 4;

    (void)state;
    dns_start(&d);
    d.is_mute = true;
    dns_rig(&a, &d, CLUSTER_DNS_A, "node.test.");
    rig_wait(&a, told_often, &often);
    rig_wait(&a, has_seeds, &none);
    d.is_mute = false;
    rig_wait(&a, has_seeds, &v4);
    d.is_mute = true;
    for (uint64_t failed = rig_stats(&a).resolves_failed; rig_stats(&a).resolves_failed < failed + 3;)
        rig_pause();
    rig_wait(&a, has_seeds, &v4);
    rig_stop(&a);
    dns_stop(&d);
}

/* Nobody answers: the thread does not wait for it, nor does its end. */
static void a_name_server_that_is_silent_holds_up_nothing(void **state)
{
    static struct rig a;
    static struct dns d;

    (void)state;
    dns_start(&d);
    dns_rig(&a, &d, CLUSTER_DNS_SRV, "_covey._tcp.test.");
    rig_stop(&a);
    rig_init(&a, 1);
    a.conf.dns = CLUSTER_DNS_A;
    a.conf.dns_name = "node.test.";
    a.conf.dns_servers = "127.0.0.1:9";
    rig_start(&a);
    rig_wait_peers(&a, 0);
    rig_stop(&a);
    dns_stop(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_bound_is_named),
        cmocka_unit_test(others_can_reach_it_only_with_a_secret),
        cmocka_unit_test(what_is_advertised_may_be_configured),
        cmocka_unit_test(secrets_that_others_can_read_are_refused),
        cmocka_unit_test(secrets_that_are_none_are_refused),
        cmocka_unit_test(malformed_seeds_are_named),
        cmocka_unit_test(secrets_change_while_it_runs),
        cmocka_unit_test(numbers_are_told_at_once),
        cmocka_unit_test(names_of_the_hosts_file_are_found),
        cmocka_unit_test(addresses_and_services_are_asked_for),
        cmocka_unit_test(a_name_that_fails_keeps_its_addresses),
        cmocka_unit_test(a_name_server_that_is_silent_holds_up_nothing),
    };

    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
