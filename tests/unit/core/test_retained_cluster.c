/* SPDX-License-Identifier: Apache-2.0 */

/* Retained messages of a cluster: stamps, the last change wins in whatever order changes arrive. */

#include "tests/unit/core/cluster_member.h"

#include "proto/base/mem.h"
#include "tests/unit/core/random.h"

enum { NODES = 3, DAY_MS = 24 * 3600 * 1000 };

/* ---- what is stored ------------------------------------------------------------------------------- */

static void check_same_table(struct broker *a, struct broker *b, enum store_table t)
{
    struct store_reader *ra = a->sh->reader, *rb = b->sh->reader;
    struct bytes ka, va, kb, vb;
    assert_int_equal(store_read_begin(ra), OK);
    assert_int_equal(store_read_begin(rb), OK);
    enum err ea = store_seek(ra, t, bytes_of(NULL, 0), &ka, &va);
    enum err eb = store_seek(rb, t, bytes_of(NULL, 0), &kb, &vb);
    while (ea == OK && eb == OK) {
        assert_true(bytes_eq(ka, kb) && bytes_eq(va, vb));
        ea = store_next(ra, &ka, &va);
        eb = store_next(rb, &kb, &vb);
    }
    assert_int_equal(ea, eb);
    store_read_end(ra);
    store_read_end(rb);
}

/* ---- the clock ------------------------------------------------------------------------------------ */

static void stamps_only_grow(void **state)
{
    (void)state;
    struct hlc h = {0};
    uint64_t a = hlc_now(&h, 1000);
    assert_int_equal(hlc_ms(a), 1000);
    assert_int_equal(hlc_now(&h, 1000), a + 1);
    assert_int_equal(hlc_now(&h, 900), a + 2);
    hlc_see(&h, (uint64_t)5000 << HLC_SHIFT);
    hlc_see(&h, 7);
    assert_int_equal(hlc_now(&h, 2000), ((uint64_t)5000 << HLC_SHIFT) + 1);
    assert_int_equal(hlc_now(&h, 6000), (uint64_t)6000 << HLC_SHIFT);
}

/* ---- what is written ------------------------------------------------------------------------------ */

static uint32_t ops_of_next_batch(struct broker *b)
{
    struct store_batch batch;
    store_batch_init(&batch);
    assert_true(shard_seal(b->sh, &batch));
    uint32_t ops = batch.ops;
    const struct store_batch *p = &batch;
    shard_on_stored(b->sh, store_commit(b->store, &p, 1));
    store_batch_fini(&batch);
    return ops;
}

static void a_single_node_writes_no_stamps(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    publish(b, "t", "x");
    assert_int_equal(ops_of_next_batch(b), 1);
    publish(b, "t", "");
    assert_int_equal(ops_of_next_batch(b), 1);
    assert_int_equal(store_count(b->store, STORE_RETAINED_META), 0);
    assert_null(shard_outbox_take(b->sh, MAIL_TO_CLUSTER));
    join(b, 1);
    publish(b, "t", "x");
    assert_int_equal(ops_of_next_batch(b), 2);
    struct told t = {.n = 0};
    told_take(b, &t);
    assert_int_equal(t.n, 1);
    told_free(&t);
    broker_free(b);
}

/* The same hash on every machine, for good. */
static void buckets_and_digests_are_fixed(void **state)
{
    (void)state;
    assert_int_equal(retained_bucket(bytes_str("a/b")), 88);
    assert_int_equal(retained_digest(bytes_str("a/b"), 1, 2), 0x9c5dff6995180a15);
}

/* ---- the last one wins ---------------------------------------------------------------------------- */

static const char *random_topic(struct random *r, char buf[600])
{
    uint32_t n = (uint32_t)random_below(r, 12);
    int at = snprintf(buf, 100, "t/%u/", n);
    if (n < 3)
        memset(buf + at, 'x', 490); /* longer than a key */
    buf[at + (n < 3 ? 490 : 0)] = 0;
    return buf;
}

static void random_change(struct random *r, struct broker *b)
{
    char buf[600], payload[20];
    const char *topic = random_topic(r, buf);
    snprintf(payload, sizeof payload, "p%u", (unsigned)random_below(r, 1000));
    switch (random_below(r, 6)) {
    case 0:
        publish(b, topic, "");
        break;
    case 1:
        retained_delete(b->sh, bytes_str(topic));
        break;
    case 2:
        publish_expiring(b, topic, payload, (uint32_t)(3600 + random_below(r, 100000)));
        break;
    default:
        publish(b, topic, payload);
    }
}

