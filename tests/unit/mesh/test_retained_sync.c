/* SPDX-License-Identifier: Apache-2.0 */

/* Two stores of retained messages become the same. */

#include "tests/unit/mesh/sync_pair.h"

static void set(struct side *s, const char *topic, uint64_t ms_ago, const char *payload)
{
    struct item it = {.stamp = ago(ms_ago), .payload = payload};
    snprintf(it.topic, sizeof it.topic, "%s", topic);
    side_put(s, &it, s->tag);
}

/* ---- one at a time -------------------------------------------------------------------------------- */

static void the_newer_change_wins_on_both(void **state)
{
    (void)state;
    struct pair *p = pair_new(1, 2000, 65536);
    set(&p->a, "only/a", 5000, "a");
    set(&p->b, "only/b", 5000, "b");
    set(&p->a, "newer/a", 1000, "a");
    set(&p->b, "newer/a", 2000, "b");
    set(&p->a, "newer/b", 2000, "a");
    set(&p->b, "newer/b", 1000, "b");
    set(&p->a, "deleted/a", 1000, NULL);
    set(&p->b, "deleted/a", 2000, "b");
    set(&p->a, "deleted/b", 2000, "a");
    set(&p->b, "deleted/b", 1000, NULL);
    set(&p->a, "put/again", 2000, NULL);
    set(&p->b, "put/again", 1000, "b");
    set(&p->a, "same/ms", 1000, "a"); /* the greater tag decides */
    set(&p->b, "same/ms", 1000, "b");
    pair_reset(p);
    pair_run(p);
    struct side *sides[] = {&p->a, &p->b};
    for (int i = 0; i < 2; i++) {
        assert_true(side_has(sides[i], "only/a", "a") && side_has(sides[i], "only/b", "b"));
        assert_true(side_has(sides[i], "newer/a", "a") && side_has(sides[i], "newer/b", "b"));
        assert_true(side_has(sides[i], "deleted/a", NULL) && side_has(sides[i], "deleted/b", NULL));
        assert_true(side_has(sides[i], "put/again", "b") && side_has(sides[i], "same/ms", "b"));
    }
    pair_check(p);
    pair_free(p);
}

static void equal_stores_tell_only_digests(void **state)
{
    (void)state;
    struct pair *p = pair_new(2, 50, 65536);
    for (int i = 0; i < 500; i++) {
        struct item it = {.stamp = ago(5000 + (uint64_t)i), .payload = i % 3 ? "x" : NULL};
        snprintf(it.topic, sizeof it.topic, "t/%d", i);
        side_put(&p->a, &it, 9);
        side_put(&p->b, &it, 9);
    }
    pair_reset(p);
    pair_run(p);
    assert_int_equal(p->a.sent[RPC_RETAINED_DIGESTS], 1);
    assert_int_equal(p->b.sent[RPC_RETAINED_DIGESTS], 1); /* that this was all */
    assert_int_equal(p->a.sent[RPC_RETAINED] + p->b.sent[RPC_RETAINED], 0);
    assert_int_equal(p->b.sent[RPC_RETAINED_BUCKET], 0);
    /* One is missed later: the next round finds it. */
    set(&p->b, "missed", 0, "x");
    assert_true(pair_is_quiet(p));
    p->mono_ms += p->conf.period_ms;
    pair_step(p);
    assert_false(pair_is_quiet(p));
    pair_run(p);
    assert_true(side_has(&p->a, "missed", "x"));
    assert_int_equal(retained_sync_differed(p->b.sync, p->a.number), 1);
    assert_int_equal(p->a.sent[RPC_RETAINED] + p->b.sent[RPC_RETAINED], 1);
    /* And one that only the follower knows to be missing. */
    set(&p->a, "lost", 0, "y");
    retained_sync_again(p->b.sync, p->a.number);
    pair_run(p);
    assert_true(side_has(&p->b, "lost", "y"));
    pair_free(p);
}

