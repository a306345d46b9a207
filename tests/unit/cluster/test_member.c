/* SPDX-License-Identifier: Apache-2.0 */
/* What a node believes of the others, after all that may be said of them. */
#include "tests/unit/cluster/swim.h"

/* ---- states --------------------------------------------------------------------------------------- */

static void bad_news_wins_at_the_same_incarnation(void **state)
{
    struct swim *s = swim_new(5);
    (void)state;
    swim_say(s, 1, 2, 0, GOSSIP_SUSPECT);
    expect_state(s, 2, MEMBER_SUSPECT);
    expect_event(s, MEMBER_EVENT_SUSPECT, 2);
    assert_int_equal(number_of(&swim_find(s, 2)->source), 1);
    swim_say(s, 3, 2, 0, GOSSIP_ALIVE); /* of the time before the suspicion */
    expect_state(s, 2, MEMBER_SUSPECT);
    swim_say(s, 2, 2, 1, GOSSIP_ALIVE);
    expect_state(s, 2, MEMBER_ALIVE);
    expect_event(s, MEMBER_EVENT_ALIVE, 2);
    assert_int_equal(swim_find(s, 2)->incarnation, 1);
    swim_say(s, 3, 2, 0, GOSSIP_SUSPECT); /* an old one */
    swim_say(s, 3, 2, 0, GOSSIP_DEAD);
    expect_state(s, 2, MEMBER_ALIVE);
    assert_int_equal(s->events_n, 0);
    swim_say(s, 3, 2, 1, GOSSIP_DEAD);
    expect_event(s, MEMBER_EVENT_DEAD, 2);
    swim_say(s, 3, 2, 1, GOSSIP_SUSPECT);
    swim_say(s, 3, 2, 1, GOSSIP_ALIVE);
    expect_state(s, 2, MEMBER_DEAD);
    swim_say(s, 3, 2, 2, GOSSIP_ALIVE);
    expect_event(s, MEMBER_EVENT_JOINED, 2);
    swim_free(s);
}

static void a_newer_life_wins_over_everything(void **state)
{
    static const enum gossip_state before[] = {GOSSIP_ALIVE, GOSSIP_SUSPECT, GOSSIP_DEAD, GOSSIP_LEFT};
    (void)state;
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        struct swim *s = swim_new(5);
        swim_say(s, 1, 2, 9, before[i]);
        s->events_n = 0;
        struct gossip_record r = record_of_node(2, 0, GOSSIP_ALIVE);
        r.epoch = 6;
        swim_tell(s, 1, &r);
        expect_state(s, 2, MEMBER_ALIVE);
        assert_int_equal(swim_find(s, 2)->epoch, 6);
        assert_int_equal(swim_find(s, 2)->incarnation, 0);
        assert_true(s->events_n >= 1);
        swim_say(s, 1, 2, 99, GOSSIP_DEAD); /* of the life before */
        expect_state(s, 2, MEMBER_ALIVE);
        swim_free(s);
    }
}

static void who_left_is_not_suspected_and_comes_back_in_a_new_life_only(void **state)
{
    struct swim *s = swim_new(5);
    (void)state;
    swim_say(s, 2, 2, 1, GOSSIP_LEFT);
    expect_event(s, MEMBER_EVENT_LEFT, 2);
    s->answers[2] = false;
    swim_run(s, 60000);
    assert_int_equal(s->events_n, 0);
    swim_say(s, 3, 2, 1, GOSSIP_SUSPECT);
    swim_say(s, 3, 2, 1, GOSSIP_DEAD);
    swim_say(s, 3, 2, 7, GOSSIP_ALIVE);
    expect_state(s, 2, MEMBER_LEFT);
    assert_int_equal(members_alive_count(s->m), 4);
    assert_int_equal(s->events_n, 0);
    swim_free(s);
}

static void who_is_heard_of_first_as_gone_is_not_taken_in(void **state)
{
    struct swim *s = swim_new(3);
    (void)state;
    swim_say(s, 1, 7, 0, GOSSIP_DEAD);
    swim_say(s, 1, 7, 0, GOSSIP_LEFT);
    swim_say(s, 1, 7, 0, GOSSIP_FORGOTTEN);
    assert_null(swim_find(s, 7));
    swim_say(s, 1, 7, 0, GOSSIP_ALIVE);
    expect_event(s, MEMBER_EVENT_JOINED, 7);
    swim_say(s, 1, 8, 0, GOSSIP_SUSPECT);
    expect_state(s, 8, MEMBER_SUSPECT);
    swim_free(s);
}

