/* SPDX-License-Identifier: Apache-2.0 */

/* The store's contract, the same tests for each kind of store. */

#include "tests/unit/storage/model.h"

#include <lmdb.h>

struct kind {
    struct place place;
    struct store *(*open)(struct kind *k);
    struct store *(*reopen)(struct kind *k, struct store *s); /* what is found after a restart */
};

static struct store *lmdb_open(struct kind *k)
{
    return place_open(&k->place);
}

static struct store *lmdb_reopen(struct kind *k, struct store *s)
{
    store_close(s);
    return place_open(&k->place);
}

static struct store *mem_open(struct kind *k)
{
    (void)k;
    return store_new_mem();
}

static struct store *mem_reopen(struct kind *k, struct store *s)
{
    (void)k;
    struct store *clone = store_mem_clone(s);
    store_close(s);
    return clone;
}

static int setup_lmdb(void **state)
{
    struct kind *k = mem_zalloc(sizeof(*k));
    place_init(&k->place);
    k->open = lmdb_open;
    k->reopen = lmdb_reopen;
    *state = k;
    return 0;
}

static int setup_mem(void **state)
{
    setup_lmdb(state);
    struct kind *k = *state;
    k->open = mem_open;
    k->reopen = mem_reopen;
    return 0;
}

static int teardown(void **state)
{
    struct kind *k = *state;
    place_fini(&k->place);
    free(k);
    return 0;
}

/* Keys of few letters, so that many share prefixes and many meet again; some as long as a key may be. */
static struct bytes random_key(struct random *r, uint8_t buf[STORE_KEY_MAX])
{
    static const uint8_t letters[] = {0x00, 'a', 'b', '/', 0xff};
    uint32_t n = 1 + random_below(r, random_below(r, 12) ? 5 : STORE_KEY_MAX);
    for (uint32_t i = 0; i < n; i++)
        buf[i] = letters[random_below(r, sizeof(letters))];
    return bytes_of(buf, n);
}

/* Few values, so that they often meet their like; some too short to have a rank. */
static void random_condition(struct random *r, struct store_batch *b, enum store_table t, struct bytes key)
{
    uint8_t value[STORE_RANK_N + 2] = {0};
    value[random_below(r, 2) * (STORE_RANK_N - 1)] = (uint8_t)random_below(r, 3);
    value[STORE_RANK_N] = (uint8_t)random_below(r, 3);
    if (random_below(r, 3))
        store_batch_if_newer(b, t, key, bytes_of(value, STORE_RANK_N + random_below(r, 3)));
    else
        store_batch_if_starts(b, t, key, bytes_of(value, random_below(r, STORE_RANK_N)));
}

static void random_op(struct random *r, struct store_batch *b)
{
    enum { VALUE_MAX = 30000 };
    static uint8_t value[VALUE_MAX];
    uint8_t key_buf[STORE_KEY_MAX];
    struct bytes key = random_key(r, key_buf);
    enum store_table t = (enum store_table)(1 + random_below(r, STORE_TABLES - 1));
    uint32_t what = random_below(r, 100);
    if (!b->is_open && random_below(r, 4) == 0)
        random_condition(r, b, t, key);
    else if (what < 70) {
        uint32_t n = random_below(r, random_below(r, 8) ? 40 : VALUE_MAX);
        random_fill(r, value, n);
        if (what & 1)
            bytes_put(store_batch_reserve(b, t, key, n), bytes_of(value, n));
        else
            store_batch_put(b, t, key, bytes_of(value, n));
    } else if (what < 90) {
        store_batch_del(b, t, key);
    } else {
        store_batch_del_prefix(b, t, bytes_of(key.p, what == 99 ? 0 : key.n));
    }
}

static void check_counts(const struct model *m, struct store *s)
{
    for (int t = STORE_META + 1; t < STORE_TABLES; t++)
        assert_int_equal(store_count(s, (enum store_table)t), m->n[t]);
}

static void model_begin(struct model *m)
{
    *m = (struct model){0};
    uint8_t format[4] = {0, 0, 0, 1};
    model_put(m, STORE_META, bytes_str("format"), bytes_of(format, 4));
}

