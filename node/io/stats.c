/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/io.h"

#include "node/io/io_private.h"
#include "proto/base/check.h"

static uint64_t get(const _Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

uint32_t io_listeners(const struct io *io)
{
    return io->listeners_n;
}

void io_listener_info(struct io *io, uint32_t i, struct io_listener_info *out)
{
    struct listener *l = &io->listeners[i];

    CHECK(i < io->listeners_n);
    *out = (struct io_listener_info){
        .kind = l->kind,
        .name = l->name,
        .connections = atomic_load_explicit(&l->connections, memory_order_relaxed),
        .connections_max = listener_conf(l)->c.connections_max,
    };
    pthread_mutex_lock(&io->listener_lock);
    out->is_running = l->is_running;
    out->port = l->port;
    memcpy(out->bind, l->bind, sizeof out->bind);
    pthread_mutex_unlock(&io->listener_lock);
    for (uint32_t k = 0; k < io->workers_n; k++) {
        const struct acceptor *a = &l->acceptors[k];
        out->accepted += get(&a->accepted);
        out->rate_pauses += get(&a->rate_pauses);
        out->shut_before_connect += get(&a->shut_before_connect);
        for (int r = 0; r < IO_REFUSALS; r++)
            out->refused[r] += get(&a->refused[r]);
    }
}

const char *io_fault_name(unsigned fault)
{
    return fault < TRANSPORT_FAULTS ? transport_fault_name((enum transport_fault)fault) : NULL;
}

/* Of this period and the one before. */
static uint64_t worker_lag_ms(const struct worker_stats *s)
{
    uint64_t a = get(&s->lag_ms[0]), b = get(&s->lag_ms[1]);
    return a > b ? a : b;
}

void io_worker_times(struct io *io, uint32_t worker, struct io_worker_times *out)
{
    const struct worker_stats *s = &io->workers[worker].stats;

    *out = (struct io_worker_times){.lag_ms_max = worker_lag_ms(s)};
    hist_read(&out->turns, &s->turns_took);
    hist_read(&out->acks, &s->acks_took);
}

uint64_t io_worker_turns(const struct io *io, uint32_t worker)
{
    CHECK(worker < io->workers_n);
    return get(&io->workers[worker].stats.turns);
}

void io_stats(struct io *io, struct io_stats *out)
{
    _Static_assert((int)TRANSPORT_FAULTS <= (int)IO_FAULTS_MAX, "io_stats has room for every fault");

    *out = (struct io_stats){0};
    for (uint32_t i = 0; i < io->workers_n; i++) {
        struct worker_stats *s = &io->workers[i].stats;
        uint64_t lag_ms = worker_lag_ms(s);
        out->turns += get(&s->turns);
        out->wakes += get(&io->workers[i].mailbox.wakes);
        out->recv_bytes += get(&s->recv_bytes);
        out->send_bytes += get(&s->send_bytes);
        out->handed_over += get(&s->handed_over);
        out->lag_ms_max = lag_ms > out->lag_ms_max ? lag_ms : out->lag_ms_max;
        out->connections += atomic_load_explicit(&s->connections, memory_order_relaxed);
        out->half_open += atomic_load_explicit(&s->half_open, memory_order_relaxed);
        for (int f = 0; f < TRANSPORT_FAULTS; f++)
            out->faults[f] += get(&s->faults[f]);
    }
}