/* ---- refutation ----------------------------------------------------------------------------------- */

static void what_is_said_against_us_is_refuted(void **state)
{
    static const enum gossip_state said[] = {GOSSIP_SUSPECT, GOSSIP_DEAD, GOSSIP_LEFT};
    struct members_stats stats;
    (void)state;
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        struct swim *s = swim_new(5);
        swim_say(s, 1, 0, 40, said[i]);
        assert_int_equal(members_self(s->m)->state, MEMBER_ALIVE);
        assert_int_equal(members_self(s->m)->incarnation, 41);
        assert_int_equal(members_health(s->m), 1); /* Lifeguard: it may be our own fault */
        swim_run(s, 2000);
        assert_true(s->told[0] > 0);
        assert_true(s->last[0].incarnation == 41 && s->last[0].state == GOSSIP_ALIVE);
        swim_say(s, 1, 0, 40, said[i]); /* old news */
        assert_int_equal(members_self(s->m)->incarnation, 41);
        members_stats(s->m, &stats);
        assert_int_equal(stats.refutations, 1);
        swim_free(s);
    }
}

static void who_leaves_refutes_nothing(void **state)
{
    struct swim *s = swim_new(4);
    (void)state;
    members_leave(s->m, s->now_ms);
    swim_pull(s);
    for (uint32_t i = 1; i < 4; i++) /* everybody is told at once */
        assert_true(swim_count(s, GOSSIP_ONLY, i) > 0);
    assert_int_equal(s->last[0].state, GOSSIP_LEFT);
    uint32_t incarnation = members_self(s->m)->incarnation;
    swim_say(s, 1, 0, incarnation, GOSSIP_DEAD);
    assert_int_equal(members_self(s->m)->incarnation, incarnation);
    assert_int_equal(members_self(s->m)->state, MEMBER_LEFT);
    swim_free(s);
}

static void a_copy_of_this_node_does_not_end_it(void **state)
{
    struct swim *s = swim_new(3);
    struct gossip_record r = record_of_node(0, 0, GOSSIP_DEAD);
    (void)state;
    r.epoch = 9;
    swim_tell(s, 1, &r);
    assert_int_equal(members_self(s->m)->state, MEMBER_ALIVE);
    assert_int_equal(members_self(s->m)->epoch, 5);
    swim_free(s);
}

static void a_live_link_outweighs_what_others_say(void **state)
{
    struct swim *s = swim_new(5);
    struct node_id id = node_of(2);
    (void)state;
    members_set_reachable(s->m, &id, true);
    swim_forget_sent(s);
    swim_say(s, 1, 2, 0, GOSSIP_SUSPECT);
    swim_say(s, 1, 2, 0, GOSSIP_DEAD);
    expect_state(s, 2, MEMBER_ALIVE);
    assert_true(swim_count(s, GOSSIP_ONLY, 2) >= 1); /* it is told, so that it can refute */
    assert_int_equal(s->last[2].state, GOSSIP_SUSPECT);
    members_set_reachable(s->m, &id, false);
    swim_say(s, 1, 2, 0, GOSSIP_SUSPECT);
    expect_state(s, 2, MEMBER_SUSPECT);
    members_set_reachable(s->m, &id, true);
    swim_run(s, TICK_MS);
    expect_state(s, 2, MEMBER_ALIVE);
    swim_free(s);
}

/* ---- attributes ----------------------------------------------------------------------------------- */

