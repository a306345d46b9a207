/* SPDX-License-Identifier: Apache-2.0 */
/* The table of bans: which change wins, who is kept out, and for how long. */
#include "node/core/bans.h"

#include "node/core/hlc.h"
#include "node/core/pattern.h"
#include "tests/unit/core/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { NOW_MS = 1000000000, DAY_MS = 24 * 3600 * 1000 };

static int setup(void **state)
{
    struct bans *t = malloc(sizeof *t);
    bans_init(t, 7);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    bans_fini(*state);
    free(*state);
    return 0;
}

static struct rpc_ban ban(enum rpc_ban_as as, const char *who, uint64_t stamp_ms)
{
    return (struct rpc_ban){
        .as = as, .who = bytes_str(who), .at_ms = NOW_MS, .stamp = stamp_ms << HLC_SHIFT, .node = 5};
}

static void put(struct bans *t, enum rpc_ban_as as, const char *who)
{
    struct rpc_ban b = ban(as, who, NOW_MS);
    assert_true(bans_put(t, &b, NOW_MS));
}

static const struct rpc_ban *at(struct bans *t, const char *id, const char *user, const char *address)
{
    struct ban_subject s = {bytes_str(id), bytes_str(user), address};
    return bans_find(t, &s, NOW_MS);
}

static void each_kind(void **state)
{
    struct bans *t = *state;
    assert_null(at(t, "c1", "u1", "10.1.2.3"));
    put(t, BAN_CLIENT_ID, "c1");
    put(t, BAN_USERNAME, "u1");
    put(t, BAN_ADDRESS, "10.1.2.3");
    put(t, BAN_NET, "192.168.0.0/16");
    put(t, BAN_NET, "fe80::/10");
    put(t, BAN_CLIENT_ID_RE, "^bot-[0-9]+$");
    put(t, BAN_USERNAME_RE, "(?i)guest");
    assert_int_equal(at(t, "c1", "", "")->as, BAN_CLIENT_ID);
    assert_int_equal(at(t, "c2", "u1", "")->as, BAN_USERNAME);
    assert_int_equal(at(t, "c2", "", "10.1.2.3")->as, BAN_ADDRESS);
    assert_int_equal(at(t, "c2", "", "::ffff:10.1.2.3")->as, BAN_ADDRESS);
    assert_int_equal(at(t, "c2", "", "192.168.255.1")->as, BAN_NET);
    assert_int_equal(at(t, "c2", "", "febf::1")->as, BAN_NET);
    assert_int_equal(at(t, "bot-12", "", "")->as, BAN_CLIENT_ID_RE);
    assert_int_equal(at(t, "c2", "a GUEST", "")->as, BAN_USERNAME_RE);
    assert_null(at(t, "u1", "c1", "10.1.2.4")); /* not each other's */
    assert_null(at(t, "xbot-12", "", "192.169.0.1"));
    assert_null(at(t, "", "", ""));
    assert_null(at(t, "c2", "", "not an address"));
}

static void the_newer_change_wins(void **state)
{
    struct bans *t = *state;
    struct rpc_ban b = ban(BAN_CLIENT_ID, "c", NOW_MS), gone = b;
    gone.is_gone = true;
    gone.stamp++;
    assert_true(bans_put(t, &gone, NOW_MS));
    assert_false(bans_put(t, &b, NOW_MS)); /* it comes late */
    assert_null(at(t, "c", "", ""));
    b.stamp += 2;
    assert_true(bans_put(t, &b, NOW_MS));
    assert_false(bans_put(t, &b, NOW_MS));
    assert_non_null(at(t, "c", "", ""));
    gone.stamp = b.stamp; /* at the same moment: the greater node */
    gone.node = b.node - 1;
    assert_false(bans_put(t, &gone, NOW_MS));
    gone.node = b.node + 1;
    assert_true(bans_put(t, &gone, NOW_MS));
    assert_null(at(t, "c", "", ""));
    assert_int_equal(t->all.n, 1);
}

static void count_drop(void *ctx, const struct rpc_ban *b)
{
    (void)b;
    ++*(unsigned *)ctx;
}

static void over_and_swept(void **state)
{
    struct bans *t = *state;
    unsigned dropped = 0;
    struct rpc_ban b = ban(BAN_CLIENT_ID, "short", NOW_MS), long_one = ban(BAN_NET, "10.0.0.0/8", NOW_MS);
    struct ban_subject s = {.client_id = bytes_str("short"), .address = "10.0.0.1"};
    b.until_ms = NOW_MS + 1000;
    long_one.until_ms = NOW_MS + 3 * (uint64_t)DAY_MS;
    assert_true(bans_put(t, &b, NOW_MS));
    assert_true(bans_put(t, &long_one, NOW_MS));
    put(t, BAN_CLIENT_ID, "for good");
    assert_int_equal(bans_find(t, &s, NOW_MS + 999)->as, BAN_CLIENT_ID);
    assert_int_equal(bans_find(t, &s, NOW_MS + 1000)->as, BAN_NET);
    bans_sweep(t, NOW_MS + 1000, count_drop, &dropped);
    assert_int_equal(dropped, 0); /* a tombstone for a day */
    bans_sweep(t, NOW_MS + DAY_MS, count_drop, &dropped);
    assert_int_equal(dropped, 1);
    assert_false(bans_put(t, &b, NOW_MS + DAY_MS)); /* and not taken any more */
    assert_non_null(bans_find(t, &s, NOW_MS + DAY_MS));
    bans_sweep(t, NOW_MS + 3 * (uint64_t)DAY_MS, NULL, NULL);
    assert_int_equal(t->all.n, 1);
    assert_true(list_is_empty(&t->nets));
}

