/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/command.h"

#include "node/admin/server.h"
#include "node/app/ctl.h"
#include "proto/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

_Static_assert((int)SERVER_REQUEST_BYTES_MAX == (int)CTL_REQUEST_BYTES_MAX, "both ends have one limit");

struct ran {
    struct call call;
    char *text;
};

static struct log_sink log_sink;
static char logged[512];

static void log_keep(struct log_sink *sink, enum log_level level, const char *line, size_t n)
{
    (void)sink;
    assert_int_equal(level, LOG_NOTICE);
    assert_true(n < sizeof logged);
    memcpy(logged, line, n);
    logged[n] = 0;
}

/* Up to four words. Commands that ask no worker and no store need nothing of a node. */
static int run(struct ran *r, const char *a, const char *b, const char *c, const char *d)
{
    static struct admin_env env;
    const char *words[4] = {a, b, c, d};
    uint32_t n = 0;
    while (n < 4 && words[n])
        n++;
    log_sink = (struct log_sink){.level = LOG_INFO, .write = log_keep};
    logged[0] = 0;
    env.conf.log = &log_sink;
    call_init(&r->call, &env, words, n);
    text_printf(&r->call.out, "%c", 0);
    r->text = r->call.out.p;
    return r->call.status;
}

static void check(int status, const char *text, const char *a, const char *b, const char *c, const char *d)
{
    struct ran r;
    assert_int_equal(run(&r, a, b, c, d), status);
    assert_string_equal(r.text, text);
    call_fini(&r.call);
}

/* The usage of this group and of no other. */
static void check_usage(int status, const char *group, const char *a, const char *b, const char *c)
{
    struct ran r;
    assert_int_equal(run(&r, a, b, c, NULL), status);
    assert_true(strlen(r.text) > 0);
    for (const char *line = r.text; *line; line = strchr(line, '\n') + 1) {
        assert_int_equal(strncmp(line, group, strlen(group)), 0);
        assert_int_equal(line[strlen(group)], ' ');
        assert_non_null(strstr(line, " # "));
    }
    call_fini(&r.call);
}

static bool usage_has(const char *text, const char *command)
{
    size_t n = strlen(command);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        if (strncmp(line, command, n) == 0 && line[n] == ' ')
            return true;
    }
    return false;
}

static void check_all_usage(int status, const char *a, const char *b)
{
    struct ran r;
    assert_int_equal(run(&r, a, b, NULL, NULL), status);
    assert_true(usage_has(r.text, "ping"));
    assert_true(usage_has(r.text, "clients kick <clientid>"));
    assert_true(usage_has(r.text, "subscriptions add <clientid> <topic> <qos>"));
    assert_true(usage_has(r.text, "retainer clean [<topic or filter>]"));
    assert_true(usage_has(r.text, "listeners restart <id>"));
    call_fini(&r.call);
}

static void simple_commands_answer(void **state)
{
    (void)state;
    check(0, "pong\n", "ping", NULL, NULL, NULL);
    check(0, "This broker sends nothing.\n", "telemetry", "enable", NULL, NULL);
}

static void help_is_given(void **state)
{
    (void)state;
    check_all_usage(0, "help", NULL);
    check_usage(0, "broker", "help", "broker", NULL);
    check_usage(0, "clients", "clients", "--help", NULL);
    check_all_usage(1, "help", "nothing");
}

static void what_is_wrong_gets_usage_and_status_1(void **state)
{
    (void)state;
    check_all_usage(1, NULL, NULL);
    check_all_usage(1, "nothing", NULL);
    check_all_usage(1, "clien", "list");
    check_usage(1, "clients", "clients", NULL, NULL);
    check_usage(1, "clients", "clients", "lis", NULL);
    check_usage(1, "clients", "clients", "show", NULL);
    check_usage(1, "clients", "clients", "list", "more");
    check_usage(1, "ping", "ping", "more", NULL);
    check_usage(1, "listeners", "listeners", "begin", NULL);
    check_usage(1, "subscriptions", "subscriptions", "add", "c");
}

static void the_log_level_can_be_set(void **state)
{
    (void)state;
    check(0, "debug\n", "log", "set-level", "debug", NULL);
    assert_int_equal(log_sink.level, LOG_DEBUG);
    check(0, "error\n", "log", "primary-level", "error", NULL);
    assert_int_equal(log_sink.level, LOG_ERROR);
    check(0, "info\n", "log", "level", NULL, NULL);
    check(1, "The level must be debug, info, notice, warning or error.\n", "log", "set-level", "loud", NULL);
    assert_int_equal(log_sink.level, LOG_INFO);
}

static void what_changes_something_is_logged_on_one_line(void **state)
{
    (void)state;
    check(0, "info\n", "log", "level", NULL, NULL);
    assert_string_equal(logged, "");
    check(1, "The level must be debug, info, notice, warning or error.\n", "log", "set-level", "a b\n\"",
          NULL);
    assert_string_equal(logged, "ctl run command=\"log set-level a\\x20b\\x0a\\x22\"");
}

static void commands_are_in_order(void **state)
{
    static const struct command *const tables[] = {commands_node,     commands_clients,   commands_topics,
                                                   commands_retainer, commands_listeners, commands_cluster};
    (void)state;
    for (size_t t = 0; t < array_len(tables); t++) {
        for (const struct command *m = tables[t]; m->group; m++) {
            assert_true(m->run && m->args && m->help && m->args_min <= m->args_max);
            assert_int_equal(m->args_max > 0, m->args[0] != 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_commands_answer),
        cmocka_unit_test(help_is_given),
        cmocka_unit_test(what_is_wrong_gets_usage_and_status_1),
        cmocka_unit_test(the_log_level_can_be_set),
        cmocka_unit_test(what_changes_something_is_logged_on_one_line),
        cmocka_unit_test(commands_are_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
