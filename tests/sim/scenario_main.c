/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/parcel_i.h"
#include "tests/sim/actor.h"
#include "tests/sim/world_i.h"

#include <stdio.h>
#include <stdlib.h>

/* What must hold in a cluster, one named scenario after the other, each for some seeds: the same as the
 * end-to-end tests show with real processes. */

enum { SEEDS = 20, PUB_WINDOW = 15 };

/* Publishes the next numbers up to `until` as answers come, so that no limit is met. */
static void publish_on(struct actor *pub, const char *topic, uint32_t *next, uint32_t until, unsigned qos)
{
    while (*next < until && *next - pub->acked_n - pub->refused_n < PUB_WINDOW)
        actor_publish(pub, topic, (*next)++, qos);
}

static void publish_all(struct actor *pub, const char *topic, uint32_t *next, uint32_t until, unsigned qos)
{
    for (unsigned i = 0; i < 20000 && pub->acked_n + pub->refused_n < until; i++) {
        publish_on(pub, topic, next, until, qos);
        stage_turn(pub->stage);
    }
    if (pub->acked_n != until)
        stage_fail(pub->stage, "%u of %u were acknowledged, %u refused", pub->acked_n, until, pub->refused_n);
}

static void pair_make(struct stage *s, uint32_t pub_node, uint32_t sub_node, unsigned qos, struct actor **pub,
                      struct actor **sub)
{
    *pub = actor_new(s, "pub");
    *sub = actor_new(s, "sub");
    actor_connect(*pub, pub_node, true);
    actor_connect(*sub, sub_node, true);
    actor_subscribe(*sub, "t", qos);
}

/* ---- messages ------------------------------------------------------------------------------------- */

static void qos_across_nodes(struct stage *s, unsigned qos)
{
    struct actor *pub, *sub;
    uint32_t next = 0;
    pair_make(s, 0, 2, qos, &pub, &sub);
    publish_all(pub, "t", &next, 100, qos);
    actor_expect_all(sub, 100, 10000);
}

static void qos_1(struct stage *s)
{
    qos_across_nodes(s, 1);
}
static void qos_2(struct stage *s)
{
    qos_across_nodes(s, 2);
}

/* Answers are waited for by entry of a frame: here for the first one alone, and then the other node is gone.
 */
static void one_answer_of_many(struct stage *s)
{
    struct actor *pub, *sub, *later = actor_new(s, "later"), *reader = actor_new(s, "reader");
    uint32_t next = 0;
    pair_make(s, 0, 2, 1, &pub, &sub);
    actor_publish(pub, "t", 0, 1);
    for (uint32_t i = 1; i < 200; i++)
        actor_publish(pub, "t", i, 0);
    while (!mesh_counter(s->world->nodes[0].mesh, MC_FORWARDED))
        stage_turn(s);
    world_crash(s->world, 2, 1);
    stage_whole(s);
    stage_run(s, 1000);
    if (pub->acked_n != 1)
        stage_fail(s, "%u acknowledged of 1", pub->acked_n);
    actor_connect(reader, 2, true);
    actor_subscribe(reader, "t", 1);
    actor_connect(later, 0, true);
    publish_all(later, "t", &next, 20, 1);
    actor_expect_all(reader, 20, 10000);
}

static void order_over_broken_links(struct stage *s)
{
    struct actor *pub, *sub;
    uint32_t next = 0;
    pair_make(s, 0, 2, 2, &pub, &sub);
    for (unsigned k = 0; k < 5; k++) {
        publish_all(pub, "t", &next, 20 * k + 10, 2);
        publish_on(pub, "t", &next, 20 * k + 20, 2);
        stage_run(s, world_random(s->world, 20));
        world_break(s->world, 0, 2);
        stage_whole(s);
    }
    publish_all(pub, "t", &next, 100, 2);
    actor_expect_all(sub, 100, 20000);
}

static void only_where_it_matches(struct stage *s)
{
    struct actor *pub, *sub;
    uint32_t next = 0;
    pair_make(s, 0, 1, 1, &pub, &sub);
    publish_all(pub, "t", &next, 50, 1);
    actor_expect_all(sub, 50, 10000);
    if (mesh_counter(s->world->nodes[2].mesh, MC_FORWARD_RECEIVED) != 0)
        stage_fail(s, "a node without a subscriber was sent messages");
}

/* ---- sessions ------------------------------------------------------------------------------------- */

static void takeover_during_traffic(struct stage *s)
{
    struct actor *pub, *sub;
    uint32_t next = 0;
    pair_make(s, 0, 0, 2, &pub, &sub);
    for (unsigned hop = 1; hop <= 5; hop++) {
        publish_on(pub, "t", &next, 40 * hop, 2);
        stage_run(s, world_random(s->world, 60));
        publish_on(pub, "t", &next, 40 * hop, 2);
        actor_connect(sub, hop % 3, false);
        if (!sub->session_present)
            stage_fail(s, "the session did not come along on hop %u", hop);
    }
    publish_all(pub, "t", &next, 200, 2);
    actor_expect_all(sub, 200, 20000);
}

