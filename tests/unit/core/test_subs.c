/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions of several shards over one route table, and the cache of what topics match, against a list.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "node/core/subs.h"
#include "tests/unit/core/topics.h"

enum { SHARDS = 3, SUBS_MAX = 600, FILTERS = 60, TOPICS = 200 };

struct entry {
    struct subscription *sub; /* NULL: free */
    uint32_t shard;
    uint32_t filter;
    uint32_t group; /* 0: none */
    bool is_online;
};

struct model {
    struct routes *routes;
    struct subs shards[SHARDS];
    struct random random;
    struct text filters[FILTERS];
    struct text topics[TOPICS];
    struct entry entries[SUBS_MAX];
};

static const char *const group_names[] = {"", "g", "h"};

static struct model *model_new(uint64_t seed)
{
    struct model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->random.x = seed;
    m->routes = routes_new(seed, SHARDS, NULL);
    for (uint32_t i = 0; i < SHARDS; i++)
        subs_init(&m->shards[i], m->routes, i);
    for (uint32_t i = 0; i < FILTERS; i++)
        text_random(&m->random, &m->filters[i], true);
    for (uint32_t i = 0; i < TOPICS; i++)
        text_random(&m->random, &m->topics[i], false);
    return m;
}

static struct session *session_of(struct model *m, const struct entry *e)
{
    return (struct session *)(void *)&m->entries[e - m->entries]; /* never looked into here */
}

static void entry_add(struct model *m, struct entry *e)
{
    e->shard = random_below(&m->random, SHARDS);
    e->filter = random_below(&m->random, FILTERS);
    e->group = random_below(&m->random, 2) ? 0 : random_below(&m->random, 3);
    e->is_online = false;
    struct topic_filter f = {.group = bytes_str(group_names[e->group]),
                             .filter = text_bytes(&m->filters[e->filter])};
    e->sub = subs_add(&m->shards[e->shard], session_of(m, e), &f);
    assert_ptr_equal(e->sub->session, session_of(m, e));
    assert_int_equal(e->sub->id, 0);
    assert_true(bytes_eq(route_filter(e->sub->route), f.filter));
    assert_true(bytes_eq(route_group(e->sub->route), f.group));
}

static void entry_del(struct model *m, struct entry *e)
{
    subs_del(&m->shards[e->shard], e->sub);
    e->sub = NULL;
}

static void step(struct model *m, uint32_t bound)
{
    uint32_t i = random_below(&m->random, SUBS_MAX);
    struct entry *e = &m->entries[i];
    if (!e->sub) {
        if (i < bound)
            entry_add(m, e);
    } else if (e->group && random_below(&m->random, 3)) {
        e->is_online = random_below(&m->random, 2);
        subs_member_set(&m->shards[e->shard], e->sub, e->is_online ? SUBS_ONLINE : SUBS_OFFLINE);
    } else {
        entry_del(m, e);
    }
}

/* ---- comparing ------------------------------------------------------------------------------------ */

static bool filters_equal(const struct model *m, uint32_t a, uint32_t b)
{
    return bytes_eq(text_bytes(&m->filters[a]), text_bytes(&m->filters[b]));
}

/* Each subscription is at its place in its list, and the connected ones are in front. */
static void check_lists(struct model *m)
{
    uint32_t counts[SHARDS] = {0};
    for (uint32_t i = 0; i < SUBS_MAX; i++) {
        const struct entry *e = &m->entries[i];
        uint32_t same = 0, online = 0, online_here = 0;
        if (!e->sub)
            continue;
        counts[e->shard]++;
        const struct sublist *l = subs_list(&m->shards[e->shard], e->sub->route->id);
        assert_true(e->sub->slot < l->n);
        assert_ptr_equal(sublist_items(l)[e->sub->slot], e->sub);
        assert_int_equal(e->sub->slot < l->online, e->is_online);
        for (uint32_t k = 0; k < SUBS_MAX; k++) {
            const struct entry *o = &m->entries[k];
            if (!o->sub || o->shard != e->shard || o->group != e->group ||
                !filters_equal(m, o->filter, e->filter))
                continue;
            assert_ptr_equal(o->sub->route, e->sub->route);
            same++;
            online_here += o->is_online;
        }
        online = l->online;
        assert_int_equal(l->n, same);
        assert_int_equal(online, online_here);
        if (e->group)
            assert_int_equal(e->sub->route->u.share->online[e->shard], online_here);
    }
    for (uint32_t s = 0; s < SHARDS; s++)
        assert_int_equal(m->shards[s].count, counts[s]);
}

static bool has_local(const struct match *a, uint32_t id)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->local_n; i++)
        n += a->local[i] == id;
    assert_true(n <= 1);
    return n;
}

static bool has_shared(const struct match *a, const struct route *r)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < a->shared_n; i++)
        n += a->shared[i] == r;
    assert_true(n <= 1);
    return n;
}

