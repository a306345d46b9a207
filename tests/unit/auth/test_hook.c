/* SPDX-License-Identifier: Apache-2.0 */
#include "node/auth/hook.h"

#include "proto/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static void fills(const char *template, enum hook_encoding encoding, const char *password,
                  const char *expected)
{
    struct hook_values c = {
        .client_id = bytes_str("c/1"), .username = bytes_str("an na"), .password = bytes_str(password)};
    char *text = hook_fill(template, encoding, &c);
    assert_string_equal(text, expected);
    free(text);
}

static void values_stay_values(void **state)
{
    (void)state;
    fills("http://h/${clientid}?u=${username}&p=${password}", HOOK_URL, "a&b=c#%\n\xff",
          "http://h/c%2F1?u=an%20na&p=a%26b%3Dc%23%25%0A%FF");
    fills("{\"p\":\"${password}\",\"n\":\"${peerhost}\"}", HOOK_JSON, "\",\"admin\":\"\\\n\x01",
          "{\"p\":\"\\\",\\\"admin\\\":\\\"\\\\\\u000a\\u0001\",\"n\":\"\"}");
    fills("${password}", HOOK_JSON,
          "gr\xc3\xbc"
          "ezi",
          "gr\xc3\xbc"
          "ezi");
    fills("${password}", HOOK_JSON, "gr\xfc", "gr?");
    fills("$ {x} $${clientid}${", HOOK_URL, "", "$ {x} $c%2F1${");
    fills("${password}", HOOK_URL, "${username}", "%24%7Busername%7D");
    fills("", HOOK_JSON, "", "");
}

static void templates_are_judged(void **state)
{
    (void)state;
    assert_null(hook_template_judge("${clientid}${username}${password}${peerhost}${cert_common_name} $x {y}",
                                    HOOK_AUTHN));
    assert_null(hook_template_judge("${clientid}${topic}${action}${qos}${retain}${peerhost}", HOOK_AUTHZ));
    assert_non_null(hook_template_judge("${topic}", HOOK_AUTHN));
    assert_non_null(hook_template_judge("${password}", HOOK_AUTHZ));
    assert_non_null(hook_template_judge("${pasword}", HOOK_AUTHN));
    assert_non_null(hook_template_judge("${clientid} ${", HOOK_AUTHZ));
    assert_null(hook_url_judge("https://h/a?u=${username}&c=${clientid}", HOOK_AUTHN));
    assert_non_null(hook_url_judge("https://h/${username}/a?c=${clientid}", HOOK_AUTHN));
    assert_non_null(hook_url_judge("https://${username}/", HOOK_AUTHN));
    assert_non_null(hook_url_judge("file:///etc/passwd", HOOK_AUTHN));
    assert_non_null(hook_url_judge("http://h/?u=${nme}", HOOK_AUTHN));
}

static enum hook_answer answer(long status, const char *body, bool wants_malformed)
{
    struct hook_reply r = hook_reply_read(status, bytes_str(body));
    assert_int_equal(r.is_malformed, wants_malformed);
    assert_false(r.is_superuser);
    return r.answer;
}

static void a_superuser_is_one_by_a_true_beside_allow(void **state)
{
    static const struct {
        const char *body;
        bool is;
    } cases[] = {
        {"{\"result\":\"allow\",\"is_superuser\":true}", true},
        {"{\"result\":\"allow\",\"is_superuser\":false}", false},
        {"{\"result\":\"allow\",\"is_superuser\":\"true\"}", false},
        {"{\"result\":\"allow\",\"is_superuser\":1}", false},
        {"{\"result\":\"allow\",\"is_superuser\":null}", false},
        {"{\"result\":\"deny\",\"is_superuser\":true}", false},
        {"{\"result\":\"ignore\",\"is_superuser\":true}", false},
        {"{\"is_superuser\":true}", false},
    };
    (void)state;
    for (size_t i = 0; i < array_len(cases); i++)
        assert_int_equal(hook_reply_read(200, bytes_str(cases[i].body)).is_superuser, cases[i].is);
    assert_false(hook_reply_read(204, bytes_str(cases[0].body)).is_superuser);
}