static void shuffle(struct random *r, struct told *t)
{
    for (unsigned i = t->n; i > 1; i--) {
        unsigned k = (unsigned)random_below(r, i);
        struct retained_change *c = t->v[k];
        t->v[k] = t->v[i - 1];
        t->v[i - 1] = c;
    }
}

static void run_converge(uint64_t seed)
{
    struct random r = {seed};
    struct broker *nodes[NODES];
    struct told *t = mem_zalloc(sizeof *t);
    for (unsigned i = 0; i < NODES; i++)
        nodes[i] = member_new((uint8_t)(1 + i));
    for (unsigned round = 0; round < 10; round++) {
        unsigned from = t->n;
        for (unsigned n = 0; n < 60; n++) {
            struct broker *b = nodes[random_below(&r, NODES)];
            random_change(&r, b);
            if (random_below(&r, 3) == 0)
                broker_commit(b);
            if (random_below(&r, 5) == 0) { /* their clocks differ, and jump back */
                b->wall_ms += random_below(&r, 3000);
                b->wall_ms -= random_below(&r, 3000);
                broker_clock_set(b);
            }
        }
        for (unsigned i = 0; i < NODES; i++)
            told_take(nodes[i], t);
        /* Some hear of some at once, in any order. */
        for (unsigned n = from; n < t->n; n++) {
            if (random_below(&r, 2))
                apply(nodes[random_below(&r, NODES)], t->v[from + random_below(&r, t->n - from)]);
        }
    }
    for (unsigned i = 0; i < NODES; i++) {
        shuffle(&r, t);
        for (unsigned k = 0; k < t->n; k++) {
            apply(nodes[i], t->v[k]);
            if (random_below(&r, 10) == 0)
                broker_commit(nodes[i]);
        }
        broker_commit(nodes[i]);
        assert_int_equal(retained_arriving(nodes[i]->node), 0);
    }
    for (unsigned i = 1; i < NODES; i++) {
        check_same_table(nodes[0], nodes[i], STORE_RETAINED);
        check_same_table(nodes[0], nodes[i], STORE_RETAINED_META);
    }
    assert_true(store_count(nodes[0]->store, STORE_RETAINED) > 0);
    told_free(t);
    free(t);
    for (unsigned i = 0; i < NODES; i++)
        broker_free(nodes[i]);
}

static void all_orders_end_alike(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++)
        run_converge(seed);
}

static void the_same_topic_in_the_same_ms(void **state)
{
    (void)state;
    struct broker *a = member_new(1), *b = member_new(2);
    struct told ta = {.n = 0}, tb = {.n = 0};
    publish(a, "t", "of a");
    publish(b, "t", "of b");
    told_take(a, &ta);
    told_take(b, &tb);
    assert_int_equal(ta.v[0]->stamp, tb.v[0]->stamp);
    apply(a, tb.v[0]);
    apply(b, ta.v[0]);
    broker_commit(a);
    broker_commit(b);
    /* Then the tags of the nodes decide, everywhere in the same way. */
    const char *last = b->sh->node->tag > a->sh->node->tag ? "of b" : "of a";
    assert_true(holds(a, "t", last) && holds(b, "t", last));
    /* Whoever has heard of it and goes on has the last word. */
    publish(a, "t", "later");
    told_take(a, &ta);
    apply(b, ta.v[1]);
    broker_commit(a);
    broker_commit(b);
    assert_true(holds(a, "t", "later") && holds(b, "t", "later"));
    told_free(&ta);
    told_free(&tb);
    broker_free(a);
    broker_free(b);
}

static void a_deleted_one_stays_deleted(void **state)
{
    (void)state;
    struct broker *a = member_new(1), *b = member_new(2);
    struct told t = {.n = 0};
    publish(a, "t", "old");
    broker_commit(a);
    a->wall_ms += 10;
    broker_clock_set(a);
    publish(a, "t", "");
    broker_commit(a);
    told_take(a, &t);
    assert_int_equal(t.n, 2);
    apply(b, t.v[1]); /* the deletion first */
    broker_commit(b);
    apply(b, t.v[0]);
    broker_commit(b);
    assert_true(holds(b, "t", NULL));
    struct retained_meta m;
    assert_true(stamp_of(b, "t", &m));
    assert_int_equal(m.fades_ms, a->wall_ms + DAY_MS);
    /* A day later nobody speaks of it; what is older than that is not taken any more. */
    b->wall_ms += DAY_MS + 10;
    broker_clock_set(b);
    assert_false(retained_apply(b->sh, bytes_str("t"), t.v[1]->stamp, 1, bytes_of(NULL, 0)));
    told_free(&t);
    broker_free(a);
    broker_free(b);
}

