/* SPDX-License-Identifier: Apache-2.0 */

/* A disk that refuses to write or to sync: no commit is reported that is not there, none that failed shows,
 * reads go on, and when the disk is well again the store is too. */

#include "tests/unit/storage/failing_disk.h"
#include "tests/unit/storage/model.h"

#include "storage/lmdb_store.h"

static int setup(void **state)
{
    struct place *p = mem_zalloc(sizeof(*p));
    place_init(p);
    p->conf.sync = STORE_SYNC_ALWAYS;
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    failing_disk_set(NULL);
    place_fini(*state);
    free(*state);
    return 0;
}

/* A store that tries to recover at each call instead of ten times a second. */
static struct store *open_eager(struct place *p)
{
    struct store *s = place_open(p);
    lmdb_store_of(s)->recover_interval_us = 0;
    return s;
}

static enum err put(struct store *s, const char *key)
{
    return put_one(s, STORE_RETAINED, bytes_str(key), bytes_str("value"));
}

static bool is_there(struct store *s, const char *key)
{
    int64_t n = value_n(s, STORE_RETAINED, bytes_str(key));
    assert_true(n == 5 || n == -ERR_NOTFOUND);
    return n == 5;
}

static void check_failing_commit(struct place *p, const char *fault, enum err expected)
{
    struct store *s = open_eager(p);
    struct store_reader *r = reader_of(s);
    struct bytes v;
    assert_int_equal(put(s, "before"), OK);
    assert_int_equal(store_read_begin(r), OK);
    failing_disk_set(fault);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(put(s, "during"), expected);
        assert_false(is_there(s, "during"));
        assert_true(is_there(s, "before"));
    }
    assert_non_null(strstr(p->last, "commit_failed"));
    failing_disk_set(NULL);
    assert_int_equal(store_get(r, STORE_RETAINED, bytes_str("before"), &v), OK);
    assert_int_equal(put(s, "after"), OK);
    assert_non_null(strstr(p->last, "commit_recovered failures=3"));
    assert_int_equal(store_count(s, STORE_RETAINED), 2);
    store_reader_free(r);
    store_close(s);
    s = place_open(p);
    assert_true(is_there(s, "before") && is_there(s, "after") && !is_there(s, "during"));
    store_close(s);
}

static void test_failed_fdatasync(void **state)
{
    check_failing_commit(*state, "eio sync", ERR_IO);
}

static void test_no_space_for_pages(void **state)
{
    check_failing_commit(*state, "enospc write", ERR_NOSPC);
}

/* What LMDB cannot take back by itself: the environment is replaced, as soon as no snapshot is open. */
static void check_failing_meta(struct place *p, const char *fault)
{
    struct store *s = open_eager(p);
    struct store_reader *r = reader_of(s), *r2 = reader_of(s);
    struct bytes v;
    assert_int_equal(put(s, "before"), OK);
    assert_int_equal(store_read_begin(r), OK);
    failing_disk_set(fault);
    assert_int_equal(put(s, "during"), ERR_IO);
    assert_int_equal(store_read_begin(r2), ERR_IO);
    failing_disk_set(NULL);
    assert_int_equal(put(s, "during"), ERR_IO); /* r is in the way */
    assert_int_equal(store_get(r, STORE_RETAINED, bytes_str("before"), &v), OK);
    assert_int_equal(store_get(r, STORE_RETAINED, bytes_str("during"), &v), ERR_NOTFOUND);
    store_read_end(r);
    assert_int_equal(store_read_begin(r2), OK); /* a reader brings it up */
    assert_int_equal(store_get(r2, STORE_RETAINED, bytes_str("during"), &v), ERR_NOTFOUND);
    store_read_end(r2);
    assert_int_equal(put(s, "after"), OK);
    failing_disk_set(fault);
    assert_int_equal(put(s, "during"), ERR_IO);
    failing_disk_set("eio");
    assert_int_equal(put(s, "during"), ERR_IO); /* nor can it be brought up */
    assert_int_equal(store_read_begin(r), ERR_IO);
    failing_disk_set(NULL);
    assert_int_equal(put(s, "last"), OK); /* a commit brings it up */
    assert_int_equal(store_read_begin(r), OK);
    assert_int_equal(store_get(r, STORE_RETAINED, bytes_str("after"), &v), OK);
    store_reader_free(r);
    store_reader_free(r2);
    assert_int_equal(store_count(s, STORE_RETAINED), 3);
    store_close(s);
    s = place_open(p);
    assert_true(is_there(s, "before") && is_there(s, "after") && is_there(s, "last") &&
                !is_there(s, "during"));
    store_close(s);
}

static void test_failed_meta_page(void **state)
{
    check_failing_meta(*state, "eio meta");
}

