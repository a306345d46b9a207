/* SPDX-License-Identifier: Apache-2.0 */
/* Two links and a pipe between them that breaks anywhere. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cluster/core/link.h"

#include <stdlib.h>

enum { PIPE_MAX = 1 << 20, GOT_MAX = 4096 };

/* One side: its link, and what it reads from a connection. */
struct side {
    struct link link;
    uint8_t in[PIPE_MAX]; /* bytes of an unfinished frame */
    uint32_t in_n;
    uint64_t next;         /* number of the next sequenced frame on this connection */
    uint32_t got[GOT_MAX]; /* what was told by new frames */
    uint32_t got_n;
    uint32_t pings;
};

struct two {
    struct side a, b;
    uint64_t fresh;
};

static struct two *two_new(void)
{
    struct two *t = calloc(1, sizeof *t);
    assert_non_null(t);
    link_init(&t->a.link, 1000);
    link_init(&t->b.link, 1000);
    t->fresh = 100;
    return t;
}

static void two_free(struct two *t)
{
    link_fini(&t->a.link);
    link_fini(&t->b.link);
    free(t);
}

/* RESUME both ways, as the mesh does it: what each has named and received. */
static enum link_resume connect_both(struct two *t)
{
    struct link *a = &t->a.link, *b = &t->b.link;
    uint64_t conv_a = a->conversation, conv_b = b->conversation;
    uint64_t has_a = a->rx_received, has_b = b->rx_received;
    t->fresh++;
    enum link_resume ra = link_attach(a, conv_a, conv_b, has_b, t->fresh);
    enum link_resume rb = link_attach(b, conv_b, conv_a, has_a, t->fresh);
    assert_int_equal(ra, rb);
    t->a.in_n = t->b.in_n = 0;
    t->a.next = t->a.link.rx_received + 1;
    t->b.next = t->b.link.rx_received + 1;
    return ra;
}

static void disconnect_both(struct two *t)
{
    link_detach(&t->a.link);
    link_detach(&t->b.link);
}

static struct frame_buf *frame(uint32_t what, uint32_t body_n)
{
    struct frame_buf *f = frame_buf_new(body_n);
    memset(frame_buf_body(f), 0, body_n);
    be32_put(frame_buf_body(f), what);
    frame_buf_seal(f, RPC_MARK, body_n);
    return f;
}

static void push(struct side *s, uint32_t what)
{
    link_push(&s->link, frame(what, 4 + what % 7));
}

static void take_frame(struct side *s, unsigned op, struct bytes body)
{
    if (op == RPC_ACK) {
        assert_true(link_on_ack(&s->link, body));
        return;
    }
    if (rpc_op_is_control(op)) {
        assert_int_equal(op, RPC_PING);
        s->pings++;
        return;
    }
    assert_int_equal(op, RPC_MARK);
    enum link_frame v = link_on_frame(&s->link, s->next++);
    assert_int_not_equal(v, LINK_FRAME_GAP);
    if (v == LINK_FRAME_NEW) {
        assert_true(s->got_n < GOT_MAX);
        s->got[s->got_n++] = be32_get(body.p);
    }
}

/* Bytes arrive; whole frames are worked off. Whatever the pieces, the stream is frames. */
static void arrive(struct side *s, struct bytes b)
{
    assert_true(s->in_n + b.n <= PIPE_MAX);
    bytes_put(s->in + s->in_n, b);
    s->in_n += b.n;
    while (s->in_n >= RPC_FRAME_HEADER_N) {
        uint32_t n = be32_get(s->in) + 4;
        assert_in_range(n, RPC_FRAME_HEADER_N, 2000);
        assert_non_null(rpc_op_name(s->in[4]));
        if (s->in_n < n)
            return;
        take_frame(s, s->in[4], bytes_of(s->in + RPC_FRAME_HEADER_N, n - RPC_FRAME_HEADER_N));
        s->in_n -= n;
        memmove(s->in, s->in + n, s->in_n);
    }
}

