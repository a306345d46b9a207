/* SPDX-License-Identifier: Apache-2.0 */
/* The timing wheel: never early, at most a tick late, also after long jumps and from inside callbacks. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "node/core/wheel.h"
#include "proto/base/check.h"
#include "tests/unit/core/random.h"

enum { TIMERS = 300, TURN_MS = WHEEL_TICK_MS * WHEEL_SLOTS };

struct item {
    struct wheel_timer timer;
    uint64_t deadline_ms;
    uint32_t generation; /* grows with each setting */
    bool is_set;
};

struct clock {
    struct wheel wheel;
    struct random random;
    uint64_t now_ms;
    uint64_t polled_ms; /* when the wheel was last emptied */
    uint32_t fired;
    struct item items[TIMERS];
};

static struct clock *clock_new(uint64_t seed, uint64_t start_ms)
{
    struct clock *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->random.x = seed;
    c->now_ms = c->polled_ms = start_ms;
    wheel_init(&c->wheel, start_ms);
    for (unsigned i = 0; i < TIMERS; i++)
        wheel_timer_init(&c->items[i].timer);
    return c;
}

static void item_set(struct clock *c, struct item *it, uint64_t deadline_ms)
{
    wheel_set(&c->wheel, &it->timer, deadline_ms);
    assert_true(wheel_timer_is_set(&it->timer));
    it->deadline_ms = deadline_ms;
    it->generation++;
    it->is_set = true;
}

static void item_stop(struct item *it)
{
    wheel_stop(&it->timer);
    assert_false(wheel_timer_is_set(&it->timer));
    it->is_set = false;
}

/* Near ones, ones several turns away, and ones that are over already. */
static uint64_t deadline_random(struct clock *c)
{
    switch (random_below(&c->random, 4)) {
    case 0:
        return c->now_ms + random_below(&c->random, 500);
    case 1:
        return c->now_ms + random_below(&c->random, TURN_MS);
    case 2:
        return c->now_ms + random_below(&c->random, 5 * TURN_MS);
    default:
        return c->now_ms > 1000 ? c->now_ms - random_below(&c->random, 1000) : 0;
    }
}

/* What a callback may do: set this or another timer, due or not, or stop one. */
static void meddle(struct clock *c, struct item *it)
{
    struct item *other = &c->items[random_below(&c->random, TIMERS)];
    uint32_t k = random_below(&c->random, 4);
    if (k == 0)
        item_set(c, it, deadline_random(c));
    else if (k == 1)
        item_set(c, other, deadline_random(c));
    else if (k == 2)
        item_stop(other);
}

static void poll(struct clock *c)
{
    struct wheel_timer *t;
    while ((t = wheel_pop(&c->wheel, c->now_ms))) {
        struct item *it = container_of(t, struct item, timer);
        assert_true(it->is_set);
        assert_false(wheel_timer_is_set(t));
        assert_int_equal(t->deadline_ms, it->deadline_ms);
        assert_true(it->deadline_ms <= c->now_ms);
        it->is_set = false;
        c->fired++;
        meddle(c, it);
    }
    c->polled_ms = c->now_ms;
}

/* Whatever was set before is gone when a tick at or after its deadline has come; a callback may have set it
 * anew, which its generation shows. */
static void poll_and_check(struct clock *c)
{
    uint32_t must_fire[TIMERS];
    uint64_t tick_ms = c->now_ms / WHEEL_TICK_MS * WHEEL_TICK_MS;
    bool has_ticked = tick_ms > c->polled_ms / WHEEL_TICK_MS * WHEEL_TICK_MS;
    for (unsigned i = 0; i < TIMERS; i++) {
        const struct item *it = &c->items[i];
        must_fire[i] = has_ticked && it->is_set && it->deadline_ms <= tick_ms ? it->generation : 0;
    }
    poll(c);
    for (unsigned i = 0; i < TIMERS; i++) {
        const struct item *it = &c->items[i];
        assert_int_equal(it->is_set, wheel_timer_is_set(&it->timer));
        if (must_fire[i] && it->is_set && it->generation == must_fire[i])
            fail_msg("late: deadline %llu, now %llu", (unsigned long long)it->deadline_ms,
                     (unsigned long long)c->now_ms);
    }
}

