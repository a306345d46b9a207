/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/cluster/route_sync.h"

/* ---- tests ---------------------------------------------------------------------------------------- */

static void a_new_peer_gets_all_and_then_what_changes(void **state)
{
    struct sync *s = sync_new();
    (void)state;
    run(s); /* nothing at all: still a whole set, and said so */
    assert_true(s->take.is_complete);
    assert_int_equal(s->loads, 1);
    expect_same(s);
    for (uint32_t i = 0; i < ROUTES; i++) {
        change(s, i);
        if (i % 100 == 0)
            run(s);
    }
    run(s);
    assert_int_equal(s->loads, 1);
    expect_same(s);
    routefeed_start(&s->feed, s->log); /* a new conversation */
    routetake_start(&s->take);
    run(s);
    assert_true(s->feed.page >= ROUTES / ROUTE_PAGE_MAX);
    assert_int_equal(s->feed.snapshots, 2);
    expect_same(s);
    sync_free(s);
}

static void changes_go_on_while_pages_are_sent(void **state)
{
    struct sync *s = sync_new();
    uint32_t random = 1;
    (void)state;
    for (uint32_t i = 0; i < ROUTES; i += 2)
        change(s, i);
    while (s->feed.is_snapshot) {
        feed_step(s);
        for (uint32_t k = 0; k < 300; k++) { /* in front of the next page and behind it, there and back */
            random = random * 1664525 + 1013904223;
            change(s, random % ROUTES);
        }
        if (s->feed.page % 2) /* some arrive late */
            take_step(s);
    }
    run(s);
    expect_same(s);
    assert_int_equal(s->take.gaps, 0);
    sync_free(s);
}

static void only_online_does_not_change_the_digest(void **state)
{
    struct sync *s = sync_new();
    char text[2][24];
    struct route_item item = item_of(text, 7);
    (void)state;
    change(s, 7);
    run(s);
    uint64_t sum = routelog_sum(s->log);
    item.online = 5;
    routelog_add(s->log, &item, ROUTELOG_ONLINE);
    run(s);
    assert_int_equal(s->online[7], 5);
    assert_int_equal(routelog_sum(s->log), sum);
    expect_same(s);
    sync_free(s);
}

static void repeated_deltas_are_taken_once_and_gaps_are_asked_for(void **state)
{
    struct sync *s = sync_new();
    (void)state;
    run(s);
    for (uint32_t i = 0; i < 10; i++)
        change(s, i);
    assert_true(feed_step(s));
    struct held h = s->wire[s->wire_at];
    assert_int_equal(take(s, DELTAS, bytes_of(h.b, h.n)), ROUTETAKE_OK);
    change(s, 3); /* gone again: taking the old ones a second time would bring it back */
    feed_step(s);
    s->wire_at++;
    take_step(s);
    assert_int_equal(take(s, DELTAS, bytes_of(h.b, h.n)), ROUTETAKE_OK);
    free(h.b);
    ack(s);
    expect_same(s);
    change(s, 20);
    feed_step(s);
    wire_drop(s); /* lost */
    change(s, 21);
    feed_step(s);
    h = s->wire[s->wire_at];
    assert_int_equal(take(s, DELTAS, bytes_of(h.b, h.n)), ROUTETAKE_GAP);
    assert_false(s->slots[s->slot][21]);
    assert_int_equal(s->take.gaps, 1);
    want(s, s->take.seq + 1);
    wire_drop(s);
    run(s);
    assert_int_equal(s->loads, 1); /* the log had them */
    expect_same(s);
    sync_free(s);
}

static void what_overlaps_is_taken_from_where_it_is_new(void **state)
{
    struct sync *s = sync_new();
    (void)state;
    run(s);
    for (uint32_t i = 0; i < 6; i++)
        change(s, i);
    run(s);
    want(s, 3); /* once more from 3 on, and more behind it */
    change(s, 6);
    change(s, 2);
    run(s);
    assert_int_equal(s->loads, 1);
    expect_same(s);
    sync_free(s);
}

static void who_falls_behind_the_log_gets_a_snapshot(void **state)
{
    struct sync *s = sync_new();
    (void)state;
    run(s);
    for (uint32_t i = 0; i < 100; i++)
        change(s, i);
    routelog_trim(s->log, routelog_seq(s->log));
    for (uint32_t i = 50; i < 150; i++)
        change(s, i);
    assert_int_equal(routefeed_deltas(&s->feed, s->log, s->body, BODY_ROOM), 0);
    assert_true(s->feed.is_snapshot);
    run(s);
    assert_int_equal(s->loads, 2);
    expect_same(s);
    sync_free(s);
}