/* How often an entry's route was counted by one before it. */
static bool is_first_of_route(const struct model *m, uint32_t i, bool any_shard)
{
    const struct entry *e = &m->entries[i];
    for (uint32_t k = 0; k < i; k++) {
        const struct entry *o = &m->entries[k];
        if (o->sub && o->sub->route == e->sub->route && (any_shard || o->shard == e->shard))
            return false;
    }
    return true;
}

static void check_topic(struct model *m, uint32_t shard, const struct text *topic)
{
    enum topic_verdict verdict = TOPIC_OK;
    struct bytes t = text_bytes(topic);
    uint32_t local_n = 0, shared_n = 0;
    uint64_t remote = 0;
    const struct match *a = subs_match(&m->shards[shard], t, &verdict);
    assert_non_null(a);
    for (uint32_t i = 0; i < SUBS_MAX; i++) {
        const struct entry *e = &m->entries[i];
        if (!e->sub || !topic_match(text_bytes(&m->filters[e->filter]), t))
            continue;
        if (e->group) {
            assert_true(has_shared(a, e->sub->route));
            shared_n += is_first_of_route(m, i, true);
        } else if (e->shard == shard) {
            assert_true(has_local(a, e->sub->route->id));
            local_n += is_first_of_route(m, i, false);
        } else {
            remote |= 1ull << e->shard;
        }
    }
    assert_int_equal(a->local_n, local_n);
    assert_int_equal(a->shared_n, shared_n);
    assert_int_equal(a->remote, remote);
    assert_true(bytes_eq(bytes_of(a->topic, a->topic_n), t));
}

static void matches_as_a_list_does(void **state)
{
    (void)state;
    for (uint64_t seed = 21; seed < 24; seed++) {
        struct model *m = model_new(seed);
        for (uint32_t i = 0; i < 3000; i++) {
            /* Now few subscriptions, now many: lists shrink and grow. */
            step(m, i / 500 % 2 ? 30 : SUBS_MAX);
            for (uint32_t k = 0; k < 3; k++)
                check_topic(m, random_below(&m->random, SHARDS),
                            &m->topics[random_below(&m->random, TOPICS)]);
            if (i % 300 == 0)
                check_lists(m);
        }
        for (uint32_t i = 0; i < SUBS_MAX; i++) {
            if (m->entries[i].sub)
                entry_del(m, &m->entries[i]);
        }
        check_lists(m);
        assert_int_equal(routes_count(m->routes), 0);
        for (uint32_t i = 0; i < SHARDS; i++)
            subs_fini(&m->shards[i]);
        routes_free(m->routes);
        free(m);
    }
}

/* ---- the cache ------------------------------------------------------------------------------------ */

static struct subscription *sub_plain(struct subs *s, const char *filter)
{
    struct topic_filter f = {.filter = bytes_str(filter)};
    return subs_add(s, NULL, &f);
}

/* The answer is kept as long as it is true, also on a shard that changed nothing itself. */
static void an_answer_is_kept_until_it_changes(void **state)
{
    (void)state;
    struct routes *t = routes_new(1, 2, NULL);
    struct subs a, b;
    enum topic_verdict v;
    struct bytes topic = bytes_str("x/y");
    subs_init(&a, t, 0);
    subs_init(&b, t, 1);
    struct subscription *first = sub_plain(&a, "x/y");
    const struct match *m = subs_match(&a, topic, &v);
    assert_int_equal(m->local_n, 1);
    assert_int_equal(m->remote, 0);
    assert_ptr_equal(subs_match(&a, topic, &v), m);
    /* One more of the same filter here changes the list, not the answer. */
    struct subscription *second = sub_plain(&a, "x/y");
    assert_ptr_equal(subs_match(&a, topic, &v), m);
    assert_int_equal(subs_list(&a, m->local[0])->n, 2);
    /* The first one over there does change it. */
    struct subscription *there = sub_plain(&b, "x/#");
    assert_int_equal(subs_match(&a, topic, &v)->remote, 2);
    assert_int_equal(subs_match(&b, topic, &v)->remote, 1);
    subs_del(&a, first);
    assert_int_equal(subs_match(&b, topic, &v)->remote, 1);
    subs_del(&a, second);
    assert_int_equal(subs_match(&b, topic, &v)->remote, 0);
    assert_int_equal(subs_match(&a, topic, &v)->local_n, 0);
    subs_del(&b, there);
    assert_int_equal(subs_match(&a, topic, &v)->remote, 0);
    subs_fini(&a);
    subs_fini(&b);
    routes_free(t);
}

