/* SPDX-License-Identifier: Apache-2.0 */

/* Disk full and map full: refused truthfully, nothing stored is lost, and deleting always makes room. */

#include "tests/unit/storage/fixture.h"

#include "storage/lmdb_store.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>

static int setup(void **state)
{
    struct place *p = mem_zalloc(sizeof(*p));
    place_init(p);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    place_fini(*state);
    free(*state);
    return 0;
}

static struct bytes key_of(char buf[16], unsigned i)
{
    return bytes_of(buf, (size_t)snprintf(buf, 16, "%08u", i));
}

static enum err put(struct store *s, unsigned i, uint32_t n)
{
    static uint8_t value[100000];
    char key[16];
    memset(value, (int)i, n);
    return put_one(s, STORE_QUEUE, key_of(key, i), bytes_of(value, n));
}

static enum err del(struct store *s, unsigned i)
{
    char key[16];
    struct store_batch b;
    store_batch_init(&b);
    store_batch_del(&b, STORE_QUEUE, key_of(key, i));
    enum err e = commit_one(s, &b);
    store_batch_fini(&b);
    return e;
}

/* Puts from record number at on until there is no space; the number of the first that is not stored. */
static unsigned fill(struct store *s, unsigned at, uint32_t value_bytes)
{
    for (;; at++) {
        enum err e = put(s, at, value_bytes);
        if (e != OK) {
            assert_int_equal(e, ERR_NOSPC);
            return at;
        }
    }
}

static void check_stored(struct store *s, unsigned from, unsigned to, uint32_t value_bytes)
{
    char key[16];
    for (unsigned i = from; i < to; i++)
        assert_int_equal(value_n(s, STORE_QUEUE, key_of(key, i)), value_bytes);
    assert_int_equal(store_count(s, STORE_QUEUE), to - from);
}

/* Full, a part deleted, full again, as often as rounds says; then everything deleted. */
static void check_full_and_again(struct store *s, uint32_t value_bytes, int rounds)
{
    unsigned low = 0, high = fill(s, 0, value_bytes);
    assert_true(high > 20);
    check_stored(s, low, high, value_bytes);
    for (int i = 0; i < rounds; i++) {
        assert_int_equal(put(s, high, value_bytes), ERR_NOSPC);
        unsigned gone = low + (high - low) / 3;
        for (; low < gone; low++)
            assert_int_equal(del(s, low), OK);
        unsigned before = high;
        high = fill(s, high, value_bytes);
        assert_true(high - before > (gone / (unsigned)(i + 1)) / 4);
        check_stored(s, low, high, value_bytes);
    }
    assert_int_equal(del_prefix_one(s, STORE_QUEUE, bytes_str("0")), OK);
    assert_int_equal(store_count(s, STORE_QUEUE), 0);
    assert_int_equal(put(s, 0, value_bytes), OK);
}

static void test_map_full(void **state)
{
    static const uint32_t sizes[] = {10, 300, 3000, 16364, 60000};
    struct place *p = *state;
    for (size_t i = 0; i < array_len(sizes); i++) {
        p->conf.map_bytes_max = sizes[i] < 10000 ? 1 << 20 : 4 << 20;
        struct store *s = place_open(p);
        check_full_and_again(s, sizes[i], 5);
        uint64_t used, max;
        store_usage(s, &used, &max);
        assert_int_equal(max, p->conf.map_bytes_max);
        store_close(s);
        place_fini(p);
        place_init(p);
    }
}

/* Here the pages of the last checkpoint are held, besides. */
static void test_map_full_between_checkpoints(void **state)
{
    struct place *p = *state;
    p->conf.sync = STORE_SYNC_INTERVAL;
    p->conf.map_bytes_max = 2 << 20;
    struct store *s = place_open(p);
    check_full_and_again(s, 3000, 5);
    store_close(s);
}

static void test_map_larger_at_the_next_start(void **state)
{
    struct place *p = *state;
    p->conf.map_bytes_max = 1 << 20;
    struct store *s = place_open(p);
    unsigned n = fill(s, 0, 1000);
    store_close(s);
    p->conf.map_bytes_max = 4 << 20;
    s = place_open(p);
    unsigned m = fill(s, n, 1000);
    assert_true(m > 2 * n);
    check_stored(s, 0, m, 1000);
    store_close(s);
    p->conf.map_bytes_max = 1 << 20; /* smaller than what is stored: as large as that */
    s = place_open(p);
    check_stored(s, 0, m, 1000);
    assert_int_equal(put(s, m, 1000), ERR_NOSPC);
    assert_int_equal(del(s, 0), OK);
    store_close(s);
}

/* One batch that is larger than what is left does not fail the small ones. */
static void test_batch_larger_than_the_map(void **state)
{
    struct place *p = *state;
    p->conf.map_bytes_max = 1 << 20;
    struct store *s = place_open(p);
    struct store_batch b;
    char key[16];
    store_batch_init(&b);
    for (unsigned i = 0; i < 100; i++)
        memset(store_batch_reserve(&b, STORE_QUEUE, key_of(key, i), 50000), 1, 50000);
    assert_int_equal(commit_one(s, &b), ERR_NOSPC);
    assert_int_equal(store_count(s, STORE_QUEUE), 0);
    assert_int_equal(put(s, 1, 100), OK);
    store_batch_fini(&b);
    store_close(s);
}