/* The log may forget it: the peer that has confirmed goes on with what comes next. */
static void what_is_confirmed_is_done(void **state)
{
    struct sync *s = sync_new();
    (void)state;
    run(s);
    for (uint32_t i = 0; i < 100; i++)
        change(s, i);
    assert_true(routefeed_done(&s->feed) < routelog_seq(s->log));
    routelog_trim(s->log, routefeed_done(&s->feed));
    run(s);
    assert_true(routefeed_done(&s->feed) == routelog_seq(s->log));
    routelog_trim(s->log, routefeed_done(&s->feed));
    for (uint32_t i = 50; i < 150; i++)
        change(s, i);
    run(s);
    assert_int_equal(s->loads, 1);
    want(s, 0);
    assert_true(s->feed.is_snapshot);
    uint64_t done = routefeed_done(&s->feed);
    assert_true(done == routelog_seq(s->log));
    change(s, 200);
    assert_true(routefeed_done(&s->feed) == done);
    run(s);
    expect_same(s);
    sync_free(s);
}

/* Its acknowledgement of what it got before may still be under way when it falls behind. */
static void a_late_acknowledgement_ends_nothing(void **state)
{
    struct sync *s = sync_new();
    uint8_t late[32], body[32];
    (void)state;
    run(s);
    for (uint32_t i = 0; i < 50; i++)
        change(s, i);
    feed_step(s);
    take_step(s);
    uint32_t n = routetake_ack(&s->take, late);
    assert_int_equal(n, 9);
    change(s, 60);
    routelog_trim(s->log, routelog_seq(s->log));
    change(s, 61);
    assert_int_equal(routefeed_deltas(&s->feed, s->log, s->body, BODY_ROOM), 0);
    assert_true(s->feed.is_snapshot);
    assert_true(routefeed_on_ack(&s->feed, bytes_of(late, n)));
    assert_int_equal(s->feed.acked, 0); /* the snapshot is what counts now */
    n = route_number_put(body, 52);
    assert_false(routefeed_on_ack(&s->feed, bytes_of(body, n))); /* never sent */
    run(s);
    expect_same(s);
    want(s, 0);
    assert_true(routefeed_on_ack(&s->feed, bytes_of(late, 9)));
    run(s);
    expect_same(s);
    sync_free(s);
}

/* 64 MiB of changes that nobody has confirmed are the end of the oldest ones. */
static void the_log_is_bounded(void **state)
{
    struct sync *s = sync_new();
    static char big[60000];
    struct route_item item = {.filter = bytes_of(big, sizeof big)};
    (void)state;
    run(s);
    memset(big, 'x', sizeof big);
    for (uint32_t i = 0; i < 1200; i++) { /* 72 MB */
        routelog_add(s->log, &item, ROUTELOG_MEMBERSHIP);
        item.is_gone = !item.is_gone;
    }
    assert_int_equal(routelog_seq(s->log), 1200);
    assert_int_equal(routelog_count(s->log), 0);
    assert_int_equal(routelog_sum(s->log), 0);
    assert_int_equal(routefeed_deltas(&s->feed, s->log, s->body, BODY_ROOM), 0);
    assert_true(s->feed.is_snapshot);
    run(s);
    expect_same(s);
    sync_free(s);
}

static void a_set_that_differs_is_found_and_taken_anew(void **state)
{
    struct sync *s = sync_new();
    uint8_t body[64];
    (void)state;
    for (uint32_t i = 0; i < 40; i++)
        change(s, i);
    assert_int_equal(routefeed_digest(&s->feed, s->log, 1, body), 0); /* not all is sent */
    run(s);
    assert_int_equal(digest(s, 1000), ROUTETAKE_OK);
    assert_int_equal(routefeed_digest(&s->feed, s->log, 10999, body), 0); /* every 10 s */
    assert_int_equal(digest(s, 11000), ROUTETAKE_OK);
    s->take.sum ^= 1;
    s->slots[s->slot][3] = false;
    change(s, 41);
    feed_step(s);
    enum routetake_verdict v = digest(s, 21000);
    assert_int_equal(v, ROUTETAKE_OK); /* of a state that is not here yet: says nothing */
    take_step(s);
    v = digest(s, 31000);
    assert_int_equal(v, ROUTETAKE_WRONG);
    assert_int_equal(s->take.digests_failed, 1);
    obey(s, v);
    run(s);
    assert_int_equal(s->loads, 2);
    expect_same(s);
    assert_int_equal(digest(s, 41000), ROUTETAKE_OK);
    sync_free(s);
}