/* Messages expire, and are swept, at different moments; digests agree all the same. */
static void expiry_makes_no_difference(void **state)
{
    (void)state;
    struct pair *p = pair_new(3, 2000, 65536);
    struct item it = {.topic = "soon", .stamp = ago(5000), .payload = "x", .expires_ms = WALL - 1000};
    side_put(&p->a, &it, 9);
    side_put(&p->b, &it, 9);
    side_sweep(&p->a, "soon");
    struct item alive = {.topic = "alive", .stamp = ago(5000), .payload = "x", .expires_ms = WALL + HOUR_MS};
    side_put(&p->a, &alive, 9);
    side_put(&p->b, &alive, 9);
    /* Long ago: faded, on one side swept altogether. */
    struct item faded = {.topic = "faded", .stamp = ago(25 * HOUR_MS), .payload = NULL};
    side_put(&p->a, &faded, 9);
    struct item old = {.topic = "old", .stamp = ago(50 * HOUR_MS), .payload = "x", .expires_ms = WALL - 1000};
    side_put(&p->b, &old, 9);
    pair_reset(p);
    pair_run(p);
    assert_int_equal(retained_sync_differed(p->b.sync, p->a.number), 0);
    /* An older message that expires later loses against one that has expired. */
    struct item older = {.topic = "gone", .stamp = ago(9000), .payload = "older"};
    struct item newer = {.topic = "gone", .stamp = ago(8000), .payload = "newer", .expires_ms = WALL - 2000};
    side_put(&p->b, &older, 9);
    side_put(&p->a, &newer, 9);
    side_sweep(&p->a, "gone");
    pair_reset(p);
    pair_run(p);
    assert_true(side_has(&p->b, "gone", NULL));
    pair_check(p);
    pair_free(p);
}

/* ---- random content ------------------------------------------------------------------------------- */

static void random_item(struct pair *p, struct item *it, uint32_t topics)
{
    static const char *const payloads[] = {"x", "some more", "a much longer payload than the others have it"};
    uint32_t number = (uint32_t)pair_random(p, topics);
    int n = snprintf(it->topic, sizeof it->topic, "topic/%u/%u", number % 7, number);
    if (number % 50 == 0) { /* longer than a key */
        memset(it->topic + n, 'l', 500);
        it->topic[n + 500] = 0;
    }
    it->stamp = ago(pair_random(p, 20) * HOUR_MS + 1) + pair_random(p, 3);
    it->payload = pair_random(p, 4) ? payloads[pair_random(p, 3)] : NULL;
    it->expires_ms = 0;
    if (it->payload && pair_random(p, 4) == 0)
        it->expires_ms = hlc_ms(it->stamp) + (1 + pair_random(p, 40)) * HOUR_MS / 1000 * 1000;
    if (pair_random(p, 30))
        return;
    /* Deleted so long ago that nobody speaks of it any more. */
    snprintf(it->topic, sizeof it->topic, "faded/%u", number);
    it->stamp = ago(30 * HOUR_MS);
    it->payload = NULL;
    it->expires_ms = 0;
}

static void random_fill(struct pair *p, uint32_t changes, uint32_t topics)
{
    for (uint32_t i = 0; i < changes; i++) {
        struct item it;
        random_item(p, &it, topics);
        uint64_t node = 100 + pair_random(p, 3);
        uint64_t who = pair_random(p, 10);
        /* The same change has the same content wherever it is known. */
        it.stamp += i << 2;
        if (who != 0)
            side_put(&p->a, &it, node);
        if (who != 1)
            side_put(&p->b, &it, node);
    }
}

static void run_random(uint64_t seed, uint32_t step_items, uint32_t page_bytes)
{
    struct pair *p = pair_new(seed, step_items, page_bytes);
    random_fill(p, 3000, 800);
    pair_reset(p);
    pair_run(p);
    pair_check(p);
    /* Only what differs has travelled, and lists only as fast as they were answered. */
    assert_true(p->a.sent_items + p->b.sent_items < 600);
    assert_true(p->b.in_flight_max < 2 * (uint64_t)page_bytes + 65536);
    pair_free(p);
}

static void random_stores_become_equal(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++)
        run_random(seed, 2000, 65536);
}

static void in_small_pieces_too(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        run_random(seed, 1, 64);
        run_random(seed, 7, 300);
        run_random(seed, 50, 1);
    }
}

