/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/call.h"
#include "cluster/io/conn.h"
#include "cluster/io/resolve.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <stdlib.h>
#include <urcu-qsbr.h>

void cluster_begin_turn(struct cluster_io *c)
{
    c->in_turn = true;
    mailbox_awake(&c->mailbox);
    if (c->is_offline) {
        rcu_thread_online();
        c->is_offline = false;
    }
    c->now_ms = mono_ms();
    mesh_set_time(c->mesh, c->now_ms, wall_ms());
}

void cluster_count_fault(struct cluster_io *c, enum cluster_fault f, const struct net_addr *addr,
                         const char *detail)
{
    char text[NET_ADDR_TEXT_N] = "-";

    counter_add(&c->counters.faults[f], 1);
    /* The counters have them all; the log has one a second of each kind, whoever tries to fill it. */
    if (c->now_ms < c->fault_ms[f])
        return;
    c->fault_ms[f] = c->now_ms + CLUSTER_FAULT_LOG_MS;
    if (addr)
        net_addr_text(text, addr);
    LOG(c->log, LOG_NOTICE, "cluster refused peer=%s reason=%s%s%s%s", text, cluster_fault_name(f),
        detail ? " detail=\"" : "", detail ? detail : "", detail ? "\"" : "");
}

/* ---- the parts of a turn --------------------------------------------------------------------------- */

static void thread_mail(struct cluster_io *c)
{
    struct mailbox_chain chain = mailbox_take(&c->mailbox);
    enum mailbox_kind kind;
    void *item;

    while ((item = mailbox_next(&chain, &kind))) {
        switch (kind) {
        case MAILBOX_BAG:
            mesh_on_mail(c->mesh, item);
            break;
        case MAILBOX_CALL:
            cluster_call_run(item, c->mesh);
            break;
        case MAILBOX_CONN:
        case MAILBOX_STORED:
            CHECK(!"mail for a worker");
        }
    }
}

/* A bad file is reported once for each of its changes; the keys that were good stay in use. */
static void secret_check(struct cluster_io *c)
{
    struct secret fresh;
    enum err e;

    if (!c->has_secret_file || c->now_ms < c->secret_ms)
        return;
    c->secret_ms = c->now_ms + CLUSTER_SECRET_MS;
    if (!secret_has_changed(c->conf.secret_file, &c->secret_mark))
        return;
    e = secret_load(&fresh, c->conf.secret_file, &c->secret_mark, c->log);
    if (e != OK) {
        cluster_count_fault(c, CLUSTER_FAULT_SECRET_UNUSABLE, NULL, err_name(e));
        return;
    }
    c->secret = fresh;
    secret_fini(&fresh);
    counter_add(&c->counters.secret_reloads, 1);
    LOG(c->log, LOG_NOTICE, "cluster secret_loaded file=%s keys=%u", c->conf.secret_file, c->secret.n);
}

static void thread_tick(struct cluster_io *c)
{
    c->tick_due = false;
    mesh_tick(c->mesh);
    cconns_tick(c);
    tcp_accept_again(c);
    if (!c->is_closing)
        resolver_tick(c->resolver);
    secret_check(c);
}

static void thread_post(struct cluster_io *c)
{
    for (uint32_t shard = 0; shard < c->conf.shards; shard++) {
        struct mailbag *bag = mesh_outbox_take(c->mesh, shard);
        if (bag)
            c->conf.post(c->conf.post_ctx, shard, bag);
    }
}

static void thread_flush(struct cluster_io *c)
{
    struct wire *w;

    mesh_flush(c->mesh);
    udp_flush(c);
    dial_run(c);
    while ((w = mesh_wire_take(c->mesh)))
        cconn_on_wire(w);
    thread_post(c);
}

static void thread_end_turn(struct cluster_io *c)
{
    uint64_t lag_ms;

    if (mailbox_has_mail(&c->mailbox))
        thread_mail(c);
    if (c->tick_due)
        thread_tick(c);
    thread_flush(c);
    counter_add(&c->counters.turns, 1);
    lag_ms = mono_ms() - c->now_ms;
    if (unlikely(lag_ms > atomic_load_explicit(&c->counters.lag_ms_max, memory_order_relaxed)))
        atomic_store_explicit(&c->counters.lag_ms_max, lag_ms, memory_order_relaxed);
}