static bool is_one(void *arg)
{
    struct actor **two = arg;
    struct world *w = two[0]->stage->world;
    unsigned sessions = 0;
    for (uint32_t i = 0; i < world_nodes(w); i++)
        sessions += world_has_session(w, i, two[0]->id);
    return sessions == 1 && (two[0]->pipe != NULL) + (two[1]->pipe != NULL) == 1;
}

static void two_connects_at_once(struct stage *s)
{
    struct actor *two[2] = {actor_new(s, "same"), actor_new(s, "same")};
    actor_connect_begin(two[0], 0, false);
    stage_run(s, world_random(s->world, 10));
    actor_connect_begin(two[1], 1, false);
    stage_until(s, is_one, two, 10000, "exactly one connection and one session");
    stage_run(s, 2000);
    if (!is_one(two))
        stage_fail(s, "not one connection in the end");
}

/* ---- shared subscriptions ------------------------------------------------------------------------- */

static void a_members_node_dies(struct stage *s)
{
    struct actor *pub = actor_new(s, "pub"), *near = actor_new(s, "near"), *far = actor_new(s, "far");
    uint32_t next = 0, count[300] = {0};
    actor_connect(pub, 0, true);
    actor_connect(near, 1, true);
    actor_connect(far, 2, true);
    actor_subscribe(near, "$share/g/t", 1);
    actor_subscribe(far, "$share/g/t", 1);
    publish_all(pub, "t", &next, 100, 1);
    publish_on(pub, "t", &next, 200, 1);
    stage_run(s, world_random(s->world, 30));
    uint32_t before = far->got_n;
    world_down(s->world, 2);
    publish_all(pub, "t", &next, 200, 1);
    stage_run(s, 3000);
    for (uint32_t i = 0; i < near->got_n; i++)
        count[near->got[i]]++;
    for (uint32_t i = 0; i < far->got_n; i++)
        count[far->got[i]]++;
    /* What the dead node had on its way to its member's socket is lost with it. */
    uint32_t lost = 0;
    for (uint32_t i = 0; i < 200; i++)
        lost += count[i] == 0;
    if (lost > PUB_WINDOW || !before)
        stage_fail(s, "%u of 200 reached nobody, %u before the death", lost, before);
}

/* ---- partitions ----------------------------------------------------------------------------------- */

static void part(struct stage *s, uint32_t node)
{
    for (uint32_t i = 0; i < world_nodes(s->world); i++) {
        if (i == node)
            continue;
        world_cut(s->world, node, i);
        world_cut(s->world, i, node);
    }
    stage_run(s, 40000); /* until both sides think the other one dead */
}

static void heal(struct stage *s)
{
    world_heal(s->world);
    stage_whole(s);
    stage_run(s, 15000);
}

static void retained_from_both_sides(struct stage *s)
{
    struct actor *a = actor_new(s, "a"), *b = actor_new(s, "b"), *reader = actor_new(s, "reader");
    actor_connect(a, 0, true);
    actor_connect(b, 2, true);
    actor_retain(a, "r/deleted", "before");
    actor_retain(a, "r/changed", "before");
    stage_run(s, 1000);
    part(s, 2);
    actor_retain(a, "r/changed", "older");
    actor_retain(a, "r/deleted", "older");
    stage_run(s, 1000);
    actor_retain(b, "r/changed", "newer");
    actor_retain(b, "r/deleted", "");
    stage_run(s, 1000);
    heal(s);
    const char *differs = retained_disagreement(s->world);
    if (differs)
        stage_fail(s, "%s", differs);
    actor_connect(reader, 0, true);
    actor_subscribe(reader, "r/#", 0);
    stage_run(s, 500);
    if (reader->got_n != 1 || strcmp(reader->last_topic, "r/changed") != 0 ||
        strcmp(reader->last_payload, "newer") != 0)
        stage_fail(s, "node 0 has %u retained messages, the last %s \"%s\"", reader->got_n,
                   reader->last_topic, reader->last_payload);
}

