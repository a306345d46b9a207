/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of authorization: what a file may say, whom a rule concerns, and what it says about a topic. */

#include "node/core/acl.h"
#include "proto/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct acl *acl_of(const char *text, enum acl_effect no_match)
{
    struct acl_fault fault = {0};
    struct acl *a = acl_parse(bytes_str(text), no_match, &fault);
    if (!a)
        fail_msg("line %u: %s", (unsigned)fault.line, fault.what);
    return a;
}

static struct acl_client client(const char *id, const char *user)
{
    return (struct acl_client){.client_id = bytes_str(id),
                               .username = user ? bytes_str(user) : bytes_of(NULL, 0)};
}

/* The line that decides, 0: none does. */
static uint32_t line_of(const struct acl *a, uint32_t verdict)
{
    return verdict < acl_rules(a) ? acl_rule(a, verdict)->line : 0;
}

static bool may(const struct acl *a, const struct acl_client *c, enum acl_action action, const char *topic)
{
    bool is_whole;
    return acl_allows(a, action == ACL_PUBLISH ? acl_on_topic(a, c, action, bytes_str(topic))
                                               : acl_on_filter(a, c, bytes_str(topic), &is_whole));
}

/* ---- the file ------------------------------------------------------------------------------------- */

static void faults_name_their_line(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *what;
    } bad[] = {
        {"permit all all\n", 1, "permit"},
        {"allow\n", 1, "all, user"},
        {"allow everybody all\n", 1, "everybody"},
        {"allow user\n", 1, "user"},
        {"allow user \"\" all\n", 1, "user"},
        {"# one\n\nallow user u read t\n", 3, "read"},
        {"allow user u\n", 1, "publish, subscribe or all"},
        {"allow all all a/#/b\n", 1, "a/#/b"},
        {"allow all all a+\n", 1, "a+"},
        {"allow all all $share/g/a\n", 1, "$share"},
        {"allow all all ${client}/a\n", 1, "${client}"},
        {"allow all all ${clientid\n", 1, "${clientid"},
        {"allow all all a b\n", 1, "b"},
        {"allow all all eq a b c d e\n", 1, "too many"},
        {"allow address 10.0.0.300 all\n", 1, "10.0.0.300"},
        {"allow address 10.0.0.0/33 all\n", 1, "bits"},
        {"allow address 10.0.0.0/ all\n", 1, "bits"},
        {"allow address 10.0.0.0/x all\n", 1, "bits"},
        {"allow address ::/129 all\n", 1, "bits"},
        {"allow all all \"a\n", 1, "not closed"},
        {"allow all all \"a\\n\"\n", 1, "backslash"},
        {"allow all all \"a\"b\n", 1, "closing quote"},
        {"allow all all a\"b\"\n", 1, "quote"},
        {"allow all all a\xff\n", 1, "UTF-8"},
        {"allow all all a\nallow all all b", 2, "no newline"},
    };
    (void)state;
    for (size_t i = 0; i < array_len(bad); i++) {
        struct acl_fault fault = {0};
        assert_null(acl_parse(bytes_str(bad[i].text), ACL_DENY, &fault));
        if (fault.line != bad[i].line || !strstr(fault.what, bad[i].what))
            fail_msg("%s: line %u: %s", bad[i].text, (unsigned)fault.line, fault.what);
    }
}

static void a_file_is_read(void **state)
{
    (void)state;
    struct acl *a = acl_of("# rules\r\n"
                           "\r\n"
                           "\tallow  user \"the \\\"user\\\\\" publish \"a b/#\"\r\n"
                           "deny address 10.1.0.0/16 all\n"
                           "allow all subscribe eq +/${clientid}\n",
                           ACL_DENY);
    assert_int_equal(acl_rules(a), 3);
    assert_true(bytes_eq(acl_rule(a, 0)->name, bytes_str("the \"user\\")));
    assert_true(bytes_eq(acl_rule(a, 0)->filter, bytes_str("a b/#")));
    assert_int_equal(acl_rule(a, 0)->line, 3);
    assert_int_equal(acl_rule(a, 1)->address_bits, 112);
    assert_false(acl_rule(a, 1)->has_filter);
    assert_true(acl_rule(a, 2)->is_eq);
    assert_false(acl_rule(a, 2)->has_placeholder);
    acl_unref(a);
    a = acl_of("", ACL_ALLOW);
    struct acl_client c = client("c", NULL);
    assert_int_equal(acl_rules(a), 0);
    assert_true(may(a, &c, ACL_PUBLISH, "t"));
    acl_unref(a);
}

/* ---- who ------------------------------------------------------------------------------------------ */

