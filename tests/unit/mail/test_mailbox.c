/* SPDX-License-Identifier: Apache-2.0 */
#include "node/mail/mailbox.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

enum { PRODUCERS = 4, ITEMS = 20000 };

struct item {
    uintptr_t mail;
    uint32_t from;
    uint32_t number;
};

static uint64_t eventfd_take(int fd)
{
    uint64_t n = 0;
    return read(fd, &n, sizeof n) == (ssize_t)sizeof n ? n : 0;
}

static void items_come_out_in_order_with_their_kind(void **state)
{
    struct mailbox mb;
    struct item items[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    enum mailbox_kind kind;

    (void)state;
    assert_int_equal(mailbox_init(&mb), OK);
    for (int i = 0; i < 4; i++)
        mailbox_push(&mb, (enum mailbox_kind)i, &items[i]);
    struct mailbox_chain chain = mailbox_take(&mb);
    for (int i = 0; i < 4; i++) {
        assert_ptr_equal(mailbox_next(&chain, &kind), &items[i]);
        assert_int_equal(kind, i);
    }
    assert_null(mailbox_next(&chain, &kind));
    assert_false(mailbox_has_mail(&mb));
    mailbox_fini(&mb);
}

static void only_the_first_push_to_a_sleeper_wakes(void **state)
{
    struct mailbox mb;
    struct item items[4];
    enum mailbox_kind kind;

    (void)state;
    assert_int_equal(mailbox_init(&mb), OK);
    mailbox_push(&mb, MAILBOX_BAG, &items[0]);
    assert_int_equal(eventfd_take(mb.eventfd), 0);
    assert_false(mailbox_sleep(&mb));
    struct mailbox_chain chain = mailbox_take(&mb);
    while (mailbox_next(&chain, &kind))
        ;
    assert_true(mailbox_sleep(&mb));
    for (int i = 1; i < 4; i++)
        mailbox_push(&mb, MAILBOX_BAG, &items[i]);
    assert_int_equal(eventfd_take(mb.eventfd), 1);
    chain = mailbox_take(&mb);
    while (mailbox_next(&chain, &kind))
        ;
    mailbox_wake(&mb);
    assert_int_equal(eventfd_take(mb.eventfd), 1);
    assert_int_equal(atomic_load(&mb.wakes), 2);
    mailbox_fini(&mb);
}

struct producer {
    pthread_t thread;
    struct mailbox *mb;
    struct item *items;
};

static void *produce(void *arg)
{
    struct producer *p = arg;

    for (uint32_t i = 0; i < ITEMS; i++)
        mailbox_push(p->mb, MAILBOX_CALL, &p->items[i]);
    return NULL;
}

/* Consumes as a worker does: it sleeps in earnest, so a wake that got lost would hang the test. */
static void consume(struct mailbox *mb, uint32_t next[PRODUCERS], uint32_t left)
{
    struct pollfd p = {.fd = mb->eventfd, .events = POLLIN};

    while (left) {
        struct mailbox_chain chain = mailbox_take(mb);
        enum mailbox_kind kind;
        struct item *it;
        while ((it = mailbox_next(&chain, &kind))) {
            assert_int_equal(kind, MAILBOX_CALL);
            assert_int_equal(it->number, next[it->from]);
            next[it->from]++;
            left--;
        }
        if (left && mailbox_sleep(mb)) {
            assert_int_equal(poll(&p, 1, 30000), 1);
            eventfd_take(mb->eventfd);
        }
        mailbox_awake(mb);
    }
}

static void many_producers_keep_their_order_and_no_wake_is_lost(void **state)
{
    struct mailbox mb;
    struct producer producers[PRODUCERS];
    uint32_t next[PRODUCERS] = {0};

    (void)state;
    assert_int_equal(mailbox_init(&mb), OK);
    for (uint32_t k = 0; k < PRODUCERS; k++) {
        producers[k] = (struct producer){.mb = &mb, .items = calloc(ITEMS, sizeof(struct item))};
        assert_non_null(producers[k].items);
        for (uint32_t i = 0; i < ITEMS; i++)
            producers[k].items[i] = (struct item){.from = k, .number = i};
        assert_int_equal(pthread_create(&producers[k].thread, NULL, produce, &producers[k]), 0);
    }
    consume(&mb, next, PRODUCERS * ITEMS);
    for (uint32_t k = 0; k < PRODUCERS; k++) {
        pthread_join(producers[k].thread, NULL);
        free(producers[k].items);
        assert_int_equal(next[k], ITEMS);
    }
    mailbox_fini(&mb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_out_in_order_with_their_kind),
        cmocka_unit_test(only_the_first_push_to_a_sleeper_wakes),
        cmocka_unit_test(many_producers_keep_their_order_and_no_wake_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
