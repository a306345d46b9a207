/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/notify.h"

#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_MS = 100 };
static const char ready[] = "READY=1\nSTATUS=Clients can connect";

struct notify {
    struct io *io;
    const struct cluster_view_ops *view;
    struct log_sink *log;
    int fd;
    uint64_t feed_ms; /* between two WATCHDOG=1; 0: no watchdog */
    uint64_t fed_ms;  /* monotonic, of the last one */
    uint64_t *turns;  /* of each worker, at that time */
    bool is_ready;    /* told */
    bool is_late;     /* told in the log */
    bool is_stopping; /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool has_thread;
};

/* The address is a path, or a name in the abstract space that starts with "@". -1: cannot be reached. */
static int socket_open(const char *address)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(address);
    if ((address[0] != '/' && address[0] != '@') || n < 2 || n >= sizeof un.sun_path)
        return -1;
    memcpy(un.sun_path, address, n);
    if (address[0] == '@')
        un.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&un, len) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static void tell(const struct notify *n, const char *text)
{
    ssize_t w;
    do
        w = send(n->fd, text, strlen(text), MSG_NOSIGNAL);
    while (w < 0 && errno == EINTR);
    if (w < 0)
        LOG(n->log, LOG_WARNING, "notify failed error=\"%s\"", strerror(errno));
}

static bool is_member(const struct cluster_view_ops *view)
{
    struct mesh_info info;
    if (!view)
        return true;
    bool is_ready = cluster_view_info(view, &info) && info.is_ready;
    free(info.peers);
    return is_ready;
}

/* A worker turns with each of its ticks, busy or not: one that has not is stuck. */
static bool all_have_turned(const struct notify *n, uint32_t *stuck)
{
    for (uint32_t i = 0; i < io_workers(n->io); i++) {
        if (io_worker_turns(n->io, i) == n->turns[i]) {
            *stuck = i;
            return false;
        }
    }
    return true;
}

static void watchdog_look(struct notify *n)
{
    uint32_t stuck = 0;
    uint64_t now = mono_ms();
    if (now - n->fed_ms < n->feed_ms)
        return;
    if (all_have_turned(n, &stuck)) {
        for (uint32_t i = 0; i < io_workers(n->io); i++)
            n->turns[i] = io_worker_turns(n->io, i);
        n->fed_ms = now;
        n->is_late = false;
        tell(n, "WATCHDOG=1");
    } else if (now - n->fed_ms >= 2 * n->feed_ms && !n->is_late) {
        n->is_late = true;
        LOG(n->log, LOG_WARNING, "notify watchdog not fed: a worker does not turn worker=%u ms=%llu", stuck,
            (unsigned long long)(now - n->fed_ms));
    }
}

static void look(struct notify *n)
{
    if (!n->is_ready && is_member(n->view)) {
        n->is_ready = true;
        tell(n, ready);
    }
    if (n->feed_ms)
        watchdog_look(n);
}

/* Until somebody wakes us, or ms have passed. */
static void nap(struct notify *n, uint64_t ms)
{
    struct timespec until = mono_in_ms(ms);
    pthread_cond_clockwait(&n->wake, &n->lock, CLOCK_MONOTONIC, &until);
}

static void *notify_main(void *arg)
{
    struct notify *n = arg;
    pthread_mutex_lock(&n->lock);
    while (!n->is_stopping) {
        pthread_mutex_unlock(&n->lock);
        look(n);
        pthread_mutex_lock(&n->lock);
        if (!n->is_stopping && (!n->is_ready || n->feed_ms))
            nap(n, n->is_ready && n->feed_ms > LOOK_MS ? n->feed_ms / 2 : LOOK_MS);
        else if (!n->is_stopping)
            pthread_cond_wait(&n->wake, &n->lock);
    }
    pthread_mutex_unlock(&n->lock);
    return NULL;
}

/* A third of what the manager waits for: one look may come late. $WATCHDOG_PID may mean another process. */
static uint64_t feed_ms_of_env(void)
{
    const char *pid = getenv("WATCHDOG_PID"), *usec = getenv("WATCHDOG_USEC");
    if (!usec || (pid && strtoll(pid, NULL, 10) != (long long)getpid()))
        return 0;
    uint64_t us = strtoull(usec, NULL, 10);
    return us && us < 3000 ? 1 : us / 3000;
}

static void notify_drop(struct notify *n)
{
    close(n->fd);
    pthread_cond_destroy(&n->wake);
    pthread_mutex_destroy(&n->lock);
    free(n->turns);
    free(n);
}

struct notify *notify_new(struct io *io, const struct cluster_view_ops *view, struct log_sink *log)
{
    const char *address = getenv("NOTIFY_SOCKET");
    if (!address || !address[0])
        return NULL;
    int fd = socket_open(address);
    if (fd < 0) {
        LOG(log, LOG_WARNING, "notify failed: NOTIFY_SOCKET cannot be reached error=\"%s\"", strerror(errno));
        return NULL;
    }
    struct notify *n = mem_zalloc(sizeof *n);
    *n = (struct notify){.io = io, .view = view, .log = log, .fd = fd, .feed_ms = feed_ms_of_env()};
    n->turns = mem_zalloc(io_workers(io) * sizeof *n->turns);
    n->fed_ms = mono_ms();
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->wake, NULL);
    return n;
}

void notify_start(struct notify *n)
{
    if (!n)
        return;
    if (n->view)
        tell(n, "STATUS=Waiting for the other nodes");
    n->has_thread = pthread_create(&n->thread, NULL, notify_main, n) == 0;
    if (n->has_thread) {
        pthread_setname_np(n->thread, "notify");
        return;
    }
    LOG(n->log, LOG_WARNING, "notify no thread to be had: no watchdog");
    tell(n, ready);
}

/* Type=notify-reload compares the time with that of its signal. */
void notify_reload_begins(const struct notify *n)
{
    char text[64];
    struct timespec ts;
    if (!n)
        return;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)ts.tv_sec * 1000000 + (unsigned long long)ts.tv_nsec / 1000);
    tell(n, text);
}

void notify_reload_ends(const struct notify *n)
{
    if (n)
        tell(n, ready);
}

void notify_free(struct notify *n)
{
    if (!n)
        return;
    pthread_mutex_lock(&n->lock);
    n->is_stopping = true;
    pthread_cond_signal(&n->wake);
    pthread_mutex_unlock(&n->lock);
    if (n->has_thread)
        pthread_join(n->thread, NULL);
    tell(n, "STOPPING=1\nSTATUS=Saying goodbye to clients");
    notify_drop(n);
}