static void outcomes(void **state)
{
    (void)state;
    struct hook_reply r = hook_reply_read(200, bytes_str("{\"result\":\"allow\"}"));
    assert_int_equal(hook_outcome_of(&r), HOOK_SAID_ALLOW);
    r = hook_reply_read(200, bytes_str("{\"result\":\"deny\"}"));
    assert_int_equal(hook_outcome_of(&r), HOOK_SAID_DENY);
    r = hook_reply_read(404, bytes_str(""));
    assert_int_equal(hook_outcome_of(&r), HOOK_SAID_IGNORE);
    r = hook_reply_read(200, bytes_str("nonsense"));
    assert_int_equal(hook_outcome_of(&r), HOOK_SAID_NOTHING);
}

static void answers_are_those_of_emqx(void **state)
{
    (void)state;
    assert_int_equal(answer(200, "{\"result\":\"allow\"}", false), HOOK_ALLOW);
    assert_int_equal(answer(200, "{\"result\":\"deny\"}", false), HOOK_DENY);
    assert_int_equal(answer(200, "{\"result\":\"ignore\"}", false), HOOK_IGNORE);
    assert_int_equal(answer(204, "", false), HOOK_ALLOW);
    assert_int_equal(answer(200, "", true), HOOK_IGNORE);
    assert_int_equal(answer(200, "allow", true), HOOK_IGNORE);
    assert_int_equal(answer(200, "{\"result\":true}", true), HOOK_IGNORE);
    assert_int_equal(answer(200, "[\"allow\"]", true), HOOK_IGNORE);
    assert_int_equal(answer(404, "{\"result\":\"allow\"}", false), HOOK_IGNORE);
    assert_int_equal(answer(500, "", false), HOOK_IGNORE);
    assert_int_equal(answer(302, "", false), HOOK_IGNORE);
}

static void the_breaker_opens_probes_and_closes(void **state)
{
    struct breaker b = {0};
    bool is_probe;
    (void)state;
    for (int i = 0; i < BREAKER_FAILURES; i++) {
        assert_true(breaker_lets(&b, 1000, &is_probe));
        assert_false(is_probe);
        breaker_note(&b, false, false, 1000);
    }
    assert_true(breaker_is_open(&b));
    assert_false(breaker_lets(&b, 1000 + BREAKER_OPEN_MS - 1, &is_probe));
    assert_true(breaker_lets(&b, 1000 + BREAKER_OPEN_MS, &is_probe));
    assert_false(breaker_lets(&b, 1000 + BREAKER_OPEN_MS, &is_probe)); /* one at a time */
    breaker_note(&b, true, false, 1000 + BREAKER_OPEN_MS); /* one from before: it does not count */
    assert_true(breaker_is_open(&b));
    breaker_note(&b, false, true, 1000 + BREAKER_OPEN_MS);
    assert_false(breaker_lets(&b, 1000 + 2 * BREAKER_OPEN_MS - 1, &is_probe));
    assert_true(breaker_lets(&b, 1000 + 2 * BREAKER_OPEN_MS, &is_probe));
    assert_true(is_probe);
    breaker_note(&b, true, true, 1000 + 2 * BREAKER_OPEN_MS);
    assert_false(breaker_is_open(&b));
    assert_true(breaker_lets(&b, 0, &is_probe));
}

static void only_failures_in_a_row_count(void **state)
{
    struct breaker b = {0};
    (void)state;
    for (int i = 0; i < 100; i++)
        breaker_note(&b, i % BREAKER_FAILURES == 0, false, 0);
    assert_false(breaker_is_open(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_stay_values),
        cmocka_unit_test(templates_are_judged),
        cmocka_unit_test(answers_are_those_of_emqx),
        cmocka_unit_test(a_superuser_is_one_by_a_true_beside_allow),
        cmocka_unit_test(outcomes),
        cmocka_unit_test(the_breaker_opens_probes_and_closes),
        cmocka_unit_test(only_failures_in_a_row_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
