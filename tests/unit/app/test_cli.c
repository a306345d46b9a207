/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/cli.h"
#include "node/app/console.h"
#include "tests/unit/app/cli_fixture.h"
#include "tests/unit/app/fake_node.h"

#define NOT_RESPONDING "Node 'covey@127.0.0.1' not responding.\n"

static void a_node_starts_and_stops(void **state)
{
    struct place *p = *state;
    char log[8192], path[128], pid[32];
    covey_says(p, "start", 0, "Covey 0.1.0 is started successfully!\n", "");
    covey_says(p, "start", 1, "", "Node is already running!\n");
    covey_says(p, "foreground", 1, "", "Node is already running!\n");
    covey_says(p, "ping", 0, "", "");
    struct run r = covey(p, "pid");
    path_in(p, "a/data/covey.pid", path);
    file_slurp(path, pid, sizeof pid);
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, pid);
    covey_says(p, "stop", 0, "ok\n", "");
    assert_int_not_equal(access(path, F_OK), 0);
    path_in(p, "a/data/log/covey.log", path);
    file_slurp(path, log, sizeof log);
    assert_non_null(strstr(log, "Z notice node start name=covey@127.0.0.1\n"));
    assert_non_null(strstr(log, "Z notice node stop\n"));
    covey_says(p, "stop", 1, "", NOT_RESPONDING);
}

static void a_daemon_has_left_its_terminal(void **state)
{
    struct place *p = *state;
    char path[128], target[128] = "";
    assert_int_equal(covey(p, "start").status, 0);
    pid_t pid = (pid_t)strtol(covey(p, "pid").out, NULL, 10);
    assert_true(pid > 1);
    assert_true(getsid(pid) != getsid(0));
    assert_true(getsid(pid) != pid);
    snprintf(path, sizeof path, "/proc/%d/fd/0", (int)pid);
    assert_true(readlink(path, target, sizeof target - 1) > 0);
    assert_string_equal(target, "/dev/null");
    memset(target, 0, sizeof target);
    snprintf(path, sizeof path, "/proc/%d/fd/2", (int)pid);
    assert_true(readlink(path, target, sizeof target - 1) > 0);
    assert_non_null(strstr(target, "/a/data/log/covey.log"));
    covey_says(p, "stop", 0, "ok\n", "");
}

static void a_node_restarts(void **state)
{
    struct place *p = *state;
    covey_says(p, "restart", 0, "Covey 0.1.0 is started successfully!\n", "");
    struct run before = covey(p, "pid");
    covey_says(p, "restart", 0, "ok\nCovey 0.1.0 is started successfully!\n", "");
    struct run after = covey(p, "pid");
    assert_string_not_equal(before.out, after.out);
    p->more = "COVEY_MQTT__MAX_INFLIGHT=many";
    covey_says(p, "restart", 1, "",
               "COVEY_MQTT__MAX_INFLIGHT: mqtt.max_inflight: \"many\" is not a number from 1 to 65535\n");
    p->more = NULL;
    covey_says(p, "pid", 0, after.out, "");
    covey_says(p, "stop", 0, "ok\n", "");
}

static void a_node_that_dies_shows_its_log(void **state)
{
    struct place *p = *state;
    p->node = "COVEY_TEST_NODE=die";
    struct run r = covey(p, "start");
    assert_int_equal(r.status, 1);
    assert_string_equal(r.out, "");
    assert_ptr_equal(strstr(r.err, "Covey 0.1.0 failed to start. The end of "), r.err);
    assert_non_null(strstr(r.err, "Z error node died reason=told\n"));
    covey_says(p, "ping", 1, "", NOT_RESPONDING);
}

static void a_node_that_is_late_is_told_of(void **state)
{
    struct place *p = *state;
    p->node = "COVEY_TEST_NODE=mute";
    struct run r = covey(p, "start --wait 1");
    assert_int_equal(r.status, 1);
    assert_ptr_equal(strstr(r.err, "Covey 0.1.0 failed to start within 1 seconds\nIt is still trying"),
                     r.err);
    covey_says(p, "ping", 1, "", NOT_RESPONDING);
    covey_says(p, "stop", 0, "ok\n", "");
}

static void nothing_runs_without_a_node(void **state)
{
    struct place *p = *state;
    covey_says(p, "ping", 1, "", NOT_RESPONDING);
    covey_says(p, "pid", 1, "", NOT_RESPONDING);
    covey_says(p, "stop", 1, "", NOT_RESPONDING);
    covey_says(p, "ctl status", 1, "", NOT_RESPONDING);
    struct run r = covey(p, "ctl help");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "\nclients list "));
}

