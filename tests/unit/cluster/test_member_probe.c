/* SPDX-License-Identifier: Apache-2.0 */
/* The failure detector: probes, suspicion and its time, and how far a node trusts its own ears. */
#include "tests/unit/cluster/swim.h"

#include <math.h>

enum { MANY = NODES_MAX };

/* ---- probes --------------------------------------------------------------------------------------- */

static void each_member_is_pinged_once_a_round(void **state)
{
    enum { NODES = 9, ROUNDS = 10 };
    struct swim *s = swim_new(NODES);
    (void)state;
    swim_run(s, (NODES - 1) * ROUNDS * (s->conf.probe_interval_ms + TICK_MS));
    uint32_t least = MANY, most = 0;
    for (uint32_t i = 1; i < NODES; i++) {
        uint32_t n = swim_count(s, GOSSIP_PING, i);
        least = n < least ? n : least;
        most = n > most ? n : most;
    }
    assert_true(least >= ROUNDS - 2 && most - least <= 2); /* in a random order that visits all */
    uint64_t last_ms[NODES] = {0}, gap_max = (2 * (NODES - 1) - 1) * (s->conf.probe_interval_ms + TICK_MS);
    for (uint32_t i = 0; i < s->sent_n; i++) {
        const struct sent *d = &s->sent[i];
        if (d->kind != GOSSIP_PING)
            continue;
        if (last_ms[d->to])
            assert_in_range(d->at_ms - last_ms[d->to], 1, gap_max);
        last_ms[d->to] = d->at_ms;
    }
    assert_int_equal(swim_count(s, GOSSIP_PING_REQ, MANY), 0);
    swim_free(s);
}

/* The first datagram of that kind since the last look; it must be there. */
static const struct sent *first_of(const struct swim *s, enum gossip_kind kind)
{
    for (uint32_t i = 0; i < s->sent_n; i++)
        if (s->sent[i].kind == kind)
            return &s->sent[i];
    fail_msg("no datagram of kind %d", (int)kind);
    return NULL;
}

static void run_until_pinged(struct swim *s, uint32_t node)
{
    for (uint32_t i = 0; i < 10000 && !swim_count(s, GOSSIP_PING, node); i++)
        swim_run(s, TICK_MS);
    assert_true(swim_count(s, GOSSIP_PING, node) > 0);
}

static void who_does_not_answer_is_pinged_through_others(void **state)
{
    struct swim *s = swim_new(6);
    (void)state;
    s->answers[2] = false;
    run_until_pinged(s, 2);
    swim_forget_sent(s);
    swim_run(s, s->conf.probe_timeout_ms - TICK_MS);
    assert_int_equal(swim_count(s, GOSSIP_PING_REQ, MANY), 0);
    swim_run(s, TICK_MS);
    assert_int_equal(swim_count(s, GOSSIP_PING_REQ, MANY), s->conf.indirect_probes);
    assert_int_equal(swim_count(s, GOSSIP_PING_REQ, 2), 0);
    for (uint32_t i = 1; i < 6; i++) /* three different ones */
        assert_true(swim_count(s, GOSSIP_PING_REQ, i) <= 1);
    assert_int_equal(first_of(s, GOSSIP_PING_REQ)->target, 2);
    expect_state(s, 2, MEMBER_ALIVE);
    swim_run(s, s->conf.probe_interval_ms);
    expect_state(s, 2, MEMBER_SUSPECT);
    assert_string_equal(swim_find(s, 2)->why, "probe failed");
    swim_free(s);
}

static void an_answer_by_a_relay_is_an_answer(void **state)
{
    struct swim *s = swim_new(6);
    struct members_stats stats;
    (void)state;
    s->answers[2] = false;
    run_until_pinged(s, 2);
    swim_run(s, s->conf.probe_timeout_ms - TICK_MS);
    s->answers[2] = true; /* for the relays */
    swim_run(s, 20000);
    members_stats(s->m, &stats);
    assert_true(swim_count(s, GOSSIP_PING_REQ, MANY) > 0);
    assert_int_equal(stats.probes_failed, 0);
    expect_state(s, 2, MEMBER_ALIVE);
    swim_free(s);
}

static void an_answer_to_another_ping_is_none(void **state)
{
    struct swim *s = swim_new(3);
    (void)state;
    s->answers[2] = false;
    s->answers[1] = false;
    run_until_pinged(s, 2);
    swim_hear(s, 2, GOSSIP_ACK, first_of(s, GOSSIP_PING)->seq + 1000, NULL, 0);
    swim_run(s, 2 * s->conf.probe_interval_ms); /* a failed probe of the other one may have made it patient */
    expect_state(s, 2, MEMBER_SUSPECT);
    swim_free(s);
}

static void a_live_link_stands_for_an_answer(void **state)
{
    struct swim *s = swim_new(4);
    struct node_id id = node_of(2);
    (void)state;
    s->answers[2] = false;
    members_set_reachable(s->m, &id, true);
    swim_run(s, 60000);
    expect_state(s, 2, MEMBER_ALIVE);
    assert_int_equal(swim_count(s, GOSSIP_PING_REQ, MANY), 0);
    members_set_reachable(s->m, &id, false);
    swim_run(s, 10000);
    expect_state(s, 2, MEMBER_SUSPECT);
    swim_free(s);
}

