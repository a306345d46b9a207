/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/ioconn_private.h"

#include "proto/base/check.h"

#include <stdlib.h>

enum {
    TAIL_COPY_MAX = 8192,      /* a tail up to this is copied in front of what is read next */
    PACED_READ_MAX = 16384,    /* of a client that may be paused for what it sends, and keeps the rest */
    TAIL_GROW_MIN = 16 * 1024, /* the first own buffer of a larger packet */
    IOV_MAX_FLUSH = 64,
};

/* ---- the tail -------------------------------------------------------------------------------------- */

static bool tail_reserve(struct ioconn *ic, size_t cap)
{
    struct ioconn_tail *t;

    if (ic->tail && cap <= ic->tail->cap)
        return true;
    t = realloc(ic->tail, sizeof *t + cap);
    if (!t)
        return false;
    if (!ic->tail)
        t->n = t->need = 0;
    t->cap = (uint32_t)cap;
    ic->tail = t;
    return true;
}

static void tail_set_n(struct ioconn *ic, size_t n)
{
    if (ic->state == IOCONN_WAIT)
        ic->worker->wait_bytes += n - ic->tail->n;
    ic->tail->n = (uint32_t)n;
}

static void tail_drop(struct ioconn *ic)
{
    if (!ic->tail)
        return;
    tail_set_n(ic, 0);
    free(ic->tail);
    ic->tail = NULL;
}

bool ioconn_tail_keep(struct ioconn *ic, const uint8_t *p, size_t n)
{
    struct ioconn_tail *t = ic->tail;

    if (n == 0) {
        tail_drop(ic);
        return true;
    }
    if (t && p >= t->bytes && p < t->bytes + t->cap) {
        memmove(t->bytes, p, n);
    } else {
        /* The rest of a packet often comes in small pieces: a little room saves most reallocations. */
        if ((!t || n > t->cap) && !tail_reserve(ic, (n + n / 2 + 63) & ~(size_t)63))
            return false;
        memcpy(ic->tail->bytes, p, n);
    }
    tail_set_n(ic, n);
    return true;
}

/* ---- reading --------------------------------------------------------------------------------------- */

/* A large packet is read where it is going to stay, into a buffer that grows as its bytes arrive. */
static ssize_t gather_large(struct ioconn *ic, uint8_t **p, size_t *n)
{
    struct worker *w = ic->worker;
    struct ioconn_tail *t = ic->tail;
    size_t cap = (size_t)t->n * 2;
    ssize_t r;

    if (cap < TAIL_GROW_MIN)
        cap = TAIL_GROW_MIN;
    if (t->need && cap > t->need)
        cap = t->need;
    if (t->n == t->cap && !tail_reserve(ic, cap))
        return TRANSPORT_LOST;
    t = ic->tail;
    if (cap > t->cap)
        cap = t->cap;
    r = transport_recv(ic->transport, ioconn_fd(ic), &w->env, t->bytes + t->n, cap - t->n);
    if (r > 0)
        tail_set_n(ic, t->n + (size_t)r);
    *p = t->bytes;
    *n = t->n;
    return r;
}

ssize_t ioconn_gather(struct ioconn *ic, uint8_t **p, size_t *n)
{
    struct worker *w = ic->worker;
    const struct ioconn_tail *t = ic->tail;
    size_t had = t ? t->n : 0;
    ssize_t r;

    if (t && (t->n > TAIL_COPY_MAX || t->need > WORKER_SCRATCH / 2)) {
        r = gather_large(ic, p, n);
    } else {
        if (had)
            memcpy(w->scratch, t->bytes, had);
        bool is_paced = unlikely(ic->state == IOCONN_CORE && ic->u.core.pace != NULL);
        size_t room = is_paced ? PACED_READ_MAX : WORKER_SCRATCH - had;
        r = transport_recv(ic->transport, ioconn_fd(ic), &w->env, w->scratch + had, room);
        *p = w->scratch;
        *n = had + (size_t)(r > 0 ? r : 0);
    }
    if (r > 0)
        stat_add(&w->stats.recv_bytes, (uint64_t)r);
    return r;
}

static void lost(struct ioconn *ic, enum conn_end end)
{
    struct conn *c = &ic->u.core;

    conn_on_lost(c, end);
    shard_dirty_add(ic->worker->shard, c);
}

void ioconn_feed(struct ioconn *ic, uint8_t *p, size_t n)
{
    struct conn *c = &ic->u.core;
    size_t used = conn_feed(c, p, n);

    if (c->state == CONN_CLOSING) {
        tail_drop(ic);
        return;
    }
    if (!ioconn_tail_keep(ic, p + used, n - used))
        lost(ic, CONN_END_LOST);
    /* Paused with whole packets left: they are fed again, without reading, when it goes on. */
    else if (ic->tail)
        ic->tail->need = c->read_paused ? 0 : (uint32_t)conn_need(c, ic->tail->bytes, ic->tail->n);
}

static void core_read(struct ioconn *ic)
{
    struct conn *c = &ic->u.core;
    uint8_t *p;
    size_t n;
    ssize_t r;

    if (c->state == CONN_CLOSING || c->read_paused)
        return;
    r = ioconn_gather(ic, &p, &n);
    if (likely(r > 0)) {
        if (likely(!ic->tail || n >= ic->tail->need))
            ioconn_feed(ic, p, n);
        else if (!ioconn_tail_keep(ic, p, n))
            lost(ic, CONN_END_LOST);
    } else if (r == TRANSPORT_FAULT) {
        worker_count_fault(ic->worker, ic, &c->peer, ic->worker->env.fault);
        lost(ic, CONN_END_TRANSPORT);
    } else if (r != TRANSPORT_AGAIN) {
        lost(ic, CONN_END_LOST);
    }
    if (unlikely(ic->transport) && c->state != CONN_CLOSING) {
        if (transport_wants_write(ic->transport))
            shard_dirty_add(ic->worker->shard, c);
        if (transport_has_input(ic->transport))
            worker_again(ic->worker, ic);
    }
}