/* The number in a pid file means nothing once its process is gone. */
static void a_stale_pid_file_is_no_node(void **state)
{
    struct place *p = *state;
    char text[32], path[128];
    assert_int_equal(covey(p, "start").status, 0);
    pid_t pid = (pid_t)strtol(covey(p, "pid").out, NULL, 10);
    path_in(p, "a/data/covey.pid", path);
    assert_int_equal(kill(pid, SIGKILL), 0);
    pid_t holder = pid;
    while (pidfile_holder(path, &holder) == OK && holder == pid)
        poll(NULL, 0, 1);
    snprintf(text, sizeof text, "%d\n", (int)getpid());
    file_write(p, "a/data/covey.pid", text);
    covey_says(p, "stop", 1, "", NOT_RESPONDING);
    covey_says(p, "ping", 1, "", NOT_RESPONDING);
    covey_says(p, "start", 0, "Covey 0.1.0 is started successfully!\n", "");
    covey_says(p, "stop", 0, "ok\n", "");
}

/* Waits until the node that was spawned answers. */
static void answer_await(const struct place *p)
{
    char path[128];
    path_in(p, "a/data/ctl.sock", path);
    while (ctl_ping(path, 1000, NULL) != OK)
        poll(NULL, 0, 1);
}

static void foreground_logs_to_stderr(void **state)
{
    struct place *p = *state;
    pid_t pid = spawn(p, "foreground");
    answer_await(p);
    kill(pid, SIGTERM);
    struct run r = finish(p, pid);
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "");
    assert_non_null(strstr(r.err, "Z notice node start name=covey@127.0.0.1\n"));
}

static void ctl_sends_words_and_passes_the_status_on(void **state)
{
    struct place *p = *state;
    assert_int_equal(covey(p, "start").status, 0);
    covey_says(p, "ctl clients show --json c1", 3, "<clients>\n<show>\n<--json>\n<c1>\n", "");
    covey_says(p, "ctl", 3, "<help>\n", "");
    covey_says(p, "ctl bad", 1, "", "Node 'covey@127.0.0.1' broke off its answer.\n");
    covey_says(p, "ctl cut", 1, "", "Node 'covey@127.0.0.1' broke off its answer.\n");
    covey_says(p, "stop", 0, "ok\n", "");
}

static void the_log_is_opened_again(void **state)
{
    struct place *p = *state;
    char path[128], old[128], log[8192];
    assert_int_equal(covey(p, "start").status, 0);
    pid_t pid = (pid_t)strtol(covey(p, "pid").out, NULL, 10);
    path_in(p, "a/data/log/covey.log", path);
    path_in(p, "a/data/log/covey.log.1", old);
    assert_int_equal(rename(path, old), 0);
    assert_int_equal(kill(pid, SIGHUP), 0);
    covey_says(p, "ping", 0, "", "");
    covey_says(p, "ping", 0, "", "");
    file_slurp(path, log, sizeof log);
    assert_non_null(strstr(log, "Z notice node turn\n"));
    covey_says(p, "stop", 0, "ok\n", "");
}

static void console_asks_the_node(void **state)
{
    struct place *p = *state;
    p->input = "clients list\n\n\"two words\" x\nexit\n";
    struct run r = covey(p, "console");
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "\"help\" lists the commands, \"exit\" stops the node.\n"
                               "covey> <clients>\n<list>\ncovey> covey> <two words>\n<x>\ncovey> ");
    assert_non_null(strstr(r.err, "Z notice node stop\n"));
}

