/* SPDX-License-Identifier: Apache-2.0 */
/* The route table against a list of filters and topic_match(). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "node/core/routes.h"
#include "proto/topic/topic.h"
#include "tests/unit/core/topics.h"

enum { FILTERS = 150, GROUPS = 3, SHARDS = 5, WATCHED = 24, FREED_MAX = 200000 };

static const char *const group_names[GROUPS] = {"", "g", "other"};

/* What is unlinked stays readable until the grace period is over; here that is the end of a test. */
static void *freed[FREED_MAX];
static uint32_t freed_n;

static void free_later(void *p)
{
    assert_true(freed_n < FREED_MAX);
    freed[freed_n++] = p;
}

static void freed_release(void)
{
    while (freed_n)
        free(freed[--freed_n]);
}

struct model {
    struct routes *routes;
    struct random random;
    struct route_list found;
    struct text filters[FILTERS];
    uint64_t shards[FILTERS][GROUPS];
    struct route *route[FILTERS][GROUPS];
    struct text watched[WATCHED];
};

static bool is_known(const struct model *m, uint32_t n, const struct text *t)
{
    for (uint32_t i = 0; i < n; i++) {
        if (bytes_eq(text_bytes(&m->filters[i]), text_bytes(t)))
            return true;
    }
    return false;
}

static struct model *model_new(uint64_t seed)
{
    struct model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->random.x = seed;
    m->routes = routes_new(seed, SHARDS, free_later);
    for (uint32_t i = 0; i < FILTERS; i++) {
        do {
            text_random(&m->random, &m->filters[i], true);
        } while (is_known(m, i, &m->filters[i]));
    }
    for (uint32_t i = 0; i < WATCHED; i++)
        text_random(&m->random, &m->watched[i], false);
    return m;
}

static void model_free(struct model *m)
{
    route_list_fini(&m->found);
    routes_free(m->routes);
    freed_release();
    free(m);
}

static bool is_used(const struct model *m, uint32_t f)
{
    return m->shards[f][0] | m->shards[f][1] | m->shards[f][2];
}

static void toggle(struct model *m, uint32_t f, uint32_t g, uint32_t shard)
{
    uint64_t bit = 1ull << shard;
    struct bytes filter = text_bytes(&m->filters[f]);
    routes_lock(m->routes);
    if (m->shards[f][g] & bit) {
        routes_del(m->routes, m->route[f][g], shard);
    } else {
        struct route *r = routes_add(m->routes, filter, bytes_str(group_names[g]), shard);
        if (m->shards[f][g])
            assert_ptr_equal(r, m->route[f][g]);
        m->route[f][g] = r;
    }
    m->shards[f][g] ^= bit;
    routes_unlock(m->routes);
}

/* ---- comparing ------------------------------------------------------------------------------------ */

/* The shared routes on a plain one are those of the model, each once. */
static void check_shared(const struct model *m, uint32_t f, const struct route *plain)
{
    uint32_t expected = 0, got = 0;
    for (uint32_t g = 1; g < GROUPS; g++)
        expected += m->shards[f][g] != 0;
    for (const struct route *r = plain->shared; r; r = r->shared, got++) {
        uint32_t g = bytes_eq(route_group(r), bytes_str(group_names[1])) ? 1 : 2;
        assert_true(route_is_shared(r));
        assert_true(bytes_eq(route_group(r), bytes_str(group_names[g])));
        assert_true(bytes_eq(route_filter(r), text_bytes(&m->filters[f])));
        assert_ptr_equal(r, m->route[f][g]);
        assert_int_equal(r->shards, m->shards[f][g]);
    }
    assert_int_equal(got, expected);
}

static uint32_t count_in(const struct route_list *l, struct bytes filter, const struct route **found)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        if (bytes_eq(route_filter(l->v[i]), filter)) {
            *found = l->v[i];
            n++;
        }
    }
    return n;
}

static void check_topic(struct model *m, const struct text *topic)
{
    struct bytes t = text_bytes(topic);
    uint32_t expected = 0;
    routes_match(m->routes, t, routes_hash(m->routes, t), &m->found);
    for (uint32_t f = 0; f < FILTERS; f++) {
        const struct route *r = NULL;
        bool matches = is_used(m, f) && topic_match(text_bytes(&m->filters[f]), t);
        uint32_t n = count_in(&m->found, text_bytes(&m->filters[f]), &r);
        if (n != matches)
            fail_msg("'%s' on '%s': %u times", m->filters[f].s, topic->s, n);
        if (!matches)
            continue;
        expected++;
        assert_false(route_is_shared(r));
        assert_int_equal(r->shards, m->shards[f][0]);
        check_shared(m, f, r);
    }
    assert_int_equal(m->found.n, expected);
}

struct seen {
    uint32_t n;
    uint8_t ids[FILTERS * GROUPS];
};

static void see(void *ctx, struct route *r)
{
    struct seen *s = ctx;
    assert_true(r->shards != 0);
    assert_true(r->id < sizeof s->ids);
    assert_false(s->ids[r->id]);
    s->ids[r->id] = 1;
    s->n++;
}

/* Every route is found by its name and walked over once; ids are dense. */
static void check_table(struct model *m)
{
    struct seen seen = {0};
    uint32_t held = 0, plain_only_for_shared = 0;
    for (uint32_t f = 0; f < FILTERS; f++) {
        for (uint32_t g = 0; g < GROUPS; g++) {
            struct route *r = routes_find(m->routes, text_bytes(&m->filters[f]), bytes_str(group_names[g]));
            held += m->shards[f][g] != 0;
            if (m->shards[f][g])
                assert_ptr_equal(r, m->route[f][g]);
            else
                assert_true(!r || (g == 0 && r->shards == 0));
        }
        plain_only_for_shared += is_used(m, f) && !m->shards[f][0];
    }
    routes_each(m->routes, see, &seen);
    assert_int_equal(seen.n, held);
    assert_int_equal(routes_count(m->routes), held + plain_only_for_shared);
    assert_true(routes_id_max(m->routes) <= FILTERS * GROUPS);
}

