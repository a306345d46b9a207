/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/worker.h"

#include "cluster/io/cluster_io.h"
#include "node/io/io_private.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <event2/event.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <urcu-qsbr.h>

void worker_begin_turn(struct worker *w)
{
    w->in_turn = true;
    mailbox_awake(&w->mailbox);
    if (w->is_offline) {
        rcu_thread_online();
        w->is_offline = false;
    }
    /* The coarse clocks cost a few nanoseconds and no system call; their step, some milliseconds, is well
     * under a tick of the wheel. */
    w->now_ms = clock_ms(CLOCK_MONOTONIC_COARSE);
    shard_set_time(w->shard, w->now_ms, clock_ms(CLOCK_REALTIME_COARSE));
    worker_times_begin(w);
}

void worker_again(struct worker *w, struct ioconn *ic)
{
    if (list_is_empty(&ic->again))
        list_push(&w->again, &ic->again);
}

void worker_hand_over(struct worker *w, uint32_t to, struct ioconn *ic)
{
    stat_add(&w->stats.handed_over, 1);
    mailbox_push(&w->io->workers[to].mailbox, MAILBOX_CONN, ic);
}

void worker_post_call(struct worker *w, struct worker_call *call)
{
    mailbox_push(&w->mailbox, MAILBOX_CALL, call);
}

void worker_count_fault(struct worker *w, const struct ioconn *ic, const struct conn_peer *peer,
                        enum transport_fault f)
{
    const char *detail = w->env.fault == f ? w->env.fault_text : NULL;

    stat_add(&w->stats.faults[f], 1);
    /* The counters have them all; the log has one a second of each kind, whoever tries to fill it. */
    if (w->fault_told[f] && !worker_is_past(w, w->fault_ms[f]))
        return;
    w->fault_told[f] = true;
    w->fault_ms[f] = (uint32_t)w->now_ms + WORKER_FAULT_LOG_MS;
    LOG(w->io->log, LOG_NOTICE, "io refused listener=%s peer=%s:%u reason=%s%s%s%s",
        ic->acceptor->listener->name, peer->address, peer->port, transport_fault_name(f),
        detail ? " detail=\"" : "", detail ? detail : "", detail ? "\"" : "");
}

/* ---- storage --------------------------------------------------------------------------------------- */

/* On the storage thread. */
static void on_stored(void *ctx, struct store_batch *batch, enum err result)
{
    struct worker *w = ctx;

    CHECK(batch == &w->batch);
    w->store_result = result;
    mailbox_push(&w->mailbox, MAILBOX_STORED, &w->stored);
}

static void store_finish(struct worker *w)
{
    w->storing = false;
    store_batch_reset(&w->batch);
    shard_on_stored(w->shard, w->store_result);
}

/* What nobody waits for may gather for a while: most of it need not be written after all. */
static bool store_may_wait(struct worker *w)
{
    struct timeval tv = {.tv_usec = (suseconds_t)w->io->conf.commit_interval_ms * 1000};

    if (w->commit_due || w->is_stopping)
        return false;
    if (!w->commit_armed) {
        evtimer_add(&w->commit_event, &tv);
        w->commit_armed = true;
    }
    return true;
}

/* True: the shard was asked, and may have connections to flush because of it. */
static bool worker_store(struct worker *w)
{
    if (w->storing)
        return false;
    switch (shard_seal_state(w->shard)) {
    case SHARD_SEAL_NOTHING:
        w->commit_due = false;
        return false;
    case SHARD_SEAL_SOON:
        if (store_may_wait(w))
            return false;
        break;
    case SHARD_SEAL_NOW:
        break;
    }
    w->commit_due = false;
    if (w->commit_armed) {
        evtimer_del(&w->commit_event);
        w->commit_armed = false;
    }
    if (shard_seal(w->shard, &w->batch)) {
        w->storing = true;
        writer_submit(w->io->conf.writer, &w->batch, on_stored, w);
    }
    return true;
}

/* ---- the parts of a turn --------------------------------------------------------------------------- */

static void worker_mail(struct worker *w)
{
    struct mailbox_chain chain = mailbox_take(&w->mailbox);
    enum mailbox_kind kind;
    struct worker_call *call;
    struct ioconn *ic;
    void *item;

    while ((item = mailbox_next(&chain, &kind))) {
        switch (kind) {
        case MAILBOX_BAG:
            shard_on_mail(w->shard, item);
            break;
        case MAILBOX_CONN:
            ic = item;
            ioconn_on_arrival(ic, w);
            break;
        case MAILBOX_CALL:
            call = item;
            call->fn(w, call);
            break;
        case MAILBOX_STORED:
            store_finish(w);
            break;
        }
    }
}