/* A snapshot that is kept while others commit, and what it must show. */
struct pinned {
    struct store_reader *reader;
    struct model model;
};

static void pinned_renew(struct pinned *p, const struct model *m)
{
    model_check(&p->model, p->reader);
    store_read_end(p->reader);
    model_fini(&p->model);
    model_copy(&p->model, m);
    assert_int_equal(store_read_begin(p->reader), OK);
}

static void pinned_begin(struct pinned *p, struct store *s, const struct model *m)
{
    p->reader = reader_of(s);
    assert_int_equal(store_read_begin(p->reader), OK);
    model_copy(&p->model, m);
}

static void pinned_end(struct pinned *p)
{
    model_check(&p->model, p->reader);
    store_reader_free(p->reader);
    model_fini(&p->model);
}

static void look(struct random *r, const struct model *m, struct store *s)
{
    struct store_reader *reader = reader_of(s);
    uint8_t key[STORE_KEY_MAX];
    assert_int_equal(store_read_begin(reader), OK);
    for (int i = 0; i < 5; i++) {
        enum store_table t = (enum store_table)random_below(r, STORE_TABLES);
        model_check_from(m, reader, t, random_key(r, key));
    }
    if (random_below(r, 10) == 0)
        model_check(m, reader);
    store_read_end(reader);
    store_reader_free(reader);
    check_counts(m, s);
}

static void run_model(struct kind *k, uint64_t seed)
{
    struct random r = random_of(seed);
    struct model m;
    struct pinned pinned;
    struct store_batch batches[3];
    struct store *s = k->open(k);
    model_begin(&m);
    pinned_begin(&pinned, s, &m);
    for (int i = 0; i < 3; i++)
        store_batch_init(&batches[i]);
    for (int step = 0; step < 300; step++) {
        const struct store_batch *list[3];
        unsigned n = 1 + random_below(&r, 3);
        for (unsigned i = 0; i < n; i++) {
            store_batch_reset(&batches[i]);
            for (uint32_t ops = random_below(&r, 20); ops; ops--)
                random_op(&r, &batches[i]);
            list[i] = &batches[i];
            model_apply(&m, &batches[i]);
        }
        assert_int_equal(store_commit(s, list, n), OK);
        look(&r, &m, s);
        if (random_below(&r, 20) == 0)
            pinned_renew(&pinned, &m);
        if (random_below(&r, 50) == 0) {
            pinned_end(&pinned);
            s = k->reopen(k, s);
            pinned_begin(&pinned, s, &m);
        }
    }
    pinned_end(&pinned);
    for (int i = 0; i < 3; i++)
        store_batch_fini(&batches[i]);
    model_fini(&m);
    store_close(s);
}

static void test_random_operations_match_the_model(void **state)
{
    run_model(*state, 1);
    place_fini(&((struct kind *)*state)->place);
    place_init(&((struct kind *)*state)->place);
    run_model(*state, 20231);
}

static void test_snapshot_does_not_move(void **state)
{
    struct kind *k = *state;
    struct store *s = k->open(k);
    struct store_reader *r = reader_of(s);
    struct bytes v;
    assert_int_equal(put_one(s, STORE_RETAINED, bytes_str("a"), bytes_str("old")), OK);
    assert_int_equal(store_read_begin(r), OK);
    assert_int_equal(put_one(s, STORE_RETAINED, bytes_str("a"), bytes_str("new")), OK);
    assert_int_equal(put_one(s, STORE_RETAINED, bytes_str("b"), bytes_str("x")), OK);
    assert_int_equal(store_get(r, STORE_RETAINED, bytes_str("a"), &v), OK);
    assert_true(bytes_eq(v, bytes_str("old")));
    assert_int_equal(store_get(r, STORE_RETAINED, bytes_str("b"), &v), ERR_NOTFOUND);
    store_read_end(r);
    assert_int_equal(store_read_begin(r), OK);
    assert_int_equal(store_get(r, STORE_RETAINED, bytes_str("a"), &v), OK);
    assert_true(bytes_eq(v, bytes_str("new")));
    store_read_end(r);
    store_reader_free(r);
    assert_int_equal(store_count(s, STORE_RETAINED), 2);
    store_close(s);
}

