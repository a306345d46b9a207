/* SPDX-License-Identifier: Apache-2.0 */
/* QoS 2 messages handed to other nodes: kept until answered, and on the other side known when they come
 * again. */
#include "tests/unit/core/cluster_member.h"

#include "node/core/forward.h"
#include "node/core/handoff_peer.h"
#include "proto/rpc/messages.h"
#include "proto/rpc/publish_entry.h"

enum { PEER = 3, RETRY_MS = 2000 };
static const struct node_id peer_id = {{9, 9}}, other_id = {{8}};

/* ---- the sender ----------------------------------------------------------------------------------- */

static void peer_up(struct broker *b)
{
    struct peers *peers = node_peers(b->node);
    peers->ids[PEER] = peer_id;
    peers->live = 1ull << PEER;
    peers->count = 1;
}

static struct broker *sender_new(void)
{
    struct broker *b = member_new(1);
    peer_up(b);
    return b;
}

static struct msg *message(const char *payload)
{
    struct message_in m = {.topic = bytes_str("t"), .payload = bytes_str(payload), .qos = 2};
    return msg_new(&m, 1700000000000, 0);
}

static void start(struct broker *b, uint64_t number, uint64_t uid)
{
    peer_handoff_start(b->sh, &peer_id, number, uid, message("hello"));
}

/* What the cluster thread gets in this turn. */
struct turn {
    struct fchunk *chunk; /* NULL: nothing was forwarded */
    struct settled settled[8];
    uint32_t settled_n;
};

static struct turn turn_take(struct broker *b)
{
    struct turn t = {0};
    forward_flush(b->sh);
    struct mailbag *bag = shard_outbox_take(b->sh, MAIL_TO_CLUSTER);
    for (uint32_t i = 0; bag && i < bag->n; i++) {
        struct mail *m = &bag->items[i];
        if (m->kind == MAIL_FORWARD) {
            assert_null(t.chunk);
            t.chunk = m->arg;
        }
        if (m->kind == MAIL_SETTLED) {
            assert_true(t.settled_n < 8);
            t.settled[t.settled_n++] = *(struct settled *)m->arg;
            free(m->arg);
        }
    }
    free(bag);
    return t;
}

/* The message was sent once, marked as one that may come again; the peer answers so. */
static void expect_sent(struct broker *b, uint64_t uid, enum reason answer)
{
    struct turn t = turn_take(b);
    struct publish_entry e;
    assert_non_null(t.chunk);
    assert_int_equal(t.chunk->peer, PEER);
    assert_int_equal(t.chunk->count, 1);
    struct cursor c = cursor_of(bytes_of(frame_buf_body(t.chunk->frame), t.chunk->body_n));
    assert_true(publish_entry_take(&c, &e) && cursor_left(&c) == 0);
    assert_true(e.once && e.wants_answer && e.qos == 2 && e.uid == uid);
    assert_true(bytes_eq(e.topic, bytes_str("t")) && bytes_eq(e.payload, bytes_str("hello")));
    struct pending *waits = t.chunk->pendings[0];
    t.chunk->pendings[0] = NULL;
    fchunk_free(t.chunk);
    pending_release(b->sh, waits, answer);
}

static void expect_nothing_sent(struct broker *b)
{
    struct turn t = turn_take(b);
    assert_null(t.chunk);
    assert_int_equal(t.settled_n, 0);
}

static void expect_settled(struct broker *b, const struct node_id *to, uint64_t uid)
{
    struct turn t = turn_take(b);
    assert_null(t.chunk);
    assert_int_equal(t.settled_n, 1);
    assert_true(node_id_eq(&t.settled[0].to, to) && t.settled[0].uid == uid);
}

static void the_peer_hears_that_it_is_settled_after_that_is_stored(void **state)
{
    struct broker *b = sender_new();
    (void)state;
    start(b, 5, 77);
    expect_sent(b, 77, RC_SUCCESS);
    expect_nothing_sent(b);
    broker_commit_fails(b, ERR_IO);
    expect_nothing_sent(b);
    broker_wait(b, 1000);
    assert_int_equal(broker_commit(b), OK);
    expect_settled(b, &peer_id, 77);
    broker_wait(b, 10 * RETRY_MS);
    broker_commit(b);
    expect_nothing_sent(b);
    broker_free(b);
}

