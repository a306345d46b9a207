/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/alarms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static void look(struct alarms *a, uint64_t wall_ms, const char *const *names)
{
    alarms_begin(a);
    for (; *names; names++)
        alarm_on(a, wall_ms, *names, "since %llu", (unsigned long long)wall_ms);
    alarms_end(a, wall_ms);
}

static void active_while_the_condition_holds(void **state)
{
    struct alarms *a = calloc(1, sizeof *a);
    (void)state;
    look(a, 1000, (const char *[]){"x", "y", NULL});
    look(a, 2000, (const char *[]){"y", NULL});
    assert_int_equal(a->active_n, 1);
    assert_string_equal(a->active[0].name, "y");
    assert_int_equal(a->active[0].since_ms, 1000);
    assert_string_equal(a->active[0].message, "since 2000");
    assert_string_equal(alarms_past(a, 0)->name, "x");
    assert_int_equal(alarms_past(a, 0)->until_ms, 2000);
    assert_null(alarms_past(a, 1));
    look(a, 3000, (const char *[]){"x", NULL});
    assert_int_equal(a->active[0].since_ms, 3000);
    assert_string_equal(alarms_past(a, 0)->name, "y");
    assert_string_equal(alarms_past(a, 1)->name, "x");
    alarms_forget_past(a);
    assert_null(alarms_past(a, 0));
    assert_int_equal(a->active_n, 1);
    free(a);
}

static void bounded(void **state)
{
    struct alarms *a = calloc(1, sizeof *a);
    char name[2 * ALARM_NAME_MAX];
    (void)state;
    for (uint64_t ms = 1; ms <= 3 * ALARMS_PAST_MAX; ms++) {
        snprintf(name, sizeof name, "%0*d", 2 * ALARM_NAME_MAX - 1, (int)ms);
        look(a, ms, (const char *[]){name, name, NULL});
        assert_int_equal(a->active_n, 1);
        snprintf(name, sizeof name, "n%d", (int)ms);
        look(a, ms, (const char *[]){name, NULL});
    }
    assert_non_null(alarms_past(a, ALARMS_PAST_MAX - 1));
    assert_null(alarms_past(a, ALARMS_PAST_MAX));
    look(a, 1, (const char *[]){NULL});
    alarms_begin(a);
    for (int i = 0; i < 2 * ALARMS_ACTIVE_MAX; i++) {
        snprintf(name, sizeof name, "many/%d", i);
        alarm_on(a, 1, name, "many");
    }
    alarms_end(a, 2);
    assert_int_equal(a->active_n, ALARMS_ACTIVE_MAX);
    free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(active_while_the_condition_holds),
        cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