/* ---- for others ----------------------------------------------------------------------------------- */

static void a_ping_is_answered_with_its_number(void **state)
{
    struct swim *s = swim_new(3);
    (void)state;
    swim_hear(s, 1, GOSSIP_PING, 4711, NULL, 0);
    swim_pull(s);
    assert_int_equal(swim_count(s, GOSSIP_ACK, 1), 1);
    assert_int_equal(first_of(s, GOSSIP_ACK)->seq, 4711);
    swim_hear(s, 88, GOSSIP_PING, 1, NULL, 0); /* also a stranger's */
    swim_pull(s);
    assert_int_equal(swim_count(s, GOSSIP_ACK, 88), 1);
    swim_free(s);
}

static void ask(struct swim *s, uint32_t from, uint32_t target, uint32_t seq)
{
    struct net_addr addr = addr_of(from);
    struct gossip g = {.cluster = s->cluster, .kind = GOSSIP_PING_REQ, .seq = seq, .from = node_of(from)};
    g.target = node_of(target);
    g.target_address = addr_of(target);
    rpc_buf_reset(&s->buf);
    gossip_put(&s->buf, &g);
    members_on_datagram(s->m, &addr, rpc_buf_bytes(&s->buf), s->now_ms);
    swim_pull(s);
}

static void a_relay_answers_for_the_other_or_says_that_it_cannot(void **state)
{
    struct swim *s = swim_new(4);
    (void)state;
    ask(s, 1, 2, 99); /* 2 answers at once */
    assert_int_equal(swim_count(s, GOSSIP_PING, 2), 1);
    assert_int_equal(swim_count(s, GOSSIP_ACK, 1), 1);
    assert_int_equal(first_of(s, GOSSIP_ACK)->seq, 99);
    swim_run(s, 1000);
    assert_int_equal(swim_count(s, GOSSIP_NACK, MANY), 0);
    s->answers[2] = false;
    swim_forget_sent(s);
    ask(s, 1, 2, 100);
    swim_run(s, s->conf.probe_timeout_ms); /* in time for the one who asked */
    assert_int_equal(swim_count(s, GOSSIP_ACK, MANY), 0);
    assert_int_equal(swim_count(s, GOSSIP_NACK, 1), 1);
    assert_int_equal(first_of(s, GOSSIP_NACK)->seq, 100);
    assert_int_equal(first_of(s, GOSSIP_NACK)->target, 2);
    swim_forget_sent(s);
    ask(s, 1, 77, 101); /* unknown here */
    assert_int_equal(s->sent_n, 0);
    swim_free(s);
}

/* ---- suspicion ------------------------------------------------------------------------------------ */

/* docs: min = 4 x max(1, log10 N) x interval, max = 6 x min; max - (max - min) x log(c + 1) / log(k + 1) with
 * k = suspicion_mult - 2 confirmations expected; min at once where there are not so many others. */
static double expected_ms(uint32_t nodes, uint32_t confirmations)
{
    double log_n = log10(nodes), min = 4 * (log_n > 1 ? log_n : 1) * 1000, max = 6 * min, k = 2;
    if (nodes - 2 < 2)
        return min;
    double ms = max - (max - min) * log(confirmations + 1) / log(k + 1);
    return ms > min ? ms : min;
}

static void a_suspicion_lasts_as_the_formula_says(void **state)
{
    static const uint32_t sizes[] = {2, 3, 4, 5, 10, 50, 200};
    (void)state;
    for (uint32_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint32_t n = sizes[i], most = n < 5 ? n - 2 : 4;
        for (uint32_t c = 0; c <= most; c++) {
            struct swim *s = swim_new(n);
            uint64_t start = s->now_ms;
            for (uint32_t k = 0; k <= c; k++) { /* the accuser, and so many who agree; each says it twice */
                swim_say(s, k == 0 ? 1 : k + 1, 1, 0, GOSSIP_SUSPECT);
                swim_say(s, k == 0 ? 1 : k + 1, 1, 0, GOSSIP_SUSPECT);
            }
            while (swim_find(s, 1)->state == MEMBER_SUSPECT && s->now_ms < start + 200000)
                swim_run(s, TICK_MS);
            expect_state(s, 1, MEMBER_DEAD);
            double took = (double)(s->now_ms - start), ms = expected_ms(n, c);
            if (took < ms - 1 || took > ms + TICK_MS)
                fail_msg("%u nodes, %u confirmations: %.0f ms, not %.0f", n, c, took, ms);
            swim_free(s);
        }
    }
}

