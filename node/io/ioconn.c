/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/ioconn_private.h"

#include "node/io/transport_proxy.h"
#include "proto/base/check.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- life ------------------------------------------------------------------------------------------ */

static void wait_link(struct ioconn *ic, enum acceptor_wait list)
{
    struct acceptor *a = ic->acceptor;

    ic->deadline_ms = (uint32_t)ic->worker->now_ms + a->wait_ms[list];
    list_push(&a->waiting[list], &ic->u.bare.link);
    a->waiting_n++;
    atomic_fetch_add_explicit(&ic->worker->stats.half_open, 1, memory_order_relaxed);
}

static void wait_unlink(struct ioconn *ic)
{
    list_del(&ic->u.bare.link);
    ic->acceptor->waiting_n--;
    ic->worker->wait_bytes -= ioconn_tail_n(ic);
    atomic_fetch_sub_explicit(&ic->worker->stats.half_open, 1, memory_order_relaxed);
}

struct ioconn *ioconn_new(struct acceptor *a, struct listener_conf *conf, int fd,
                          const struct conn_peer *peer, struct transport *transport)
{
    struct ioconn *ic = malloc(sizeof *ic);

    if (!ic)
        return NULL;
    ic->u.bare.peer = *peer;
    ic->worker = a->worker;
    ic->acceptor = a;
    ic->conf = conf;
    atomic_fetch_add_explicit(&conf->users, 1, memory_order_relaxed);
    ic->transport = transport;
    ic->tail = NULL;
    ic->state = IOCONN_WAIT;
    ic->watching = 0;
    ic->resume = 0;
    ic->was_open = 0;
    list_init(&ic->again);
    event_assign(&ic->event, a->worker->base, fd, 0, ioconn_on_event, ic);
    wait_link(ic, transport ? WAIT_HANDSHAKE : WAIT_CONNECT);
    atomic_fetch_add_explicit(&a->worker->stats.connections, 1, memory_order_relaxed);
    return ic;
}

/* The last of it. What state it was in is dealt with. */
static void ioconn_free(struct ioconn *ic)
{
    struct worker *w = ic->worker;

    ioconn_watch(ic, 0);
    close(ioconn_fd(ic));
    transport_free(ic->transport, &w->env);
    free(ic->tail);
    list_del(&ic->again);
    atomic_fetch_sub_explicit(&ic->conf->users, 1, memory_order_release); /* the last that it does with it */
    atomic_fetch_sub_explicit(&ic->acceptor->listener->connections, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&w->stats.connections, 1, memory_order_relaxed);
    free(ic);
}

void ioconn_cut(struct ioconn *ic)
{
    switch ((enum ioconn_state)ic->state) {
    case IOCONN_WAIT:
        stat_add(&ic->acceptor->shut_before_connect, 1);
        wait_unlink(ic);
        break;
    case IOCONN_CORE:
        CHECK(!"an open connection is ended by its core");
        break;
    case IOCONN_CLOSING:
        conn_fini(&ic->u.core);
        break;
    case IOCONN_LINGER:
        list_del(&ic->u.bare.link);
        ic->worker->linger_n--;
        break;
    }
    ioconn_free(ic);
}

void ioconn_watch(struct ioconn *ic, short what)
{
    if (ic->watching == what)
        return;
    if (ic->watching)
        event_del(&ic->event);
    if (what) {
        event_assign(&ic->event, ic->worker->base, ioconn_fd(ic), what | EV_PERSIST, ioconn_on_event, ic);
        /* When the kernel refuses it, for lack of memory, nothing more is heard of this connection and its
         * time-outs end it. */
        if (event_add(&ic->event, NULL) != 0)
            LOG(ic->worker->io->log, LOG_ERROR, "io watch_failed fd=%d", ioconn_fd(ic));
    }
    ic->watching = (uint8_t)what;
}

/* ---- the end --------------------------------------------------------------------------------------- */

/* Everything is sent. The socket is not closed yet when the peer may still be sending: what arrives at a
 * closed socket is answered by a reset, which can destroy our last words before the peer has read them. */