/* At most `max` bytes go over, in pieces as the link offers them. Answers how many did. */
static uint32_t carry(struct side *from, struct side *to, uint32_t max, uint32_t pieces)
{
    uint32_t done = 0;
    struct bytes v[8];
    while (done < max) {
        uint32_t n = link_out_iov(&from->link, v, pieces), took = 0;
        if (!n)
            break;
        for (uint32_t i = 0; i < n && done + took < max; i++) {
            uint32_t k = v[i].n < max - done - took ? v[i].n : max - done - took;
            arrive(to, bytes_of(v[i].p, k));
            took += k;
        }
        link_out_done(&from->link, took);
        done += took;
    }
    return done;
}

/* Bytes that were given to the connection and never arrived. It has to end then. */
static void lose(struct side *from, uint32_t max)
{
    struct bytes b;
    for (; max && (b = link_out_peek(&from->link)).n; max -= b.n < max ? b.n : max)
        link_out_done(&from->link, b.n < max ? b.n : max);
}

static void carry_all(struct two *t)
{
    while (link_has_out(&t->a.link) || link_has_out(&t->b.link)) {
        carry(&t->a, &t->b, PIPE_MAX, 8);
        carry(&t->b, &t->a, PIPE_MAX, 8);
    }
}

static void expect_all(const struct side *s, uint32_t n)
{
    assert_int_equal(s->got_n, n);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(s->got[i], i);
}

/* ---- tests ---------------------------------------------------------------------------------------- */

static void nothing_is_lost_or_doubled_wherever_it_breaks(void **state)
{
    enum { FRAMES = 9 };
    (void)state;
    for (uint32_t cut = 0;; cut++) {
        struct two *t = two_new();
        assert_int_equal(connect_both(t), LINK_RESET);
        for (uint32_t i = 0; i < FRAMES; i++)
            push(&t->a, i);
        uint32_t sent = carry(&t->a, &t->b, cut, 1 + cut % 4);
        if (cut % 2) /* the acknowledgements get through, or not */
            carry(&t->b, &t->a, PIPE_MAX, 1);
        lose(&t->a, cut % 5 * 7);
        disconnect_both(t);
        assert_int_equal(connect_both(t), LINK_RESUMED);
        carry_all(t);
        expect_all(&t->b, FRAMES);
        assert_int_equal(t->a.link.ring_bytes, 0);
        two_free(t);
        if (sent < cut)
            break;
    }
}

static void it_breaks_again_and_again_in_both_directions(void **state)
{
    struct two *t = two_new();
    uint32_t random = 1, a = 0, b = 0;
    (void)state;
    connect_both(t);
    for (uint32_t round = 0; round < 1500; round++) {
        random = random * 1664525 + 1013904223;
        if (random >> 30 && a < 2000)
            push(&t->a, a++);
        if (random >> 28 & 1 && b < 2000)
            push(&t->b, b++);
        if (random >> 20 & 1)
            link_push_control(&t->a.link, RPC_PING, bytes_of(NULL, 0));
        carry(&t->a, &t->b, random >> 8 & 31, 1 + (random >> 13 & 3));
        carry(&t->b, &t->a, random >> 4 & 31, 1 + (random >> 15 & 3));
        if ((random >> 16 & 15) == 0) {
            lose(&t->a, random >> 10 & 63);
            lose(&t->b, random >> 12 & 31);
            disconnect_both(t);
            assert_int_equal(connect_both(t), LINK_RESUMED);
        }
    }
    carry_all(t);
    expect_all(&t->b, a);
    expect_all(&t->a, b);
    assert_true(t->a.link.resent > 0);
    assert_true(t->b.pings > 0);
    two_free(t);
}