static void configuration_is_checked(void **state)
{
    struct place *p = *state;
    char path[128], command[256], expected[512];
    file_write(p, "good.yaml", "mqtt:\n  max_inflight: 7\n");
    file_write(p, "bad.yaml", "mqtt:\n  max_inflght: 7\n  max_qos_allowed: 3\n");
    path_in(p, "good.yaml", path);
    snprintf(command, sizeof command, "check-config %s", path);
    snprintf(expected, sizeof expected, "%s: OK\n", path);
    covey_says(p, command, 0, expected, "");
    snprintf(command, sizeof command, "-c %s check_conf", path);
    covey_says(p, command, 0, expected, "");
    path_in(p, "bad.yaml", path);
    snprintf(command, sizeof command, "check_config %s", path);
    struct run r = covey(p, command);
    snprintf(expected, sizeof expected, "%s: 2 errors\n", path);
    assert_int_equal(r.status, 1);
    assert_string_equal(r.out, expected);
    snprintf(expected, sizeof expected,
             "%s:2: mqtt.max_inflght: unknown key; did you mean mqtt.max_inflight?\n"
             "%s:3: mqtt.max_qos_allowed: \"3\" is not a number from 0 to 2\n",
             path, path);
    assert_string_equal(r.err, expected);
    snprintf(command, sizeof command, "start --config %s", path);
    assert_int_equal(covey(p, command).status, 1);
    path_in(p, "a", path);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void configuration_is_explained(void **state)
{
    struct place *p = *state;
    char file[160], path[128];
    file_write(p, "x.yaml", "mqtt:\n  max_inflight: 7\n");
    path_in(p, "x.yaml", path);
    snprintf(file, sizeof file, "COVEY_CONFIG=%s", path);
    p->more = file;
    struct run r = covey(p, "config explain mqtt.max_inflight");
    assert_int_equal(r.status, 0);
    assert_non_null(strstr(r.out, "  value:        7\n"));
    assert_non_null(strstr(r.out, "/x.yaml:2\n"));
    r = covey(p, "config show");
    assert_non_null(strstr(r.out, "mqtt.max_inflight: 7  # "));
    assert_non_null(strstr(r.out, "/a/data  # COVEY_NODE__DATA_DIR\n"));
    p->more = NULL;
    covey_says(p, "config explain mqtt.max_inflght", 1, "",
               "mqtt.max_inflght: unknown key; did you mean mqtt.max_inflight?\n");
    covey_says(p, "config explain mqtt.retry_interval", 1, "",
               "mqtt.retry_interval: unknown key; not needed: a message is sent again only when its client "
               "connects again\n");
    assert_int_equal(covey(p, "config").status, 1);
    assert_int_equal(covey(p, "config keys").status, 0);
    assert_int_equal(covey(p, "config default").status, 0);
}

static void words_are_understood(void **state)
{
    struct place *p = *state;
    covey_says(p, "version", 0, "Covey 0.1.0\n", "");
    covey_says(p, "--version", 0, "Covey 0.1.0\n", "");
    covey_says(p, "strat", 1, "", "covey: unknown command \"strat\"; did you mean start?\n");
    covey_says(p, "frobnicate", 1, "", "covey: unknown command \"frobnicate\"; \"covey help\" lists them\n");
    covey_says(p, "eval", 1, "",
               "covey eval: there is no Erlang shell; \"covey ctl help\" lists what a node can be asked.\n");
    assert_int_equal(covey(p, "").status, 64);
    assert_int_equal(covey(p, "stop now").status, 64);
    assert_int_equal(covey(p, "start --wait soon").status, 64);
    assert_int_equal(covey(p, "start --wait 0").status, 64);
    assert_int_equal(covey(p, "start --nothing").status, 64);
}

static void every_command_has_help(void **state)
{
    static const char *const commands[] = {"start",   "stop", "restart", "foreground",
                                           "console", "ping", "pid",     "check-config",
                                           "config",  "ctl",  "version", "help"};
    struct place *p = *state;
    char command[64];
    struct run whole = covey(p, "--help");
    assert_int_equal(whole.status, 0);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char line[64];
        snprintf(line, sizeof line, "\n  %-13s ", commands[i]);
        assert_non_null(strstr(whole.out, line));
        snprintf(command, sizeof command, "%s --help", commands[i]);
        struct run r = covey(p, command);
        assert_int_equal(r.status, 0);
        assert_non_null(strstr(r.out, "\nExamples:\n"));
        snprintf(command, sizeof command, "help %s", commands[i]);
        struct run same = covey(p, command);
        assert_string_equal(same.out, r.out);
    }
}

static void folders_that_cannot_be_made_are_named(void **state)
{
    struct place *p = *state;
    char expected[256];
    file_write(p, "a", "in the way");
    snprintf(expected, sizeof expected,
             "%s/a/data: cannot make the folder of node.data_dir: Not a directory\n", p->dir);
    covey_says(p, "start", 1, "", expected);
}

static void lines_are_split(void **state)
{
    const char *words[CONSOLE_WORDS_MAX];
    char a[] = "  one \"two three\" f\"o\"ur \"\"\n", b[] = "\"open", c[] = "\n", many[300];
    (void)state;
    assert_int_equal(console_split(a, words), 4);
    assert_string_equal(words[0], "one");
    assert_string_equal(words[1], "two three");
    assert_string_equal(words[2], "four");
    assert_string_equal(words[3], "");
    assert_int_equal(console_split(b, words), 0);
    assert_int_equal(console_split(c, words), 0);
    for (size_t i = 0; i < sizeof many - 1; i++)
        many[i] = i % 2 ? ' ' : 'x';
    many[sizeof many - 1] = 0;
    assert_int_equal(console_split(many, words), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, place_make, place_remove)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(a_node_starts_and_stops),
        TEST(a_daemon_has_left_its_terminal),
        TEST(a_node_restarts),
        TEST(a_node_that_dies_shows_its_log),
        TEST(a_node_that_is_late_is_told_of),
        TEST(nothing_runs_without_a_node),
        TEST(a_stale_pid_file_is_no_node),
        TEST(foreground_logs_to_stderr),
        TEST(ctl_sends_words_and_passes_the_status_on),
        TEST(the_log_is_opened_again),
        TEST(console_asks_the_node),
        TEST(configuration_is_checked),
        TEST(configuration_is_explained),
        TEST(words_are_understood),
        TEST(every_command_has_help),
        TEST(folders_that_cannot_be_made_are_named),
        TEST(lines_are_split),
    };
    if (argc > 2 && strcmp(argv[1], AS_COVEY) == 0)
        return cli_main(argc - 2, argv + 2, (const char *const *)environ, fake_node);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