static void a_snapshot_with_a_page_missing_is_asked_for_again(void **state)
{
    struct sync *s = sync_new();
    (void)state;
    for (uint32_t i = 0; i < ROUTES; i++)
        change(s, i);
    feed_step(s);
    take_step(s);
    feed_step(s);
    wire_drop(s);
    feed_step(s);
    struct held h = s->wire[s->wire_at++];
    enum routetake_verdict v = take(s, h.kind, bytes_of(h.b, h.n));
    assert_int_equal(v, ROUTETAKE_WRONG);
    free(h.b);
    assert_false(s->take.is_complete);
    assert_int_equal(s->loads, 0);
    obey(s, v);
    run(s);
    expect_same(s);
    sync_free(s);
}

/* Deltas before anything else, and while a snapshot comes in. */
static void deltas_without_a_set_are_not_taken(void **state)
{
    struct sync *s = sync_new();
    uint8_t out[32];
    (void)state;
    run(s);
    change(s, 1);
    feed_step(s);
    struct held h = s->wire[s->wire_at];
    routetake_start(&s->take);
    assert_int_equal(take(s, DELTAS, bytes_of(h.b, h.n)), ROUTETAKE_GAP);
    assert_int_equal(routetake_ack(&s->take, out), 0);
    s->take.is_loading = true;
    assert_int_equal(take(s, DELTAS, bytes_of(h.b, h.n)), ROUTETAKE_OK);
    assert_int_equal(s->take.seq, 0);
    sync_free(s);
}

/* ---- malformed bodies ----------------------------------------------------------------------------- */

/* Cut anywhere, and with each byte changed: a verdict, and where it is MALFORMED nothing was applied. */
static void malformed_bodies_change_nothing(void **state)
{
    struct sync *s = sync_new();
    uint32_t malformed = 0;
    (void)state;
    run(s);
    for (uint32_t i = 0; i < 8; i++)
        change(s, i);
    feed_step(s);
    struct held h = s->wire[s->wire_at];
    struct routetake before = s->take;
    for (uint32_t n = 0; n < h.n; n++) {
        uint8_t *cut = malloc(n + 1);
        memcpy(cut, h.b, n);
        s->take = before;
        memset(s->slots, 0, sizeof s->slots);
        if (take(s, DELTAS, bytes_of(cut, n)) == ROUTETAKE_MALFORMED) {
            malformed++;
            assert_memory_equal(&s->take, &before, sizeof before);
            for (uint32_t i = 0; i < ROUTES; i++)
                assert_false(s->slots[s->slot][i]);
        }
        free(cut);
    }
    assert_true(malformed > h.n / 2);
    sync_free(s);
}

static void malformed_numbers_are_refused(void **state)
{
    struct sync *s = sync_new();
    static const struct {
        uint32_t n;
        uint8_t b[12];
    } bad[] = {{1, {9}}, {5, {9, 1, 2, 3, 4}}, {2, {8, 1}}, {1, {0xff}}, {3, {0x12, 9, 1}}};
    (void)state;
    run(s);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct bytes b = bytes_of(bad[i].b, bad[i].n);
        assert_false(routefeed_on_ack(&s->feed, b));
        assert_false(routefeed_on_want(&s->feed, s->log, b));
        assert_int_equal(routetake_digest(&s->take, b), ROUTETAKE_MALFORMED);
    }
    assert_false(s->feed.is_snapshot);
    want(s, 1); /* the next one: nothing to repeat */
    assert_false(s->feed.is_snapshot);
    want(s, 999); /* never made: it has something else than we have */
    assert_true(s->feed.is_snapshot);
    sync_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_peer_gets_all_and_then_what_changes),
        cmocka_unit_test(changes_go_on_while_pages_are_sent),
        cmocka_unit_test(only_online_does_not_change_the_digest),
        cmocka_unit_test(repeated_deltas_are_taken_once_and_gaps_are_asked_for),
        cmocka_unit_test(what_overlaps_is_taken_from_where_it_is_new),
        cmocka_unit_test(who_falls_behind_the_log_gets_a_snapshot),
        cmocka_unit_test(what_is_confirmed_is_done),
        cmocka_unit_test(a_late_acknowledgement_ends_nothing),
        cmocka_unit_test(the_log_is_bounded),
        cmocka_unit_test(a_set_that_differs_is_found_and_taken_anew),
        cmocka_unit_test(a_snapshot_with_a_page_missing_is_asked_for_again),
        cmocka_unit_test(deltas_without_a_set_are_not_taken),
        cmocka_unit_test(malformed_bodies_change_nothing),
        cmocka_unit_test(malformed_numbers_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