static void the_first_rule_that_fits_decides(void **state)
{
    (void)state;
    struct acl *a = acl_of("deny user u publish a/secret\n"
                           "allow all publish a/#\n"
                           "allow client c all b\n"
                           "deny client c all b\n"
                           "deny user u all b\n",
                           ACL_DENY);
    struct acl_client u = client("c", "u"), v = client("d", "v");
    assert_int_equal(line_of(a, acl_on_topic(a, &u, ACL_PUBLISH, bytes_str("a/secret"))), 1);
    assert_int_equal(line_of(a, acl_on_topic(a, &v, ACL_PUBLISH, bytes_str("a/secret"))), 2);
    assert_int_equal(line_of(a, acl_on_topic(a, &u, ACL_PUBLISH, bytes_str("a"))), 2);
    assert_int_equal(line_of(a, acl_on_topic(a, &u, ACL_PUBLISH, bytes_str("b"))), 3);
    assert_int_equal(line_of(a, acl_on_topic(a, &v, ACL_PUBLISH, bytes_str("b"))), 0);
    assert_string_equal(acl_why(a, 0), "Denied by line 1 of the ACL");
    assert_false(acl_allows(a, acl_rules(a)));
    acl_count_refusal(a, 0);
    assert_int_equal(acl_refused(a, 0), 1);
    assert_int_equal(acl_refused(a, 1), 0);
    acl_unref(a);
}

/* Found by subject, the rules are still those, and in that order, that a walk over the whole file finds. */
static void subjects_against_a_walk(void **state)
{
    enum { RULES = 400, NAMES = 7 };
    char text[RULES * 48], line[48], id[16], user[16];
    uint32_t x = 1;
    size_t n = 0;
    int who[RULES], name[RULES];
    (void)state;
    for (int i = 0; i < RULES; i++) {
        x = x * 1664525u + 1013904223u;
        who[i] = (int)(x >> 28) % 3;
        name[i] = (int)(x >> 20 & 0xff) % NAMES;
        if (who[i] == 2)
            snprintf(line, sizeof line, "allow all all only%d\n", i);
        else
            snprintf(line, sizeof line, "%s %s n%d all t%d\n", x >> 16 & 1 ? "allow" : "deny",
                     who[i] ? "user" : "client", name[i], (int)(x >> 8 & 0xff) % 3);
        memcpy(text + n, line, strlen(line) + 1);
        n += strlen(line);
    }
    struct acl *a = acl_of(text, ACL_DENY);
    for (int c = 0; c < NAMES * NAMES * 3; c++) {
        char topic[3] = {'t', (char)('0' + c % 3), 0};
        snprintf(id, sizeof id, "n%d", c / 3 % NAMES);
        snprintf(user, sizeof user, "n%d", c / 3 / NAMES);
        struct acl_client who_asks = client(id, user);
        int want = 0;
        for (; want < RULES; want++) {
            const struct acl_rule *r = acl_rule(a, (uint32_t)want);
            if (who[want] != 2 && bytes_eq(r->filter, bytes_str(topic)) &&
                bytes_eq(r->name, bytes_str(who[want] ? user : id)))
                break;
        }
        assert_int_equal(acl_on_topic(a, &who_asks, ACL_SUBSCRIBE, bytes_str(topic)), want);
    }
    acl_unref(a);
}

static void addresses_and_networks(void **state)
{
    uint8_t at[ACL_ADDRESS_N];
    static const struct {
        const char *address, *topic;
        bool may;
    } asked[] = {
        {"10.1.255.255", "net", true},      {"10.2.0.1", "net", false},  {"::ffff:10.1.0.1", "net", true},
        {"192.0.2.7", "one", true},         {"192.0.2.8", "one", false}, {"2001:db8:7f00::1", "six", true},
        {"2001:db8:8000::1", "six", false}, {"1.2.3.4", "any4", true},   {"2001:db8::1", "any4", false},
    };
    (void)state;
    struct acl *a = acl_of("allow address 10.1.0.0/16 all net\nallow address 192.0.2.7 all one\n"
                           "allow address 2001:db8::/33 all six\nallow address 0.0.0.0/0 all any4\n",
                           ACL_DENY);
    for (size_t i = 0; i < array_len(asked); i++) {
        struct acl_client c = client("c", NULL);
        assert_true(acl_address(asked[i].address, at));
        c.address = at;
        if (may(a, &c, ACL_PUBLISH, asked[i].topic) != asked[i].may)
            fail_msg("%s %s", asked[i].address, asked[i].topic);
    }
    struct acl_client c = client("c", NULL);
    assert_false(may(a, &c, ACL_PUBLISH, "any4")); /* a Unix socket has none */
    acl_unref(a);
}

