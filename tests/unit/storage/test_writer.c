/* SPDX-License-Identifier: Apache-2.0 */

/* The storage thread: order, joint commits, one bad batch among good ones, the clean end, many threads. */

#include "tests/unit/storage/fixture.h"

#include "storage/writer.h"

#include <pthread.h>
#include <semaphore.h>

static struct store_conf mem_conf(void)
{
    return (struct store_conf){.sync = STORE_SYNC_ALWAYS};
}

static struct writer *writer_of(struct store *s, const struct store_conf *conf)
{
    struct writer *w = NULL;
    assert_int_equal(writer_new(&w, s, conf), OK);
    return w;
}

/* One submission and what was reported of it. Written on the storage thread, read after sem or writer_free.
 */
struct job {
    struct store_batch batch;
    enum err result;
    unsigned turn; /* the how many-th report it was, from 1; 0: none yet */
    unsigned *turns;
    sem_t *done;
};

static void on_done(void *ctx, struct store_batch *b, enum err e)
{
    struct job *j = ctx;
    assert_ptr_equal(b, &j->batch);
    j->result = e;
    j->turn = ++*j->turns;
    if (j->done)
        sem_post(j->done);
}

static void job_init(struct job *j, unsigned i, unsigned *turns, sem_t *done)
{
    uint8_t key[4];
    be32_put(key, i);
    *j = (struct job){.turns = turns, .done = done};
    store_batch_init(&j->batch);
    store_batch_put(&j->batch, STORE_QUEUE, bytes_of(key, 4), bytes_str("value"));
}

/* Holds the storage thread in a report until it is let go, so that a queue gathers behind it. */
struct gate {
    struct store_batch batch;
    sem_t entered, leave;
};

static void on_gate(void *ctx, struct store_batch *b, enum err e)
{
    struct gate *g = ctx;
    (void)b;
    (void)e;
    sem_post(&g->entered);
    sem_wait(&g->leave);
}

static void gate_close(struct gate *g, struct writer *w)
{
    store_batch_init(&g->batch);
    sem_init(&g->entered, 0, 0);
    sem_init(&g->leave, 0, 0);
    writer_submit(w, &g->batch, on_gate, g);
    sem_wait(&g->entered);
}

static void gate_open(struct gate *g)
{
    sem_post(&g->leave);
}

enum { JOBS = 500 };

static void test_all_that_gathered_is_one_commit(void **state)
{
    (void)state;
    static struct job jobs[JOBS];
    unsigned turns = 0;
    struct store_conf conf = mem_conf();
    struct store *s = store_new_mem();
    struct writer *w = writer_of(s, &conf);
    struct writer_stats before, after;
    struct gate gate;
    gate_close(&gate, w);
    writer_stats(w, &before);
    for (unsigned i = 0; i < JOBS; i++) {
        job_init(&jobs[i], i, &turns, NULL);
        writer_submit(w, &jobs[i].batch, on_done, &jobs[i]);
    }
    sem_t last_done;
    struct job last;
    sem_init(&last_done, 0, 0);
    job_init(&last, JOBS, &turns, &last_done);
    writer_submit(w, &last.batch, on_done, &last);
    gate_open(&gate);
    sem_wait(&last_done);
    writer_stats(w, &after);
    assert_int_equal(after.commits - before.commits, 1);
    assert_int_equal(after.ops - before.ops, JOBS + 1);
    assert_true(after.commit_us_max >= after.commit_us_last);
    for (unsigned i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].turn, i + 1);
        assert_int_equal(jobs[i].result, OK);
        store_batch_fini(&jobs[i].batch);
    }
    store_batch_fini(&last.batch);
    writer_free(w);
    assert_int_equal(store_count(s, STORE_QUEUE), JOBS + 1);
    store_close(s);
}