static void a_new_address_name_or_draining_is_taken_and_told(void **state)
{
    struct swim *s = swim_new(5);
    struct gossip_record r = record_of_node(2, 1, GOSSIP_ALIVE);
    (void)state;
    r.address = addr_of(77);
    swim_tell(s, 1, &r);
    expect_event(s, MEMBER_EVENT_UPDATED, 2);
    assert_true(net_addr_eq(&swim_find(s, 2)->addr, &r.address));
    s->answers[77] = true;
    swim_forget_sent(s);
    swim_run(s, 5000);
    assert_true(swim_count(s, GOSSIP_PING, 77) > 0);
    assert_int_equal(swim_count(s, GOSSIP_PING, 2), 0);
    r.incarnation = 2;
    r.name = bytes_str("another name");
    swim_tell(s, 1, &r);
    expect_event(s, MEMBER_EVENT_UPDATED, 2);
    assert_string_equal(swim_find(s, 2)->name, "another name");
    r.incarnation = 3;
    r.is_draining = true;
    swim_tell(s, 1, &r);
    expect_event(s, MEMBER_EVENT_UPDATED, 2);
    assert_true(swim_find(s, 2)->is_draining);
    r.incarnation = 4;
    swim_tell(s, 1, &r); /* nothing else changed */
    assert_int_equal(s->events_n, 0);
    swim_free(s);
}

static void a_contact_tells_what_has_changed(void **state)
{
    struct swim *s = swim_new(3);
    struct member_self peer = self_of(1);
    (void)state;
    members_on_contact(s->m, &peer, s->now_ms);
    swim_pull(s);
    assert_int_equal(s->events_n, 0);
    memcpy(peer.name, "renamed", 8);
    members_on_contact(s->m, &peer, s->now_ms);
    swim_pull(s);
    expect_event(s, MEMBER_EVENT_UPDATED, 1);
    peer.is_draining = true;
    members_on_contact(s->m, &peer, s->now_ms);
    swim_pull(s);
    expect_event(s, MEMBER_EVENT_UPDATED, 1);
    peer.addr = addr_of(9);
    members_on_contact(s->m, &peer, s->now_ms);
    swim_pull(s);
    expect_event(s, MEMBER_EVENT_UPDATED, 1);
    peer.epoch = 4; /* a life before */
    peer.addr = addr_of(10);
    members_on_contact(s->m, &peer, s->now_ms);
    swim_pull(s);
    assert_int_equal(s->events_n, 0);
    peer.epoch = 6;
    swim_say(s, 2, 1, 3, GOSSIP_DEAD);
    s->events_n = 0;
    members_on_contact(s->m, &peer, s->now_ms);
    swim_pull(s);
    expect_event(s, MEMBER_EVENT_JOINED, 1);
    swim_free(s);
}

static void our_own_changes_go_round(void **state)
{
    struct swim *s = swim_new(5);
    struct net_addr addr = addr_of(99);
    (void)state;
    uint32_t incarnation = members_self(s->m)->incarnation;
    members_self_set(s->m, &addr, true, s->now_ms);
    swim_run(s, 3000);
    assert_true(s->told[0] > 0 && s->last[0].is_draining && net_addr_eq(&s->last[0].address, &addr));
    assert_int_equal(s->last[0].incarnation, incarnation + 1);
    swim_free(s);
}

/* ---- rumours -------------------------------------------------------------------------------------- */

static void each_rumour_is_sent_so_many_times(void **state)
{
    /* retransmit_mult 4 x ceil(log10(N + 1)) */
    static const struct {
        uint32_t nodes, times;
    } cases[] = {{3, 4}, {5, 4}, {9, 4}, {10, 8}, {40, 8}, {99, 8}, {100, 12}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct swim *s = swim_new(cases[i].nodes);
        struct gossip_record r = record_of_node(1, 1, GOSSIP_ALIVE);
        r.is_draining = true;
        swim_hear(s, 1, GOSSIP_ONLY, 0, &r, 1);
        swim_forget_sent(s);
        swim_run(s, 20000);
        assert_int_equal(s->told[1], cases[i].times);
        swim_free(s);
    }
}

/* ---- the end of members --------------------------------------------------------------------------- */

static void only_who_does_not_live_is_forgotten(void **state)
{
    struct swim *s = swim_new(5);
    struct node_id id = node_of(2), unknown = node_of(77), self = node_of(0);
    (void)state;
    assert_int_equal(members_forget(s->m, &id, s->now_ms), ERR_EXISTS);
    assert_int_equal(members_forget(s->m, &self, s->now_ms), ERR_EXISTS);
    assert_int_equal(members_forget(s->m, &unknown, s->now_ms), ERR_NOTFOUND);
    swim_say(s, 1, 2, 0, GOSSIP_DEAD);
    swim_forget_sent(s);
    assert_int_equal(members_forget(s->m, &id, s->now_ms), OK);
    assert_null(swim_find(s, 2));
    swim_run(s, 5000);
    expect_event(s, MEMBER_EVENT_FORGOTTEN, 2);
    assert_true(s->told[2] > 0 && s->last[2].state == GOSSIP_FORGOTTEN);
    members_leave(s->m, s->now_ms);
    assert_int_equal(members_forget(s->m, &self, s->now_ms), ERR_EXISTS);
    swim_free(s);
}

