/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TEST_CLUSTER_ROUTE_SYNC_H
#define COVEY_TEST_CLUSTER_ROUTE_SYNC_H

/* An owner of routes and one peer that takes them, with frames that wait, get lost or are changed between. */

/* cmocka.h needs these before it. */
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
static inline struct route_item item_of(char text[2][24], uint32_t i)
{
    struct route_item item = {0};
    item.filter = bytes_of(text[0], (size_t)snprintf(text[0], 24, "some/filter/%u/+", i));
    if (i % 7 == 0) {
        item.group = bytes_of(text[1], (size_t)snprintf(text[1], 24, "group%u", i % 3));
        item.online = 1;
    }
    return item;
}

static inline uint32_t number_of(const struct route_item *item)
{
    uint32_t i;
    char text[32] = {0};
    assert_true(item->filter.n < sizeof text);
    memcpy(text, item->filter.p, item->filter.n);
    assert_int_equal(sscanf(text, "some/filter/%u/+", &i), 1);
    assert_true(i < ROUTES && (item->group.n > 0) == (i % 7 == 0));
    return i;
}

static inline struct sync *sync_new(void)
{
    struct sync *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->log = routelog_new();
    s->page = routepage_new();
    routefeed_start(&s->feed, s->log);
    routetake_start(&s->take);
    return s;
}

static inline void wire_drop(struct sync *s)
{
    while (s->wire_at < s->wire_n)
        free(s->wire[s->wire_at++].b);
}

static inline void sync_free(struct sync *s)
{
    wire_drop(s);
    routelog_free(s->log);
    routepage_free(s->page);
    free(s);
}

/* ---- the owner ------------------------------------------------------------------------------------ */

static inline void change(struct sync *s, uint32_t i)
{
    char text[2][24];
    struct route_item item = item_of(text, i);
    item.is_gone = s->has[i];
    s->has[i] = !s->has[i];
    uint64_t before = routelog_seq(s->log);
    assert_int_equal(routelog_add(s->log, &item, ROUTELOG_MEMBERSHIP), before + 1);
}

static inline void send(struct sync *s, enum frame_kind kind, struct bytes body)
{
    assert_true(s->wire_n < FRAMES && body.n <= BODY_ROOM);
    struct held h = {kind, body.n, malloc(body.n + 1)};
    assert_non_null(h.b);
    memcpy(h.b, body.p, body.n);
    s->wire[s->wire_n++] = h;
}

static inline void page_send(struct sync *s)
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
static inline bool feed_step(struct sync *s)
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

static inline bool *target(struct sync *s)
{
    return s->slots[s->take.is_loading ? !s->slot : s->slot];
}
static inline bool on_add(void *ctx, const struct route_item *item)
{
    struct sync *s = ctx;
    uint32_t i = number_of(item);
    bool is_new = !target(s)[i];
    target(s)[i] = true;
    s->online[i] = item->online;
    return is_new;
}
static inline bool on_del(void *ctx, const struct route_item *item)
{
    struct sync *s = ctx;
    uint32_t i = number_of(item);
    bool was = target(s)[i];
    target(s)[i] = false;
    return was;
}
static inline void on_load_begin(void *ctx)
{
    struct sync *s = ctx;
    memset(s->slots[!s->slot], 0, sizeof s->slots[0]);
}
static inline void on_load_end(void *ctx)
{
    struct sync *s = ctx;
    s->slot = !s->slot;
    s->loads++;
}

static inline enum routetake_verdict take(struct sync *s, enum frame_kind kind, struct bytes body)
{
    struct routetake_ops ops = {on_add, on_del, on_load_begin, on_load_end, s};
    return kind == DELTAS ? routetake_deltas(&s->take, body, &ops) : routetake_snapshot(&s->take, body, &ops);
}

static inline void want(struct sync *s, uint64_t from)
{
    uint8_t body[32];
    assert_true(routefeed_on_want(&s->feed, s->log, bytes_of(body, route_want_put(body, from))));
}

/* As the mesh does. */
static inline void obey(struct sync *s, enum routetake_verdict v)
{
    assert_int_not_equal(v, ROUTETAKE_MALFORMED);
    if (v == ROUTETAKE_GAP)
        want(s, s->take.seq + 1);
    if (v == ROUTETAKE_WRONG)
        want(s, 0);
}

static inline void ack(struct sync *s)
{
    uint8_t body[32];
    uint32_t n = routetake_ack(&s->take, body);
    if (n)
        assert_true(routefeed_on_ack(&s->feed, bytes_of(body, n)));
}

/* The oldest frame on the wire arrives. */
static inline void take_step(struct sync *s)
{
    struct held h = s->wire[s->wire_at++];
    obey(s, take(s, h.kind, bytes_of(h.b, h.n)));
    free(h.b);
}

static inline void run(struct sync *s)
{
    while (feed_step(s) || s->wire_at < s->wire_n) {
        while (s->wire_at < s->wire_n)
            take_step(s);
        s->wire_at = s->wire_n = 0;
        ack(s);
    }
}

static inline enum routetake_verdict digest(struct sync *s, uint64_t now_ms)
{
    uint8_t body[64];
    uint32_t n = routefeed_digest(&s->feed, s->log, now_ms, body);
    assert_true(n > 0);
    return routetake_digest(&s->take, bytes_of(body, n));
}

static inline void expect_same(struct sync *s)
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

#endif