static void test_failed_meta_page_that_got_into_the_file(void **state)
{
    check_failing_meta(*state, "eio late");
}

static void test_close_while_down(void **state)
{
    struct store *s = open_eager(*state);
    assert_int_equal(put(s, "before"), OK);
    failing_disk_set("eio meta");
    assert_int_equal(put(s, "during"), ERR_IO);
    assert_int_equal(put(s, "during"), ERR_IO);
    store_close(s);
    failing_disk_set(NULL);
    s = place_open(*state);
    assert_true(is_there(s, "before"));
    store_close(s);
}

/* After a failed fdatasync the kernel may take pages for clean that it has not written: a second one that
 * succeeds says nothing about them, so they are written again. */
static void test_interval_writes_again_after_a_failed_sync(void **state)
{
    struct place *p = *state;
    p->conf.sync = STORE_SYNC_INTERVAL;
    struct store *s = place_open(p);
    failing_disk_set("eio sync");
    assert_int_equal(put(s, "a"), OK);
    assert_int_equal(store_sync_now(s), ERR_IO);
    failing_disk_set("eio write");
    assert_int_equal(store_sync_now(s), ERR_IO);
    failing_disk_set(NULL);
    assert_int_equal(store_sync_now(s), OK);
    failing_disk_set("eio write");
    assert_int_equal(store_sync_now(s), OK);
    failing_disk_set(NULL);
    assert_true(is_there(s, "a"));
    store_close(s);
}

static void test_open_on_a_failing_disk(void **state)
{
    struct place *p = *state;
    struct store *s;
    static const char *const faults[] = {"enospc write", "eio sync", "eio meta", "eio late"};
    for (size_t i = 0; i < array_len(faults); i++) {
        failing_disk_set(faults[i]);
        assert_true(store_open_lmdb(&s, &p->conf) == (i == 0 ? ERR_NOSPC : ERR_IO));
        assert_non_null(strstr(p->last, "open_failed"));
    }
    failing_disk_set(NULL);
    s = place_open(p); /* the failed ones left nothing behind */
    assert_int_equal(put(s, "a"), OK);
    store_close(s);
}

static void random_batch(struct random *r, struct store_batch *b)
{
    static uint8_t value[6000];
    store_batch_reset(b);
    for (uint32_t ops = 1 + random_below(r, 6); ops; ops--) {
        char key[16];
        int n = snprintf(key, sizeof(key), "%u/%u", random_below(r, 4), random_below(r, 40));
        struct bytes k = bytes_of(key, (size_t)n);
        uint32_t what = random_below(r, 10);
        if (what < 7) {
            uint32_t value_bytes = random_below(r, random_below(r, 4) ? 100 : sizeof(value));
            random_fill(r, value, value_bytes);
            store_batch_put(b, STORE_QUEUE, k, bytes_of(value, value_bytes));
        } else if (what < 9) {
            store_batch_del(b, STORE_QUEUE, k);
        } else {
            store_batch_del_prefix(b, STORE_QUEUE, bytes_of(key, 2));
        }
    }
}

static void check_model(const struct model *m, struct store *s)
{
    struct store_reader *r = reader_of(s);
    assert_int_equal(store_read_begin(r), OK);
    model_check_from(m, r, STORE_QUEUE, bytes_of(NULL, 0));
    store_reader_free(r);
}

static void test_random_faults(void **state)
{
    static const char *const faults[] = {NULL,       NULL,        "eio sync", "enospc write", "eio meta",
                                         "eio late", "eio write", NULL,       "enospc all",   "enospc meta"};
    struct random r = random_of(3);
    struct model m = {0};
    struct store_batch b;
    struct store *s = open_eager(*state);
    unsigned failed = 0;
    store_batch_init(&b);
    for (int step = 0; step < 600; step++) {
        if (random_below(&r, 3) == 0)
            failing_disk_set(faults[random_below(&r, array_len(faults))]);
        random_batch(&r, &b);
        if (commit_one(s, &b) == OK)
            model_apply(&m, &b);
        else
            failed++;
        if (random_below(&r, 10) == 0) {
            failing_disk_set(NULL);
            if (random_below(&r, 4) == 0) {
                store_close(s);
                s = open_eager(*state);
            }
            check_model(&m, s);
        }
    }
    assert_true(failed > 100 && failed < 500);
    store_batch_fini(&b);
    model_fini(&m);
    store_close(s);
}

int main(int argc, char **argv)
{
    (void)argc;
    failing_disk_begin(argv);
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_failed_fdatasync),       TEST(test_no_space_for_pages),
        TEST(test_failed_meta_page),       TEST(test_failed_meta_page_that_got_into_the_file),
        TEST(test_close_while_down),       TEST(test_interval_writes_again_after_a_failed_sync),
        TEST(test_open_on_a_failing_disk), TEST(test_random_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
