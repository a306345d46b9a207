/* SPDX-License-Identifier: Apache-2.0 */
/* Topics that stand for others, and subscriptions that come with the connection. */
#include "node/core/auto_subscribe.h"
#include "node/core/rewrite.h"
#include "tests/unit/core/broker.h"

static const char rules[] = "publish x/# ^x/y/(.+)$ z/y/$1; all y/+/z/# ^y/(.+)/z/(.+)$ y/z/$2;"
                            "subscribe own/# ^own/(.*)$ of/${clientid}/$1; publish me ^me$ u/${username}/%c;"
                            "all bad/# ^bad/(.*)$ ${username}+; all deep/# ^(deep)/(no)?(.*)$ $1$2/$3$4;";

static void check(const char *text, enum rewrite_action action, const char *from, const char *to)
{
    struct rewrite *r = rewrite_new(text);
    assert_non_null(r);
    struct bytes got = rewrite_topic(r, action, bytes_str(from), bytes_str("c/1"), bytes_str("bob"));
    if (!bytes_eq(got, bytes_str(to)))
        fail_msg("%s became %.*s, not %s", from, (int)got.n, (const char *)got.p, to);
    rewrite_free(r);
}

static void what_topics_become(void **state)
{
    static const struct {
        enum rewrite_action action;
        const char *from, *to;
    } rows[] = {
        {REWRITE_PUBLISH, "x/y/1", "z/y/1"},
        {REWRITE_PUBLISH, "x/1/2", "x/1/2"}, /* the rule is about it, the expression not */
        {REWRITE_SUBSCRIBE, "x/y/1", "x/y/1"},
        {REWRITE_PUBLISH, "y/a/z/b", "y/z/b"},
        {REWRITE_SUBSCRIBE, "y/a/z/b/#", "y/z/b/#"},
        {REWRITE_SUBSCRIBE, "$share/g/y/a/z/b", "$share/g/y/z/b"},
        {REWRITE_SUBSCRIBE, "own/+/x", "of/c/1/+/x"},
        {REWRITE_SUBSCRIBE, "own/#/x", "own/#/x"}, /* no filter */
        {REWRITE_PUBLISH, "me", "u/bob/c/1"},
        {REWRITE_PUBLISH, "bad/1", "bad/1"}, /* would not be a topic */
        {REWRITE_PUBLISH, "deep/1", "deep/1"},
        {REWRITE_PUBLISH, "deep/no1", "deepno/1"},
        {REWRITE_PUBLISH, "other", "other"},
        {REWRITE_PUBLISH, "x/y/\xff", "x/y/\xff"}, /* what is wrong with it is said by those behind */
        {REWRITE_PUBLISH, "", ""},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(rules, rows[i].action, rows[i].from, rows[i].to);
}

/* A name with a wildcard in it is no way to more than one's own. */
static void names_are_literal(void **state)
{
    struct rewrite *r = rewrite_new(rules);
    struct bytes own = bytes_str("own/x");
    (void)state;
    assert_true(bytes_eq(rewrite_topic(r, REWRITE_SUBSCRIBE, own, bytes_str("#"), bytes_of(NULL, 0)), own));
    assert_true(bytes_eq(rewrite_topic(r, REWRITE_SUBSCRIBE, own, bytes_str("+"), bytes_of(NULL, 0)), own));
    struct bytes me = bytes_str("me");
    assert_true(bytes_eq(rewrite_topic(r, REWRITE_PUBLISH, me, bytes_str("c"), bytes_of(NULL, 0)), me));
    rewrite_free(r);
}

static void what_is_no_rule(void **state)
{
    static const char *const bad[] = {
        "x",         "publish x/# ^x$", "Publish x/# ^x$ y",     "all x/#/y ^x$ y", "all $share/g/x ^x$ y",
        "all x ( y", "all x ^x$ y z",   "all x ^x$ y; ; publish"};
    char why[256];
    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        why[0] = 0;
        assert_false(rewrite_check(bad[i], why, sizeof why));
        assert_true(why[0]);
    }
    assert_true(rewrite_check(rules, why, sizeof why));
    assert_true(rewrite_check("", why, sizeof why));
    assert_null(rewrite_new(" ; ;"));
    assert_null(rewrite_new(NULL));
}