/* Whatever order changes arrive in, the tables are the same. */
static void order_does_not_matter(void **state)
{
    struct bans *t = *state, other;
    struct rpc_ban v[200];
    char who[200][8];
    bans_init(&other, 99);
    for (unsigned i = 0; i < 200; i++) {
        snprintf(who[i], sizeof who[i], "c%u", i % 17);
        v[i] = ban(BAN_CLIENT_ID, who[i], NOW_MS + i * 7919 % 200);
        v[i].is_gone = i % 3 == 0;
        v[i].node = i;
    }
    for (unsigned i = 0; i < 200; i++) {
        bans_put(t, &v[i], NOW_MS);
        bans_put(&other, &v[i * 77 % 200], NOW_MS);
    }
    for (unsigned i = 0; i < 200; i++)
        bans_put(&other, &v[199 - i], NOW_MS);
    for (unsigned i = 0; i < 17; i++) {
        const struct ban *a = bans_get(t, BAN_CLIENT_ID, bytes_str(who[i]));
        const struct ban *b = bans_get(&other, BAN_CLIENT_ID, bytes_str(who[i]));
        assert_true(a && b && a->b.stamp == b->b.stamp && a->b.node == b->b.node &&
                    a->b.is_gone == b->b.is_gone);
    }
    bans_fini(&other);
}

/* ---- addresses ------------------------------------------------------------------------------------ */

static void check_net(const char *text, const char *canonical)
{
    struct ip_net net;
    char out[IP_TEXT_N];
    bool is_good = ip_net_parse(&net, bytes_str(text));
    assert_int_equal(is_good, canonical != NULL);
    if (canonical)
        assert_string_equal(ip_net_text(out, &net), canonical);
}

static void networks(void **state)
{
    (void)state;
    check_net("10.1.2.3/8", "10.0.0.0/8");
    check_net("10.1.2.3", "10.1.2.3/32");
    check_net("0.0.0.0/0", "0.0.0.0/0");
    check_net("::/0", "::/0");
    check_net("2001:DB8::1/33", "2001:db8::/33");
    check_net("::ffff:10.1.2.3/104", "10.0.0.0/8");
    const char *const bad[] = {"",
                               "/",
                               "10.0.0.0/",
                               "10.0.0.0/33",
                               "::/129",
                               "10.0.0/8",
                               "10.0.0.0/-1",
                               "10.0.0.0/8 ",
                               "10.0.0.0/08x",
                               "a",
                               "1.2.3.4.5/8",
                               "10.0.0.0/99999999999999"};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        check_net(bad[i], NULL);
    struct ip_net net;
    uint8_t ip[16];
    assert_true(ip_net_parse(&net, bytes_str("10.0.0.128/25")));
    assert_true(ip_parse(ip, bytes_str("10.0.0.255")) && ip_net_has(&net, ip));
    assert_true(ip_parse(ip, bytes_str("10.0.0.127")) && !ip_net_has(&net, ip));
    assert_true(ip_parse(ip, bytes_str("::1")) && !ip_net_has(&net, ip));
}

/* ---- expressions ---------------------------------------------------------------------------------- */

static void bad_expressions(void **state)
{
    char why[128], deep[201], longer[PATTERN_BYTES_MAX + 2];
    (void)state;
    memset(deep, '(', 100);
    memset(deep + 100, ')', 100);
    deep[200] = 0;
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    const char *const bad[] = {"", "(", "[a", "*a", "a{2,1}", "\\C", deep, longer};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why[0] = 0;
        assert_null(pattern_new(bytes_str(bad[i]), why, sizeof why));
        assert_true(why[0] != 0);
    }
}

/* An expression that would take until the end of the world comes back at once, and is not a no. */
static void bounded_expressions(void **state)
{
    char why[128], name[60000];
    (void)state;
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = 0;
    const char *const evil[] = {"^(a+)+$", "^(a|aa)+$", "(.*)*x.*y", "^((a|b|ab|ba)*)*c$"};
    for (unsigned i = 0; i < sizeof evil / sizeof evil[0]; i++) {
        struct pattern *p = pattern_new(bytes_str(evil[i]), why, sizeof why);
        assert_non_null(p);
        name[40] = '!';
        (void)pattern_find(p, bytes_of(name, 41));
        (void)pattern_find(p, bytes_of(name, sizeof name - 1));
        pattern_free(p);
    }
    struct pattern *p = pattern_new(bytes_str("^(a+)+$"), why, sizeof why);
    assert_int_equal(pattern_find(p, bytes_of(name, 41)), PATTERN_UNDECIDED);
    assert_int_equal(pattern_find(p, bytes_str("aaa")), PATTERN_YES);
    assert_int_equal(pattern_find(p, bytes_str("b")), PATTERN_NO);
    assert_int_equal(pattern_find(p, bytes_str("\xff\xfe")), PATTERN_UNDECIDED);
    pattern_free(p);
    p = pattern_new(bytes_str("x$"), why, sizeof why); /* an honest one and a long honest name */
    name[40] = 'a';
    assert_int_equal(pattern_find(p, bytes_of(name, sizeof name - 1)), PATTERN_NO);
    pattern_free(p);
}

static void undecided_is_out(void **state)
{
    struct bans *t = *state;
    put(t, BAN_CLIENT_ID_RE, "^(a+)+$");
    assert_non_null(at(t, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", "", ""));
    assert_null(at(t, "b", "", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(the_newer_change_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(over_and_swept, setup, teardown),
        cmocka_unit_test_setup_teardown(order_does_not_matter, setup, teardown),
        cmocka_unit_test(networks),
        cmocka_unit_test(bad_expressions),
        cmocka_unit_test(bounded_expressions),
        cmocka_unit_test_setup_teardown(undecided_is_out, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