static void without_an_answer_it_is_sent_again(void **state)
{
    /* No answer, or a store that could not write. */
    static const enum reason none[] = {RC_NO_MATCHING_SUBSCRIBERS, RC_IMPLEMENTATION_SPECIFIC};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct broker *b = sender_new();
        start(b, 5, 77);
        for (int round = 0; round < 3; round++) {
            expect_sent(b, 77, none[i]);
            broker_wait(b, RETRY_MS - 2 * WHEEL_TICK_MS);
            expect_nothing_sent(b);
            broker_wait(b, 3 * WHEEL_TICK_MS);
        }
        expect_sent(b, 77, RC_QUOTA_EXCEEDED); /* any other answer is one */
        assert_int_equal(broker_commit(b), OK);
        expect_settled(b, &peer_id, 77);
        broker_free(b);
    }
}

static void while_it_is_under_way_it_is_not_sent_again(void **state)
{
    struct broker *b = sender_new();
    (void)state;
    start(b, 5, 77);
    struct turn t = turn_take(b);
    assert_non_null(t.chunk);
    broker_wait(b, 10 * RETRY_MS);
    expect_nothing_sent(b);
    struct pending *waits = t.chunk->pendings[0];
    t.chunk->pendings[0] = NULL;
    fchunk_free(t.chunk);
    pending_release(b->sh, waits, RC_SUCCESS);
    broker_commit(b);
    expect_settled(b, &peer_id, 77);
    broker_free(b);
}

static struct node_id *id_copy(const struct node_id *id)
{
    struct node_id *p = malloc(sizeof *p);
    assert_non_null(p);
    *p = *id;
    return p;
}

static void a_peer_that_is_away_gets_it_when_it_is_back(void **state)
{
    struct broker *b = sender_new();
    (void)state;
    node_peers(b->node)->live = 0;
    start(b, 5, 77);
    broker_wait(b, 5 * RETRY_MS);
    expect_nothing_sent(b);
    peer_up(b);
    peer_handoffs_wake(b->sh, id_copy(&other_id));
    peer_handoffs_wake(b->sh, id_copy(&peer_id));
    broker_wait(b, WHEEL_TICK_MS); /* at once, not when it would be tried again */
    expect_sent(b, 77, RC_SUCCESS);
    broker_free(b);
}

static void who_never_comes_back_gets_nothing(void **state)
{
    struct broker *b = sender_new();
    (void)state;
    node_peers(b->node)->live = 0;
    start(b, 5, 77);
    peer_handoffs_forget(b->sh, id_copy(&other_id));
    assert_int_equal(broker_commit(b), OK);
    expect_nothing_sent(b);
    peer_handoffs_forget(b->sh, id_copy(&peer_id));
    assert_int_equal(broker_commit(b), OK);
    expect_settled(b, &peer_id, 77);
    peer_up(b);
    broker_wait(b, 5 * RETRY_MS);
    expect_nothing_sent(b);
    broker_free(b);
}

static void what_the_store_has_is_sent_and_cut_records_are_refused(void **state)
{
    struct broker *b = sender_new();
    struct msg *m = message("hello");
    uint32_t n = peer_handoff_size(m);
    uint8_t *record = malloc(n);
    (void)state;
    assert_ptr_equal(peer_handoff_put(record, &peer_id, 77, m), record + n);
    msg_unref(m);
    for (uint32_t k = 0; k < n; k++) {
        uint8_t *cut = malloc(k + 1);
        memcpy(cut, record, k);
        struct cursor c = cursor_of(bytes_of(cut, k));
        assert_false(peer_handoff_load(b->sh, 6, &c));
        free(cut);
    }
    struct cursor c = cursor_of(bytes_of(record, n));
    assert_true(peer_handoff_load(b->sh, 6, &c) && cursor_left(&c) == 0);
    broker_wait(b, WHEEL_TICK_MS);
    expect_sent(b, 77, RC_SUCCESS);
    broker_commit(b);
    expect_settled(b, &peer_id, 77);
    free(record);
    broker_free(b);
}