static void what_is_no_auto_subscription(void **state)
{
    static const char *const bad[] = {"a/#/b", "a qos=3", "a qos=", "a rh=1 x", "a nl=2", "a; b qos=11"};
    char why[256];
    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(auto_subscribe_check(bad[i], why, sizeof why));
    assert_true(auto_subscribe_check("", why, sizeof why));
    assert_true(auto_subscribe_check("a; ${clientid}/# qos=2 rh=2 nl=1 rap=1;", why, sizeof why));
}

static void restart(struct broker *b)
{
    broker_power_cycle(b, store_mem_clone(b->store));
}

static void through_a_connection(void **state)
{
    static const struct connect_how will = {
        .id = "w", .version = V311, .clean = true, .will_topic = "x/y/will"};
    struct broker *b = broker_new();
    struct client a, s, w;
    (void)state;
    b->settings.rewrite_rules = rules;
    restart(b);
    open_sender(b, &s, &sender5);
    open_sender(b, &a, &(struct connect_how){.id = "a", .version = V311, .clean = true});
    client_subscribe(&a, 1, "z/y/#", 1);
    expect_suback(&a, 1, 1);
    client_subscribe(&a, 2, "own/x", 1);
    expect_suback(&a, 2, 1);
    client_publish(&s, QOS1, 1, "x/y/1", "one");
    expect_publish(&a, QOS1, "z/y/1", "one");
    expect_ack(&s, PUBACK, 1, 0);
    client_publish(&s, 0, 0, "of/a/x", "two");
    expect_publish(&a, 0, "of/a/x", "two");
    client_open(b, &w, &will);
    expect_connack(&w, SESSION_NEW);
    client_lose(&w);
    expect_publish(&a, QOS1, "z/y/will", "bye");
    assert_int_equal(broker_count(b, C_TOPICS_REWRITTEN), 1);
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

static void subscribed_by_connecting(void **state)
{
    struct broker *b = broker_new();
    struct client a, s;
    (void)state;
    b->settings.auto_subscribe = "all qos=1; c/${clientid}/# qos=2; u/${username}";
    open_sender(b, &s, &sender);
    client_open(b, &a, &keeper);
    expect_connack(&a, SESSION_NEW);
    broker_commit(b);
    client_publish(&s, QOS1, 1, "c/keeper/x", "mine");
    client_publish(&s, QOS1, 2, "c/other/x", "not mine");
    client_publish(&s, QOS1, 3, "all", "ours");
    broker_commit(b);
    expect_publish(&a, QOS1, "c/keeper/x", "mine");
    expect_publish(&a, QOS1, "all", "ours");
    expect_nothing(&a);
    assert_int_equal(broker_count(b, C_AUTO_SUBSCRIBE_FAILED), 2); /* neither has a user name */
    client_lose(&a);
    client_lose(&s);
    broker_free(b);
}

/* As many topics as are allowed; those that are kept may change. */
static void retained_up_to_a_number(void **state)
{
    struct broker *b = broker_new();
    struct client s;
    (void)state;
    b->settings.retained_count_max = 2;
    b->settings.retained_payload_max = 3;
    open_sender(b, &s, &sender5);
    for (uint16_t i = 1; i <= 2; i++) {
        client_publish(&s, QOS1 | RETAIN, i, i == 1 ? "r/1" : "r/2", "x");
        broker_commit(b);
        expect_ack(&s, PUBACK, i, 0x10);
    }
    client_publish(&s, QOS1 | RETAIN, 3, "r/3", "x");
    expect_ack(&s, PUBACK, 3, 0x97);
    client_publish(&s, QOS1 | RETAIN, 4, "r/2", "yy");
    broker_commit(b);
    expect_ack(&s, PUBACK, 4, 0x10);
    client_publish(&s, QOS1 | RETAIN, 5, "r/2", "four");
    expect_ack(&s, PUBACK, 5, 0x97);
    client_publish(&s, QOS1 | RETAIN, 6, "r/1", "");
    broker_commit(b);
    expect_ack(&s, PUBACK, 6, 0x10);
    client_publish(&s, QOS1 | RETAIN, 7, "r/3", "x");
    broker_commit(b);
    expect_ack(&s, PUBACK, 7, 0x10);
    assert_int_equal(broker_count(b, C_RETAINED_REFUSED), 2);
    client_lose(&s);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_topics_become),      cmocka_unit_test(names_are_literal),
        cmocka_unit_test(what_is_no_rule),         cmocka_unit_test(what_is_no_auto_subscription),
        cmocka_unit_test(through_a_connection),    cmocka_unit_test(subscribed_by_connecting),
        cmocka_unit_test(retained_up_to_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
