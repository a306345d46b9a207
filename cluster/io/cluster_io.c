/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/io/cluster_io.h"

#include "cluster/io/cluster_private.h"
#include "cluster/io/resolve.h"
#include "cluster/io/sockaddr.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <netinet/in.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- secret and address ---------------------------------------------------------------------------- */

static enum err secret_init(struct cluster_io *c)
{
    const char *file = c->conf.secret_file;
    char text[NET_ADDR_TEXT_N];

    c->has_secret_file = file && file[0];
    if (c->has_secret_file)
        return secret_load(&c->secret, file, &c->secret_mark, c->log);
    if (net_addr_is_loopback(&c->conf.bind)) {
        secret_from_name(&c->secret, c->conf.mesh.cluster);
        return OK;
    }
    LOG(c->log, LOG_ERROR,
        "cluster secret_missing bind=%s hint=\"others can reach this address, so the nodes need a secret: "
        "make a "
        "file with (umask 077; openssl rand -base64 32 >FILE), copy it to every node, name it in the "
        "configuration\"",
        net_addr_text(text, &c->conf.bind));
    return ERR_DENIED;
}

/* Addresses that exist nowhere (RFC 5737, RFC 3849): the way to them is the way to the world. */
static const struct net_addr world_v4 = {
    .ip = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 1}, .port = 9};
static const struct net_addr world_v6 = {.ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}, .port = 9};

/* Where others reach a node that is bound to every address. */
static struct net_addr advertise_guess(const struct cluster_io *c)
{
    struct net_addr seed, found;
    bool has_seed = resolver_literal(c->resolver, &seed) && !net_addr_is_loopback(&seed);

    if ((has_seed && net_local_for(&found, &seed)) || net_local_for(&found, &world_v4) ||
        (c->family == AF_INET6 && net_local_for(&found, &world_v6)) || net_local_first(&found, AF_INET) ||
        (c->family == AF_INET6 && net_local_first(&found, AF_INET6)))
        return found;
    return net_addr_v4(127, 0, 0, 1, 0);
}

static void advertise_init(struct cluster_io *c)
{
    struct net_addr *a = &c->conf.mesh.advertise;
    char bound[NET_ADDR_TEXT_N], advertised[NET_ADDR_TEXT_N];

    if (a->port == 0) {
        *a = net_addr_is_any(&c->bound) ? advertise_guess(c) : c->bound;
        a->port = c->bound.port;
    }
    LOG(c->log, LOG_NOTICE, "cluster bound address=%s advertise=%s secret=%s keys=%u",
        net_addr_text(bound, &c->bound), net_addr_text(advertised, a),
        c->has_secret_file ? c->conf.secret_file : "none", c->secret.n);
}

/* ---- life ------------------------------------------------------------------------------------------ */

static enum err init_all(struct cluster_io *c)
{
    enum err e = secret_init(c);

    if (e == OK)
        e = tcp_bind(c);
    if (e == OK)
        e = resolver_new(&c->resolver, c);
    if (e != OK)
        return e;
    advertise_init(c);
    c->now_ms = mono_ms();
    c->mesh = mesh_new(&c->conf.mesh, c->now_ms, wall_ms());
    return cluster_thread_init(c);
}

enum err cluster_io_new(struct cluster_io **out, const struct cluster_io_conf *conf)
{
    struct cluster_io *c = aligned_alloc(64, (sizeof *c + 63) / 64 * 64);
    enum err e;

    CHECK(c && sodium_init() >= 0);
    memset(c, 0, sizeof *c);
    c->conf = *conf;
    c->log = conf->log;
    c->udp_fd = c->tcp_fd = -1;
    list_init(&c->connecting);
    list_init(&c->shaking);
    list_init(&c->open);
    list_init(&c->lingering);
    pthread_mutex_init(&c->lock, NULL);
    e = init_all(c);
    if (e != OK) {
        cluster_io_free(c);
        return e;
    }
    *out = c;
    return OK;
}

