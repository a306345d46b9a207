/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that a token brings: both shapes, what is refused, and that they are rules of the ACL's grammar. */

#include "node/auth/jwt.h"
#include "node/core/acl.h"
#include "proto/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

/* What a claim says; NULL: it is refused, *why says why. */
static char *text_of(const char *claims, bool *is_whole, const char **why)
{
    char *text = NULL;
    struct jwt t = {.claims = json_loads(claims, 0, NULL)};
    assert_non_null(t.claims);
    *why = NULL;
    bool ok = jwt_acl(&t, "acl", &text, is_whole, why);
    assert_true(ok || !text);
    assert_int_equal(ok, *why == NULL);
    jwt_fini(&t);
    return text;
}

static void assert_text(const char *claims, const char *expected, bool expected_whole)
{
    const char *why;
    bool is_whole = !expected_whole;
    char *text = text_of(claims, &is_whole, &why);
    assert_non_null(text);
    assert_string_equal(text, expected);
    assert_int_equal(is_whole, expected_whole);
    free(text);
}

static void lists_are_all_that_is_allowed(void **state)
{
    (void)state;
    assert_text(
        "{\"acl\": {\"pub\": [\"a/${clientid}\", \"eq b/#\"], \"sub\": [\"c/#\"], \"all\": [\"d\"]}}",
        "allow all publish \"a/${clientid}\"\nallow all publish eq \"b/#\"\nallow all subscribe \"c/#\"\n"
        "allow all all \"d\"\n",
        true);
    assert_text("{\"acl\": {}}", "", true);
    assert_text("{\"acl\": {\"pub\": \"one\"}}", "allow all publish \"one\"\n", true);
}

static void rules_keep_their_order(void **state)
{
    (void)state;
    assert_text("{\"acl\": [{\"permission\": \"deny\", \"action\": \"publish\", \"topic\": \"a/secret\"},"
                "{\"permission\": \"allow\", \"action\": \"all\", \"topics\": [\"a/#\", \"eq b/+\"]},"
                "{\"permission\": \"allow\", \"action\": \"subscribe\", \"topic\": \"c\", \"qos\": [0, 1, 2],"
                " \"retain\": \"all\"}]}",
                "deny all publish \"a/secret\"\nallow all all \"a/#\"\nallow all all eq \"b/+\"\n"
                "allow all subscribe \"c\"\n",
                false);
    assert_text("{\"acl\": []}", "", false);
}

static void a_token_without_the_claim_brings_none(void **state)
{
    const char *why;
    bool is_whole;
    (void)state;
    assert_null(text_of("{\"sub\": \"x\"}", &is_whole, &why));
    assert_null(why);
}

static void a_topic_cannot_end_its_rule(void **state)
{
    const char *why;
    bool is_whole;
    (void)state;
    assert_text("{\"acl\": {\"pub\": [\"a\\\" all \\\\\"]}}", "allow all publish \"a\\\" all \\\\\"\n", true);
    static const char *const bad[] = {
        "{\"acl\": {\"pub\": [\"a\\nallow all all\"]}}",
        "{\"acl\": {\"pub\": [\"a\\rb\"]}}",
        "{\"acl\": {\"all\": [\"fine\", \"a\\u0001b\"]}}",
        "{\"acl\": [{\"permission\": \"deny\", \"action\": \"all\", \"topic\": \"a\\tb\"}]}",
    };
    for (size_t i = 0; i < array_len(bad); i++) {
        assert_null(text_of(bad[i], &is_whole, &why));
        assert_string_equal(why, "The ACL of the token has a topic with a control character");
    }
}

static void what_is_not_understood_is_refused(void **state)
{
    static const char *const bad[] = {
        "{\"acl\": 7}",
        "{\"acl\": null}",
        "{\"acl\": \"all\"}",
        "{\"acl\": {\"publish_\": [\"a\"]}}",
        "{\"acl\": {\"pub\": 7}}",
        "{\"acl\": {\"pub\": [7]}}",
        "{\"acl\": {\"pub\": [\"\"]}}",
        "{\"acl\": {\"pub\": {\"a\": 1}}}",
        "{\"acl\": [\"a\"]}",
        "{\"acl\": [{}]}",
        "{\"acl\": [{\"permission\": \"maybe\", \"action\": \"publish\", \"topic\": \"a\"}]}",
        "{\"acl\": [{\"permission\": \"allow\", \"action\": \"write\", \"topic\": \"a\"}]}",
        "{\"acl\": [{\"permission\": \"allow\", \"action\": \"publish\"}]}",
        "{\"acl\": [{\"permission\": \"allow\", \"topic\": \"a\"}]}",
        "{\"acl\": [{\"action\": \"publish\", \"topic\": \"a\"}]}",
        "{\"acl\": [{\"permission\": \"allow\", \"action\": \"publish\", \"topic\": \"a\", \"topics\": "
        "[\"b\"]}]}",
        "{\"acl\": [{\"permission\": \"allow\", \"action\": \"publish\", \"topic\": \"a\", \"qos\": [1]}]}",
        "{\"acl\": [{\"permission\": \"allow\", \"action\": \"publish\", \"topic\": \"a\", \"qos\": [0, 1, "
        "\"2\"]}]}",
        "{\"acl\": [{\"permission\": \"allow\", \"action\": \"publish\", \"topic\": \"a\", \"retain\": "
        "true}]}",
        "{\"acl\": [{\"permission\": \"allow\", \"action\": \"publish\", \"topic\": \"a\", \"ipaddr\": "
        "\"::1\"}]}",
    };
    (void)state;
    for (size_t i = 0; i < array_len(bad); i++) {
        const char *why;
        bool is_whole;
        char *text = text_of(bad[i], &is_whole, &why);
        if (text)
            fail_msg("%s: %s", bad[i], text);
        assert_non_null(why);
    }
}

static void verdicts_name_the_token(void **state)
{
    struct acl_fault fault;
    const struct acl_client c = {.client_id = bytes_str("c1")};
    struct bytes text = bytes_str("deny all publish \"a/secret\"\nallow all all \"a/${clientid}/#\"\n");
    (void)state;
    struct acl *part = acl_parse_own(text, false, &fault);
    struct acl *whole = acl_parse_own(text, true, &fault);
    uint32_t denied = acl_on_topic(part, &c, ACL_PUBLISH, bytes_str("a/secret"));
    assert_string_equal(acl_why(part, denied), "Denied by rule 1 of the token");
    assert_true(acl_decides(part, denied) && !acl_allows(part, denied));
    uint32_t allowed = acl_on_topic(part, &c, ACL_PUBLISH, bytes_str("a/c1/x"));
    assert_true(acl_decides(part, allowed) && acl_allows(part, allowed));
    uint32_t none = acl_on_topic(part, &c, ACL_PUBLISH, bytes_str("b"));
    assert_false(acl_decides(part, none));
    assert_true(acl_decides(whole, none) && !acl_allows(whole, none));
    assert_string_equal(acl_why(whole, none), "Denied: the token does not allow it");
    acl_unref(part);
    acl_unref(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_all_that_is_allowed),
        cmocka_unit_test(rules_keep_their_order),
        cmocka_unit_test(a_token_without_the_claim_brings_none),
        cmocka_unit_test(a_topic_cannot_end_its_rule),
        cmocka_unit_test(what_is_not_understood_is_refused),
        cmocka_unit_test(verdicts_name_the_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