/* One change; the version of each watched topic that it concerns is another one afterwards. */
static void step(struct model *m)
{
    uint64_t before[WATCHED];
    uint32_t f = random_below(&m->random, FILTERS), g = random_below(&m->random, GROUPS);
    for (uint32_t i = 0; i < WATCHED; i++)
        before[i] = routes_version(m->routes, routes_hash(m->routes, text_bytes(&m->watched[i])));
    toggle(m, f, g, random_below(&m->random, SHARDS));
    for (uint32_t i = 0; i < WATCHED; i++) {
        struct bytes t = text_bytes(&m->watched[i]);
        uint64_t after = routes_version(m->routes, routes_hash(m->routes, t));
        if (topic_match(text_bytes(&m->filters[f]), t) && after == before[i])
            fail_msg("'%s' changed, the version of '%s' did not", m->filters[f].s, m->watched[i].s);
    }
}

static void matches_as_a_list_does(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct model *m = model_new(seed);
        for (uint32_t i = 0; i < 2500; i++) {
            struct text topic;
            step(m);
            text_random(&m->random, &topic, false);
            check_topic(m, &topic);
            check_topic(m, &m->watched[i % WATCHED]);
            if (i % 100 == 0)
                check_table(m);
        }
        model_free(m);
    }
}

/* Everything goes: the table is empty and gives the ids out again. */
static void empties(void **state)
{
    (void)state;
    struct model *m = model_new(77);
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 1000; i++)
            step(m);
        for (uint32_t f = 0; f < FILTERS; f++) {
            for (uint32_t g = 0; g < GROUPS; g++) {
                for (uint32_t shard = 0; shard < SHARDS; shard++) {
                    if (m->shards[f][g] >> shard & 1)
                        toggle(m, f, g, shard);
                }
            }
        }
        check_table(m);
        assert_int_equal(routes_count(m->routes), 0);
        for (uint32_t i = 0; i < WATCHED; i++)
            check_topic(m, &m->watched[i]);
    }
    assert_true(routes_id_max(m->routes) <= FILTERS * GROUPS);
    model_free(m);
}

/* A topic that no change concerns keeps its version: what was answered for it may be kept. */
static void unrelated_versions_stay(void **state)
{
    (void)state;
    struct routes *t = routes_new(5, 2, NULL);
    struct bytes none = bytes_of(NULL, 0), topic = bytes_str("quiet/topic");
    uint64_t hash = routes_hash(t, topic), before = routes_version(t, hash);
    unsigned changed = 0;
    for (unsigned i = 0; i < 100; i++) {
        char filter[] = {'n', (char)('0' + i / 10), (char)('0' + i % 10)};
        uint64_t was = routes_version(t, hash);
        routes_add(t, bytes_of(filter, 3), none, 0);
        changed += routes_version(t, hash) != was;
    }
    assert_true(changed < 5); /* topics share 1024 counters */
    struct route *r = routes_add(t, topic, none, 1);
    assert_true(routes_version(t, hash) != before);
    before = routes_version(t, hash);
    routes_del(t, r, 1);
    assert_true(routes_version(t, hash) != before);
    routes_free(t);
}

/* What a reader found stays readable after it is unlinked, until it is freed. */
static void readers_keep_what_they_hold(void **state)
{
    (void)state;
    struct routes *t = routes_new(9, 2, free_later);
    struct route_list l = {0};
    struct bytes f = bytes_str("a/+/c"), g = bytes_str("g"), topic = bytes_str("a/b/c");
    struct route *r = routes_add(t, f, g, 1);
    routes_match(t, topic, routes_hash(t, topic), &l);
    assert_int_equal(l.n, 1);
    struct route *shared = l.v[0]->shared;
    assert_ptr_equal(shared, r);
    routes_del(t, r, 1);
    assert_true(bytes_eq(route_filter(l.v[0]), f));
    assert_true(bytes_eq(route_group(shared), g));
    assert_int_equal(shared->u.share->online[1], 0);
    routes_match(t, topic, routes_hash(t, topic), &l);
    assert_int_equal(l.n, 0);
    route_list_fini(&l);
    routes_free(t);
    freed_release();
}

/* The nodes of a filter's levels go with it, but for those that others need. */
static void nodes_go_with_their_filters(void **state)
{
    (void)state;
    struct routes *t = routes_new(9, 1, free_later);
    struct bytes none = bytes_of(NULL, 0);
    struct route *longer = routes_add(t, bytes_str("a/+/c/d/#"), none, 0);
    struct route *shorter = routes_add(t, bytes_str("a/+/#"), none, 0);
    freed_release();
    routes_del(t, longer, 0);
    assert_int_equal(freed_n, 1 + 2); /* the route, c and d */
    freed_release();
    routes_del(t, shorter, 0);
    assert_int_equal(freed_n, 1 + 2); /* the route, + and a */
    routes_free(t);
    freed_release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_as_a_list_does),      cmocka_unit_test(empties),
        cmocka_unit_test(unrelated_versions_stay),     cmocka_unit_test(readers_keep_what_they_hold),
        cmocka_unit_test(nodes_go_with_their_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