/* Of a session whose client has not been here: what could refuse it does, what could allow does not. */
static void what_is_not_known_does_not_help(void **state)
{
    (void)state;
    struct acl *a = acl_of("allow cert z all a\ndeny cert b all a\nallow all all a\n"
                           "allow address 0.0.0.0/0 all b\ndeny address 10.0.0.0/8 all c\nallow all all c\n"
                           "allow all all d\ndeny cert a all d\n",
                           ACL_DENY);
    struct acl_client c = client("c", NULL);
    c.is_partial = true;
    assert_int_equal(line_of(a, acl_on_topic(a, &c, ACL_SUBSCRIBE, bytes_str("a"))), 2);
    assert_false(may(a, &c, ACL_SUBSCRIBE, "b"));
    assert_false(may(a, &c, ACL_SUBSCRIBE, "c"));
    assert_true(may(a, &c, ACL_SUBSCRIBE, "d"));
    c.is_partial = false;
    c.cert_name = bytes_str("b");
    assert_int_equal(line_of(a, acl_on_topic(a, &c, ACL_SUBSCRIBE, bytes_str("a"))), 2);
    c.cert_name = bytes_str("z");
    assert_int_equal(line_of(a, acl_on_topic(a, &c, ACL_SUBSCRIBE, bytes_str("a"))), 1);
    acl_unref(a);
}

/* ---- topics --------------------------------------------------------------------------------------- */

static void filters_cover_topics_and_filters(void **state)
{
    static const struct {
        const char *rule, *asked;
        bool publish, subscribe;
    } v[] = {
        {"a/+/c", "a/b/c", true, true},   {"a/+/c", "a/+/c", false, true},
        {"a/+/c", "a/#", false, false},   {"a/#", "a", true, true},
        {"a/#", "a/b/c", true, true},     {"a/#", "a/#", false, true},
        {"a/#", "a/+/#", false, true},    {"a/#", "#", false, false},
        {"a/b", "a/+", false, false},     {"#", "x/y", true, true},
        {"#", "#", false, true},          {"#", "$SYS/x", false, false},
        {"+/x", "$SYS/x", false, false},  {"+/x", "+/x", false, true},
        {"$SYS/#", "$SYS/x", true, true}, {"+", "#", false, false},
        {"+/#", "#", false, false},       {"a", "a/", false, false},
        {"a/+", "a/", true, true},        {"eq a/+", "a/+", false, true},
        {"eq a/+", "a/b", false, false},  {"eq #", "#", false, true},
        {"eq a/b", "a/b", true, true},    {"", "$SYS/x", true, true},
        {"", "#", false, true},           {"eq ${clientid}", "c", false, false},
    };
    (void)state;
    for (size_t i = 0; i < array_len(v); i++) {
        char text[64];
        struct acl_client c = client("c", NULL);
        snprintf(text, sizeof text, "allow all all %s\n", v[i].rule);
        struct acl *a = acl_of(text, ACL_DENY);
        bool is_name = !strpbrk(v[i].asked, "+#");
        if ((is_name && may(a, &c, ACL_PUBLISH, v[i].asked) != v[i].publish) ||
            may(a, &c, ACL_SUBSCRIBE, v[i].asked) != v[i].subscribe)
            fail_msg("%s %s", v[i].rule, v[i].asked);
        acl_unref(a);
    }
}

static void values_stand_for_themselves(void **state)
{
    (void)state;
    struct acl *a = acl_of("allow all all c/${clientid}/#\nallow all all u/x-${username}-${clientid}\n"
                           "allow all all ${clientid}/top\nallow all all k/${cert_common_name}\n",
                           ACL_DENY);
    struct acl_client c = client("one", "bob");
    assert_true(may(a, &c, ACL_PUBLISH, "c/one"));
    assert_true(may(a, &c, ACL_SUBSCRIBE, "c/one/#"));
    assert_true(may(a, &c, ACL_PUBLISH, "u/x-bob-one"));
    assert_true(may(a, &c, ACL_PUBLISH, "one/top"));
    assert_false(may(a, &c, ACL_PUBLISH, "c/two/x"));
    assert_false(may(a, &c, ACL_SUBSCRIBE, "c/+/#"));
    assert_false(may(a, &c, ACL_SUBSCRIBE, "c/#"));
    assert_false(may(a, &c, ACL_PUBLISH, "u/x-bob-onetwo"));
    assert_false(may(a, &c, ACL_PUBLISH, "u/x-bob-on"));
    assert_false(may(a, &c, ACL_PUBLISH, "k/"));
    c.cert_name = bytes_str("device");
    assert_true(may(a, &c, ACL_PUBLISH, "k/device"));
    c.username = bytes_of(NULL, 0);
    assert_false(may(a, &c, ACL_PUBLISH, "u/x--one"));
    acl_unref(a);
}

