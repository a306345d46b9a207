/* SPDX-License-Identifier: Apache-2.0 */
/* The send queue: numbers and packet ids across the wrap, window and tail, what is done. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "node/core/sendq.h"
#include "tests/unit/core/random.h"

enum { IDS = 65535 };

static struct msg *message(const char *topic)
{
    struct message_in m = {.topic = bytes_str(topic), .payload = bytes_str("payload"), .qos = 1};
    struct msg *msg = msg_new(&m, 1000, 0);
    assert_non_null(msg);
    return msg;
}

/* Ids go 1, 2, ... 65535, 1: never 0 [MQTT-2.2.1-3]. */
static void ids_follow_from_numbers(void **state)
{
    uint32_t id = 0;
    (void)state;
    for (uint64_t seq = 1; seq <= 3 * IDS + 5; seq++) {
        id = id == IDS ? 1 : id + 1;
        assert_int_equal(sendq_packet_id(seq), id);
    }
    assert_int_equal(sendq_packet_id((uint64_t)IDS << 40), IDS);
    assert_int_equal(sendq_packet_id(((uint64_t)IDS << 40) + 1), 1);
}

/* n slots from first on, all sent. */
static struct sendq *queue_sent(uint64_t first, uint32_t n)
{
    struct sendq *q = sendq_new(first);
    for (uint32_t i = 0; i < n; i++)
        sendq_push(q, UINT32_MAX)->state = SLOT_SENT;
    q->sent = q->next;
    return q;
}

static void numbers_follow_from_ids(void **state)
{
    static const uint64_t firsts[] = {1, 2, 65534, 65535, 65536, 65537, 131070, 7ull * IDS - 100};
    (void)state;
    for (unsigned k = 0; k < sizeof firsts / sizeof firsts[0]; k++) {
        struct sendq *q = queue_sent(firsts[k], 300);
        uint32_t known = 0;
        for (uint64_t seq = firsts[k]; seq < firsts[k] + 300; seq++)
            assert_int_equal(sendq_seq(q, sendq_packet_id(seq)), seq);
        for (uint32_t id = 0; id <= UINT16_MAX; id++)
            known += sendq_seq(q, (uint16_t)id) != 0;
        assert_int_equal(known, 300);
        sendq_free(q);
    }
}

/* As many in flight as there are ids: each has its own. */
static void all_ids_in_flight(void **state)
{
    (void)state;
    uint64_t first = 40000;
    struct sendq *q = queue_sent(first, IDS);
    for (uint64_t seq = first; seq < first + IDS; seq++)
        assert_int_equal(sendq_seq(q, sendq_packet_id(seq)), seq);
    assert_int_equal(sendq_seq(q, 0), 0);
    sendq_done(q, first);
    assert_int_equal(sendq_low(q), first + 1);
    assert_int_equal(sendq_seq(q, sendq_packet_id(first)), 0);
    sendq_push(q, UINT32_MAX)->state = SLOT_SENT;
    q->sent = q->next;
    assert_int_equal(sendq_seq(q, sendq_packet_id(first)), first + IDS);
    sendq_free(q);
}

/* What was not sent has no id a client could acknowledge. */
static void only_what_was_sent_has_an_id(void **state)
{
    (void)state;
    struct sendq *q = sendq_new(1);
    for (unsigned i = 0; i < 10; i++)
        sendq_push(q, UINT32_MAX);
    assert_true(sendq_is_waiting(q));
    q->sent = 4;
    assert_int_equal(sendq_seq(q, 3), 3);
    assert_int_equal(sendq_seq(q, 4), 0);
    assert_int_equal(sendq_seq(q, 65535), 0);
    sendq_free(q);
}

