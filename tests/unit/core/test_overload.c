/* SPDX-License-Identifier: Apache-2.0 */
/* What is given up under load, in which order, and when it comes back. */
#include "node/core/overload.h"
#include "tests/unit/core/broker.h"

static const struct overload_limits limits = {
    .is_on = true, .lag_ms = {500, 2000}, .memory_bytes = {1600, 3200}, .cooldown_ms = 5000};

/* n ticks with this lag and memory. */
static void ticks(struct overload *o, unsigned n, uint64_t lag_ms, uint64_t memory, uint64_t *now_ms)
{
    for (; n; n--) {
        *now_ms += 100;
        overload_step(o, &limits, lag_ms, memory, *now_ms);
    }
}

static void lag_has_to_last(void **state)
{
    struct overload o = {0};
    uint64_t now = 1000;
    (void)state;
    ticks(&o, 1, 1500, 0, &now); /* one stall is none */
    assert_int_equal(o.level, LOAD_NORMAL);
    ticks(&o, 3, 0, 0, &now);
    assert_int_equal(o.level, LOAD_NORMAL);
    ticks(&o, 10, 600, 0, &now);
    assert_int_equal(o.level, LOAD_BUSY);
    ticks(&o, 10, 2500, 0, &now);
    assert_int_equal(o.level, LOAD_CRITICAL);
}

static void it_goes_down_step_by_step_after_the_cooldown(void **state)
{
    struct overload o = {0};
    uint64_t now = 1000;
    (void)state;
    ticks(&o, 1, 0, 3200, &now);
    assert_int_equal(o.level, LOAD_CRITICAL); /* both at once */
    ticks(&o, 100, 0, 3100, &now);            /* below the limit, not clearly */
    assert_int_equal(o.level, LOAD_CRITICAL);
    ticks(&o, 50, 0, 3000, &now);
    assert_int_equal(o.level, LOAD_CRITICAL);
    ticks(&o, 1, 0, 3000, &now);
    assert_int_equal(o.level, LOAD_BUSY);
    ticks(&o, 200, 0, 3000, &now);
    assert_int_equal(o.level, LOAD_BUSY); /* still above the first limit */
    ticks(&o, 40, 0, 1000, &now);
    ticks(&o, 1, 0, 1590, &now); /* the time begins anew */
    ticks(&o, 50, 0, 1000, &now);
    assert_int_equal(o.level, LOAD_BUSY);
    ticks(&o, 1, 0, 1000, &now);
    assert_int_equal(o.level, LOAD_NORMAL);
}

static void no_limit_of_memory(void **state)
{
    struct overload_limits l = limits;
    struct overload o = {0};
    (void)state;
    l.memory_bytes[0] = l.memory_bytes[1] = 0;
    assert_false(overload_step(&o, &l, 0, UINT64_MAX, 1));
    assert_int_equal(o.level, LOAD_NORMAL);
}

/* Who is there stays and is served; nobody new; QoS 0 goes first, what is acknowledged goes on. */
static void what_is_given_up(void **state)
{
    static const struct connect_how late = {.id = "late", .version = V5, .clean = true};
    struct broker *b = broker_new();
    struct client a, s, n;
    (void)state;
    b->settings.overload = limits;
    open_subscribed(b, &a, &keeper5);
    open_sender(b, &s, &sender5);
    shard_note_load(b->sh, 0, 2000);
    client_open(b, &n, &late);
    struct cursor body = expect_packet(&n, 2, NULL);
    assert_int_equal(body.p[1], RC_SERVER_BUSY);
    assert_int_equal(n.conn.end, CONN_END_REFUSED);
    client_lose(&n);
    client_publish(&s, 0, 0, "t/1", "x");
    expect_publish(&a, 0, "t/1", "x");
    shard_note_load(b->sh, 0, 4000);
    client_publish(&s, 0, 0, "t/1", "gone");
    expect_nothing(&a);
    client_publish(&s, QOS1, 7, "t/1", "kept");
    broker_commit(b);
    expect_publish(&a, QOS1, "t/1", "kept");
    assert_int_equal(broker_count(b, C_DROPPED_OVERLOAD), 1);
    assert_int_equal(broker_count(b, C_REFUSED_BUSY), 1);
    assert_int_equal(broker_count(b, C_OVERLOADS), 2);
    for (unsigned i = 0; i < 110; i++) {
        broker_wait(b, 100);
        shard_note_load(b->sh, 0, 100);
    }
    client_open(b, &n, &late);
    expect_connack(&n, SESSION_NEW);
    client_lose(&n);
    client_lose(&s);
    client_lose(&a);
    broker_free(b);
}

static void off_is_off(void **state)
{
    struct broker *b = broker_new();
    struct overload o;
    (void)state;
    shard_note_load(b->sh, UINT32_MAX, UINT64_MAX);
    shard_load(b->sh, &o);
    assert_int_equal(o.level, LOAD_NORMAL);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lag_has_to_last),    cmocka_unit_test(it_goes_down_step_by_step_after_the_cooldown),
        cmocka_unit_test(no_limit_of_memory), cmocka_unit_test(what_is_given_up),
        cmocka_unit_test(off_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