void cluster_io_free(struct cluster_io *c)
{
    if (!c)
        return;
    CHECK(!c->is_running);
    cluster_thread_fini(c);
    resolver_free(c->resolver);
    mesh_free(c->mesh);
    if (c->tcp_fd >= 0)
        close(c->tcp_fd);
    if (c->udp_fd >= 0)
        close(c->udp_fd);
    secret_fini(&c->secret);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

enum err cluster_io_start(struct cluster_io *c)
{
    sigset_t all, before;

    CHECK(!c->is_running && !c->is_leaving);
    atomic_store(&c->phase, CLUSTER_RUNS);
    /* Signals are for the thread that waits for them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    c->is_running = pthread_create(&c->thread, NULL, cluster_thread_main, c) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!c->is_running)
        return ERR_LIMIT;
    pthread_setname_np(c->thread, "cluster");
    return OK;
}

static void end(struct cluster_io *c, enum cluster_phase phase, uint32_t deadline_ms)
{
    bool was_running;

    pthread_mutex_lock(&c->lock);
    was_running = c->is_running;
    c->is_running = false;
    pthread_mutex_unlock(&c->lock);
    if (!was_running)
        return;
    c->leave_ms = deadline_ms;
    atomic_store(&c->phase, (int)phase);
    mailbox_wake(&c->mailbox);
    pthread_join(c->thread, NULL);
}

void cluster_io_stop(struct cluster_io *c, uint32_t deadline_ms)
{
    end(c, CLUSTER_LEAVES, deadline_ms);
}

void cluster_io_cut(struct cluster_io *c)
{
    end(c, CLUSTER_ENDS, 0);
}

uint16_t cluster_io_port(const struct cluster_io *c)
{
    return c->bound.port;
}

struct net_addr cluster_io_advertise(const struct cluster_io *c)
{
    return c->conf.mesh.advertise;
}

/* ---- figures --------------------------------------------------------------------------------------- */

const char *cluster_fault_name(enum cluster_fault f)
{
    static const char *const names[] = {
#define X(id, name) name,
        CLUSTER_FAULTS(X)
#undef X
    };
    CHECK((unsigned)f < array_len(names));
    return names[f];
}

void cluster_io_stats(struct cluster_io *c, struct cluster_io_stats *out)
{
    struct cluster_counters *n = &c->counters;

    *out = (struct cluster_io_stats){
        .turns = atomic_load_explicit(&n->turns, memory_order_relaxed),
        .wakes = atomic_load_explicit(&c->mailbox.wakes, memory_order_relaxed),
        .datagrams_sent = atomic_load_explicit(&n->datagrams_sent, memory_order_relaxed),
        .datagrams_received = atomic_load_explicit(&n->datagrams_received, memory_order_relaxed),
        .datagrams_unsent = atomic_load_explicit(&n->datagrams_unsent, memory_order_relaxed),
        .datagrams_own = atomic_load_explicit(&n->datagrams_own, memory_order_relaxed),
        .recv_bytes = atomic_load_explicit(&n->recv_bytes, memory_order_relaxed),
        .send_bytes = atomic_load_explicit(&n->send_bytes, memory_order_relaxed),
        .records_sent = atomic_load_explicit(&n->records_sent, memory_order_relaxed),
        .records_received = atomic_load_explicit(&n->records_received, memory_order_relaxed),
        .dials = atomic_load_explicit(&n->dials, memory_order_relaxed),
        .dials_failed = atomic_load_explicit(&n->dials_failed, memory_order_relaxed),
        .accepted = atomic_load_explicit(&n->accepted, memory_order_relaxed),
        .established = atomic_load_explicit(&n->established, memory_order_relaxed),
        .resolves = atomic_load_explicit(&n->resolves, memory_order_relaxed),
        .resolves_failed = atomic_load_explicit(&n->resolves_failed, memory_order_relaxed),
        .secret_reloads = atomic_load_explicit(&n->secret_reloads, memory_order_relaxed),
        .lag_ms_max = atomic_exchange_explicit(&n->lag_ms_max, 0, memory_order_relaxed),
        .connections = (uint32_t)atomic_load_explicit(&n->connections, memory_order_relaxed),
        .half_open = (uint32_t)atomic_load_explicit(&n->half_open, memory_order_relaxed),
    };
    for (int f = 0; f < CLUSTER_FAULTS_N; f++)
        out->faults[f] = atomic_load_explicit(&n->faults[f], memory_order_relaxed);
}