/* Against an array of what is done: low is the first that is not. */
static void low_follows_what_is_done(void **state)
{
    enum { N = 20000, AHEAD = 3000 };
    (void)state;
    struct random r = {11};
    uint8_t *done = calloc(N + 1, 1);
    assert_non_null(done);
    uint64_t base = 65000, low = 0, next = 0;
    struct sendq *q = sendq_new(base);
    while (low < N) {
        if (next < N && next - low < AHEAD && random_below(&r, 3)) {
            struct slot *s = sendq_push(q, UINT32_MAX);
            s->msg = message("t");
            s->state = SLOT_SENT;
            next++;
            q->sent = q->next;
        } else if (next > low) {
            uint64_t i = random_below(&r, 4) ? low : low + random_below(&r, (uint32_t)(next - low));
            if (done[i])
                continue;
            sendq_done(q, base + i);
            done[i] = 1;
        }
        while (low < next && done[low])
            low++;
        assert_int_equal(sendq_low(q), base + low);
        assert_int_equal(q->next, base + next);
        for (uint64_t i = low; i < next && i < low + 4; i++)
            assert_int_equal(sendq_find(q, base + i)->state, done[i] ? SLOT_DONE : SLOT_SENT);
        assert_null(sendq_find(q, base + next));
    }
    assert_true(q->win.mask < 4 * AHEAD); /* memory follows what is there */
    sendq_free(q);
    free(done);
}

/* A window that is full sends the rest to the tail, and so does a part that is on disk only. */
static void the_window_is_bounded(void **state)
{
    (void)state;
    struct sendq *q = sendq_new(1);
    for (uint64_t seq = 1; seq <= 20; seq++) {
        struct slot *s = sendq_push(q, 8);
        s->msg = message("t");
        assert_ptr_equal(sendq_find(q, seq), s);
    }
    assert_int_equal(q->win.end, 9);
    assert_int_equal(q->tail.first, 9);
    assert_int_equal(q->tail.end, 21);
    assert_false(sendq_has_disk_part(q));
    /* The tail was stored and leaves memory. */
    while (q->tail.first < q->tail.end)
        slot_clear(ring_at(&q->tail, q->tail.first++));
    assert_true(sendq_has_disk_part(q));
    assert_null(sendq_find(q, 12));
    q->sent = 9;
    for (uint64_t seq = 1; seq <= 8; seq++)
        sendq_done(q, seq);
    assert_int_equal(sendq_low(q), 9);
    /* There is room in the window, but what is on disk comes first. */
    sendq_push(q, 8)->msg = message("t");
    assert_true(ring_has(&q->tail, 21));
    assert_int_equal(q->win.end, 9);
    sendq_free(q);
}

/* When the disk-only part is read back and the tail has moved over, new ones go into the window again. */
static void the_window_opens_again(void **state)
{
    (void)state;
    struct sendq *q = sendq_new(1);
    for (unsigned i = 0; i < 6; i++)
        sendq_push(q, 4)->msg = message("t");
    q->sent = 5;
    for (uint64_t seq = 1; seq <= 4; seq++)
        sendq_done(q, seq);
    while (q->tail.first < q->tail.end) {
        struct slot moved = *ring_at(&q->tail, q->tail.first++);
        *ring_push(&q->win) = moved;
    }
    assert_int_equal(q->win.end, q->next);
    struct slot *s = sendq_push(q, 4);
    assert_true(ring_has(&q->win, 7));
    assert_ptr_equal(sendq_find(q, 7), s);
    assert_false(sendq_has_disk_part(q));
    sendq_free(q);
}

static void slots_keep_their_ids(void **state)
{
    (void)state;
    uint32_t ids[300];
    struct sendq *q = sendq_new(1);
    for (unsigned i = 0; i < 300; i++)
        ids[i] = 268435455u - i;
    for (uint32_t n = 0; n < 300; n++)
        slot_ids_set(sendq_push(q, UINT32_MAX), ids, n);
    for (uint32_t n = 0; n < 300; n++) {
        const struct slot *s = sendq_find(q, n + 1);
        assert_int_equal(s->ids_n, n);
        if (n)
            assert_memory_equal(slot_ids(s), ids, n * sizeof ids[0]);
    }
    q->sent = q->next;
    sendq_done(q, 1);
    slot_clear(sendq_find(q, 300));
    assert_int_equal(sendq_find(q, 300)->ids_n, 0);
    sendq_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_follow_from_numbers),  cmocka_unit_test(numbers_follow_from_ids),
        cmocka_unit_test(all_ids_in_flight),        cmocka_unit_test(only_what_was_sent_has_an_id),
        cmocka_unit_test(low_follows_what_is_done), cmocka_unit_test(the_window_is_bounded),
        cmocka_unit_test(the_window_opens_again),   cmocka_unit_test(slots_keep_their_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
