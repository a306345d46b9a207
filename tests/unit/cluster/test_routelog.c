/* SPDX-License-Identifier: Apache-2.0 */
/* An owner of routes and one peer that takes them, with frames that wait, get lost or are changed between. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cluster/core/routelog.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUTES = 2000, BODY_ROOM = 128 << 10, FRAMES = 4000 };
enum frame_kind { DELTAS, SNAPSHOT };

struct held {
    enum frame_kind kind;
    uint32_t n;
    uint8_t *b;
};

struct sync {
    struct routelog *log;
    struct routefeed feed;
    struct routepage *page;
    bool has[ROUTES];
    struct routetake take;
    bool slots[2][ROUTES];
    uint32_t online[ROUTES];
    int slot; /* in use */
    int loads;
    struct held wire[FRAMES];
    uint32_t wire_at, wire_n;
    uint8_t body[BODY_ROOM];
};

/* Every seventh is shared. */
static struct route_item item_of(char text[2][24], uint32_t i)
{
    struct route_item item = {0};
    item.filter = bytes_of(text[0], (size_t)snprintf(text[0], 24, "some/filter/%u/+", i));
    if (i % 7 == 0) {
        item.group = bytes_of(text[1], (size_t)snprintf(text[1], 24, "group%u", i % 3));
        item.online = 1;
    }
    return item;
}

static uint32_t number_of(const struct route_item *item)
{
    uint32_t i;
    char text[32] = {0};
    assert_true(item->filter.n < sizeof text);
    memcpy(text, item->filter.p, item->filter.n);
    assert_int_equal(sscanf(text, "some/filter/%u/+", &i), 1);
    assert_true(i < ROUTES && (item->group.n > 0) == (i % 7 == 0));
    return i;
}

static struct sync *sync_new(void)
{
    struct sync *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->log = routelog_new();
    s->page = routepage_new();
    routefeed_start(&s->feed, s->log);
    routetake_start(&s->take);
    return s;
}

static void wire_drop(struct sync *s)
{
    while (s->wire_at < s->wire_n)
        free(s->wire[s->wire_at++].b);
}

static void sync_free(struct sync *s)
{
    wire_drop(s);
    routelog_free(s->log);
    routepage_free(s->page);
    free(s);
}

/* ---- the owner ------------------------------------------------------------------------------------ */

static void change(struct sync *s, uint32_t i)
{
    char text[2][24];
    struct route_item item = item_of(text, i);
    item.is_gone = s->has[i];
    s->has[i] = !s->has[i];
    uint64_t before = routelog_seq(s->log);
    assert_int_equal(routelog_add(s->log, &item, ROUTELOG_MEMBERSHIP), before + 1);
}

static void send(struct sync *s, enum frame_kind kind, struct bytes body)
{
    assert_true(s->wire_n < FRAMES && body.n <= BODY_ROOM);
    struct held h = {kind, body.n, malloc(body.n + 1)};
    assert_non_null(h.b);
    memcpy(h.b, body.p, body.n);
    s->wire[s->wire_n++] = h;
}

static void page_send(struct sync *s)
{
    char text[2][24];
    uint32_t id = s->feed.page_id;
    for (; id < ROUTES && !routepage_is_full(s->page); id++) {
        struct route_item item = item_of(text, id);
        if (s->has[id])
            routepage_add(s->page, &item);
    }
    send(s, SNAPSHOT, routepage_seal(s->page, &s->feed, id, id == ROUTES));
}

/* One frame, if there is something to say. */
static bool feed_step(struct sync *s)
{
    if (!s->feed.is_snapshot) {
        uint32_t n = routefeed_deltas(&s->feed, s->log, s->body, BODY_ROOM);
        if (n)
            send(s, DELTAS, bytes_of(s->body, n));
        if (n || !s->feed.is_snapshot)
            return n > 0;
    }
    page_send(s);
    return true;
}

/* ---- the peer ------------------------------------------------------------------------------------- */

static bool *target(struct sync *s)
{
    return s->slots[s->take.is_loading ? !s->slot : s->slot];
}
static bool on_add(void *ctx, const struct route_item *item)
{
    struct sync *s = ctx;
    uint32_t i = number_of(item);
    bool is_new = !target(s)[i];
    target(s)[i] = true;
    s->online[i] = item->online;
    return is_new;
}
static bool on_del(void *ctx, const struct route_item *item)
{
    struct sync *s = ctx;
    uint32_t i = number_of(item);
    bool was = target(s)[i];
    target(s)[i] = false;
    return was;
}
static void on_load_begin(void *ctx)
{
    struct sync *s = ctx;
    memset(s->slots[!s->slot], 0, sizeof s->slots[0]);
}
static void on_load_end(void *ctx)
{
    struct sync *s = ctx;
    s->slot = !s->slot;
    s->loads++;
}

static enum routetake_verdict take(struct sync *s, enum frame_kind kind, struct bytes body)
{
    struct routetake_ops ops = {on_add, on_del, on_load_begin, on_load_end, s};
    return kind == DELTAS ? routetake_deltas(&s->take, body, &ops) : routetake_snapshot(&s->take, body, &ops);
}

static void want(struct sync *s, uint64_t from)
{
    uint8_t body[32];
    assert_true(routefeed_on_want(&s->feed, s->log, bytes_of(body, route_want_put(body, from))));
}

/* As the mesh does. */
static void obey(struct sync *s, enum routetake_verdict v)
{
    assert_int_not_equal(v, ROUTETAKE_MALFORMED);
    if (v == ROUTETAKE_GAP)
        want(s, s->take.seq + 1);
    if (v == ROUTETAKE_WRONG)
        want(s, 0);
}

static void ack(struct sync *s)
{
    uint8_t body[32];
    uint32_t n = routetake_ack(&s->take, body);
    if (n)
        assert_true(routefeed_on_ack(&s->feed, bytes_of(body, n)));
}

/* The oldest frame on the wire arrives. */
static void take_step(struct sync *s)
{
    struct held h = s->wire[s->wire_at++];
    obey(s, take(s, h.kind, bytes_of(h.b, h.n)));
    free(h.b);
}

static void run(struct sync *s)
{
    while (feed_step(s) || s->wire_at < s->wire_n) {
        while (s->wire_at < s->wire_n)
            take_step(s);
        s->wire_at = s->wire_n = 0;
        ack(s);
    }
}

static enum routetake_verdict digest(struct sync *s, uint64_t now_ms)
{
    uint8_t body[64];
    uint32_t n = routefeed_digest(&s->feed, s->log, now_ms, body);
    assert_true(n > 0);
    return routetake_digest(&s->take, bytes_of(body, n));
}

static void expect_same(struct sync *s)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < ROUTES; i++) {
        if (s->has[i] != s->slots[s->slot][i])
            fail_msg("route %u", i);
        count += s->has[i];
    }
    assert_int_equal(s->take.seq, routelog_seq(s->log));
    assert_int_equal(s->feed.acked, routelog_seq(s->log));
    assert_int_equal(routelog_count(s->log), count);
    assert_int_equal(s->take.count, count);
    assert_int_equal(s->take.sum, routelog_sum(s->log));
}

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
