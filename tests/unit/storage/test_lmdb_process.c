/* SPDX-License-Identifier: Apache-2.0 */

/* More than one process: the lock, and a death at any point of a commit. */

#include "tests/unit/storage/fixture.h"

#include "storage/writer.h"

#include <signal.h>

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

static void test_one_process_at_a_time(void **state)
{
    struct place *p = *state;
    struct store *s = place_open(p), *s2;
    char pid_text[32];
    int status;
    snprintf(pid_text, sizeof(pid_text), "in use by process %d", (int)getpid());
    assert_int_equal(store_open_lmdb(&s2, &p->conf), ERR_LOCKED); /* nor twice in one process */
    assert_non_null(strstr(p->last, pid_text));
    pid_t pid = fork();
    if (pid == 0) {
        p->last[0] = 0;
        enum err e = store_open_lmdb(&s2, &p->conf);
        _exit(e == ERR_LOCKED && strstr(p->last, pid_text) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(put_one(s, STORE_META, bytes_str("a"), bytes_str("b")), OK); /* unharmed */
    store_close(s);
    store_close(place_open(p));
}

/* The writer's reports, on a pipe: how many commits have been reported as done. */
struct child {
    int fd;
    uint32_t done;
};

static void on_done(void *ctx, struct store_batch *b, enum err e)
{
    struct child *c = ctx;
    (void)b;
    if (e != OK)
        _exit(1);
    uint32_t done = __atomic_add_fetch(&c->done, 1, __ATOMIC_RELEASE);
    if (write(c->fd, &done, sizeof(done)) != sizeof(done))
        _exit(2);
}

enum { BATCHES = 16 };

/* Commit i puts key i, overwrites the counter and deletes an older key, in more than one table. */
static void batch_fill(struct store_batch *b, uint32_t i)
{
    static const uint8_t value[7000];
    uint8_t key[4], old[4];
    be32_put(key, i);
    be32_put(old, i - 50);
    store_batch_put(b, STORE_META, bytes_str("counter"), bytes_of(key, 4));
    store_batch_put(b, STORE_QUEUE, bytes_of(key, 4), bytes_of(value, i % 5 ? i % 300 : 7000));
    store_batch_put(b, STORE_RETAINED, bytes_of(key, 4), bytes_of(key, 4));
    if (i > 50)
        store_batch_del(b, STORE_QUEUE, bytes_of(old, 4));
}

static void child_run(const struct place *p, int fd, uint32_t from)
{
    struct child c = {.fd = fd, .done = from};
    struct store_conf conf = p->conf;
    struct store_batch batches[BATCHES];
    struct store *s;
    struct writer *w;
    for (uint32_t k = 0; k < BATCHES; k++)
        store_batch_init(&batches[k]);
    conf.sync = STORE_SYNC_ALWAYS;
    conf.log = NULL;
    if (store_open_lmdb(&s, &conf) != OK || writer_new(&w, s, &conf) != OK)
        _exit(3);
    for (uint32_t i = from + 1;; i += BATCHES) {
        for (uint32_t k = 0; k < BATCHES; k++) {
            store_batch_reset(&batches[k]);
            batch_fill(&batches[k], i + k);
            writer_submit(w, &batches[k], on_done, &c);
        }
        while (__atomic_load_n(&c.done, __ATOMIC_ACQUIRE) < i + BATCHES - 1)
            usleep(50);
    }
}

/* Everything up to commit n is there, whole, and nothing in part. Returns n. */
static uint32_t check_state(struct place *p)
{
    struct store *s = place_open(p);
    struct store_reader *r = reader_of(s);
    struct bytes value, key_out;
    assert_int_equal(store_read_begin(r), OK);
    uint32_t n = store_get(r, STORE_META, bytes_str("counter"), &value) == OK ? be32_get(value.p) : 0;
    assert_int_equal(store_count(s, STORE_RETAINED), n);
    assert_int_equal(store_count(s, STORE_QUEUE), n < 50 ? n : 50);
    enum err e = store_seek(r, STORE_RETAINED, bytes_of(NULL, 0), &key_out, &value);
    for (uint32_t i = 1; i <= n; i++) {
        assert_int_equal(e, OK);
        assert_int_equal(be32_get(key_out.p), i);
        assert_int_equal(be32_get(value.p), i);
        e = store_next(r, &key_out, &value);
    }
    for (uint32_t i = n > 50 ? n - 49 : 1; i <= n; i++) {
        uint8_t key[4];
        be32_put(key, i);
        assert_int_equal(store_get(r, STORE_QUEUE, bytes_of(key, 4), &value), OK);
        assert_int_equal(value.n, i % 5 ? i % 300 : 7000);
    }
    store_reader_free(r);
    store_close(s);
    return n;
}

/* Kills the child after it has reported some more commits, at no particular point of the next one. */
static uint32_t kill_after(int fd, pid_t pid, uint32_t reports, uint32_t delay_us)
{
    uint32_t last = 0, status;
    while (reports--)
        assert_int_equal(read(fd, &last, sizeof(last)), sizeof(last));
    usleep(delay_us);
    kill(pid, SIGKILL);
    while (read(fd, &last, sizeof(last)) == sizeof(last))
        ; /* reported before it died */
    assert_int_equal(waitpid(pid, (int *)&status, 0), pid);
    assert_true(WIFSIGNALED(status));
    return last;
}

static void test_killed_in_the_middle_of_commits(void **state)
{
    struct place *p = *state;
    struct random r = random_of(5);
    uint32_t stored = 0;
    for (int round = 0; round < 30; round++) {
        int pipe_fds[2];
        assert_int_equal(pipe(pipe_fds), 0);
        fflush(NULL);
        pid_t pid = fork();
        if (pid == 0) {
            close(pipe_fds[0]);
            child_run(p, pipe_fds[1], stored);
        }
        close(pipe_fds[1]);
        uint32_t reported = kill_after(pipe_fds[0], pid, 1 + random_below(&r, 40), random_below(&r, 2000));
        close(pipe_fds[0]);
        stored = check_state(p);
        assert_true(stored >= reported);
    }
    assert_true(stored > 200);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_one_process_at_a_time),
        TEST(test_killed_in_the_middle_of_commits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