/* Far more topics than the cache begins with, asked in rounds: each answer stays right and memory bounded. */
static void many_topics(void **state)
{
    (void)state;
    struct routes *t = routes_new(3, 1, NULL);
    struct subs s;
    enum topic_verdict v;
    char topic[32];
    subs_init(&s, t, 0);
    struct subscription *odd = sub_plain(&s, "many/+/1"), *one = sub_plain(&s, "many/77/1");
    for (uint32_t i = 0; i < 30000; i++) {
        uint32_t k = i % 7000;
        uint32_t n = 0;
        char digits[8];
        struct text out = {.n = 0};
        text_append(&out, "many/");
        for (uint32_t rest = k; n == 0 || rest; rest /= 10)
            digits[n++] = (char)('0' + rest % 10);
        for (uint32_t d = n; d; d--)
            text_append(&out, (char[]){digits[d - 1], 0});
        text_append(&out, k & 1 ? "/1" : "/0");
        memcpy(topic, out.s, out.n);
        const struct match *m = subs_match(&s, bytes_of(topic, out.n), &v);
        assert_non_null(m);
        assert_int_equal(m->local_n, (k & 1) + (k == 77));
        assert_int_equal(m->levels, 3);
    }
    assert_true(s.cached <= 4 * (s.cache_mask + 1));
    assert_true(s.cached > 3000);
    subs_del(&s, odd);
    subs_del(&s, one);
    subs_fini(&s);
    routes_free(t);
}

/* Topics that nobody may publish to, with and without an answer. */
static void topics_are_judged(void **state)
{
    static const struct {
        const char *topic;
        enum topic_verdict verdict;
        enum topic_special special;
    } rows[] = {
        {"a", TOPIC_OK, TOPIC_PLAIN},
        {"a/+", TOPIC_WILDCARD, TOPIC_PLAIN},
        {"#", TOPIC_WILDCARD, TOPIC_PLAIN},
        {"\xff", TOPIC_BAD_UTF8, TOPIC_PLAIN},
        {"", TOPIC_EMPTY, TOPIC_PLAIN},
        {"$SYS/broker", TOPIC_OK, TOPIC_RESERVED},
        {"$SYS", TOPIC_OK, TOPIC_RESERVED},
        {"$SYS/broker/connection/edge/state", TOPIC_OK, TOPIC_DOLLAR},
        {"$SYS/broker/connection//state", TOPIC_OK, TOPIC_RESERVED},
        {"$SYS/broker/connection/state", TOPIC_OK, TOPIC_RESERVED},
        {"$SYS/broker/connection/a/b/state", TOPIC_OK, TOPIC_RESERVED},
        {"$SYS/broker/connection/a/states", TOPIC_OK, TOPIC_RESERVED},
        {"$SYSTEM/x", TOPIC_OK, TOPIC_DOLLAR},
        {"$share/g/t", TOPIC_OK, TOPIC_RESERVED},
        {"$shared", TOPIC_OK, TOPIC_DOLLAR},
        {"$other/t", TOPIC_OK, TOPIC_DOLLAR},
        {"$exclusive/t", TOPIC_OK, TOPIC_RESERVED},
        {"$delayed/5/t", TOPIC_OK, TOPIC_DELAYED},
    };
    (void)state;
    struct routes *t = routes_new(3, 1, NULL);
    struct subs s;
    subs_init(&s, t, 0);
    struct subscription *all = sub_plain(&s, "#"), *sys = sub_plain(&s, "$SYS/#");
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            enum topic_verdict v = TOPIC_OK;
            const struct match *m = subs_match(&s, bytes_str(rows[i].topic), &v);
            assert_int_equal(v, rows[i].verdict);
            assert_int_equal(m != NULL, rows[i].verdict == TOPIC_OK);
            if (!m)
                continue;
            assert_int_equal(m->special, rows[i].special);
            bool is_sys = strcmp(rows[i].topic, "$SYS") == 0 || strncmp(rows[i].topic, "$SYS/", 5) == 0;
            assert_int_equal(m->local_n, rows[i].topic[0] != '$' || is_sys); /* [MQTT-4.7.2-1] */
        }
    }
    subs_del(&s, all);
    subs_del(&s, sys);
    subs_fini(&s);
    routes_free(t);
}

/* A topic too long to be kept is answered all the same. */
static void a_long_topic(void **state)
{
    (void)state;
    struct routes *t = routes_new(3, 1, NULL);
    struct subs s;
    enum topic_verdict v;
    char *topic = malloc(UINT16_MAX);
    assert_non_null(topic);
    memset(topic, '/', UINT16_MAX);
    subs_init(&s, t, 0);
    struct subscription *all = sub_plain(&s, "#");
    for (unsigned i = 0; i < 3; i++) {
        const struct match *m = subs_match(&s, bytes_of(topic, UINT16_MAX), &v);
        assert_non_null(m);
        assert_int_equal(m->local_n, 1);
        assert_int_equal(m->levels, UINT16_MAX);
    }
    assert_int_equal(s.cached, 0);
    subs_del(&s, all);
    subs_fini(&s);
    routes_free(t);
    free(topic);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_as_a_list_does),
        cmocka_unit_test(an_answer_is_kept_until_it_changes),
        cmocka_unit_test(many_topics),
        cmocka_unit_test(topics_are_judged),
        cmocka_unit_test(a_long_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