static void others_forget_with_us_but_nobody_that_lives(void **state)
{
    struct swim *s = swim_new(5);
    (void)state;
    swim_say(s, 1, 2, 0, GOSSIP_FORGOTTEN);
    expect_state(s, 2, MEMBER_ALIVE);
    swim_say(s, 1, 2, 0, GOSSIP_LEFT);
    s->events_n = 0;
    struct gossip_record old = record_of_node(2, 0, GOSSIP_FORGOTTEN);
    old.epoch = 4;
    swim_tell(s, 1, &old);
    expect_state(s, 2, MEMBER_LEFT);
    swim_say(s, 1, 2, 0, GOSSIP_FORGOTTEN);
    expect_event(s, MEMBER_EVENT_FORGOTTEN, 2);
    assert_null(swim_find(s, 2));
    swim_free(s);
}

static void the_dead_are_forgotten_after_a_day(void **state)
{
    struct swim *s = swim_new(3);
    (void)state;
    swim_say(s, 1, 2, 0, GOSSIP_DEAD);
    s->events_n = 0;
    s->now_ms += s->conf.reclaim_ms - 1;
    members_tick(s->m, s->now_ms);
    assert_non_null(swim_find(s, 2));
    s->now_ms++;
    members_tick(s->m, s->now_ms);
    swim_pull(s);
    assert_null(swim_find(s, 2));
    swim_free(s);
}

/* ---- push-pull ------------------------------------------------------------------------------------ */

static bool merge(struct swim *s, uint32_t from, enum gossip_kind kind, const struct gossip_record *r,
                  uint32_t n, const struct node_id *peer)
{
    struct gossip g = {.cluster = s->cluster, .kind = kind, .from = node_of(from), .n = n};
    g.records = (struct gossip_record *)(uintptr_t)r;
    rpc_buf_reset(&s->buf);
    gossip_put(&s->buf, &g);
    bool ok = members_push_pull_merge(s->m, peer, rpc_buf_bytes(&s->buf), s->now_ms);
    swim_pull(s);
    return ok;
}

static void a_push_pull_has_everything_and_is_merged(void **state)
{
    struct swim *s = swim_new(9), *other = swim_new(1);
    struct node_id self = node_of(0);
    uint8_t *b = NULL;
    uint32_t cap = 0;
    (void)state;
    swim_say(s, 1, 2, 0, GOSSIP_SUSPECT);
    swim_say(s, 1, 3, 0, GOSSIP_DEAD);
    uint32_t n = members_push_pull_put(s->m, &b, &cap);
    struct gossip g;
    rpc_arena_reset(s->arena);
    assert_true(gossip_read(&g, bytes_of(b, n), s->arena));
    assert_int_equal(g.kind, GOSSIP_STATE);
    assert_int_equal(g.n, 9);
    assert_true(members_push_pull_merge(other->m, &self, bytes_of(b, n), other->now_ms));
    swim_pull(other);
    assert_int_equal(members_count(other->m), 8); /* not the dead one, of whom it never heard */
    expect_state(other, 2, MEMBER_SUSPECT);
    expect_state(other, 4, MEMBER_ALIVE);
    free(b);
    swim_free(s);
    swim_free(other);
}

static void the_dead_of_a_push_pull_may_still_speak_up(void **state)
{
    struct swim *s = swim_new(5);
    struct gossip_record r = record_of_node(2, 0, GOSSIP_DEAD);
    struct node_id peer = node_of(1), stranger = node_of(3);
    (void)state;
    assert_false(merge(s, 1, GOSSIP_ONLY, &r, 1, &peer));
    assert_false(merge(s, 1, GOSSIP_STATE, &r, 1, &stranger));
    expect_state(s, 2, MEMBER_ALIVE);
    assert_true(merge(s, 1, GOSSIP_STATE, &r, 1, &peer));
    expect_event(s, MEMBER_EVENT_SUSPECT, 2);
    swim_say(s, 2, 2, 1, GOSSIP_ALIVE);
    expect_event(s, MEMBER_EVENT_ALIVE, 2);
    swim_free(s);
}