/* All in few buckets, so that lists of one bucket have many pages. */
static void long_lists_are_paged(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct pair *p = pair_new(seed, (uint32_t)(1 + pair_random(&(struct pair){.random = seed}, 40)), 200);
        unsigned found = 0;
        for (unsigned i = 0; found < 600; i++) {
            struct item it;
            random_item(p, &it, 1);
            snprintf(it.topic, sizeof it.topic, "t/%u", i);
            if (retained_bucket(bytes_str(it.topic)) % 256 != 5)
                continue;
            found++;
            if (pair_random(p, 3))
                side_put(&p->a, &it, 7);
            if (pair_random(p, 3))
                side_put(&p->b, &it, 7);
        }
        pair_reset(p);
        pair_run(p);
        pair_check(p);
        assert_true(p->b.sent[RPC_RETAINED_BUCKET] > 20);
        pair_free(p);
    }
}

static void an_empty_store_is_filled(void **state)
{
    (void)state;
    for (int full = 0; full < 2; full++) {
        struct pair *p = pair_new(4, 500, 2000);
        for (int i = 0; i < 2000; i++) {
            struct item it;
            random_item(p, &it, 3000);
            side_put(full ? &p->b : &p->a, &it, 5);
        }
        pair_reset(p);
        pair_run(p);
        pair_check(p);
        assert_true(store_count(p->a.store, STORE_RETAINED) > 500);
        pair_free(p);
    }
}

/* ---- trouble -------------------------------------------------------------------------------------- */

static void interrupted_and_repeated(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct pair *p = pair_new(seed, 60, 500);
        random_fill(p, 2000, 700);
        for (int round = 0; round < 20; round++) {
            pair_reset(p);
            for (uint64_t n = pair_random(p, 60); n; n--)
                pair_step(p);
            /* Commits fail: what was applied is lost. */
            if (pair_random(p, 2))
                store_batch_reset(&p->a.arriving);
            if (pair_random(p, 2))
                store_batch_reset(&p->b.arriving);
        }
        pair_reset(p);
        pair_run(p);
        pair_check(p);
        pair_free(p);
    }
}

static void narrow_links_and_slow_disks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        struct pair *p = pair_new(seed, 100, 1000);
        p->no_room_percent = 80;
        p->busy_percent = 80;
        random_fill(p, 2000, 700);
        pair_reset(p);
        pair_run(p);
        pair_check(p);
        pair_free(p);
    }
}

/* Changes while it runs are told to both, in any order; and rounds begin while others are under way. */
static void amid_changes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct pair *p = pair_new(seed, 40, 400);
        random_fill(p, 1500, 500);
        pair_reset(p);
        for (int n = 0; n < 400; n++) {
            struct item it;
            random_item(p, &it, 500);
            it.stamp = (p->wall_ms << HLC_SHIFT) + pair_random(p, 10);
            it.expires_ms = 0;
            side_put(&p->a, &it, 200);
            pair_step(p);
            side_put(&p->b, &it, 200);
            if (pair_random(p, 40) == 0)
                retained_sync_again(p->a.sync, p->b.number);
            if (pair_random(p, 40) == 0)
                retained_sync_again(p->b.sync, p->a.number);
        }
        pair_run(p);
        pair_check(p);
        pair_free(p);
    }
}

static void nothing_is_compared_before_it_is_stored(void **state)
{
    (void)state;
    struct pair *p = pair_new(5, 2000, 65536);
    set(&p->a, "t", 1000, "x");
    p->is_settled = false;
    pair_reset(p);
    for (int i = 0; i < 50; i++)
        pair_step(p);
    assert_int_equal(p->a.sent[RPC_RETAINED_DIGESTS], 0);
    p->is_settled = true;
    pair_run(p);
    assert_true(side_has(&p->b, "t", "x"));
    pair_free(p);
}

/* A peer of protocol version 1 is sent everything, and sends everything. */
static void a_peer_without_digests_gets_all(void **state)
{
    (void)state;
    struct pair *p = pair_new(6, 60, 500);
    p->no_room_percent = 50;
    random_fill(p, 2000, 700);
    retained_sync_on_reset(p->a.sync, p->b.number, RETAINED_SYNC_PUSHES);
    retained_sync_on_reset(p->b.sync, p->a.number, RETAINED_SYNC_PUSHES);
    pair_run(p);
    pair_check(p);
    assert_int_equal(p->a.sent[RPC_RETAINED_DIGESTS] + p->b.sent[RPC_RETAINED_DIGESTS], 0);
    assert_true(p->a.sent[RPC_RETAINED] > 10);
    pair_free(p);
}

/* ---- a peer that does as it should not ------------------------------------------------------------ */