static void worker_again_run(struct worker *w)
{
    struct list now;
    struct list *e;

    /* Only what is there now: who comes back to the list waits for the next turn, behind the sockets. */
    list_init(&now);
    list_splice(&now, &w->again);
    while ((e = list_pop(&now)))
        ioconn_on_again(container_of(e, struct ioconn, again));
}

/* The first of a list, or NULL. */
static struct ioconn *closing_first(struct worker *w)
{
    return list_is_empty(&w->closing) ? NULL : container_of(w->closing.next, struct ioconn, again);
}
static struct ioconn *linger_first(struct worker *w)
{
    return list_is_empty(&w->linger) ? NULL : container_of(w->linger.next, struct ioconn, u.bare.link);
}

static void worker_cut_late(struct worker *w)
{
    struct ioconn *ic;

    while ((ic = closing_first(w)) && worker_is_past(w, ic->deadline_ms))
        ioconn_cut(ic);
    while ((ic = linger_first(w)) && worker_is_past(w, ic->deadline_ms))
        ioconn_cut(ic);
}

static void worker_tick(struct worker *w)
{
    w->tick_due = false;
    if (shard_settings(w->shard)->overload.is_on) {
        worker_note_load(w);
    } else {
        w->tick_ms = w->now_ms;
        w->is_critical = false;
    }
    shard_tick(w->shard);
    worker_cut_late(w);
    for (uint32_t i = 0; i < w->io->listeners_n; i++)
        acceptor_on_tick(w->acceptors[i]);
    if (w->number == 0 && worker_is_past(w, w->certs_ms)) {
        w->certs_ms = (uint32_t)w->now_ms + WORKER_CERTS_MS;
        io_certs_check(w->io);
    }
}

static void worker_flush(struct worker *w)
{
    struct conn *c;

    do {
        while ((c = shard_dirty_take(w->shard)))
            ioconn_on_dirty(c);
    } while (worker_store(w));
}

static void worker_post(struct worker *w)
{
    struct io *io = w->io;

    for (uint32_t to = 0; to < io->workers_n; to++) {
        struct mailbag *bag = to == w->number ? NULL : shard_outbox_take(w->shard, to);
        if (bag)
            mailbox_push(&io->workers[to].mailbox, MAILBOX_BAG, bag);
    }
    struct mailbag *bag = io->conf.cluster ? shard_outbox_take(w->shard, MAIL_TO_CLUSTER) : NULL;
    if (bag)
        cluster_io_post_bag(io->conf.cluster, bag);
}

static void worker_end_turn(struct worker *w)
{
    if (mailbox_has_mail(&w->mailbox))
        worker_mail(w);
    if (!list_is_empty(&w->again))
        worker_again_run(w);
    if (w->tick_due)
        worker_tick(w);
    worker_flush(w);
    worker_post(w);
    stat_add(&w->stats.turns, 1);
    worker_times_end(w, clock_ms(CLOCK_MONOTONIC_COARSE));
}

/* ---- the end --------------------------------------------------------------------------------------- */

static void worker_cut_all(struct worker *w)
{
    struct ioconn *ic;

    while ((ic = closing_first(w)))
        ioconn_cut(ic);
    while ((ic = linger_first(w)))
        ioconn_cut(ic);
}

static void worker_stop_begin(struct worker *w)
{
    w->is_stopping = true;
    for (uint32_t i = 0; i < w->io->listeners_n; i++) {
        acceptor_close(w->acceptors[i]);
        acceptor_drop_waiting(w->acceptors[i]);
    }
    shard_shutdown(w->shard);
}

/* Nothing is left that could be finished in good order. */
static void worker_look_idle(struct worker *w)
{
    if (w->is_idle || shard_conns(w->shard) > 0 || w->linger_n > 0 || w->storing ||
        mailbox_has_mail(&w->mailbox) || shard_seal_state(w->shard) != SHARD_SEAL_NOTHING)
        return;
    w->is_idle = true;
    io_on_idle(w->io);
}

/* The time is over, or everybody is idle: what is left is cut, and what that leaves to be stored is stored.
 */
static void worker_finish(struct worker *w)
{
    struct pollfd p = {.fd = w->mailbox.eventfd, .events = POLLIN};
    uint64_t wakes;

    worker_mail(w);
    worker_flush(w);
    do {
        worker_cut_all(w);
        worker_post(w);
        if (w->storing && mailbox_sleep(&w->mailbox) && poll(&p, 1, -1) == 1 &&
            read(p.fd, &wakes, sizeof wakes) < 0)
            CHECK(errno == EAGAIN);
        mailbox_awake(&w->mailbox);
        worker_mail(w);
        worker_flush(w);
    } while (w->storing);
    worker_cut_all(w);
}

/* ---- the loop -------------------------------------------------------------------------------------- */

static void on_mail_event(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    worker_enter(arg);
}