/* ---- the receiver --------------------------------------------------------------------------------- */

static bool has_seen(const struct shard *sh, uint64_t uid)
{
    return seen_by(sh, uid) == SEEN_BY_ALL;
}

static struct seen_list *list_of(uint64_t a, uint64_t b)
{
    struct seen_list *l = malloc(sizeof *l + 2 * sizeof *l->uids);
    assert_non_null(l);
    l->n = 2;
    l->uids[0] = a;
    l->uids[1] = b;
    return l;
}

static void what_was_seen_is_known_until_it_is_settled(void **state)
{
    struct broker *b = member_new(2);
    (void)state;
    for (uint64_t uid = 1; uid <= 2000; uid++) {
        assert_false(has_seen(b->sh, uid));
        seen_add(b->sh, uid, SEEN_STORED, bytes_of(NULL, 0));
        assert_true(has_seen(b->sh, uid));
    }
    assert_int_equal(broker_commit(b), OK);
    assert_int_equal(store_count(b->store, STORE_SEEN), 2000);
    reboot(b);
    assert_true(has_seen(b->sh, 1) && has_seen(b->sh, 2000) && !has_seen(b->sh, 2001));
    seen_settle(b->sh, list_of(1, 5000)); /* one that is not there is no error */
    assert_false(has_seen(b->sh, 1));
    assert_int_equal(broker_commit(b), OK);
    reboot(b);
    assert_false(has_seen(b->sh, 1));
    assert_int_equal(store_count(b->store, STORE_SEEN), 1999);
    broker_free(b);
}

static void what_was_only_noted_ends_with_the_node(void **state)
{
    struct broker *b = member_new(2);
    (void)state;
    seen_add(b->sh, 5, SEEN_NOTED, bytes_of(NULL, 0));
    assert_true(has_seen(b->sh, 5));
    broker_commit(b);
    reboot(b);
    assert_false(has_seen(b->sh, 5));
    broker_free(b);
}

/* Its queue is stored with it: after a commit that failed, both come with the next one. */
static void after_a_failed_commit_it_is_stored_with_the_next(void **state)
{
    struct broker *b = member_new(2);
    (void)state;
    seen_add(b->sh, 5, SEEN_STORED, bytes_of(NULL, 0));
    broker_commit_fails(b, ERR_NOSPC);
    assert_true(has_seen(b->sh, 5));
    broker_wait(b, 1000);
    assert_int_equal(broker_commit(b), OK);
    reboot(b);
    assert_true(has_seen(b->sh, 5));
    broker_free(b);
}

/* A session that held the message aside lost it with the node: it is the only one that gets it when it comes
 * again. */
static void who_held_it_aside_has_it_when_it_is_in_the_queue(void **state)
{
    struct broker *b = member_new(2);
    struct rpc_buf held = {0};
    (void)state;
    seen_without(&held, bytes_str("one"));
    seen_without(&held, bytes_str("two"));
    seen_without(&held, bytes_str("three"));
    seen_add(b->sh, 5, SEEN_STORED, rpc_buf_bytes(&held));
    assert_int_equal(seen_by(b->sh, 5), SEEN_HELD);
    seen_got(b->sh, 5, bytes_str("two"));
    seen_got(b->sh, 5, bytes_str("tw"));
    assert_int_equal(broker_commit(b), OK);
    seen_got(b->sh, 5, bytes_str("three")); /* without a commit */
    reboot(b);
    assert_int_equal(seen_by(b->sh, 5), SEEN_BY_SOME);
    assert_false(seen_by_session(b->sh, 5, bytes_str("one")));
    assert_true(seen_by_session(b->sh, 5, bytes_str("two")));
    assert_false(seen_by_session(b->sh, 5, bytes_str("three")));
    assert_true(seen_by_session(b->sh, 5, bytes_str("another")));
    held.n = 0;
    seen_without(&held, bytes_str("one")); /* it came again, and one holds it aside again */
    seen_add(b->sh, 5, SEEN_STORED, rpc_buf_bytes(&held));
    assert_int_equal(seen_by(b->sh, 5), SEEN_HELD);
    seen_got(b->sh, 5, bytes_str("one"));
    assert_int_equal(seen_by(b->sh, 5), SEEN_BY_ALL);
    assert_int_equal(broker_commit(b), OK);
    reboot(b);
    assert_int_equal(seen_by(b->sh, 5), SEEN_BY_ALL);
    rpc_buf_fini(&held);
    broker_free(b);
}