/* arrive() demands frames: a control frame amid another one would show as nonsense. */
static void control_frames_stand_between_whole_frames(void **state)
{
    (void)state;
    for (uint32_t at = 0; at < 40; at++) {
        struct two *t = two_new();
        connect_both(t);
        push(&t->a, 0);
        push(&t->a, 1);
        carry(&t->a, &t->b, at, 1);
        link_push_control(&t->a.link, RPC_PING, bytes_of(NULL, 0));
        push(&t->b, 0);
        carry(&t->b, &t->a, PIPE_MAX, 1); /* so that an ACK is due as well */
        carry(&t->a, &t->b, 3, 1);
        link_push_control(&t->a.link, RPC_PING, bytes_of(NULL, 0));
        carry_all(t);
        assert_int_equal(t->b.pings, 2);
        expect_all(&t->b, 2);
        assert_int_equal(t->b.link.ring_bytes, 0);
        two_free(t);
    }
}

static void control_frames_belong_to_one_connection(void **state)
{
    struct two *t = two_new();
    (void)state;
    link_push_control(&t->a.link, RPC_PING, bytes_of(NULL, 0));
    connect_both(t);
    assert_false(link_has_out(&t->a.link));
    link_push_control(&t->a.link, RPC_PING, bytes_of(NULL, 0));
    carry(&t->a, &t->b, 3, 1);
    disconnect_both(t);
    connect_both(t);
    carry_all(t);
    assert_int_equal(t->b.pings, 0);
    two_free(t);
}

static void an_ack_that_claims_too_much_is_refused(void **state)
{
    struct two *t = two_new();
    uint8_t body[8];
    (void)state;
    connect_both(t);
    push(&t->a, 0);
    push(&t->a, 1);
    be64_put(body, 1);
    assert_false(link_on_ack(&t->a.link, bytes_of(body, 8))); /* nothing has been sent */
    carry(&t->a, &t->b, 10, 1);                               /* the first, and a part of the second */
    be64_put(body, 2);
    assert_false(link_on_ack(&t->a.link, bytes_of(body, 8)));
    be64_put(body, UINT64_MAX);
    assert_false(link_on_ack(&t->a.link, bytes_of(body, 8)));
    be64_put(body, 1);
    for (uint32_t n = 0; n < 8; n++)
        assert_false(link_on_ack(&t->a.link, bytes_of(body, n)));
    assert_true(link_on_ack(&t->a.link, bytes_of(body, 8)));
    assert_int_equal(t->a.link.tx_acked, 2);
    assert_true(link_on_ack(&t->a.link, bytes_of(body, 8))); /* again: no harm */
    be64_put(body, 0);
    assert_true(link_on_ack(&t->a.link, bytes_of(body, 8)));
    assert_int_equal(t->a.link.tx_acked, 2);
    carry_all(t);
    expect_all(&t->b, 2);
    two_free(t);
}

static void impossible_claims_do_not_attach(void **state)
{
    struct two *t = two_new();
    (void)state;
    connect_both(t);
    for (uint32_t i = 0; i < 4; i++)
        push(&t->a, i);
    carry_all(t);
    push(&t->a, 4);
    disconnect_both(t);
    uint64_t conv = t->a.link.conversation;
    /* Confirmed are 1..4, made are 1..5. */
    static const uint64_t bad[] = {0, 3, 6, 7, UINT64_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(link_attach(&t->a.link, conv, conv, bad[i], 1), LINK_IMPOSSIBLE);
        assert_false(t->a.link.is_attached);
        assert_false(link_has_out(&t->a.link));
    }
    assert_int_equal(link_attach(&t->a.link, conv, conv, 5, 1), LINK_RESUMED);
    assert_int_equal(t->a.link.ring_bytes, 0);
    two_free(t);
}