void ioconn_read(struct ioconn *ic)
{
    switch ((enum ioconn_state)ic->state) {
    case IOCONN_WAIT:
        ioconn_wait_read(ic);
        break;
    case IOCONN_CORE:
        core_read(ic);
        break;
    case IOCONN_CLOSING:
        break;
    case IOCONN_LINGER:
        ioconn_linger_read(ic);
        break;
    }
}

/* ---- writing --------------------------------------------------------------------------------------- */

ssize_t ioconn_flush(struct ioconn *ic)
{
    struct worker *w = ic->worker;
    struct outbuf *out = &ic->u.core.out;
    struct iovec iov[IOV_MAX_FLUSH];

    while (!outbuf_is_empty(out)) {
        int n = outbuf_iov(out, iov, IOV_MAX_FLUSH);
        size_t all = 0;
        ssize_t r;

        for (int i = 0; i < n; i++)
            all += iov[i].iov_len;
        r = transport_send(ic->transport, ioconn_fd(ic), &w->env, iov, n);
        if (r < 0)
            return r;
        stat_add(&w->stats.send_bytes, (uint64_t)r);
        outbuf_consume(out, shard_outpool(w->shard), (size_t)r);
        /* The socket is full; asking again would only be told so. */
        if ((size_t)r < all)
            return TRANSPORT_AGAIN;
    }
    if (likely(!ic->transport))
        return 0;
    ssize_t r = transport_send(ic->transport, ioconn_fd(ic), &w->env, NULL, 0);
    if (transport_has_input(ic->transport))
        worker_again(w, ic);
    return r;
}

/* What is sent makes room for more; the rest of the world has its turn first. */
static void on_drained(struct ioconn *ic)
{
    struct conn *c = &ic->u.core;

    if (!c->write_blocked && !c->out_waits)
        return;
    c->write_blocked = 0;
    ic->resume = 1;
    worker_again(ic->worker, ic);
}

static void core_write(struct ioconn *ic)
{
    ssize_t r = ioconn_flush(ic);

    if (likely(r >= 0)) {
        if (unlikely(ic->watching & EV_WRITE))
            ioconn_watch(ic, ic->watching & ~EV_WRITE);
        on_drained(ic);
    } else if (r == TRANSPORT_AGAIN) {
        ic->u.core.write_blocked = 1;
        ioconn_watch(ic, ic->watching | EV_WRITE);
    } else {
        lost(ic, CONN_END_LOST);
    }
}

/* Is there something to go on with that no event will bring? The socket may still be watched: the pause can
 * have been over before this turn was. */
static bool is_to_resume(const struct ioconn *ic)
{
    return !(ic->watching & EV_READ) || (ic->tail && ic->tail->need == 0);
}

void ioconn_on_dirty(struct conn *c)
{
    struct ioconn *ic = container_of(c, struct ioconn, u.core);

    if (c->state == CONN_CLOSING) {
        ioconn_close_step(ic);
        return;
    }
    if (!c->write_blocked && likely(!c->out_held))
        core_write(ic);
    if (c->state == CONN_CLOSING)
        return;
    if (unlikely(c->read_paused)) {
        if (ic->watching & EV_READ)
            ioconn_watch(ic, ic->watching & ~EV_READ);
    } else if (unlikely(is_to_resume(ic))) {
        worker_again(ic->worker, ic);
    }
}

/* Reading goes on after a pause: first with what was left. */
static void core_resume_reading(struct ioconn *ic)
{
    struct conn *c = &ic->u.core;

    if (ic->tail && ic->tail->need == 0)
        ioconn_feed(ic, ic->tail->bytes, ic->tail->n);
    if (c->state != CONN_CLOSING && !c->read_paused)
        ioconn_watch(ic, ic->watching | EV_READ);
}

void ioconn_on_again(struct ioconn *ic)
{
    struct conn *c = &ic->u.core;

    if (ic->state == IOCONN_CORE && c->state != CONN_CLOSING) {
        if (ic->resume) {
            ic->resume = 0;
            conn_on_writable(c);
        }
        if (c->state != CONN_CLOSING && !c->read_paused && is_to_resume(ic))
            core_resume_reading(ic);
    }
    if (transport_has_input(ic->transport))
        ioconn_read(ic);
}

static void on_writable(struct ioconn *ic)
{
    switch ((enum ioconn_state)ic->state) {
    case IOCONN_WAIT:
        ioconn_watch(ic, EV_READ);
        ioconn_wait_read(ic);
        break;
    case IOCONN_CORE:
        if (ic->u.core.state != CONN_CLOSING)
            core_write(ic);
        break;
    case IOCONN_CLOSING:
        ioconn_close_step(ic);
        break;
    case IOCONN_LINGER:
        break;
    }
}

void ioconn_on_event(evutil_socket_t fd, short what, void *arg)
{
    struct ioconn *ic = arg;

    (void)fd;
    worker_enter(ic->worker);
    /* One of both a call: the connection may be gone after it, and a level-triggered event comes again. */
    if (unlikely(what & EV_WRITE))
        on_writable(ic);
    else
        ioconn_read(ic);
}