static void sessions_are_merged_and_it_is_said(struct stage *s)
{
    struct actor *c = actor_new(s, "c"), *pub = actor_new(s, "pub");
    actor_connect(c, 2, false);
    actor_subscribe(c, "old", 1);
    actor_drop(c);
    part(s, 2);
    actor_connect(c, 0, false);
    if (c->session_present)
        stage_fail(s, "a session from beyond the cut");
    actor_subscribe(c, "new", 1);
    heal(s);
    actor_connect(pub, 1, true);
    actor_publish(pub, "old", 0, 1);
    stage_run(s, 1000);
    actor_publish(pub, "new", 1, 1);
    if (!c->pipe)
        actor_connect(c, 0, false);
    actor_expect_all(c, 2, 10000);
    struct mesh *m = s->world->nodes[0].mesh;
    uint64_t merges = 0;
    for (uint32_t i = 0; i < world_nodes(s->world); i++)
        merges +=
            mesh_counter(s->world->nodes[i].mesh, MC_MERGES) + world_counter(s->world, "sessions.merged");
    if (mesh_counter(m, MC_PARTITIONS) == 0 || merges == 0)
        stage_fail(s, "a partition that nobody tells of");
}

/* ---- crashes while sessions move ------------------------------------------------------------------- */

static struct session *session_at(struct stage *s, uint32_t node, const char *id)
{
    struct node *n = s->world->nodes[node].node;
    return session_find(node_shard(n, node_home(n, bytes_str(id))), bytes_str(id));
}

static bool is_arriving(void *stage)
{
    const struct session *c = session_at(stage, 1, "c");
    return c && c->parcel && c->parcel->state == PARCEL_ARRIVING && c->parcel->is_cut;
}

static bool have_one_shard(struct stage *s, uint32_t node, const char *a, const char *b)
{
    const struct node *n = s->world->nodes[node].node;
    return node_home(n, bytes_str(a)) == node_home(n, bytes_str(b));
}

/* Two sessions of a client are merged while another shard of the node brings QoS 2 messages for it: they are
 * held aside when the node dies, and their publisher has its PUBREC. */
static void held_aside_when_the_node_dies(struct stage *s)
{
    char other[8] = "pub";
    for (unsigned i = 0; i < 50 && have_one_shard(s, 1, other, "c"); i++)
        snprintf(other, sizeof other, "pub%u", i);
    if (have_one_shard(s, 1, other, "c"))
        return; /* there is only one: PUBREC waits until it has arrived */
    struct actor *c = actor_new(s, "c"), *pub = actor_new(s, other);
    uint32_t next = 0;
    actor_connect(c, 2, false);
    actor_subscribe(c, "old", 2);
    actor_drop(c);
    world_down(s->world, 2);
    actor_connect(c, 1, false);
    actor_subscribe(c, "new", 2);
    actor_drop(c);
    actor_connect(pub, 1, false);
    world_up(s->world, 2, WORLD_SAME_ADDRESS);
    if (!stage_until(s, is_arriving, s, 60000, "a session that arrives"))
        return;
    world_stall(s->world, 0, 1200); /* its mark is waited for, so the move takes so long */
    publish_all(pub, "new", &next, 10, 2);
    if (!is_arriving(s))
        stage_fail(s, "it has arrived too soon");
    world_crash(s->world, 1, s->world->nodes[1].shards);
    stage_whole(s);
    stage_run(s, 5000);
    actor_connect(c, 1, false);
    actor_expect_all(c, 10, 10000);
}

/* QoS 2 messages of another shard come through the holder as well as directly, to a session that is still
 * arriving, and then the node dies. */
static void relayed_and_held_comes_once(struct stage *s)
{
    struct actor *pub = actor_new(s, "pub"), *sub = actor_new(s, "sub");
    uint32_t next = 0, count[10] = {0};
    actor_connect(pub, 1, false);
    actor_connect(sub, 0, false);
    actor_subscribe(sub, "t", 2);
    stage_run(s, 500);
    world_cut(s->world, 2, 0); /* its mark does not come, so the session goes on arriving */
    actor_connect(sub, 1, false);
    for (; next < 10; next++)
        actor_publish(pub, "t", next, 2);
    stage_run(s, 100 + world_random(s->world, 200));
    actor_drop(sub);
    world_crash(s->world, 1, 1 + (uint32_t)world_random(s->world, 3));
    world_heal(s->world);
    stage_whole(s);
    stage_run(s, 15000);
    actor_connect(sub, 1, false);
    stage_run(s, 5000);
    for (uint32_t i = 0; i < sub->got_n; i++)
        count[sub->got[i]]++;
    for (uint32_t i = 0; i < 10; i++) {
        if (pub->acked[i] && count[i] != 1)
            stage_fail(s, "message %u, which was acknowledged, came %u times", i, count[i]);
    }
}

static bool has_left(void *stage)
{
    return session_at(stage, 0, "c") == NULL;
}

/* The commit that is under way, and with it what waits for the next one, takes a second more. */
static bool is_held_up(void *stage)
{
    struct world_node *n = &((struct stage *)stage)->world->nodes[0];
    struct commit *c = &n->commits[node_home(n->node, bytes_str("c"))];
    c->due_ms += c->under_way ? 1000 : 0;
    return c->under_way;
}