static void linger(struct ioconn *ic)
{
    struct worker *w = ic->worker;

    if (w->linger_n >= WORKER_LINGER_MAX || shutdown(ioconn_fd(ic), SHUT_WR) != 0) {
        ioconn_free(ic);
        return;
    }
    transport_free(ic->transport, &w->env);
    ic->transport = NULL;
    free(ic->tail);
    ic->tail = NULL;
    list_del(&ic->again);
    ic->state = IOCONN_LINGER;
    ic->deadline_ms = (uint32_t)w->now_ms + (w->is_stopping ? WORKER_LINGER_STOP_MS : WORKER_LINGER_MS);
    list_push(&w->linger, &ic->u.bare.link);
    w->linger_n++;
    ioconn_watch(ic, EV_READ);
}

void ioconn_linger_read(struct ioconn *ic)
{
    ssize_t n = transport_fd_recv(ioconn_fd(ic), ic->worker->scratch, WORKER_SCRATCH);

    if (n < 0 && n != TRANSPORT_AGAIN)
        ioconn_cut(ic);
}

/* The last words of the core and then those of the filters: 0 when they are sent. */
static ssize_t say_goodbye(struct ioconn *ic)
{
    const struct conn *c = &ic->u.core;
    ssize_t r = 0;

    /* To a peer that has ended or broken its stream the core has nothing to say. */
    if (c->end != CONN_END_LOST && c->end != CONN_END_TRANSPORT)
        r = ioconn_flush(ic);
    else if (c->end == CONN_END_LOST && !ic->transport)
        r = TRANSPORT_LOST;
    return r < 0 ? r : transport_shutdown(ic->transport, &ic->worker->env);
}

void ioconn_close_step(struct ioconn *ic)
{
    struct worker *w = ic->worker;
    struct conn *c = &ic->u.core;
    ssize_t r = say_goodbye(ic);
    bool peer_ended;

    if (r == TRANSPORT_AGAIN) {
        if (ic->state != IOCONN_CLOSING) {
            ic->state = IOCONN_CLOSING;
            ic->deadline_ms = (uint32_t)w->now_ms + WORKER_CLOSING_MS;
            list_del(&ic->again);
            list_push(&w->closing, &ic->again);
        }
        ioconn_watch(ic, EV_WRITE);
        return;
    }
    peer_ended = c->end == CONN_END_CLIENT || r < 0;
    conn_fini(c);
    if (peer_ended)
        ioconn_free(ic);
    else
        linger(ic);
}

/* ---- before CONNECT -------------------------------------------------------------------------------- */

/* Bytes at p, which are the tail's or the scratch buffer's, go to the core of w. */
static void attach(struct ioconn *ic, struct worker *w, uint8_t *p, size_t n)
{
    struct conn_peer peer = ic->u.bare.peer;

    ic->worker = w;
    ic->state = IOCONN_CORE;
    conn_init(&ic->u.core, w->shard, ic->conf->c.settings, &peer);
    ic->u.core.identity = transport_identity(ic->transport);
    ioconn_feed(ic, p, n);
    if (ic->u.core.state == CONN_CLOSING)
        return;
    if (!ic->u.core.read_paused)
        ioconn_watch(ic, EV_READ);
    if (transport_has_input(ic->transport))
        worker_again(w, ic);
}

void ioconn_on_arrival(struct ioconn *ic, struct worker *w)
{
    int fd = ioconn_fd(ic);

    ic->worker = w;
    event_assign(&ic->event, w->base, fd, 0, ioconn_on_event, ic);
    atomic_fetch_add_explicit(&w->stats.connections, 1, memory_order_relaxed);
    if (w->is_stopping) {
        ioconn_free(ic);
        return;
    }
    attach(ic, w, ic->tail->bytes, ic->tail->n);
}

static void hand_over(struct ioconn *ic, uint32_t to, const uint8_t *p, size_t n)
{
    struct worker *w = ic->worker;

    if (!ioconn_tail_keep(ic, p, n)) {
        ioconn_cut(ic);
        return;
    }
    wait_unlink(ic);
    ioconn_watch(ic, 0);
    list_del(&ic->again);
    atomic_fetch_sub_explicit(&w->stats.connections, 1, memory_order_relaxed);
    worker_hand_over(w, to, ic);
}