/* ---- datagrams ------------------------------------------------------------------------------------ */

static void malformed_and_foreign_datagrams_have_no_effect(void **state)
{
    struct swim *s = swim_new(5);
    struct gossip_record r = record_of_node(2, 0, GOSSIP_DEAD);
    struct gossip g = {
        .cluster = s->cluster + 1, .kind = GOSSIP_ONLY, .from = node_of(1), .n = 1, .records = &r};
    struct net_addr from = addr_of(1);
    struct members_stats before, after;
    (void)state;
    members_stats(s->m, &before);
    rpc_buf_reset(&s->buf);
    gossip_put(&s->buf, &g);
    members_on_datagram(s->m, &from, rpc_buf_bytes(&s->buf), s->now_ms);
    members_stats(s->m, &after);
    assert_int_equal(after.datagrams_foreign - before.datagrams_foreign, 1);
    g.cluster = s->cluster;
    g.kind = GOSSIP_STATE; /* not as a datagram */
    rpc_buf_reset(&s->buf);
    gossip_put(&s->buf, &g);
    members_on_datagram(s->m, &from, rpc_buf_bytes(&s->buf), s->now_ms);
    g.kind = GOSSIP_ONLY;
    r.epoch = 0;
    rpc_buf_reset(&s->buf);
    gossip_put(&s->buf, &g);
    members_on_datagram(s->m, &from, rpc_buf_bytes(&s->buf), s->now_ms);
    members_on_datagram(s->m, &from, bytes_of(NULL, 0), s->now_ms);
    members_stats(s->m, &after);
    assert_int_equal(after.datagrams_malformed - before.datagrams_malformed, 3);
    assert_int_equal(after.datagrams_received - before.datagrams_received, 4);
    swim_pull(s);
    assert_int_equal(s->events_n, 0);
    expect_state(s, 2, MEMBER_ALIVE);
    swim_free(s);
}

static void there_is_a_most_of_members(void **state)
{
    struct swim *s = swim_new(2);
    (void)state;
    for (uint32_t i = 2; i < 2 * MEMBERS_MAX; i++) {
        struct member_self peer = self_of(i);
        members_on_contact(s->m, &peer, s->now_ms);
        struct member_event e;
        while (members_event_take(s->m, &e))
            assert_int_equal(e.kind, MEMBER_EVENT_JOINED);
    }
    assert_int_equal(members_count(s->m), MEMBERS_MAX);
    swim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_news_wins_at_the_same_incarnation),
        cmocka_unit_test(a_newer_life_wins_over_everything),
        cmocka_unit_test(who_left_is_not_suspected_and_comes_back_in_a_new_life_only),
        cmocka_unit_test(who_is_heard_of_first_as_gone_is_not_taken_in),
        cmocka_unit_test(what_is_said_against_us_is_refuted),
        cmocka_unit_test(who_leaves_refutes_nothing),
        cmocka_unit_test(a_copy_of_this_node_does_not_end_it),
        cmocka_unit_test(a_live_link_outweighs_what_others_say),
        cmocka_unit_test(a_new_address_name_or_draining_is_taken_and_told),
        cmocka_unit_test(a_contact_tells_what_has_changed),
        cmocka_unit_test(our_own_changes_go_round),
        cmocka_unit_test(each_rumour_is_sent_so_many_times),
        cmocka_unit_test(only_who_does_not_live_is_forgotten),
        cmocka_unit_test(others_forget_with_us_but_nobody_that_lives),
        cmocka_unit_test(the_dead_are_forgotten_after_a_day),
        cmocka_unit_test(a_push_pull_has_everything_and_is_merged),
        cmocka_unit_test(the_dead_of_a_push_pull_may_still_speak_up),
        cmocka_unit_test(malformed_and_foreign_datagrams_have_no_effect),
        cmocka_unit_test(there_is_a_most_of_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
