/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/logger.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* 2026-11-23T10:00:00.123Z */
static const uint64_t when = 1795428000123;

static void formats(enum config_log_format format, const char *line, size_t n, const char *expected)
{
    char out[256];
    size_t len = logger_format(out, sizeof out, format, when, LOG_WARNING, line, n);
    assert_string_equal(out, expected);
    assert_int_equal(len, strlen(expected));
}

static void lines_have_time_and_level(void **state)
{
    (void)state;
    formats(LOG_FORMAT_TEXT, "node start workers=4", 20,
            "2026-11-23T10:00:00.123Z warning node start workers=4\n");
    formats(LOG_FORMAT_TEXT, "", 0, "2026-11-23T10:00:00.123Z warning \n");
}

static void json_is_escaped(void **state)
{
    (void)state;
#define BEGIN "{\"time\":\"2026-11-23T10:00:00.123Z\",\"level\":\"warning\",\"message\":\""
    formats(LOG_FORMAT_JSON, "a b=c", 5, BEGIN "a b=c\",\"fields\":{\"b\":\"c\"}}\n");
    formats(LOG_FORMAT_JSON, "a=\"\\x0a\"", 8, BEGIN "a=\\\"\\\\x0a\\\"\",\"fields\":{\"a\":\"\\\\x0a\"}}\n");
    formats(LOG_FORMAT_JSON, "a\x01z", 3, BEGIN "a\\u0001z\"}\n");
    formats(LOG_FORMAT_JSON, "\xc3\xa4\xf0\x9f\x90\xa6", 6, BEGIN "\xc3\xa4\xf0\x9f\x90\xa6\"}\n");
    /* A line that was cut in the middle of a character, and bytes that are none. */
    formats(LOG_FORMAT_JSON, "\xff\xc3", 2, BEGIN "\\ufffd\\ufffd\"}\n");
    formats(LOG_FORMAT_JSON, "\xe2\x82z", 3, BEGIN "\\ufffd\\ufffdz\"}\n");
}

static void fields(const char *line, const char *expected)
{
    char out[512];
    logger_format(out, sizeof out, LOG_FORMAT_JSON, when, LOG_INFO, line, strlen(line));
    const char *found = strstr(out, "\",\"fields\":");
    if (!expected) {
        assert_null(found);
        return;
    }
    assert_non_null(found);
    assert_string_equal(found + strlen("\",\"fields\":"), expected);
}

static void keys_and_values_are_fields(void **state)
{
    (void)state;
    fields("node start", NULL);
    fields("node start a.b_c=1 d=\"two words\" and e=",
           "{\"a.b_c\":\"1\",\"d\":\"two words\",\"e\":\"\"}}\n");
    fields("x url=http://h/?q=1 y", "{\"url\":\"http://h/?q=1\"}}\n");
    fields("cut a=\"no end", "{\"a\":\"no end\"}}\n");
    fields("= ==a -b=1 \"c=2\"", NULL);
    fields("a=\x01", "{\"a\":\"\\u0001\"}}\n");
}

/* Whatever the room, a line is whole JSON. */
static void fields_that_do_not_fit_are_left_out(void **state)
{
    char line[300], out[1024];
    (void)state;
    memset(line, '\x01', sizeof line);
    memcpy(line, "a=1 b=", 6);
    for (size_t size = 128; size < sizeof out; size++) {
        size_t n = logger_format(out, size, LOG_FORMAT_JSON, when, LOG_INFO, line, sizeof line);
        assert_true(n < size && strlen(out) == n);
        assert_string_equal(out + n - 2, "}\n");
        assert_true(out[n - 3] == '"' || out[n - 3] == '}');
    }
}

static void long_lines_are_cut(void **state)
{
    char line[1000], out[200];
    (void)state;
    memset(line, 'x', sizeof line);
    assert_int_equal(logger_format(out, sizeof out, LOG_FORMAT_TEXT, when, LOG_INFO, line, sizeof line), 199);
    assert_string_equal(out + 196, "xx\n");
    memset(line, 1, sizeof line);
    size_t n = logger_format(out, sizeof out, LOG_FORMAT_JSON, when, LOG_INFO, line, sizeof line);
    assert_true(n < sizeof out);
    assert_string_equal(out + n - 9, "\\u0001\"}\n");
}

struct files {
    char dir[32];
    char path[64];
    char old[64];
};

static int files_make(void **state)
{
    struct files *f = calloc(1, sizeof *f);
    snprintf(f->dir, sizeof f->dir, "/tmp/covey-log-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/log", f->dir);
    snprintf(f->old, sizeof f->old, "%s/log.1", f->dir);
    *state = f;
    return 0;
}

static int files_remove(void **state)
{
    struct files *f = *state;
    unlink(f->path);
    unlink(f->old);
    rmdir(f->dir);
    free(f);
    return 0;
}

static char *slurp(const char *path)
{
    char *text = calloc(1, 1 << 26);
    FILE *f = fopen(path, "re");
    if (f) {
        assert_true(fread(text, 1, (1 << 26) - 1, f) < (1 << 26) - 1);
        fclose(f);
    }
    return text;
}

static void file_has(const char *path, const char *word)
{
    char *text = slurp(path);
    if (!strstr(text, word))
        fail_msg("%s has no \"%s\":\n%s", path, word, text);
    free(text);
}

