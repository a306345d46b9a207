/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/dump.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct file {
    char path[64];
    uint8_t bytes[4096];
    size_t n;
};

/* A dump of three entries, in memory as well. */
static int file_make(void **state)
{
    struct file *f = calloc(1, sizeof *f);
    struct dump_writer w;
    snprintf(f->path, sizeof f->path, "/tmp/covey-dump-%ld", (long)getpid());
    assert_int_equal(dump_create(&w, f->path), OK);
    dump_put(&w, DUMP_RETAINED, bytes_str("a message"), bytes_of(NULL, 0));
    dump_put(&w, DUMP_DELAYED, bytes_str("key"), bytes_str(" and record"));
    dump_put(&w, DUMP_BANS, bytes_of(NULL, 0), bytes_of(NULL, 0));
    assert_int_equal(dump_finish(&w), OK);
    FILE *in = fopen(f->path, "re");
    f->n = fread(f->bytes, 1, sizeof f->bytes, in);
    fclose(in);
    *state = f;
    return 0;
}

static int file_remove(void **state)
{
    struct file *f = *state;
    unlink(f->path);
    free(f);
    return 0;
}

/* How reading ends; ERR_NOTFOUND: all is well. */
static enum err read_all(const uint8_t *p, size_t n, uint64_t *entries)
{
    struct dump_reader r;
    enum dump_type type;
    struct bytes entry;
    FILE *in = fmemopen((void *)(uintptr_t)p, n, "r");
    enum err e = dump_open(&r, in, n);
    for (*entries = 0; e == OK; *entries += e == OK)
        e = dump_next(&r, &type, &entry);
    dump_close(&r);
    return e;
}

static void what_was_written_is_read(void **state)
{
    static const char *const texts[] = {"a message", "key and record", ""};
    struct file *f = *state;
    struct dump_reader r;
    enum dump_type type;
    struct bytes entry;
    assert_int_equal(dump_open(&r, fopen(f->path, "re"), f->n), OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(dump_next(&r, &type, &entry), OK);
        assert_int_equal(type, DUMP_RETAINED + i);
        assert_true(bytes_eq(entry, bytes_str(texts[i])));
    }
    assert_int_equal(dump_next(&r, &type, &entry), ERR_NOTFOUND);
    dump_close(&r);
}

static void the_file_is_private_and_new(void **state)
{
    struct file *f = *state;
    struct dump_writer w;
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(dump_create(&w, f->path), ERR_EXISTS);
    assert_int_equal(dump_create(&w, "/nonexistent/x"), ERR_IO);
}

static void any_bit_that_turns_is_found(void **state)
{
    struct file *f = *state;
    uint64_t entries;
    for (size_t i = 0; i < f->n * 8; i++) {
        f->bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        enum err e = read_all(f->bytes, f->n, &entries);
        assert_int_equal(e, i / 8 < 8 ? ERR_INVALID : i / 8 < 12 ? ERR_VERSION : ERR_CORRUPT);
        f->bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    assert_int_equal(read_all(f->bytes, f->n, &entries), ERR_NOTFOUND);
    assert_int_equal(entries, 3);
}

static void any_cut_and_any_more_is_found(void **state)
{
    struct file *f = *state;
    uint64_t entries;
    for (size_t n = 1; n < f->n; n++)
        assert_int_equal(read_all(f->bytes, n, &entries), n < 12 ? ERR_INVALID : ERR_CORRUPT);
    assert_int_equal(read_all(f->bytes, f->n + 1, &entries), ERR_CORRUPT);
}

static void a_full_disk_is_told(void **state)
{
    struct dump_writer w = {.file = fopen("/dev/full", "we")};
    (void)state;
    crypto_generichash_init(&w.hash, NULL, 0, 32);
    for (int i = 0; i < 1000; i++)
        dump_put(&w, DUMP_RETAINED, bytes_str("something of some length"), bytes_of(NULL, 0));
    assert_int_equal(dump_finish(&w), ERR_IO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, file_make, file_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_read),        TEST(the_file_is_private_and_new),
        TEST(any_bit_that_turns_is_found),     TEST(any_cut_and_any_more_is_found),
        cmocka_unit_test(a_full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
