/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/access.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <cmocka.h>

static struct sockaddr_storage addr_of(const char *text)
{
    struct sockaddr_storage s = {0};
    if (strchr(text, ':')) {
        s.ss_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&s)->sin6_addr), 1);
    } else {
        s.ss_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text, &((struct sockaddr_in *)&s)->sin_addr), 1);
    }
    return s;
}

static bool allows(const struct access *a, const char *text)
{
    struct sockaddr_storage s = addr_of(text);
    return access_allows(a, &s);
}

static void the_first_rule_that_fits_decides(void **state)
{
    static const char *const rules[] = {"deny 10.0.0.7", "allow 10.0.0.0/8", "allow 2001:db8::/32",
                                        "deny all"};
    struct access *a = access_new(rules, 4);
    (void)state;
    assert_true(allows(a, "10.1.2.3"));
    assert_false(allows(a, "10.0.0.7"));
    assert_true(allows(a, "::ffff:10.1.2.3"));
    assert_false(allows(a, "::ffff:10.0.0.7"));
    assert_true(allows(a, "2001:db8::9"));
    assert_false(allows(a, "2001:db9::9"));
    assert_false(allows(a, "192.0.2.1"));
    free(a);
}

static void where_none_fits_it_is_allowed(void **state)
{
    static const char *const rules[] = {"deny 10.0.0.0/8"};
    struct access *a = access_new(rules, 1);
    (void)state;
    assert_true(allows(a, "192.0.2.1"));
    assert_true(allows(NULL, "192.0.2.1"));
    assert_null(access_new(NULL, 0));
    free(a);
}

static void a_list_of_networks_is_all_there_is(void **state)
{
    static const char *const nets[] = {"10.0.0.1", "fd00::/8"}, *const all[] = {"all"};
    struct access *a = access_new_nets(nets, 2), *b = access_new_nets(all, 1);
    (void)state;
    assert_true(allows(a, "10.0.0.1") && allows(a, "fd00::1") && allows(b, "192.0.2.1") && allows(b, "::1"));
    assert_false(allows(a, "10.0.0.2") || allows(a, "fe80::1"));
    free(a);
    free(b);
}

static void rules_are_judged(void **state)
{
    static const char *const bad[] = {"",           "allow",   "allow ", "permit all", "allow 10.0.0.0/33",
                                      "allow host", "allowall"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_non_null(access_rule_judge(bad[i]));
    assert_null(access_rule_judge("allow all"));
    assert_null(access_rule_judge("deny  ::/0"));
    assert_null(access_net_judge("all"));
    assert_non_null(access_net_judge("allow all"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_that_fits_decides),
        cmocka_unit_test(where_none_fits_it_is_allowed),
        cmocka_unit_test(a_list_of_networks_is_all_there_is),
        cmocka_unit_test(rules_are_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