static void files_are_appended_to_and_rotated(void **state)
{
    struct files *f = *state;
    struct logger l;
    FILE *out = fopen(f->path, "we");
    fputs("before\n", out);
    fclose(out);
    assert_int_equal(logger_init(&l, f->path, LOGGER_STDIO_KEPT, LOG_INFO, LOG_FORMAT_TEXT), OK);
    logger_catch_hangup();
    LOG(&l.sink, LOG_INFO, "one");
    LOG(&l.sink, LOG_DEBUG, "too quiet");
    assert_int_equal(rename(f->path, f->old), 0);
    LOG(&l.sink, LOG_INFO, "two");
    assert_int_equal(raise(SIGHUP), 0);
    LOG(&l.sink, LOG_INFO, "three");
    logger_fini(&l);
    char *old = slurp(f->old), *now = slurp(f->path);
    assert_ptr_equal(strstr(old, "before\n"), old);
    assert_non_null(strstr(old, "Z info one\n"));
    assert_non_null(strstr(old, "Z info two\n"));
    assert_null(strstr(old, "quiet"));
    assert_null(strstr(old, "three"));
    assert_null(strstr(now, "two"));
    assert_non_null(strstr(now, "Z info three\n"));
    free(old);
    free(now);
}

/* Rotation into a folder that is gone must not lose the log that there is. */
static void a_file_that_cannot_be_opened_keeps_the_old(void **state)
{
    struct files *f = *state;
    struct logger l;
    assert_int_equal(logger_init(&l, f->path, LOGGER_STDIO_KEPT, LOG_INFO, LOG_FORMAT_TEXT), OK);
    l.file = "/nonexistent/log";
    logger_reopen_soon();
    LOG(&l.sink, LOG_INFO, "still here");
    logger_fini(&l);
    file_has(f->path, "Z info still here\n");
    assert_int_equal(logger_init(&l, "/nonexistent/log", LOGGER_STDIO_KEPT, LOG_INFO, LOG_FORMAT_TEXT),
                     ERR_IO);
}

/* The size is looked at after each line; the thread needs a moment. */
static void a_full_file_becomes_the_first_of_the_old(void **state)
{
    struct files *f = *state;
    struct logger l;
    struct stat st = {0};
    assert_int_equal(logger_init(&l, f->path, LOGGER_STDIO_KEPT, LOG_INFO, LOG_FORMAT_TEXT), OK);
    assert_int_equal(logger_start(&l, 1024, 1), OK);
    for (int i = 0; i < 1000000 && stat(f->old, &st) != 0; i++)
        LOG(&l.sink, LOG_INFO, "line number=%d", i);
    logger_fini(&l);
    assert_true(st.st_size >= 1024);
    file_has(f->old, "number=20\n");
    assert_int_equal(l.sink.lost, 0);
}

static void a_file_that_is_large_already_is_moved(void **state)
{
    struct files *f = *state;
    struct logger l;
    struct stat st;
    FILE *out = fopen(f->path, "we");
    fprintf(out, "%2000s\n", "before");
    fclose(out);
    assert_int_equal(logger_init(&l, f->path, LOGGER_STDIO_KEPT, LOG_INFO, LOG_FORMAT_TEXT), OK);
    assert_int_equal(logger_start(&l, 1024, 3), OK);
    LOG(&l.sink, LOG_INFO, "the last one");
    while (stat(f->old, &st) != 0)
        sched_yield();
    logger_fini(&l);
    file_has(f->old, "before\n");
    file_has(f->old, "the last one\n");
}

static void lines_that_are_lost_are_counted(void **state)
{
    struct files *f = *state;
    struct logger l;
    assert_int_equal(logger_init(&l, "/dev/full", LOGGER_STDIO_KEPT, LOG_INFO, LOG_FORMAT_TEXT), OK);
    for (int i = 0; i < 3; i++)
        LOG(&l.sink, LOG_INFO, "lost");
    assert_int_equal(l.sink.lost, 3);
    assert_int_equal(l.sink.is_failing, 1);
    l.file = f->path;
    logger_reopen_soon();
    LOG(&l.sink, LOG_INFO, "room again");
    assert_int_equal(l.sink.lost, 3);
    assert_int_equal(l.sink.is_failing, 0);
    logger_fini(&l);
    file_has(f->path, "room again\n");
}

static void tails(struct files *f, long from, unsigned lines, const char *expected)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    logger_tail(f->path, from, lines, out);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void the_tail_is_the_last_lines(void **state)
{
    struct files *f = *state;
    tails(f, 0, 3, "");
    FILE *out = fopen(f->path, "we");
    fputs("one\ntwo\nthree\nfour", out);
    fclose(out);
    tails(f, 0, 2, "three\nfour\n");
    tails(f, 0, 9, "one\ntwo\nthree\nfour\n");
    tails(f, 8, 9, "three\nfour\n");
    tails(f, 99, 9, "");
    out = fopen(f->path, "we");
    for (int i = 0; i < 5000; i++)
        fprintf(out, "line %d\n", i);
    fclose(out);
    tails(f, 0, 2, "line 4998\nline 4999\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, files_make, files_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_time_and_level),
        cmocka_unit_test(json_is_escaped),
        cmocka_unit_test(keys_and_values_are_fields),
        cmocka_unit_test(fields_that_do_not_fit_are_left_out),
        cmocka_unit_test(long_lines_are_cut),
        TEST(files_are_appended_to_and_rotated),
        TEST(a_file_that_cannot_be_opened_keeps_the_old),
        TEST(a_full_file_becomes_the_first_of_the_old),
        TEST(a_file_that_is_large_already_is_moved),
        TEST(lines_that_are_lost_are_counted),
        TEST(the_tail_is_the_last_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