/* The joint commit and two of the single ones fail. */
static void test_one_failure_does_not_fail_others(void **state)
{
    (void)state;
    static struct job jobs[10];
    unsigned turns = 0;
    struct store_conf conf = mem_conf();
    struct store *s = store_new_mem();
    struct writer *w = writer_of(s, &conf);
    struct gate gate;
    gate_close(&gate, w);
    for (unsigned i = 0; i < 10; i++) {
        job_init(&jobs[i], i, &turns, NULL);
        writer_submit(w, &jobs[i].batch, on_done, &jobs[i]);
    }
    store_mem_fail_next(s, ERR_NOSPC, 3);
    gate_open(&gate);
    writer_free(w);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(jobs[i].turn, i + 1);
        assert_int_equal(jobs[i].result, i < 2 ? ERR_NOSPC : OK);
        store_batch_fini(&jobs[i].batch);
    }
    assert_int_equal(store_count(s, STORE_QUEUE), 8);
    store_close(s);
}

/* On a broken disk not every batch of a long queue waits for its own attempt. */
static void test_broken_disk_is_given_up(void **state)
{
    (void)state;
    static struct job jobs[100];
    unsigned turns = 0;
    struct store_conf conf = mem_conf();
    struct store *s = store_new_mem();
    struct writer *w = writer_of(s, &conf);
    struct writer_stats stats;
    struct gate first, second;
    gate_close(&first, w);
    for (unsigned i = 0; i < 100; i++) {
        job_init(&jobs[i], i, &turns, NULL);
        writer_submit(w, &jobs[i].batch, on_done, &jobs[i]);
    }
    store_mem_fail_next(s, ERR_IO, 1000);
    gate_open(&first);
    sem_t done;
    struct job after;
    sem_init(&done, 0, 0);
    job_init(&after, 1000, &turns, &done);
    gate_close(&second, w); /* behind the hundred */
    writer_stats(w, &stats);
    assert_true(stats.commits_failed < 10);
    store_mem_fail_next(s, OK, 0);
    writer_submit(w, &after.batch, on_done, &after);
    gate_open(&second);
    sem_wait(&done);
    assert_int_equal(after.result, OK);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(jobs[i].result, ERR_IO);
        store_batch_fini(&jobs[i].batch);
    }
    store_batch_fini(&after.batch);
    writer_free(w);
    assert_int_equal(store_count(s, STORE_QUEUE), 1);
    store_close(s);
}

static void test_end_commits_the_rest(void **state)
{
    (void)state;
    static struct job jobs[JOBS];
    unsigned turns = 0;
    struct store_conf conf = mem_conf();
    struct store *s = store_new_mem();
    struct writer *w = writer_of(s, &conf);
    for (unsigned i = 0; i < JOBS; i++) {
        job_init(&jobs[i], i, &turns, NULL);
        writer_submit(w, &jobs[i].batch, on_done, &jobs[i]);
    }
    writer_free(w);
    writer_free(NULL);
    assert_int_equal(turns, JOBS);
    for (unsigned i = 0; i < JOBS; i++)
        store_batch_fini(&jobs[i].batch);
    assert_int_equal(store_count(s, STORE_QUEUE), JOBS);
    store_close(s);
}

/* A batch handed in again from its own report, as a submitter does that has gathered more meanwhile. */
struct chain {
    struct store_batch batch;
    struct writer *writer;
    unsigned left;
    sem_t done;
};

static void on_chain(void *ctx, struct store_batch *b, enum err e)
{
    struct chain *c = ctx;
    assert_int_equal(e, OK);
    if (c->left-- == 0) {
        sem_post(&c->done);
        return;
    }
    uint8_t key[4];
    be32_put(key, c->left);
    store_batch_reset(b);
    store_batch_put(b, STORE_STATE, bytes_of(key, 4), bytes_of(key, 4));
    writer_submit(c->writer, b, on_chain, c);
}

static void test_submit_from_a_report(void **state)
{
    (void)state;
    struct store_conf conf = mem_conf();
    struct store *s = store_new_mem();
    struct chain c = {.writer = writer_of(s, &conf), .left = 200};
    store_batch_init(&c.batch);
    sem_init(&c.done, 0, 0);
    writer_submit(c.writer, &c.batch, on_chain, &c);
    sem_wait(&c.done);
    writer_free(c.writer);
    store_batch_fini(&c.batch);
    assert_int_equal(store_count(s, STORE_STATE), 200);
    store_close(s);
}

enum { THREADS = 4, ROUNDS = 60, SUBMITS = 5 };

