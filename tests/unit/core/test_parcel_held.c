/* SPDX-License-Identifier: Apache-2.0 */
/* What comes for a session that is still arriving from another node, and is held aside. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "node/core/handoff.h"
#include "tests/unit/core/pair_texts.h"

/* The client comes to A, where its session goes on arriving, and a message of another shard, whose publisher
 * has been told that it is stored, is held aside for it. */
static struct pair *pair_holding(struct client *a)
{
    struct pair *p = pair_queued(1);
    struct publication pub = {.uid = 77,
                              .m = {.topic = bytes_str("t"), .payload = bytes_str("held"), .qos = 2}};
    p->stop = STOP_FINISH;
    pair_open(p, A, a, &keeper5);
    expect_connack(a, SESSION_PRESENT);
    expect_texts_of(a, "1");
    handoff_take(p->b[A]->sh, &pub, 5);
    publication_fini(p->b[A]->sh, &pub);
    return p;
}

/* The power fails. fails: a commit does, before that. */
static void check_held_handoff(bool fails)
{
    struct client a;
    struct pair *p = pair_holding(&a);
    if (fails) {
        broker_commit_fails(p->b[A], ERR_IO);
        broker_wait(p->b[A], 1100); /* until it is tried again */
    }
    pair_run(p);
    expect_nothing(&a);
    assert_int_equal(store_count(p->b[A]->store, STORE_HANDOFF), 1);
    client_lose(&a);
    p->is_apart = true;
    pair_power_cycle(p, A);
    p->no_release = true;
    client_open(p->b[A], &a, &keeper5);
    pair_run(p);
    pair_answer(p);
    pair_run(p);
    expect_connack(&a, SESSION_PRESENT);
    expect_texts_of(&a, "1", "held");
    assert_int_equal(store_count(p->b[A]->store, STORE_HANDOFF), 0);
    client_lose(&a);
    pair_free(p);
}

static void what_is_held_aside_is_on_the_disk(void **state)
{
    (void)state;
    check_held_handoff(false);
    check_held_handoff(true);
}

/* Its record goes with the commit that has it in the queue, or with the session. */
static void what_was_held_aside_is_stored_once(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 2; way++) {
        struct client a;
        struct pair *p = pair_holding(&a);
        pair_run(p);
        assert_int_equal(store_count(p->b[A]->store, STORE_HANDOFF), 1);
        client_lose(&a);
        if (way == 0)
            pair_wait(p, 2500); /* no END: it goes on without */
        else
            session_end(pair_session(p, A, "keeper"));
        pair_run(p);
        assert_int_equal(store_count(p->b[A]->store, STORE_HANDOFF), 0);
        pair_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_held_aside_is_on_the_disk),
        cmocka_unit_test(what_was_held_aside_is_stored_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