static void a_value_cannot_widen_a_rule(void **state)
{
    static const char *const ids[] = {"+", "#", "a+", "a/b", "/", "one/#", "$SYS", "", "${username}"};
    static const char *const asked[] = {"c/+/x", "c/#",     "c/a+/x",  "c/a/b/x",
                                        "c///x", "c/one/#", "c/one/x", "c/bob/x"};
    (void)state;
    struct acl *a = acl_of("allow all all c/${clientid}/x\nallow all all ${clientid}/#\n", ACL_DENY);
    for (size_t i = 0; i < array_len(ids); i++) {
        struct acl_client c = client(ids[i], "bob");
        for (size_t k = 0; k < array_len(asked); k++)
            if (may(a, &c, ACL_SUBSCRIBE, asked[k]))
                fail_msg("%s subscribes %s", ids[i], asked[k]);
        assert_false(may(a, &c, ACL_PUBLISH, "$SYS/x"));
    }
    acl_unref(a);
}

static void a_value_cannot_escape_a_rule(void **state)
{
    (void)state;
    struct acl *a = acl_of("deny all all c/${clientid}/x\n", ACL_ALLOW);
    struct acl_client good = client("one", NULL), odd = client("a/b", NULL);
    assert_false(may(a, &good, ACL_PUBLISH, "c/one/x"));
    assert_true(may(a, &good, ACL_PUBLISH, "c/one/y"));
    assert_false(may(a, &odd, ACL_PUBLISH, "c/a/b/x"));
    assert_false(may(a, &odd, ACL_PUBLISH, "c/anything"));
    assert_true(may(a, &odd, ACL_PUBLISH, "d"));
    acl_unref(a);
}

static void a_wide_subscription_is_not_whole(void **state)
{
    static const struct {
        const char *deny, *asked;
        bool is_whole;
    } v[] = {
        {"a/secret", "a/#", false},      {"a/secret", "a/+", false},
        {"a/secret", "+/+", false},      {"a/secret", "a/open", true},
        {"a/secret", "a/+/x", true},     {"a/+/x", "a/b/#", false},
        {"$SYS/#", "#", true},           {"a/#", "+", false},
        {"eq a/b", "a/+", false},        {"eq #", "a/#", true},
        {"eq a/b", "b/+", true},         {"", "b/#", true},
        {"a/${clientid}", "a/+", false}, {"a/${clientid}", "b/+", true},
        {"${clientid}/a", "#", false},   {"a/b/#", "a/b", true},
    };
    (void)state;
    for (size_t i = 0; i < array_len(v); i++) {
        char text[96];
        bool is_whole;
        struct acl_client c = client("c", NULL);
        snprintf(text, sizeof text, "deny all subscribe %s\nallow all subscribe\n", v[i].deny);
        struct acl *a = acl_of(text, ACL_DENY);
        uint32_t verdict = acl_on_filter(a, &c, bytes_str(v[i].asked), &is_whole);
        if (acl_allows(a, verdict) && is_whole != v[i].is_whole)
            fail_msg("%s %s", v[i].deny, v[i].asked);
        acl_unref(a);
    }
}

/* Who may subscribe a filter literally, may see what comes by it, but for what is denied. */
static void eq_lets_see_what_it_lets_subscribe(void **state)
{
    bool is_whole;
    (void)state;
    struct acl *a = acl_of("deny all subscribe a/secret\nallow all all eq a/#\n", ACL_DENY);
    struct acl_client c = client("c", NULL);
    assert_true(acl_allows(a, acl_on_filter(a, &c, bytes_str("a/#"), &is_whole)));
    assert_false(is_whole);
    assert_true(acl_allows(a, acl_on_topic(a, &c, ACL_SUBSCRIBE, bytes_str("a/open"))));
    assert_false(acl_allows(a, acl_on_topic(a, &c, ACL_SUBSCRIBE, bytes_str("a/secret"))));
    assert_false(acl_allows(a, acl_on_topic(a, &c, ACL_PUBLISH, bytes_str("a/open"))));
    acl_unref(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_name_their_line),
        cmocka_unit_test(a_file_is_read),
        cmocka_unit_test(the_first_rule_that_fits_decides),
        cmocka_unit_test(subjects_against_a_walk),
        cmocka_unit_test(addresses_and_networks),
        cmocka_unit_test(what_is_not_known_does_not_help),
        cmocka_unit_test(filters_cover_topics_and_filters),
        cmocka_unit_test(values_stand_for_themselves),
        cmocka_unit_test(a_value_cannot_widen_a_rule),
        cmocka_unit_test(a_value_cannot_escape_a_rule),
        cmocka_unit_test(a_wide_subscription_is_not_whole),
        cmocka_unit_test(eq_lets_see_what_it_lets_subscribe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