/* Puts numbers under one key of its own, in order, and reads while others write. */
struct submitter {
    pthread_t thread;
    struct store *store;
    struct writer *writer;
    uint8_t id;
    sem_t done;
    unsigned turns;
};

static void check_own(struct submitter *t, struct store_reader *r, uint32_t expected)
{
    struct bytes value;
    assert_int_equal(store_read_begin(r), OK);
    assert_int_equal(store_get(r, STORE_STATE, bytes_of(&t->id, 1), &value), OK);
    assert_int_equal(be32_get(value.p), expected);
    store_read_end(r);
}

/* Each snapshot is of one moment: every batch puts the same number in two tables. */
static void check_others(struct store_reader *r)
{
    struct bytes a, b;
    assert_int_equal(store_read_begin(r), OK);
    for (uint8_t id = 0; id < THREADS; id++) {
        enum err e = store_get(r, STORE_STATE, bytes_of(&id, 1), &a);
        assert_int_equal(e, store_get(r, STORE_SUBS, bytes_of(&id, 1), &b));
        if (e == OK)
            assert_true(bytes_eq(a, b));
    }
    store_read_end(r);
}

static void *submitter_run(void *arg)
{
    struct submitter *t = arg;
    struct store_reader *r = reader_of(t->store);
    struct job jobs[SUBMITS];
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < SUBMITS; i++) {
            uint8_t number[4];
            be32_put(number, round * SUBMITS + i);
            job_init(&jobs[i], (uint32_t)t->id << 24 | (round * SUBMITS + i), &t->turns, &t->done);
            store_batch_put(&jobs[i].batch, STORE_STATE, bytes_of(&t->id, 1), bytes_of(number, 4));
            store_batch_put(&jobs[i].batch, STORE_SUBS, bytes_of(&t->id, 1), bytes_of(number, 4));
            writer_submit(t->writer, &jobs[i].batch, on_done, &jobs[i]);
        }
        check_others(r);
        for (uint32_t i = 0; i < SUBMITS; i++)
            sem_wait(&t->done);
        for (uint32_t i = 0; i < SUBMITS; i++) {
            assert_int_equal(jobs[i].result, OK);
            store_batch_fini(&jobs[i].batch);
        }
        check_own(t, r, round * SUBMITS + SUBMITS - 1);
    }
    store_reader_free(r);
    return NULL;
}

static void run_submitters(struct store *s, const struct store_conf *conf)
{
    struct submitter threads[THREADS];
    struct writer *w = writer_of(s, conf);
    for (int i = 0; i < THREADS; i++) {
        threads[i] = (struct submitter){.store = s, .writer = w, .id = (uint8_t)i};
        sem_init(&threads[i].done, 0, 0);
        assert_int_equal(pthread_create(&threads[i].thread, NULL, submitter_run, &threads[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i].thread, NULL), 0);
    writer_free(w);
    assert_int_equal(store_count(s, STORE_QUEUE), THREADS * ROUNDS * SUBMITS);
}

static void test_many_submitters_in_memory(void **state)
{
    (void)state;
    struct store_conf conf = mem_conf();
    struct store *s = store_new_mem();
    run_submitters(s, &conf);
    store_close(s);
}

static void test_many_submitters_on_disk(void **state)
{
    (void)state;
    static const enum store_sync modes[] = {STORE_SYNC_ALWAYS, STORE_SYNC_INTERVAL, STORE_SYNC_OFF};
    for (size_t i = 0; i < array_len(modes); i++) {
        struct place p;
        place_init(&p);
        p.conf.sync = modes[i];
        p.conf.interval_ms = 3;
        struct store *s = place_open(&p);
        run_submitters(s, &p.conf);
        store_close(s);
        s = place_open(&p);
        assert_int_equal(store_count(s, STORE_QUEUE), THREADS * ROUNDS * SUBMITS);
        store_close(s);
        place_fini(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_gathered_is_one_commit),
        cmocka_unit_test(test_one_failure_does_not_fail_others),
        cmocka_unit_test(test_broken_disk_is_given_up),
        cmocka_unit_test(test_end_commits_the_rest),
        cmocka_unit_test(test_submit_from_a_report),
        cmocka_unit_test(test_many_submitters_in_memory),
        cmocka_unit_test(test_many_submitters_on_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