static void test_prefix_ends_where_it_should(void **state)
{
    struct kind *k = *state;
    struct store *s = k->open(k);
    static const char *const keys[] = {"a", "a/", "a/1", "a/2", "a0", "b"};
    for (size_t i = 0; i < array_len(keys); i++)
        assert_int_equal(put_one(s, STORE_QUEUE, bytes_str(keys[i]), bytes_str("v")), OK);
    uint8_t ff[] = {0xff, 0xff, 1};
    assert_int_equal(put_one(s, STORE_QUEUE, bytes_of(ff, 1), bytes_str("")), OK);
    assert_int_equal(put_one(s, STORE_QUEUE, bytes_of(ff, 2), bytes_str("")), OK);
    assert_int_equal(put_one(s, STORE_QUEUE, bytes_of(ff, 3), bytes_str("")), OK);
    assert_int_equal(del_prefix_one(s, STORE_QUEUE, bytes_str("a/")), OK);
    assert_int_equal(store_count(s, STORE_QUEUE), 6);
    assert_int_equal(value_n(s, STORE_QUEUE, bytes_str("a")), 1);
    assert_int_equal(value_n(s, STORE_QUEUE, bytes_str("a0")), 1);
    assert_int_equal(value_n(s, STORE_QUEUE, bytes_str("a/1")), -ERR_NOTFOUND);
    assert_int_equal(del_prefix_one(s, STORE_QUEUE, bytes_of(ff, 2)), OK);
    assert_int_equal(store_count(s, STORE_QUEUE), 4);
    assert_int_equal(value_n(s, STORE_QUEUE, bytes_of(ff, 1)), 0);
    assert_int_equal(del_prefix_one(s, STORE_QUEUE, bytes_of(NULL, 0)), OK);
    assert_int_equal(store_count(s, STORE_QUEUE), 0);
    store_close(s);
}

static void test_big_values_and_long_seeks(void **state)
{
    enum { BIG = 5 << 20 };
    struct kind *k = *state;
    struct store *s = k->open(k);
    struct random rnd = {7};
    uint8_t *big = mem_alloc(BIG), long_key[STORE_KEY_MAX + 100];
    random_fill(&rnd, big, BIG);
    memset(long_key, 'k', sizeof(long_key));
    struct bytes longest = bytes_of(long_key, STORE_KEY_MAX);
    assert_int_equal(put_one(s, STORE_QUEUE, longest, bytes_of(big, BIG)), OK);
    assert_int_equal(put_one(s, STORE_QUEUE, bytes_str("l"), bytes_str("")), OK);
    s = k->reopen(k, s);
    struct store_reader *r = reader_of(s);
    struct bytes key, value;
    assert_int_equal(store_read_begin(r), OK);
    assert_int_equal(store_get(r, STORE_QUEUE, longest, &value), OK);
    assert_true(bytes_eq(value, bytes_of(big, BIG)));
    assert_int_equal(store_get(r, STORE_QUEUE, bytes_of(long_key, sizeof(long_key)), &value), ERR_NOTFOUND);
    assert_int_equal(store_seek(r, STORE_QUEUE, bytes_of(long_key, sizeof(long_key)), &key, &value), OK);
    assert_true(bytes_eq(key, bytes_str("l")));
    store_read_end(r);
    store_reader_free(r);
    uint64_t used, max;
    store_usage(s, &used, &max);
    assert_true(used >= BIG && used < 2 * BIG && max > used);
    assert_int_equal(del_prefix_one(s, STORE_QUEUE, bytes_str("k")), OK);
    store_usage(s, &used, &max);
    assert_true(used < BIG);
    free(big);
    store_close(s);
}