static void run(uint64_t seed, uint64_t start_ms, uint32_t step_max_ms, uint32_t steps)
{
    struct clock *c = clock_new(seed, start_ms);
    for (uint32_t i = 0; i < steps; i++) {
        for (unsigned k = random_below(&c->random, 6); k; k--) {
            struct item *it = &c->items[random_below(&c->random, TIMERS)];
            if (random_below(&c->random, 8))
                item_set(c, it, deadline_random(c));
            else
                item_stop(it);
        }
        c->now_ms += random_below(&c->random, step_max_ms);
        poll_and_check(c);
    }
    assert_true(c->fired > steps / 4);
    free(c);
}

static void fires_in_time(void **state)
{
    (void)state;
    run(1, 0, 2, 4000);
    run(2, 123456, 150, 4000);
    run(3, 1ull << 40, 1000, 4000);
}

static void fires_after_long_jumps(void **state)
{
    (void)state;
    run(4, 99, TURN_MS / 2, 2000);
    run(5, 100, 3 * TURN_MS, 2000);
}

/* One timer, each distance: it fires at the first tick at or after its deadline. */
static void fires_at_the_first_tick(void **state)
{
    static const uint32_t distances[] = {
        0,
        1,
        99,
        100,
        101,
        199,
        200,
        TURN_MS - 1,
        TURN_MS,
        TURN_MS + 1,
        TURN_MS + WHEEL_TICK_MS,
        2 * TURN_MS,
        2 * TURN_MS + 77,
        5 * TURN_MS,
    };
    (void)state;
    for (unsigned i = 0; i < sizeof distances / sizeof distances[0]; i++) {
        struct clock *c = clock_new(1, 4242);
        struct wheel_timer *t = &c->items[0].timer;
        wheel_set(&c->wheel, t, c->now_ms + distances[i]);
        uint64_t due = (4242 + distances[i] + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS * WHEEL_TICK_MS;
        for (uint64_t now = 4300; now < due; now += WHEEL_TICK_MS) {
            assert_null(wheel_pop(&c->wheel, now));
            assert_null(wheel_pop(&c->wheel, now + WHEEL_TICK_MS - 1));
        }
        assert_ptr_equal(wheel_pop(&c->wheel, due), t);
        assert_null(wheel_pop(&c->wheel, due + 100 * TURN_MS));
        free(c);
    }
}

/* Those due at one tick all come, and one of them may stop the others first. */
static void a_due_timer_can_be_stopped(void **state)
{
    (void)state;
    struct clock *c = clock_new(1, 0);
    for (unsigned i = 0; i < 10; i++)
        wheel_set(&c->wheel, &c->items[i].timer, 500);
    assert_non_null(wheel_pop(&c->wheel, 500));
    for (unsigned i = 0; i < 10; i++)
        wheel_stop(&c->items[i].timer);
    assert_null(wheel_pop(&c->wheel, 100000));
    free(c);
}

/* A timer that is set for now by what it does does not keep the wheel from coming to an end. */
static void a_timer_set_for_now_waits_for_the_next_tick(void **state)
{
    (void)state;
    struct clock *c = clock_new(1, 0);
    struct wheel_timer *t = &c->items[0].timer;
    wheel_set(&c->wheel, t, 1000);
    assert_ptr_equal(wheel_pop(&c->wheel, 1000), t);
    wheel_set(&c->wheel, t, 1000);
    assert_null(wheel_pop(&c->wheel, 1099));
    assert_ptr_equal(wheel_pop(&c->wheel, 1100), t);
    free(c);
}

static void a_timer_can_be_moved(void **state)
{
    (void)state;
    struct clock *c = clock_new(1, 0);
    struct wheel_timer *t = &c->items[0].timer;
    wheel_set(&c->wheel, t, 500);
    wheel_set(&c->wheel, t, 3 * TURN_MS);
    assert_null(wheel_pop(&c->wheel, 3 * TURN_MS - 1));
    wheel_set(&c->wheel, t, 3 * TURN_MS + 200);
    assert_null(wheel_pop(&c->wheel, 3 * TURN_MS + 199));
    assert_ptr_equal(wheel_pop(&c->wheel, 3 * TURN_MS + 200), t);
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_in_time),
        cmocka_unit_test(fires_after_long_jumps),
        cmocka_unit_test(fires_at_the_first_tick),
        cmocka_unit_test(a_due_timer_can_be_stopped),
        cmocka_unit_test(a_timer_set_for_now_waits_for_the_next_tick),
        cmocka_unit_test(a_timer_can_be_moved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