static void on_tick_event(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;

    (void)fd;
    (void)what;
    worker_enter(w);
    w->tick_due = true;
}

static void on_commit_event(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;

    (void)fd;
    (void)what;
    worker_enter(w);
    w->commit_armed = false;
    w->commit_due = true;
}

static void worker_turn(struct worker *w)
{
    int flags = EVLOOP_ONCE;

    if (list_is_empty(&w->again) && mailbox_sleep(&w->mailbox)) {
        rcu_thread_offline();
        w->is_offline = true;
    } else {
        rcu_quiescent_state();
        flags |= EVLOOP_NONBLOCK;
    }
    w->in_turn = false;
    CHECK(event_base_loop(w->base, flags) == 0);
    worker_enter(w);
    worker_end_turn(w);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    int phase;

    rcu_register_thread();
    worker_begin_turn(w);
    w->tick_ms = w->now_ms;
    while ((phase = atomic_load_explicit(&w->phase, memory_order_acquire)) != WORKER_ENDS) {
        if (phase == WORKER_STOPPING && !w->is_stopping) {
            worker_stop_begin(w);
            worker_end_turn(w);
        }
        if (w->is_stopping)
            worker_look_idle(w);
        worker_turn(w);
    }
    worker_finish(w);
    rcu_unregister_thread();
    return NULL;
}

void worker_set_phase(struct worker *w, enum worker_phase phase)
{
    atomic_store(&w->phase, phase);
    mailbox_wake(&w->mailbox);
}

enum err worker_start(struct worker *w)
{
    char name[16];
    sigset_t all, before;

    atomic_store(&w->phase, WORKER_RUNS);
    w->is_stopping = w->is_idle = false;
    /* Signals are for the thread that waits for them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    w->has_thread = pthread_create(&w->thread, NULL, worker_main, w) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!w->has_thread)
        return ERR_LIMIT;
    snprintf(name, sizeof name, "worker %u", w->number);
    pthread_setname_np(w->thread, name);
    return OK;
}

void worker_join(struct worker *w)
{
    if (w->has_thread)
        pthread_join(w->thread, NULL);
    w->has_thread = false;
}

/* ---- life ------------------------------------------------------------------------------------------ */

static struct event_base *base_new(void)
{
    struct event_config *cfg = event_config_new();
    struct event_base *base;

    CHECK(cfg);
    /* One thread per base: no locks. No changelist: it would put off epoll_ctl() until after a descriptor is
     * closed or another worker's, and saves nothing where events change as seldom as here. */
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
    event_config_require_features(cfg, EV_FEATURE_ET | EV_FEATURE_O1);
    base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    return base;
}

enum err worker_init(struct worker *w, struct io *io, uint32_t number)
{
    struct timeval tick = {.tv_usec = WORKER_TICK_MS * 1000};

    memset(w, 0, sizeof *w);
    w->io = io;
    w->number = number;
    w->shard = node_shard(io->node, number);
    w->stored.worker = w;
    list_init(&w->again);
    list_init(&w->closing);
    list_init(&w->linger);
    if (mailbox_init(&w->mailbox) != OK)
        return ERR_LIMIT;
    w->base = base_new();
    w->fd_reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (!w->base || w->fd_reserve < 0) {
        if (w->base)
            event_base_free(w->base);
        if (w->fd_reserve >= 0)
            close(w->fd_reserve);
        mailbox_fini(&w->mailbox);
        w->base = NULL;
        return ERR_LIMIT;
    }
    w->scratch = mem_alloc(WORKER_SCRATCH);
    w->acceptors = mem_zalloc((io->conf.listeners_n + 1) * sizeof(struct acceptor *));
    transport_env_init(&w->env);
    store_batch_init(&w->batch);
    event_assign(&w->mail_event, w->base, w->mailbox.eventfd, EV_READ | EV_PERSIST | EV_ET, on_mail_event, w);
    event_assign(&w->tick_event, w->base, -1, EV_PERSIST, on_tick_event, w);
    evtimer_assign(&w->commit_event, w->base, on_commit_event, w);
    event_add(&w->mail_event, NULL);
    event_add(&w->tick_event, &tick);
    return OK;
}

void worker_fini(struct worker *w)
{
    if (!w->base)
        return;
    /* Mail that came too late for its worker; no thread uses the shard any more but this one. */
    if (mailbox_has_mail(&w->mailbox)) {
        rcu_register_thread();
        worker_mail(w);
        rcu_unregister_thread();
    }
    event_del(&w->mail_event);
    event_del(&w->tick_event);
    evtimer_del(&w->commit_event);
    mailbox_fini(&w->mailbox);
    store_batch_fini(&w->batch);
    transport_env_fini(&w->env);
    event_base_free(w->base);
    close(w->fd_reserve);
    free(w->acceptors);
    free(w->scratch);
    w->base = NULL;
}