static bool feed_list(struct pair *p, uint32_t bucket, const char *first, const char *second, uint64_t stamp)
{
    struct rpc_retained_item items[2] = {{.key = bytes_str(first), .stamp = stamp},
                                         {.key = bytes_str(second), .stamp = stamp}};
    struct rpc_retained list = {.items = items, .n = 2, .bucket = bucket, .is_last = true};
    struct rpc_buf b = {0};
    rpc_retained_bucket_put(&b, &list);
    bool ok = side_feed(&p->a, RPC_RETAINED_BUCKET, rpc_buf_bytes(&b));
    rpc_buf_fini(&b);
    return ok;
}

static bool feed_item(struct pair *p, struct bytes key, struct bytes record, uint64_t stamp)
{
    struct rpc_retained_item item = {.key = key, .record = record, .stamp = stamp, .node = 1};
    struct rpc_retained r = {.items = &item, .n = 1};
    struct rpc_buf b = {0};
    rpc_retained_put(&b, &r);
    bool ok = side_feed(&p->a, RPC_RETAINED, rpc_buf_bytes(&b));
    rpc_buf_fini(&b);
    return ok;
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    struct pair *p = pair_new(7, 2000, 65536);
    static uint8_t long_key[RETAINED_KEY_MAX + 1];
    uint64_t digests[3] = {0};
    struct rpc_buf b = {0};
    pair_reset(p);
    assert_false(feed_list(p, RETAINED_BUCKETS, "a", "b", 1));
    assert_false(feed_list(p, 1, "b", "a", 1));
    assert_false(feed_list(p, 1, "a", "a", 1));
    assert_false(feed_list(p, 1, "a", "b", UINT64_MAX));
    assert_true(feed_list(p, 1, "a", "b", 1));
    rpc_retained_digests_put(&b, &(struct rpc_retained_digests){digests, 3, false});
    assert_false(side_feed(&p->a, RPC_RETAINED_DIGESTS, rpc_buf_bytes(&b)));
    rpc_buf_reset(&b);
    rpc_retained_want_put(&b, &(struct rpc_retained_want){0}); /* nobody has asked */
    assert_false(side_feed(&p->a, RPC_RETAINED_WANT, rpc_buf_bytes(&b)));
    assert_false(side_feed(&p->a, RPC_RETAINED_DIGESTS, bytes_str("\xff\xff nonsense")));
    rpc_buf_fini(&b);

    struct item it = {.topic = "t", .stamp = ago(1000), .payload = "x"};
    struct bytes record = record_of(&it);
    memset(long_key, 'k', sizeof long_key);
    assert_false(feed_item(p, bytes_str("another"), record, it.stamp));
    assert_false(feed_item(p, bytes_str("t"), bytes_of(record.p, record.n - 1), it.stamp));
    assert_false(feed_item(p, bytes_str("t"), record, HLC_STAMP_MAX));
    assert_false(feed_item(p, bytes_of(long_key, sizeof long_key), bytes_of(NULL, 0), it.stamp));
    assert_true(feed_item(p, bytes_str("t"), record, it.stamp));
    free((void *)(uintptr_t)record.p);
    /* More lists than can be kept. */
    unsigned n = 0;
    while (feed_list(p, n % RETAINED_BUCKETS, "a", "b", 1))
        assert_true(++n < 100000);
    retained_sync_on_reset(p->a.sync, p->b.number, RETAINED_SYNC_PUSHES);
    assert_false(feed_list(p, 1, "a", "b", 1));
    retained_sync_on_gone(p->a.sync, p->b.number);
    assert_true(feed_list(p, 1, "a", "b", 1)); /* of a conversation that is over */
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newer_change_wins_on_both),
        cmocka_unit_test(equal_stores_tell_only_digests),
        cmocka_unit_test(expiry_makes_no_difference),
        cmocka_unit_test(random_stores_become_equal),
        cmocka_unit_test(in_small_pieces_too),
        cmocka_unit_test(long_lists_are_paged),
        cmocka_unit_test(an_empty_store_is_filled),
        cmocka_unit_test(interrupted_and_repeated),
        cmocka_unit_test(narrow_links_and_slow_disks),
        cmocka_unit_test(amid_changes),
        cmocka_unit_test(nothing_is_compared_before_it_is_stored),
        cmocka_unit_test(a_peer_without_digests_gets_all),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