/* What else is often sent to a port where MQTT is expected. */
static enum transport_fault foreign(const uint8_t *p, size_t n)
{
    static const char verbs[][5] = {"GET ", "POST", "HEAD", "PUT ", "OPTI", "DELE", "CONN", "PATC", "PRI "};

    if (n >= 2 && p[0] == 0x16 && p[1] == 0x03)
        return TRANSPORT_FAULT_PLAIN_TLS;
    for (size_t i = 0; n >= 4 && i < array_len(verbs); i++)
        if (memcmp(p, verbs[i], 4) == 0)
            return TRANSPORT_FAULT_PLAIN_HTTP;
    return TRANSPORT_FAULT_NONE;
}

static void wait_fault(struct ioconn *ic, enum transport_fault fault)
{
    struct worker *w = ic->worker;

    worker_count_fault(w, ic, &ic->u.bare.peer, fault);
    stat_add(&ic->acceptor->shut_before_connect, 1);
    wait_unlink(ic);
    /* What a filter has to say (an HTTP status, a TLS alert) is small: a fresh socket takes it. */
    if (transport_shutdown(ic->transport, &w->env) == 0)
        linger(ic);
    else
        ioconn_free(ic);
}

static void wait_more(struct ioconn *ic, const uint8_t *p, size_t n)
{
    struct worker *w = ic->worker;

    if (w->wait_bytes - ioconn_tail_n(ic) + n > WORKER_WAIT_BYTES_MAX || !ioconn_tail_keep(ic, p, n)) {
        stat_add(&ic->acceptor->refused[IO_REFUSED_MEMORY], 1);
        ioconn_cut(ic);
        return;
    }
    ioconn_watch(ic, EV_READ);
}

/* The first n bytes of the connection are at p. */
static void wait_look(struct ioconn *ic, uint8_t *p, size_t n)
{
    struct worker *w = ic->worker;
    const struct settings *settings = ic->conf->c.settings;
    enum transport_fault fault = foreign(p, n);
    uint32_t home = w->number;
    struct bytes client_id;

    if (fault != TRANSPORT_FAULT_NONE) {
        wait_fault(ic, fault);
        return;
    }
    switch (conn_peek(p, n, settings, &client_id)) {
    case CONN_PEEK_MORE:
        wait_more(ic, p, n);
        return;
    case CONN_PEEK_HERE:
        break;
    case CONN_PEEK_ID:
        home = node_home(w->io->node, client_id);
        break;
    }
    if (home != w->number) {
        hand_over(ic, home, p, n);
        return;
    }
    wait_unlink(ic);
    attach(ic, w, p, n);
}

/* The filters' own bytes are sent at once: nobody else has anything to send yet. */
static void wait_transport(struct ioconn *ic)
{
    struct worker *w = ic->worker;

    if (transport_wants_write(ic->transport))
        transport_send(ic->transport, ioconn_fd(ic), &w->env, NULL, 0);
    if (!ic->was_open && transport_is_open(ic->transport)) {
        ic->was_open = 1;
        transport_proxy_peer(ic->transport, &ic->u.bare.peer);
        wait_unlink(ic);
        w->wait_bytes += ioconn_tail_n(ic);
        wait_link(ic, WAIT_CONNECT);
    }
}

void ioconn_wait_read(struct ioconn *ic)
{
    struct worker *w = ic->worker;
    uint8_t *p;
    size_t n;
    ssize_t r = ioconn_gather(ic, &p, &n);

    if (ic->transport && r != TRANSPORT_FAULT)
        wait_transport(ic);
    if (r == TRANSPORT_AGAIN || r > 0) {
        if (transport_has_input(ic->transport))
            worker_again(w, ic);
    }
    if (r > 0) {
        wait_look(ic, p, n);
    } else if (r == TRANSPORT_AGAIN) {
        ioconn_watch(ic, transport_wants_write(ic->transport) ? EV_READ | EV_WRITE : EV_READ);
    } else if (r == TRANSPORT_FAULT) {
        wait_fault(ic, w->env.fault);
    } else {
        ioconn_cut(ic);
    }
}