/* A session has only just left the node for another one, and a clean start discards it there. No CONNACK says
 * so before this node's store has forgotten its own copy: it would come back if the node died then. */
static void a_discarded_session_stays_away(struct stage *s)
{
    struct actor *c = actor_new(s, "c");
    actor_connect(c, 0, false);
    actor_subscribe(c, "t", 1);
    actor_connect(c, 1, false);
    stage_until(s, has_left, s, 10000, "the session has left");
    stage_until(s, is_held_up, s, 10000, "the store forgets it");
    actor_connect(c, 0, true);
    if (store_count(s->world->nodes[0].store, STORE_SUBS) != 0)
        stage_fail(s, "the client has a new session, and the store its old one");
}

/* ---- slow peers ----------------------------------------------------------------------------------- */

static void suback_waits_for_nobody_for_ever(struct stage *s)
{
    struct actor *c = actor_new(s, "c");
    actor_connect(c, 0, true);
    world_stall(s->world, 2, 1200);
    uint64_t start = world_now_ms(s->world);
    actor_subscribe(c, "t", 1);
    uint64_t took = world_now_ms(s->world) - start;
    if (took < 200 || took > 600) /* 250 ms, and the way */
        stage_fail(s, "SUBACK after %llu ms", (unsigned long long)took);
}

static void a_peer_that_does_not_read(struct stage *s)
{
    struct actor *pub, *sub, *near = actor_new(s, "near");
    uint32_t next = 0;
    pair_make(s, 0, 2, 1, &pub, &sub);
    actor_connect(near, 0, true);
    actor_subscribe(near, "near", 0);
    world_stall(s->world, 2, 1400); /* less than a link may be silent */
    for (uint32_t i = 0; i < 12000; i++)
        actor_publish(pub, "t", i, 0);
    for (uint32_t i = 0; i < 100; i++)
        actor_publish(pub, "near", i, 0);
    stage_run(s, 1200);
    if (near->got_n != 100)
        stage_fail(s, "a subscriber of the own node got %u of 100 meanwhile", near->got_n);
    stage_run(s, 5000);
    uint64_t dropped = world_counter(s->world, "messages.dropped.link_full") +
                       world_counter(s->world, "messages.dropped.slow_reader");
    if (sub->got_n + dropped < 12000)
        stage_fail(s, "%u came and %llu were counted as dropped, of 12000", sub->got_n,
                   (unsigned long long)dropped);
    sub->got_n = 0;
    publish_all(pub, "t", &next, 50, 1);
    actor_expect_all(sub, 50, 10000);
}

/* ---- running them --------------------------------------------------------------------------------- */

static const struct scenario {
    const char *name;
    void (*run)(struct stage *s);
} scenarios[] = {
    {"qos_1", qos_1},
    {"qos_2", qos_2},
    {"one_answer_of_many", one_answer_of_many},
    {"order_over_broken_links", order_over_broken_links},
    {"only_where_it_matches", only_where_it_matches},
    {"takeover_during_traffic", takeover_during_traffic},
    {"two_connects_at_once", two_connects_at_once},
    {"a_members_node_dies", a_members_node_dies},
    {"retained_from_both_sides", retained_from_both_sides},
    {"sessions_are_merged_and_it_is_said", sessions_are_merged_and_it_is_said},
    {"held_aside_when_the_node_dies", held_aside_when_the_node_dies},
    {"relayed_and_held_comes_once", relayed_and_held_comes_once},
    {"a_discarded_session_stays_away", a_discarded_session_stays_away},
    {"suback_waits_for_nobody_for_ever", suback_waits_for_nobody_for_ever},
    {"a_peer_that_does_not_read", a_peer_that_does_not_read},
};

static bool run(const struct scenario *c, uint64_t seed)
{
    struct stage *s = stage_new(seed, 3);
    c->run(s);
    bool kept = !s->verdict[0];
    if (!kept) {
        printf("%s, seed %llu: %s\nthe last lines:\n", c->name, (unsigned long long)seed, s->verdict);
        world_trace_print(s->world);
    }
    stage_free(s);
    return kept;
}

/* Without arguments all of them; else NAME [SEED]. */
int main(int argc, char **argv)
{
    unsigned failed = 0, ran = 0;
    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        if (argc > 1 && strcmp(argv[1], scenarios[i].name) != 0)
            continue;
        uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1, last = argc > 2 ? first : SEEDS;
        unsigned bad = 0;
        for (uint64_t seed = first; seed <= last; seed++, ran++)
            bad += !run(&scenarios[i], seed);
        printf("%s: %s\n", scenarios[i].name, bad ? "FAILED" : "ok");
        failed += bad;
    }
    return failed || !ran;
}