static void who_forgot_begins_a_new_conversation(void **state)
{
    struct two *t = two_new();
    (void)state;
    connect_both(t);
    for (uint32_t i = 0; i < 5; i++)
        push(&t->a, i + 1000);
    carry(&t->a, &t->b, 25, 1);
    disconnect_both(t);
    link_fini(&t->b.link); /* restarted */
    link_init(&t->b.link, 1000);
    t->b.got_n = 0;
    assert_int_equal(connect_both(t), LINK_RESET);
    assert_int_equal(t->a.link.conversation, t->b.link.conversation);
    assert_int_equal(t->a.link.conversation, t->fresh);
    assert_int_equal(t->a.link.ring_bytes, 0); /* the owner repeats what must be repeated */
    assert_false(link_has_out(&t->a.link));
    assert_int_equal(link_push(&t->a.link, frame(0, 4)), 1);
    push(&t->a, 1);
    push(&t->b, 0);
    carry_all(t);
    expect_all(&t->b, 2);
    expect_all(&t->a, 1);
    two_free(t);
}

static void the_ring_grows_and_says_when_it_is_full(void **state)
{
    struct two *t = two_new();
    uint32_t n = 0;
    (void)state;
    connect_both(t);
    for (; n < 50; n++) /* what is freed in front makes the places wander */
        push(&t->a, n);
    carry_all(t);
    assert_int_equal(link_room(&t->a.link), LINK_OPEN);
    while (t->a.link.ring_bytes <= 500)
        push(&t->a, n++);
    assert_int_equal(link_room(&t->a.link), LINK_CONGESTED);
    while (t->a.link.ring_bytes < 1000)
        push(&t->a, n++);
    assert_int_equal(link_room(&t->a.link), LINK_FULL);
    for (uint32_t i = 0; i < 1000; i++) /* never refused */
        push(&t->a, n++);
    carry_all(t);
    expect_all(&t->b, n);
    assert_int_equal(link_room(&t->a.link), LINK_OPEN);
    two_free(t);
}

static void frames_that_came_before_are_known_and_gaps_are_found(void **state)
{
    struct link l;
    (void)state;
    link_init(&l, 1000);
    assert_int_equal(link_on_frame(&l, 2), LINK_FRAME_GAP);
    assert_int_equal(link_on_frame(&l, 1), LINK_FRAME_NEW);
    assert_int_equal(link_on_frame(&l, 1), LINK_FRAME_OLD);
    assert_int_equal(link_on_frame(&l, 2), LINK_FRAME_NEW);
    assert_int_equal(link_on_frame(&l, 1), LINK_FRAME_OLD);
    assert_int_equal(link_on_frame(&l, 4), LINK_FRAME_GAP);
    assert_int_equal(l.rx_received, 2);
    link_fini(&l);
}

static void frames_are_counted(void **state)
{
    struct two *t = two_new();
    struct frame_buf *f = frame_buf_ref(frame(0, 4));
    (void)state;
    connect_both(t);
    link_push(&t->a.link, f);
    assert_int_equal(f->refs, 2);
    carry_all(t);
    assert_int_equal(f->refs, 1);
    f = frame_buf_room(f, 5000);
    assert_true(f->cap >= 5000 + RPC_FRAME_HEADER_N);
    assert_int_equal(be32_get(frame_buf_body(f)), 0);
    frame_buf_unref(f);
    frame_buf_unref(NULL);
    two_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_doubled_wherever_it_breaks),
        cmocka_unit_test(it_breaks_again_and_again_in_both_directions),
        cmocka_unit_test(control_frames_stand_between_whole_frames),
        cmocka_unit_test(control_frames_belong_to_one_connection),
        cmocka_unit_test(an_ack_that_claims_too_much_is_refused),
        cmocka_unit_test(impossible_claims_do_not_attach),
        cmocka_unit_test(who_forgot_begins_a_new_conversation),
        cmocka_unit_test(the_ring_grows_and_says_when_it_is_full),
        cmocka_unit_test(frames_that_came_before_are_known_and_gaps_are_found),
        cmocka_unit_test(frames_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