/* A client id that lives on `home` of 2 shards and on `now` of 3. */
static struct bytes id_that_moves(struct broker *b, char buf[8], uint32_t home, uint32_t now)
{
    for (int i = 0;; i++) {
        struct bytes id = bytes_of(buf, (size_t)snprintf(buf, 8, "m%d", i));
        if (node_home_among(b->node, id, 2) == home && node_home_among(b->node, id, 3) == now)
            return id;
    }
}

/* With another number of shards its sessions are anywhere: each shard knows which of its sessions have the
 * message, also when some of the others have got it in the meantime. */
static void with_other_shards_it_counts_for_the_sessions_of_then(void **state)
{
    struct broker *b = member_new(2);
    char buf[8];
    (void)state;
    b->conf.shards = 2;
    reboot(b);
    seen_add(b->sh, 5, SEEN_STORED, bytes_of(NULL, 0));
    assert_int_equal(seen_by(b->sh, 5), SEEN_BY_ALL);
    assert_int_equal(broker_commit(b), OK);
    for (int life = 0; life < 2; life++) {
        b->conf.shards = 3;
        b->conf.shards_before = life ? 3 : 2;
        reboot(b);
        for (uint32_t i = 0; i < 3; i++) {
            struct shard *sh = node_shard(b->node, i);
            assert_int_equal(seen_by(sh, 5), life && i == 0 ? SEEN_BY_ALL : SEEN_BY_SOME);
            assert_true(seen_by_session(sh, 5, id_that_moves(b, buf, 0, i)));
            assert_int_equal(seen_by_session(sh, 5, id_that_moves(b, buf, 1, i)), life && i == 0);
        }
        seen_add(b->sh, 5, SEEN_STORED, bytes_of(NULL, 0)); /* the rest of the sessions of shard 0 */
        assert_int_equal(broker_commit(b), OK);
    }
    for (uint32_t i = 0; i < 3; i++)
        seen_settle(node_shard(b->node, i), list_of(5, 6));
    assert_int_equal(broker_commit(b), OK);
    assert_int_equal(seen_by(node_shard(b->node, 2), 5), SEEN_BY_NONE);
    reboot(b);
    assert_int_equal(seen_by(b->sh, 5), SEEN_BY_NONE);
    broker_free(b);
}

static void with_as_many_shards_only_the_one_that_had_it_knows(void **state)
{
    struct broker *b = member_new(2);
    (void)state;
    b->conf.shards = 3;
    reboot(b);
    seen_add(b->sh, 5, SEEN_STORED, bytes_of(NULL, 0));
    assert_int_equal(broker_commit(b), OK);
    reboot(b);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(seen_by(node_shard(b->node, i), 5), i == 0 ? SEEN_BY_ALL : SEEN_BY_NONE);
    broker_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_peer_hears_that_it_is_settled_after_that_is_stored),
        cmocka_unit_test(without_an_answer_it_is_sent_again),
        cmocka_unit_test(while_it_is_under_way_it_is_not_sent_again),
        cmocka_unit_test(a_peer_that_is_away_gets_it_when_it_is_back),
        cmocka_unit_test(who_never_comes_back_gets_nothing),
        cmocka_unit_test(what_the_store_has_is_sent_and_cut_records_are_refused),
        cmocka_unit_test(what_was_seen_is_known_until_it_is_settled),
        cmocka_unit_test(what_was_only_noted_ends_with_the_node),
        cmocka_unit_test(after_a_failed_commit_it_is_stored_with_the_next),
        cmocka_unit_test(who_held_it_aside_has_it_when_it_is_in_the_queue),
        cmocka_unit_test(with_other_shards_it_counts_for_the_sessions_of_then),
        cmocka_unit_test(with_as_many_shards_only_the_one_that_had_it_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
