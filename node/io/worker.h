/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_IO_WORKER_H
#define COVEY_IO_WORKER_H

/* A worker: one thread, one event loop, one shard. Its turn:
 *
 *     wait -> read every ready socket once, into one buffer, and feed it in place
 *          -> mail -> timers -> connections with work left over
 *          -> one send for every connection that has something to write
 *          -> hand what is to be stored to the storage thread -> post the outboxes
 *
 * Between two turns it holds no reference to what RCU protects: it is offline while it waits. */

#include "node/io/ioconn.h"
#include "node/mail/mailbox.h"
#include "proto/base/hist.h"

#include <pthread.h>

enum {
    WORKER_SCRATCH = 256 * 1024,
    WORKER_TICK_MS = WHEEL_TICK_MS,
    WORKER_WAIT_BYTES_MAX = 64 * 1024 * 1024, /* held by CONNECT packets that are not whole */
    WORKER_LINGER_MAX = 1000,                 /* more than these are closed without waiting for the peer */
    WORKER_CLOSING_MS = 5000,                 /* for the last bytes to be taken */
    WORKER_LINGER_MS = 2000,                  /* for the peer to end after us */
    WORKER_FAULT_LOG_MS = 1000,               /* between two lines about one kind of fault */
    WORKER_MEMORY_MS = 500,                   /* between two looks at how much memory there is */
    WORKER_CERTS_MS = 2000,                   /* between two looks at certificate files */
    WORKER_LINGER_STOP_MS = 500,              /* the same when everything ends */
};

/* A closure for the I/O side of a worker. The caller's memory until fn has it. */
struct worker_call {
    uintptr_t mail;
    void (*fn)(struct worker *w, struct worker_call *call);
};

enum worker_phase { WORKER_RUNS, WORKER_STOPPING, WORKER_ENDS };

/* Precise times are taken of some turns only: each costs two looks at the clock. The longest turn is that of
 * the last one or two periods. */
enum { WORKER_SAMPLE_TURNS = 16, WORKER_LAG_PERIOD_MS = 15000 };

/* Written by the worker, read by anybody. */
struct worker_stats {
    _Atomic uint64_t turns;
    _Atomic uint64_t recv_bytes;
    _Atomic uint64_t send_bytes;
    _Atomic uint64_t handed_over;
    _Atomic uint64_t lag_ms[2]; /* the longest turn of this period and of the one before */
    _Atomic uint32_t lag_period;
    struct hist turns_took; /* of every WORKER_SAMPLE_TURNS */
    struct hist acks_took;
    _Atomic uint64_t faults[TRANSPORT_FAULTS];
    atomic_uint connections;
    atomic_uint half_open;
};
/* One writer: a plain load and store will do, without a locked instruction. */
static inline void stat_add(_Atomic uint64_t *v, uint64_t n)
{
    atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + n, memory_order_relaxed);
}

struct worker {
    struct io *io;
    struct shard *shard;
    struct event_base *base;
    uint8_t *scratch;
    uint64_t now_ms; /* monotonic, as of this turn */
    uint32_t turns_to_sample;
    uint64_t sample_us; /* when the turn began; 0: it is not timed */
    struct list again;
    struct list closing; /* struct ioconn by again, in the order of deadlines */
    struct list linger;  /* by u.bare.link, the same */
    uint32_t linger_n;
    bool in_turn;
    bool is_offline;
    bool tick_due;
    bool is_critical;                    /* see node/core/overload.h */
    uint64_t tick_ms;                    /* of the last tick */
    bool is_idle;                        /* told to whoever stops us */
    uint32_t memory_ms;                  /* when worker 0 looks at the memory again */
    uint32_t certs_ms;                   /* when worker 0 looks at certificate files again */
    uint32_t fault_ms[TRANSPORT_FAULTS]; /* when the next one of a kind is logged */
    bool fault_told[TRANSPORT_FAULTS];
    size_t wait_bytes;
    struct transport_env env;
    struct acceptor **acceptors; /* one a listener */
    int fd_reserve;              /* given up for a moment when there are no descriptors left */

    struct store_batch batch;
    bool storing;
    bool commit_armed;
    bool commit_due;
    enum err store_result; /* written by the storage thread before it posts store_mail */
    struct {
        uintptr_t mail;
        struct worker *worker;
    } stored;

    struct event mail_event;
    struct event tick_event;
    struct event commit_event;
    uint32_t number;
    pthread_t thread;
    bool has_thread;
    atomic_int phase; /* enum worker_phase, set by others */
    bool is_stopping; /* has seen it */
    struct mailbox mailbox;
    struct worker_stats stats;
};

/* ERR_LIMIT: no descriptors. */
MUST_USE enum err worker_init(struct worker *w, struct io *io, uint32_t number);
void worker_fini(struct worker *w); /* the thread has ended */
MUST_USE enum err worker_start(struct worker *w);
/* Any thread. */
void worker_set_phase(struct worker *w, enum worker_phase phase);
void worker_join(struct worker *w);
/* Runs call->fn on the worker soon. Any thread. */
void worker_post_call(struct worker *w, struct worker_call *call);

/* ---- on the worker's thread ----------------------------------------------------------------------- */

/* Tells the shard how late this tick is and how much memory the process holds. */
void worker_note_load(struct worker *w);
/* At both ends of a turn; now_ms as w->now_ms. See worker_times.c. */
void worker_times_begin(struct worker *w);
void worker_times_end(struct worker *w, uint64_t now_ms);
/* The first thing that every callback does. */
void worker_begin_turn(struct worker *w);
static inline void worker_enter(struct worker *w)
{
    if (!w->in_turn)
        worker_begin_turn(w);
}
void worker_again(struct worker *w, struct ioconn *ic);
void worker_hand_over(struct worker *w, uint32_t to, struct ioconn *ic);
/* Counts and logs that a transport refused its peer. */
void worker_count_fault(struct worker *w, const struct ioconn *ic, const struct conn_peer *peer,
                        enum transport_fault f);
static inline bool worker_is_past(const struct worker *w, uint32_t deadline_ms)
{
    return (int32_t)((uint32_t)w->now_ms - deadline_ms) >= 0;
}

#endif