static void test_operations_of_one_batch_happen_in_order(void **state)
{
    struct kind *k = *state;
    struct store *s = k->open(k);
    struct store_batch b;
    store_batch_init(&b);
    store_batch_put(&b, STORE_SUBS, bytes_str("x1"), bytes_str("1"));
    store_batch_del_prefix(&b, STORE_SUBS, bytes_str("x"));
    store_batch_put(&b, STORE_SUBS, bytes_str("x2"), bytes_str("22"));
    store_batch_put(&b, STORE_SUBS, bytes_str("x2"), bytes_str("333"));
    store_batch_del(&b, STORE_SUBS, bytes_str("nothing"));
    assert_int_equal(commit_one(s, &b), OK);
    store_batch_fini(&b);
    assert_int_equal(store_count(s, STORE_SUBS), 1);
    assert_int_equal(value_n(s, STORE_SUBS, bytes_str("x2")), 3);
    assert_int_equal(store_commit(s, NULL, 0), OK);
    assert_int_equal(store_sync_now(s), OK);
    store_close(s);
}

static struct bytes rank(uint8_t buf[STORE_RANK_N + 8], uint64_t high, uint64_t low, uint64_t rest)
{
    be64_put(be64_put(be64_put(buf, high), low), rest);
    return bytes_of(buf, STORE_RANK_N + 8);
}

static void put_if_newer(struct store_batch *b, uint64_t high, uint64_t low, const char *value)
{
    uint8_t buf[STORE_RANK_N + 8];
    store_batch_if_newer(b, STORE_RETAINED_META, bytes_str("k"), rank(buf, high, low, strlen(value)));
    if (value[0])
        store_batch_put(b, STORE_RETAINED, bytes_str("r"), bytes_str(value));
    else
        store_batch_del(b, STORE_RETAINED, bytes_str("r"));
}

static void check_value(struct store *s, enum store_table t, const char *key, struct bytes value)
{
    struct store_reader *r = reader_of(s);
    struct bytes v;
    assert_int_equal(store_read_begin(r), OK);
    assert_int_equal(store_get(r, t, bytes_str(key), &v), OK);
    assert_true(bytes_eq(v, value));
    store_reader_free(r);
}

static void test_the_newer_one_stays(void **state)
{
    struct kind *k = *state;
    struct store *s = k->open(k);
    struct store_batch b;
    uint8_t buf[STORE_RANK_N + 8];
    store_batch_init(&b);
    put_if_newer(&b, 5, 1, "first");
    put_if_newer(&b, 5, 0, "older"); /* against what the same transaction has put */
    store_batch_put(&b, STORE_SUBS, bytes_str("s"), bytes_str("not skipped"));
    assert_int_equal(commit_one(s, &b), OK);
    check_value(s, STORE_RETAINED, "r", bytes_str("first"));
    store_batch_reset(&b);
    put_if_newer(&b, 5, 1, "the same rank");
    put_if_newer(&b, 4, UINT64_MAX, "");
    assert_int_equal(commit_one(s, &b), OK);
    check_value(s, STORE_RETAINED, "r", bytes_str("first"));
    check_value(s, STORE_RETAINED_META, "k", rank(buf, 5, 1, 5));
    store_batch_reset(&b);
    put_if_newer(&b, 5, 2, "");
    assert_int_equal(commit_one(s, &b), OK);
    assert_int_equal(store_count(s, STORE_RETAINED), 0);
    check_value(s, STORE_RETAINED_META, "k", rank(buf, 5, 2, 0));
    assert_int_equal(put_one(s, STORE_RETAINED_META, bytes_str("k"), bytes_str("short")), OK);
    store_batch_reset(&b);
    put_if_newer(&b, 0, 0, "over what has no rank");
    assert_int_equal(commit_one(s, &b), OK);
    check_value(s, STORE_RETAINED_META, "k", rank(buf, 0, 0, 21));
    assert_int_equal(store_count(s, STORE_SUBS), 1);
    store_batch_fini(&b);
    store_close(s);
}