/* ---- the end --------------------------------------------------------------------------------------- */

static void leave_begin(struct cluster_io *c)
{
    c->is_leaving = true;
    c->leave_until_ms = c->now_ms + c->leave_ms;
    mesh_leave(c->mesh);
}

/* Everybody knows or the time is over: what the connections hold is written, then they end. */
static void close_begin(struct cluster_io *c)
{
    LOG(c->log, LOG_INFO, "cluster left told=%s", mesh_has_left(c->mesh) ? "yes" : "no");
    c->is_closing = true;
    tcp_close(c);
    thread_flush(c);
    cconns_finish_all(c);
}

static bool has_closed(const struct cluster_io *c)
{
    return c->is_closing && list_is_empty(&c->lingering);
}

/* ---- the loop -------------------------------------------------------------------------------------- */

static void on_mail_event(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    cluster_enter(arg);
}

static void on_tick_event(evutil_socket_t fd, short what, void *arg)
{
    struct cluster_io *c = arg;

    (void)fd;
    (void)what;
    cluster_enter(c);
    c->tick_due = true;
}

static void thread_turn(struct cluster_io *c)
{
    int flags = EVLOOP_ONCE;

    if (mailbox_sleep(&c->mailbox)) {
        rcu_thread_offline();
        c->is_offline = true;
    } else {
        rcu_quiescent_state();
        flags |= EVLOOP_NONBLOCK;
    }
    c->in_turn = false;
    CHECK(event_base_loop(c->base, flags) == 0);
    cluster_enter(c);
    thread_end_turn(c);
}

/* False: the thread ends. */
static bool thread_phase(struct cluster_io *c)
{
    int phase = atomic_load_explicit(&c->phase, memory_order_acquire);

    if (phase == CLUSTER_ENDS || has_closed(c))
        return false;
    if (phase == CLUSTER_LEAVES && !c->is_leaving)
        leave_begin(c);
    if (c->is_leaving && !c->is_closing && (mesh_has_left(c->mesh) || c->now_ms >= c->leave_until_ms))
        close_begin(c);
    return true;
}

void *cluster_thread_main(void *arg)
{
    struct cluster_io *c = arg;

    rcu_register_thread();
    cluster_begin_turn(c);
    resolver_start(c->resolver);
    thread_end_turn(c);
    while (thread_phase(c))
        thread_turn(c);
    c->is_closing = true;
    cconns_cut_all(c);
    thread_mail(c);
    mesh_flush(c->mesh);
    thread_post(c);
    rcu_unregister_thread();
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------ */

static struct event_base *base_new(void)
{
    struct event_config *cfg = event_config_new();
    struct event_base *base;

    CHECK(cfg);
    /* One thread per base: no locks. No changelist, as in the workers. */
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
    event_config_require_features(cfg, EV_FEATURE_ET | EV_FEATURE_O1);
    base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    return base;
}

enum err cluster_thread_init(struct cluster_io *c)
{
    struct timeval tick = {.tv_usec = CLUSTER_TICK_MS * 1000};

    if (mailbox_init(&c->mailbox) != OK)
        return ERR_LIMIT;
    c->base = base_new();
    if (!c->base) {
        mailbox_fini(&c->mailbox);
        return ERR_LIMIT;
    }
    c->scratch = mem_alloc(CLUSTER_SCRATCH);
    event_assign(&c->mail_event, c->base, c->mailbox.eventfd, EV_READ | EV_PERSIST | EV_ET, on_mail_event, c);
    event_assign(&c->tick_event, c->base, -1, EV_PERSIST, on_tick_event, c);
    event_add(&c->mail_event, NULL);
    event_add(&c->tick_event, &tick);
    udp_open(c);
    tcp_open(c);
    return OK;
}

void cluster_thread_fini(struct cluster_io *c)
{
    if (!c->base)
        return;
    /* Mail that came too late; no other thread uses the mesh any more. */
    if (mailbox_has_mail(&c->mailbox)) {
        rcu_register_thread();
        thread_mail(c);
        rcu_unregister_thread();
    }
    udp_close(c);
    tcp_close(c);
    event_del(&c->mail_event);
    event_del(&c->tick_event);
    resolver_free(c->resolver);
    c->resolver = NULL;
    mailbox_fini(&c->mailbox);
    event_base_free(c->base);
    c->base = NULL;
    free(c->scratch);
}