/* Pages that are taken and given back within one transaction are counted, but never written: the file must
 * not look cut afterwards. */
static void test_put_and_deleted_in_one_batch(void **state)
{
    struct place *p = *state;
    struct store *s = place_open(p);
    struct store_batch b;
    store_batch_init(&b);
    assert_int_equal(put(s, 1, 1000), OK);
    for (int i = 0; i < 10; i++) {
        char key[16];
        memset(store_batch_reserve(&b, STORE_QUEUE, key_of(key, 2), 30 << 20), i, 30 << 20);
        store_batch_del(&b, STORE_QUEUE, key_of(key, 2));
        store_batch_put(&b, STORE_QUEUE, key_of(key, 3), bytes_of(&i, sizeof(i)));
        assert_int_equal(commit_one(s, &b), OK);
        store_batch_reset(&b);
        store_close(s);
        s = place_open(p);
        assert_int_equal(store_count(s, STORE_QUEUE), 2);
    }
    store_batch_fini(&b);
    store_close(s);
}

static void file_limit_set(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* SIGXFSZ keeps its default action: the store stays below the limit by itself. */
static void test_file_size_limit(void **state)
{
    struct place *p = *state;
    p->conf.sync = STORE_SYNC_ALWAYS;
    struct store *s = place_open(p);
    assert_int_equal(put(s, 0, 1000), OK);
    store_close(s);
    char path[128];
    place_path(p, "store", path);
    assert_int_equal(truncate(path, 1 << 20), 0); /* the hole is no data */
    file_limit_set(3 << 20);
    s = place_open(p);
    assert_int_equal(del(s, 0), OK);
    check_full_and_again(s, 8000, 4);
    unsigned n = fill(s, 1, 8000);
    file_limit_set(6 << 20);
    assert_true(fill(s, n, 8000) > n + 200);
    file_limit_set(RLIM_INFINITY);
    store_close(s);
}

enum { SKIPPED = 77 };

static void in_full_tmpfs(const char *dir)
{
    struct place p;
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", dir, "tmpfs", 0, "size=4m") < 0)
        _exit(SKIPPED);
    place_init_under(&p, dir);
    p.conf.sync = STORE_SYNC_ALWAYS;
    struct store *s = place_open(&p);
    check_full_and_again(s, 5000, 6);
    unsigned high = fill(s, 1, 5000);
    store_close(s);
    s = place_open(&p); /* a full disk is no reason not to start */
    assert_int_equal(store_count(s, STORE_QUEUE), high);
    check_stored(s, 0, high, 5000);
    assert_int_equal(put(s, high, 5000), ERR_NOSPC);
    store_close(s);
}

/* Others fill the disk to the last block while the store has little: its reserve is enough to delete, and to
 * close and open. A new store cannot be made and says so. */
static void in_tmpfs_filled_by_others(const char *dir)
{
    struct place p, q;
    place_init_under(&p, dir);
    struct store *s = place_open(&p);
    for (unsigned i = 0; i < 50; i++)
        assert_int_equal(put(s, i, 5000), OK);
    char path[128];
    static uint8_t block[4096];
    snprintf(path, sizeof(path), "%s/filler", dir);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    while (write(fd, block, sizeof(block)) > 0)
        ;
    for (unsigned i = 0; i < 25; i++)
        assert_int_equal(del(s, i), OK);
    store_close(s);
    s = place_open(&p);
    assert_int_equal(store_count(s, STORE_QUEUE), 25);
    assert_int_equal(del_prefix_one(s, STORE_QUEUE, bytes_str("0")), OK);
    store_close(s);
    place_init_under(&q, dir);
    assert_int_equal(store_open_lmdb(&s, &q.conf), ERR_NOSPC);
    assert_non_null(strstr(q.last, "open_failed"));
    close(fd);
    unlink(path);
    s = place_open(&q);
    assert_int_equal(put(s, 1, 5000), OK);
    store_close(s);
    s = place_open(&p);
    assert_int_equal(put(s, 1, 5000), OK);
    store_close(s);
}

static void test_disk_full(void **state)
{
    struct place *p = *state;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        in_full_tmpfs(p->dir);
        umount(p->dir);
        if (mount("tmpfs", p->dir, "tmpfs", 0, "size=8m") < 0)
            _exit(SKIPPED);
        in_tmpfs_filled_by_others(p->dir);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
        skip(); /* may not mount */
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_map_full),
        TEST(test_map_full_between_checkpoints),
        TEST(test_map_larger_at_the_next_start),
        TEST(test_batch_larger_than_the_map),
        TEST(test_put_and_deleted_in_one_batch),
        TEST(test_file_size_limit),
        TEST(test_disk_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