/* A clock that is behind makes no change that goes under. */
static void a_clock_that_is_behind(void **state)
{
    (void)state;
    struct broker *a = member_new(1), *b = member_new(2);
    struct told t = {.n = 0};
    publish(a, "t", "of a");
    publish(a, "mine", "first");
    broker_commit(a);
    told_take(a, &t);
    b->wall_ms -= 3600000;
    broker_clock_set(b);
    apply(b, t.v[0]);
    publish(b, "t", "of b");
    broker_commit(b);
    assert_true(holds(b, "t", "of b"));
    a->wall_ms -= 3600000; /* and a restart */
    reboot(a);
    publish(a, "mine", "second");
    broker_commit(a);
    assert_true(holds(a, "mine", "second"));
    told_take(a, &t);
    told_free(&t);
    broker_free(a);
    broker_free(b);
}

/* ---- subscribers ---------------------------------------------------------------------------------- */

static void who_subscribes_after_it_arrived_sees_it(void **state)
{
    (void)state;
    struct broker *a = member_new(1), *b = member_new(2);
    struct told t = {.n = 0};
    struct client c;
    publish(a, "r/1", "of a");
    publish(a, "r/2", "gone");
    publish(a, "r/2", "");
    told_take(a, &t);
    client_open(b, &c, &(struct connect_how){.id = "reader", .version = V311, .clean = true});
    expect_connack(&c, SESSION_NEW);
    for (unsigned i = 0; i < t.n; i++)
        apply(b, t.v[i]);
    client_subscribe(&c, 1, "r/#", 0);
    expect_nothing(&c);
    assert_int_equal(shard_seal_state(b->sh), SHARD_SEAL_NOW); /* somebody waits for it now */
    broker_commit(b);
    expect_suback(&c, 1, 0);
    expect_publish(&c, RETAIN, "r/1", "of a");
    expect_nothing(&c);
    /* What arrives later is delivered by forwarding, not by this. */
    publish(a, "r/3", "x");
    told_take(a, &t);
    apply(b, t.v[3]);
    broker_commit(b);
    expect_nothing(&c);
    client_lose(&c);
    told_free(&t);
    broker_free(a);
    broker_free(b);
}

static void a_failed_commit_is_noted(void **state)
{
    (void)state;
    struct broker *a = member_new(1), *b = member_new(2);
    struct told t = {.n = 0};
    publish(a, "t", "x");
    told_take(a, &t);
    apply(b, t.v[0]);
    assert_true(retained_arriving(b->node) > 0);
    uint64_t given[NODE_SHARDS_MAX];
    retained_given(b->node, given);
    assert_false(retained_is_stored(b->node, given));
    broker_commit_fails(b, ERR_NOSPC);
    assert_true(retained_is_stored(b->node, given));
    assert_int_equal(retained_losses(b->node), 1);
    assert_int_equal(retained_arriving(b->node), 0);
    broker_wait(b, 5000);
    apply(b, t.v[0]);
    broker_commit(b);
    assert_true(holds(b, "t", "x"));
    assert_int_equal(retained_losses(b->node), 1);
    told_free(&t);
    broker_free(a);
    broker_free(b);
}

/* ---- sweeping ------------------------------------------------------------------------------------- */

static void jump(struct broker *b, uint64_t ms)
{
    b->wall_ms += ms;
    broker_wait(b, 3000);
    broker_commit(b);
}

static void the_sweep_leaves_stamps_for_a_day(void **state)
{
    (void)state;
    struct broker *b = member_new(1);
    struct told t = {.n = 0};
    struct retained_meta m;
    publish_expiring(b, "short", "x", 60);
    publish_expiring(b, "long", "x", 3 * DAY_MS / 1000);
    publish(b, "deleted", "");
    publish(b, "stays", "x");
    broker_commit(b);
    jump(b, 3600000);
    assert_true(holds(b, "short", NULL) && holds(b, "long", "x"));
    assert_true(stamp_of(b, "short", &m) && stamp_of(b, "deleted", &m));
    jump(b, 25ull * 3600000);
    assert_false(stamp_of(b, "short", &m));
    assert_false(stamp_of(b, "deleted", &m));
    assert_true(stamp_of(b, "long", &m) && holds(b, "long", "x"));
    jump(b, 2ull * DAY_MS);
    assert_true(holds(b, "long", NULL));
    jump(b, 2ull * 3600000);
    assert_false(stamp_of(b, "long", &m));
    assert_true(stamp_of(b, "stays", &m) && holds(b, "stays", "x"));
    told_take(b, &t);
    assert_int_equal(t.n, 4); /* sweeps are nobody else's business */
    told_free(&t);
    broker_free(b);
}

