/* SPDX-License-Identifier: Apache-2.0 */
/* The out buffer against a plain array of bytes: copied bytes and referenced payloads, random partial writes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "node/core/outbuf.h"
#include "tests/unit/core/random.h"

enum { STREAM_MAX = 4 << 20, PAYLOADS = 6, IOV_MAX_USED = 16 };

struct model {
    struct random random;
    struct outpool pool;
    struct outbuf out;
    struct msg *payloads[PAYLOADS];
    uint8_t *bytes; /* what was put in and not taken out: from..to */
    size_t from;
    size_t to;
    uint8_t next;
};

static struct msg *payload_new(struct random *r, uint32_t n)
{
    uint8_t *p = malloc(n);
    assert_non_null(p);
    for (uint32_t i = 0; i < n; i++)
        p[i] = (uint8_t)random_u32(r);
    struct message_in m = {.topic = bytes_str("t"), .payload = bytes_of(p, n)};
    struct msg *msg = msg_new(&m, 1, 0);
    assert_non_null(msg);
    free(p);
    return msg;
}

static struct model *model_new(uint64_t seed)
{
    static const uint32_t sizes[PAYLOADS] = {1, 17, OUTBUF_REF_MIN, 9000, 30000, 100000};
    struct model *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->random.x = seed;
    m->bytes = malloc(STREAM_MAX);
    assert_non_null(m->bytes);
    outpool_init(&m->pool);
    for (unsigned i = 0; i < PAYLOADS; i++)
        m->payloads[i] = payload_new(&m->random, sizes[i]);
    return m;
}

/* Nothing of what went through the buffer is still held by it. */
static void model_free(struct model *m)
{
    outbuf_fini(&m->out, &m->pool);
    assert_int_equal(m->pool.bytes, 0);
    for (unsigned i = 0; i < PAYLOADS; i++) {
        assert_int_equal(m->payloads[i]->refs, 1);
        msg_unref(m->payloads[i]);
    }
    outpool_fini(&m->pool);
    free(m->bytes);
    free(m);
}

static void model_append(struct model *m, const void *p, size_t n)
{
    if (m->to + n > STREAM_MAX) {
        memmove(m->bytes, m->bytes + m->from, m->to - m->from);
        m->to -= m->from;
        m->from = 0;
    }
    assert_true(m->to + n <= STREAM_MAX);
    memcpy(m->bytes + m->to, p, n);
    m->to += n;
}

static void put_bytes(struct model *m)
{
    static uint8_t buf[200000];
    static const uint32_t sizes[] = {4, 60, 300, 300, 5000, 70000, 200000};
    uint32_t n = random_below(&m->random, sizes[random_below(&m->random, 7)]);
    for (uint32_t i = 0; i < n; i++)
        buf[i] = m->next++;
    uint8_t *p = outbuf_reserve(&m->out, &m->pool, n + 10); /* more than is used in the end */
    outbuf_commit(&m->out, bytes_put(p, bytes_of(buf, n)));
    model_append(m, buf, n);
}

static void put_payload(struct model *m)
{
    struct msg *msg = m->payloads[random_below(&m->random, PAYLOADS)];
    struct bytes b = msg_payload(msg);
    outbuf_push_payload(&m->out, msg);
    model_append(m, b.p, b.n);
}

/* What is offered is the beginning of the stream, and all of it when there are entries enough. */
static size_t check_iov(struct model *m, int iov_max)
{
    struct iovec iov[IOV_MAX_USED];
    size_t total = 0;
    int n = outbuf_iov(&m->out, iov, iov_max);
    assert_true(n >= 0 && n <= iov_max);
    assert_int_equal(outbuf_bytes(&m->out), m->to - m->from);
    for (int i = 0; i < n; i++) {
        assert_true(iov[i].iov_len > 0);
        assert_true(total + iov[i].iov_len <= m->to - m->from);
        assert_memory_equal(iov[i].iov_base, m->bytes + m->from + total, iov[i].iov_len);
        total += iov[i].iov_len;
    }
    assert_int_equal(n > 0, m->to > m->from);
    if (m->out.segs_n * 2 + 1 <= (uint32_t)iov_max)
        assert_int_equal(total, m->to - m->from);
    return total;
}

static void take(struct model *m)
{
    size_t offered = check_iov(m, 3 + (int)random_below(&m->random, IOV_MAX_USED - 2));
    size_t n = random_below(&m->random, 3) ? random_below(&m->random, (uint32_t)offered + 1) : offered;
    outbuf_consume(&m->out, &m->pool, n);
    m->from += n;
    assert_int_equal(outbuf_bytes(&m->out), m->to - m->from);
    assert_int_equal(outbuf_is_empty(&m->out), m->to == m->from);
    assert_int_equal(m->pool.bytes, m->out.cap);
    if (m->to == m->from)
        assert_null(m->out.buf);
}

static void carries_bytes_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct model *m = model_new(seed);
        uint32_t drains = seed & 1 ? 3 : 6;
        for (unsigned i = 0; i < 6000; i++) {
            uint32_t k = random_below(&m->random, 8);
            if (k < drains || m->to - m->from > 2 << 20)
                take(m);
            else if (k == 7)
                put_payload(m);
            else
                put_bytes(m);
        }
        if (seed % 3 == 0) {
            while (m->to > m->from)
                take(m);
        }
        model_free(m);
    }
}

/* A reader that never quite catches up: memory stays near what is unsent. */
static void does_not_grow_while_it_trickles(void **state)
{
    (void)state;
    struct model *m = model_new(3);
    uint8_t packet[100] = {7};
    for (unsigned i = 0; i < 20000; i++) {
        outbuf_commit(&m->out, bytes_put(outbuf_reserve(&m->out, &m->pool, sizeof packet),
                                         bytes_of(packet, sizeof packet)));
        if (i)
            outbuf_consume(&m->out, &m->pool, sizeof packet);
        assert_true(m->out.cap <= 1024);
    }
    assert_int_equal(outbuf_bytes(&m->out), sizeof packet);
    model_free(m);
}

/* Payloads behind each other, more than there are entries: they leave in turn. */
static void payloads_side_by_side(void **state)
{
    (void)state;
    struct model *m = model_new(4);
    for (unsigned i = 0; i < 20; i++)
        put_payload(m);
    put_bytes(m);
    for (int iov_max = 3; iov_max <= IOV_MAX_USED; iov_max++)
        check_iov(m, iov_max);
    while (m->to > m->from)
        take(m);
    model_free(m);
}

/* Freed buffers are used again, and one pool serves many connections. */
static void the_pool_lends_buffers(void **state)
{
    (void)state;
    struct outpool p;
    struct outbuf o[3] = {{0}};
    outpool_init(&p);
    uint8_t *first = outbuf_reserve(&o[0], &p, 100);
    outbuf_commit(&o[0], first + 100);
    assert_int_equal(p.bytes, 256);
    outbuf_consume(&o[0], &p, 100);
    assert_int_equal(p.bytes, 0);
    assert_ptr_equal(outbuf_reserve(&o[1], &p, 200), first);
    assert_ptr_not_equal(outbuf_reserve(&o[2], &p, 200), first);
    assert_int_equal(p.bytes, 512);
    outbuf_fini(&o[1], &p);
    outbuf_fini(&o[2], &p);
    assert_int_equal(p.bytes, 0);
    outpool_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_bytes_in_order),
        cmocka_unit_test(does_not_grow_while_it_trickles),
        cmocka_unit_test(payloads_side_by_side),
        cmocka_unit_test(the_pool_lends_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