static void who_is_suspected_hears_of_it_first(void **state)
{
    struct swim *s = swim_new(40);
    (void)state;
    swim_say(s, 1, 2, 0, GOSSIP_SUSPECT);
    s->told[2] = 0;
    run_until_pinged(s, 2); /* its ping carries the suspicion, however old that is */
    bool found = false;
    for (uint32_t i = 0; i < s->sent_n; i++)
        found |= s->sent[i].kind == GOSSIP_PING && s->sent[i].to == 2 && s->sent[i].n > 0;
    assert_true(found);
    assert_int_equal(s->last[2].state, GOSSIP_SUSPECT);
    swim_free(s);
}

static void a_silent_node_is_dead_in_the_time_promised(void **state)
{
    struct swim *s = swim_new(5);
    (void)state;
    s->answers[3] = false;
    uint64_t start = s->now_ms;
    while (swim_find(s, 3)->state != MEMBER_DEAD && s->now_ms < start + 60000)
        swim_run(s, TICK_MS);
    expect_state(s, 3, MEMBER_DEAD);
    /* At most a round of probes, the probe itself, and the longest suspicion. */
    assert_in_range(s->now_ms - start, 4000, 5 * 1000 + 1000 + 24000 + 500);
    assert_int_equal(s->events[0].kind, MEMBER_EVENT_SUSPECT);
    assert_int_equal(s->events[1].kind, MEMBER_EVENT_DEAD);
    swim_forget_sent(s);
    swim_run(s, 35000); /* it is called every 10 s, so that a partition heals */
    assert_in_range(swim_count(s, GOSSIP_PING, 3), 3, 4);
    swim_say(s, 3, 3, 1, GOSSIP_ALIVE);
    expect_state(s, 3, MEMBER_ALIVE);
    swim_free(s);
}

/* ---- Lifeguard ------------------------------------------------------------------------------------ */

static void relays_that_hear_say_that_our_ears_are_good(void **state)
{
    struct swim *s = swim_new(6);
    (void)state;
    s->answers[2] = false;
    run_until_pinged(s, 2);
    swim_run(s, s->conf.probe_interval_ms);
    expect_state(s, 2, MEMBER_SUSPECT); /* three NACKs came: it is not us */
    assert_int_equal(members_health(s->m), 0);
    swim_free(s);

    s = swim_new(5); /* three can be asked, and one of them says nothing */
    s->answers[2] = false;
    run_until_pinged(s, 2);
    s->answers[3] = false;
    swim_run(s, s->conf.probe_interval_ms);
    expect_state(s, 2, MEMBER_SUSPECT);
    assert_int_equal(members_health(s->m), 1);
    swim_free(s);
}

static void who_hears_nobody_grows_patient(void **state)
{
    struct swim *s = swim_new(6);
    (void)state;
    memset(s->answers, 0, sizeof s->answers);
    run_until_pinged(s, 2);
    swim_run(s, 60000);
    assert_int_equal(members_health(s->m), s->conf.awareness_max - 1);
    swim_free(s);

    s = swim_new(6); /* one miss of three relays */
    s->answers[2] = s->relays = false;
    run_until_pinged(s, 2);
    swim_run(s, s->conf.probe_interval_ms);
    assert_int_equal(members_health(s->m), 3);
    swim_forget_sent(s);
    s->answers[2] = true;
    swim_run(s, 4000); /* the next probe takes four times as long, and is good */
    assert_int_equal(swim_count(s, GOSSIP_PING, MANY), 1);
    swim_run(s, 20000);
    assert_int_equal(members_health(s->m), 0);
    swim_free(s);
}

static void nobody_suffers_for_our_own_stall(void **state)
{
    struct swim *s = swim_new(6);
    (void)state;
    swim_say(s, 1, 2, 0, GOSSIP_SUSPECT);
    s->now_ms += 60000; /* far longer than the suspicion */
    members_tick(s->m, s->now_ms);
    swim_pull(s);
    expect_state(s, 2, MEMBER_SUSPECT);
    assert_int_equal(members_health(s->m), 1);
    swim_say(s, 2, 2, 1, GOSSIP_ALIVE); /* what waited in the socket */
    swim_run(s, 30000);
    expect_state(s, 2, MEMBER_ALIVE);
    for (uint32_t i = 1; i < 6; i++)
        expect_state(s, i, MEMBER_ALIVE);
    swim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_member_is_pinged_once_a_round),
        cmocka_unit_test(who_does_not_answer_is_pinged_through_others),
        cmocka_unit_test(an_answer_by_a_relay_is_an_answer),
        cmocka_unit_test(an_answer_to_another_ping_is_none),
        cmocka_unit_test(a_live_link_stands_for_an_answer),
        cmocka_unit_test(a_ping_is_answered_with_its_number),
        cmocka_unit_test(a_relay_answers_for_the_other_or_says_that_it_cannot),
        cmocka_unit_test(a_suspicion_lasts_as_the_formula_says),
        cmocka_unit_test(who_is_suspected_hears_of_it_first),
        cmocka_unit_test(a_silent_node_is_dead_in_the_time_promised),
        cmocka_unit_test(relays_that_hear_say_that_our_ears_are_good),
        cmocka_unit_test(who_hears_nobody_grows_patient),
        cmocka_unit_test(nobody_suffers_for_our_own_stall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