/* The sweep looks, a new message comes, then both are committed. */
static void check_sweep_spares_what_is_new(struct broker *b)
{
    struct retained_meta m;
    struct told t = {.n = 0};
    bool is_clustered = b->conf.is_clustered;
    publish_expiring(b, "t", "old", 60);
    publish(b, "d", "");
    broker_commit(b);
    b->wall_ms += 26ull * 3600000;
    broker_clock_set(b);
    publish(b, "t", "new");
    publish(b, "d", "new");
    struct store_batch first = b->sh->persist.ops;
    store_batch_init(&b->sh->persist.ops);
    retained_sweep(b->sh);
    store_batch_append(&first, &b->sh->persist.ops);
    store_batch_fini(&b->sh->persist.ops);
    b->sh->persist.ops = first;
    broker_commit(b);
    assert_true(holds(b, "t", "new") && holds(b, "d", "new"));
    assert_int_equal(stamp_of(b, "t", &m), is_clustered);
    assert_int_equal(stamp_of(b, "d", &m), is_clustered);
    told_take(b, &t);
    told_free(&t);
    broker_free(b);
}

static void the_sweep_spares_what_is_new(void **state)
{
    (void)state;
    check_sweep_spares_what_is_new(broker_new());
    check_sweep_spares_what_is_new(member_new(1));
}

/* ---- from one node to a cluster and back ---------------------------------------------------------- */

static void messages_get_stamps_when_a_node_joins(void **state)
{
    (void)state;
    struct broker *b = broker_new();
    struct told t = {.n = 0};
    struct retained_meta m;
    for (unsigned i = 0; i < 10000; i++) {
        char topic[20];
        snprintf(topic, sizeof topic, "t/%u", i);
        publish(b, topic, "x");
    }
    broker_commit(b);
    uint64_t then = b->wall_ms;
    b->wall_ms += 5000;
    broker_clock_set(b);
    publish(b, "same/ms", "x");
    publish_expiring(b, "expired", "x", 1);
    broker_commit(b);
    join(b, 7);
    assert_int_equal(store_count(b->store, STORE_RETAINED_META), 10002);
    assert_true(stamp_of(b, "t/77", &m));
    assert_int_equal(hlc_ms(m.stamp), then);
    assert_int_equal(m.node, b->sh->node->tag);
    assert_int_equal(m.fades_ms, RETAINED_FADES_NEVER);
    publish(b, "same/ms", "y"); /* in the ms in which the one before was taken */
    publish(b, "t/77", "");
    broker_commit(b);
    assert_true(holds(b, "same/ms", "y"));
    reboot(b);
    assert_int_equal(store_count(b->store, STORE_RETAINED_META), 10002);
    assert_true(stamp_of(b, "t/77", &m) && m.fades_ms != RETAINED_FADES_NEVER);
    /* Alone again, and back. */
    b->conf.is_clustered = false;
    reboot(b);
    assert_int_equal(store_count(b->store, STORE_RETAINED_META), 0);
    publish(b, "t/78", "changed");
    broker_commit(b);
    b->wall_ms += 5000;
    join(b, 7);
    assert_int_equal(store_count(b->store, STORE_RETAINED_META), 10001);
    assert_true(stamp_of(b, "t/78", &m));
    assert_int_equal(hlc_ms(m.stamp), b->wall_ms - 5000);
    told_take(b, &t);
    told_free(&t);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stamps_only_grow),
        cmocka_unit_test(a_single_node_writes_no_stamps),
        cmocka_unit_test(buckets_and_digests_are_fixed),
        cmocka_unit_test(all_orders_end_alike),
        cmocka_unit_test(the_same_topic_in_the_same_ms),
        cmocka_unit_test(a_deleted_one_stays_deleted),
        cmocka_unit_test(a_clock_that_is_behind),
        cmocka_unit_test(who_subscribes_after_it_arrived_sees_it),
        cmocka_unit_test(a_failed_commit_is_noted),
        cmocka_unit_test(the_sweep_leaves_stamps_for_a_day),
        cmocka_unit_test(the_sweep_spares_what_is_new),
        cmocka_unit_test(messages_get_stamps_when_a_node_joins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