static void test_only_what_is_still_the_same(void **state)
{
    struct kind *k = *state;
    struct store *s = k->open(k);
    struct store_batch b, more;
    store_batch_init(&b);
    store_batch_init(&more);
    assert_int_equal(put_one(s, STORE_RETAINED, bytes_str("r"), bytes_str("one and more")), OK);
    store_batch_if_starts(&b, STORE_RETAINED, bytes_str("r"), bytes_str("two"));
    store_batch_del(&b, STORE_RETAINED, bytes_str("r"));
    store_batch_if_starts(&b, STORE_RETAINED, bytes_str("nothing"), bytes_str(""));
    store_batch_put(&b, STORE_RETAINED, bytes_str("nothing"), bytes_str("x"));
    store_batch_put(&more, STORE_SUBS, bytes_str("s"), bytes_str("x"));
    store_batch_append(&more, &b);
    assert_int_equal(more.ops, 5);
    assert_int_equal(commit_one(s, &more), OK);
    assert_int_equal(store_count(s, STORE_RETAINED), 1);
    assert_int_equal(store_count(s, STORE_SUBS), 1);
    store_batch_reset(&b);
    store_batch_if_starts(&b, STORE_RETAINED, bytes_str("r"), bytes_str("one"));
    store_batch_del(&b, STORE_RETAINED, bytes_str("r"));
    assert_int_equal(commit_one(s, &b), OK);
    assert_int_equal(store_count(s, STORE_RETAINED), 0);
    store_batch_fini(&b);
    store_batch_fini(&more);
    store_close(s);
}

/* A store that an earlier version has made lacks the tables that came later. */
static void test_tables_that_are_missing_are_made(void **state)
{
    struct kind *k = *state;
    struct store *s = place_open(&k->place);
    char path[128];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    assert_int_equal(put_one(s, STORE_RETAINED, bytes_str("a"), bytes_str("kept")), OK);
    store_close(s);
    place_path(&k->place, "store", path);
    assert_int_equal(mdb_env_create(&env), 0);
    mdb_env_set_maxdbs(env, 1);
    assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "retained_meta", 0, &dbi), 0);
    assert_int_equal(mdb_drop(txn, dbi, 1), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    s = place_open(&k->place);
    assert_int_equal(store_count(s, STORE_RETAINED_META), 0);
    assert_int_equal(put_one(s, STORE_RETAINED_META, bytes_str("k"), bytes_str("v")), OK);
    s = k->reopen(k, s);
    assert_int_equal(value_n(s, STORE_RETAINED_META, bytes_str("k")), 1);
    assert_int_equal(value_n(s, STORE_RETAINED, bytes_str("a")), 4);
    store_close(s);
}

static void test_mem_faults_leave_nothing_behind(void **state)
{
    (void)state;
    struct store *s = store_new_mem();
    assert_int_equal(put_one(s, STORE_META, bytes_str("a"), bytes_str("1")), OK);
    store_mem_fail_next(s, ERR_NOSPC, 2);
    assert_int_equal(put_one(s, STORE_META, bytes_str("a"), bytes_str("22")), ERR_NOSPC);
    assert_int_equal(put_one(s, STORE_META, bytes_str("b"), bytes_str("1")), ERR_NOSPC);
    assert_int_equal(value_n(s, STORE_META, bytes_str("a")), 1);
    struct store *clone = store_mem_clone(s);
    assert_int_equal(put_one(s, STORE_META, bytes_str("b"), bytes_str("1")), OK);
    store_close(s);
    assert_int_equal(value_n(clone, STORE_META, bytes_str("a")), 1);
    assert_int_equal(value_n(clone, STORE_META, bytes_str("b")), -ERR_NOTFOUND);
    assert_int_equal(store_count(clone, STORE_META), 2);
    store_close(clone);
}

#define EACH_KIND(f)                               \
    {#f " (lmdb)", f, setup_lmdb, teardown, NULL}, \
    {                                              \
#f " (mem)", f, setup_mem, teardown, NULL  \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH_KIND(test_random_operations_match_the_model),
        EACH_KIND(test_snapshot_does_not_move),
        EACH_KIND(test_prefix_ends_where_it_should),
        EACH_KIND(test_big_values_and_long_seeks),
        EACH_KIND(test_operations_of_one_batch_happen_in_order),
        EACH_KIND(test_the_newer_one_stays),
        EACH_KIND(test_only_what_is_still_the_same),
        cmocka_unit_test_setup_teardown(test_tables_that_are_missing_are_made, setup_lmdb, teardown),
        cmocka_unit_test(test_mem_faults_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
