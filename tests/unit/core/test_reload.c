/* SPDX-License-Identifier: Apache-2.0 */
/* Other settings for a shard that runs. */
#include "node/core/shard_i.h"
#include "tests/unit/core/broker.h"

static unsigned topics_n(const struct broker *b)
{
    unsigned n = 0;
    for (const struct topic_metric *m = topic_metrics_first(b->sh); m; m = m->next)
        n++;
    return n;
}

static void topics_that_stay_go_on_counting(void **state)
{
    struct broker *b = broker_new();
    struct settings after = b->settings, last;
    struct client s;
    const char *why;
    (void)state;
    b->settings.topic_metrics = "a; b";
    topic_metrics_load(b->sh, b->settings.topic_metrics);
    assert_true(topic_metrics_register(b->sh, bytes_str("by hand"), &why));
    open_sender(b, &s, &sender);
    client_publish(&s, 0, 0, "b", "x");
    after.topic_metrics = "b; c";
    shard_settings_set(b->sh, &after);
    assert_int_equal(topics_n(b), 3);
    assert_int_equal(topic_metrics_first(b->sh)->in[0], 1); /* b */
    last = after;
    last.topic_metrics = NULL;
    shard_settings_set(b->sh, &last);
    assert_int_equal(topics_n(b), 1);
    assert_ptr_equal(shard_settings(b->sh), &last);
    client_lose(&s);
    broker_free(b);
}

static void rules_come_and_go(void **state)
{
    struct broker *b = broker_new();
    struct settings with = b->settings;
    struct client s, a;
    (void)state;
    with.rewrite_rules = "publish old/# ^old/(.+)$ new/$1";
    open_sender(b, &s, &sender);
    open_sender(b, &a, &(struct connect_how){.id = "a", .version = V311, .clean = true});
    client_subscribe(&a, 1, "new/#", 0);
    expect_suback(&a, 1, 0);
    shard_settings_set(b->sh, &with);
    client_publish(&s, 0, 0, "old/x", "one");
    expect_publish(&a, 0, "new/x", "one");
    shard_settings_set(b->sh, &b->settings);
    client_publish(&s, 0, 0, "old/x", "two");
    expect_nothing(&a);
    client_lose(&s);
    client_lose(&a);
    broker_free(b);
}

static void what_is_off_is_not_overloaded(void **state)
{
    struct broker *b = broker_new();
    struct settings on = b->settings;
    struct overload o;
    (void)state;
    on.overload = (struct overload_limits){.is_on = true, .lag_ms = {10, 20}, .cooldown_ms = 1000};
    shard_settings_set(b->sh, &on);
    shard_note_load(b->sh, 1000, 0);
    shard_load(b->sh, &o);
    assert_int_equal(o.level, LOAD_CRITICAL);
    shard_settings_set(b->sh, &b->settings);
    shard_load(b->sh, &o);
    assert_int_equal(o.level, LOAD_NORMAL);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_that_stay_go_on_counting),
        cmocka_unit_test(rules_come_and_go),
        cmocka_unit_test(what_is_off_is_not_overloaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
