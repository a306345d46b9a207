/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/traces.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "proto/topic/topic.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { RING_BYTES = 1 << 20, WRITE_EVERY_MS = 50 };

/* One shard's lines: it moves head, the thread moves tail; both only grow. */
struct ring {
    _Atomic uint64_t head, tail;
    _Atomic uint64_t lost;
    _Atomic uint32_t lost_mask;
    uint8_t bytes[RING_BYTES];
};
struct record {
    uint32_t n;
    uint32_t mask;
    uint64_t wall_ms;
};

struct trace {
    struct trace_info info;
    char value[TRACE_VALUE_MAX];
    int fd; /* -1: nothing is written */
};

struct traces {
    struct traces_conf conf;
    struct trace_sink sink;
    struct ring **rings; /* made with the first trace */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    struct trace all[TRACES_MAX]; /* under lock */
    uint64_t rounds;              /* of the thread, under lock */
    bool is_over;                 /* under lock */
    bool has_thread;
    pthread_t thread;
};

/* ---- from the shards ------------------------------------------------------------------------------ */

static void ring_write(struct ring *r, uint64_t at, const void *p, size_t n)
{
    size_t from = at % RING_BYTES, first = RING_BYTES - from < n ? RING_BYTES - from : n;
    memcpy(r->bytes + from, p, first);
    memcpy(r->bytes, (const uint8_t *)p + first, n - first);
}

static void ring_read(const struct ring *r, uint64_t at, void *p, size_t n)
{
    size_t from = at % RING_BYTES, first = RING_BYTES - from < n ? RING_BYTES - from : n;
    memcpy(p, r->bytes + from, first);
    memcpy((uint8_t *)p + first, r->bytes, n - first);
}

static void on_put(void *ctx, uint32_t shard, uint32_t mask, uint64_t wall_ms, const char *line, size_t n)
{
    struct traces *t = ctx;
    struct ring *r = t->rings[shard];
    struct record rec = {(uint32_t)n, mask, wall_ms};
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint64_t used = head - atomic_load_explicit(&r->tail, memory_order_acquire);
    if (RING_BYTES - used < sizeof rec + n) {
        atomic_fetch_or_explicit(&r->lost_mask, mask, memory_order_relaxed);
        atomic_fetch_add_explicit(&r->lost, 1, memory_order_release);
        return;
    }
    ring_write(r, head, &rec, sizeof rec);
    ring_write(r, head + sizeof rec, line, n);
    atomic_store_explicit(&r->head, head + sizeof rec + n, memory_order_release);
}

/* ---- the thread ----------------------------------------------------------------------------------- */

static void file_end(struct traces *t, struct trace *x, const char *why)
{
    close(x->fd);
    x->fd = -1;
    x->info.ended = why;
    LOG(t->conf.log, LOG_WARNING, "trace ended name=%s why=\"%s\"", x->info.name, why);
}

/* A line for each trace of the mask; under lock. */
static void lines_write(struct traces *t, uint32_t mask, const char *line, size_t n)
{
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        struct trace *x = &t->all[i];
        if (!(mask & 1u << i) || x->fd < 0)
            continue;
        if (x->info.bytes + n > t->conf.bytes_max) {
            file_end(t, x, "the file is full");
            continue;
        }
        ssize_t w = write(x->fd, line, n);
        if (w != (ssize_t)n)
            file_end(t, x, w < 0 ? strerror(errno) : "the disk is full");
        else
            x->info.bytes += n;
    }
}

static size_t time_put(char *out, size_t size, uint64_t ms)
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
    return n + (size_t)snprintf(out + n, size - n, ".%03uZ ", (unsigned)(ms % 1000));
}

static void record_write(struct traces *t, uint32_t mask, uint64_t wall_ms, const char *text, size_t n)
{
    char line[TRACE_LINE_MAX + 64];
    size_t at = time_put(line, sizeof line, wall_ms);
    memcpy(line + at, text, n);
    line[at + n] = '\n';
    lines_write(t, mask, line, at + n + 1);
}

static void lost_write(struct traces *t, struct ring *r)
{
    char text[64];
    struct timespec now;
    uint64_t lost = atomic_exchange_explicit(&r->lost, 0, memory_order_acquire);
    if (!lost)
        return;
    uint32_t mask = atomic_exchange_explicit(&r->lost_mask, 0, memory_order_relaxed);
    clock_gettime(CLOCK_REALTIME, &now);
    for (uint32_t i = 0; i < TRACES_MAX; i++)
        if (mask & 1u << i)
            t->all[i].info.dropped += lost;
    int n = snprintf(text, sizeof text, "- %llu events are missing here", (unsigned long long)lost);
    record_write(t, mask, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000, text, (size_t)n);
}

static void ring_drain(struct traces *t, struct ring *r)
{
    char text[TRACE_LINE_MAX];
    uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    while (tail != head) {
        struct record rec;
        ring_read(r, tail, &rec, sizeof rec);
        ring_read(r, tail + sizeof rec, text, rec.n);
        record_write(t, rec.mask, rec.wall_ms, text, rec.n);
        tail += sizeof rec + rec.n;
        atomic_store_explicit(&r->tail, tail, memory_order_release);
    }
    lost_write(t, r);
}

static bool any_runs(const struct traces *t)
{
    for (uint32_t i = 0; i < TRACES_MAX; i++)
        if (t->all[i].info.state == TRACE_RUNS)
            return true;
    return false;
}

static void *thread_main(void *arg)
{
    struct traces *t = arg;
    pthread_mutex_lock(&t->lock);
    while (!t->is_over) {
        struct timespec until;
        for (uint32_t i = 0; i < t->conf.shards; i++)
            ring_drain(t, t->rings[i]);
        t->rounds++;
        pthread_cond_broadcast(&t->cond);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += WRITE_EVERY_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        if (any_runs(t))
            pthread_cond_timedwait(&t->cond, &t->lock, &until);
        else
            pthread_cond_wait(&t->cond, &t->lock);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

static bool thread_start(struct traces *t)
{
    sigset_t all, before;
    if (t->has_thread)
        return true;
    if (!t->rings)
        t->rings = mem_zalloc(t->conf.shards * sizeof(struct ring *));
    for (uint32_t i = 0; i < t->conf.shards && !t->rings[i]; i++)
        t->rings[i] = mem_zalloc(sizeof(struct ring));
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    t->has_thread = pthread_create(&t->thread, NULL, thread_main, t) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return t->has_thread;
}

/* ---- for the admin -------------------------------------------------------------------------------- */

static bool is_name(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= TRACE_NAME_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n;
}

const char *traces_path(const struct traces *t, const char *name, char *out, size_t n)
{
    snprintf(out, n, "%s/%s.log", t->conf.folder, name);
    return out;
}

uint32_t traces_find(struct traces *t, const char *name)
{
    uint32_t i = 0;
    while (i < TRACES_MAX && (t->all[i].info.state == TRACE_FREE || strcmp(t->all[i].info.name, name) != 0))
        i++;
    return i;
}

static enum err judge(const char *name, const struct trace_rule *rule)
{
    struct topic_filter f;
    if (!is_name(name) || !rule->value.n || rule->value.n > TRACE_VALUE_MAX)
        return ERR_INVALID;
    return rule->by != TRACE_TOPIC || topic_filter_parse(rule->value, 0, &f) == TOPIC_OK ? OK : ERR_INVALID;
}

static int file_make(const struct traces *t, const char *name)
{
    char path[4096];
    mkdir(t->conf.folder, 0750);
    int fd = open(traces_path(t, name, path, sizeof path), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC,
                  0640);
    if (fd < 0 && errno != EEXIST)
        LOG(t->conf.log, LOG_ERROR, "trace file not made file=\"%s\" error=\"%s\"", path, strerror(errno));
    return fd;
}

enum err traces_open(struct traces *t, const char *name, const struct trace_rule *rule, uint64_t end_ms,
                     uint32_t *number)
{
    struct timespec now;
    uint32_t i = 0;
    enum err e = judge(name, rule);
    if (e != OK)
        return e;
    if (traces_find(t, name) < TRACES_MAX)
        return ERR_EXISTS;
    while (i < TRACES_MAX && t->all[i].info.state != TRACE_FREE)
        i++;
    if (i == TRACES_MAX || !thread_start(t))
        return ERR_LIMIT;
    int fd = file_make(t, name);
    if (fd < 0)
        return errno == EEXIST ? ERR_EXISTS : ERR_IO;
    clock_gettime(CLOCK_REALTIME, &now);
    pthread_mutex_lock(&t->lock);
    struct trace *x = &t->all[i];
    *x = (struct trace){.fd = fd};
    x->info.state = TRACE_RUNS;
    x->info.rule = *rule;
    x->info.rule.value = bytes_of(x->value, rule->value.n);
    memcpy(x->value, rule->value.p, rule->value.n);
    memcpy(x->info.name, name, strlen(name) + 1);
    x->info.start_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    x->info.end_ms = end_ms;
    pthread_cond_broadcast(&t->cond);
    pthread_mutex_unlock(&t->lock);
    *number = i;
    return OK;
}

void traces_close(struct traces *t, uint32_t number)
{
    struct trace *x = &t->all[number];
    pthread_mutex_lock(&t->lock);
    /* A round that begins after this has seen all that the shards had put. */
    for (uint64_t seen = t->rounds; t->rounds < seen + 2;) {
        pthread_cond_broadcast(&t->cond);
        pthread_cond_wait(&t->cond, &t->lock);
    }
    if (x->fd >= 0)
        close(x->fd);
    x->fd = -1;
    x->info.state = TRACE_STOPPED;
    pthread_mutex_unlock(&t->lock);
}

enum err traces_delete(struct traces *t, const char *name)
{
    char path[4096];
    uint32_t i = traces_find(t, name);
    if (!is_name(name))
        return ERR_NOTFOUND;
    if (i < TRACES_MAX) {
        CHECK(t->all[i].info.state == TRACE_STOPPED);
        pthread_mutex_lock(&t->lock);
        t->all[i].info.state = TRACE_FREE;
        pthread_mutex_unlock(&t->lock);
    }
    return unlink(traces_path(t, name, path, sizeof path)) == 0 || i < TRACES_MAX ? OK : ERR_NOTFOUND;
}

const struct trace_rule *traces_rule(const struct traces *t, uint32_t number)
{
    return &t->all[number].info.rule;
}

void traces_info(struct traces *t, uint32_t number, struct trace_info *out)
{
    pthread_mutex_lock(&t->lock);
    *out = t->all[number].info;
    pthread_mutex_unlock(&t->lock);
}

/* ---- life ----------------------------------------------------------------------------------------- */

struct traces *traces_new(const struct traces_conf *conf)
{
    struct traces *t = mem_zalloc(sizeof *t);
    t->conf = *conf;
    t->sink = (struct trace_sink){t, on_put};
    for (uint32_t i = 0; i < TRACES_MAX; i++)
        t->all[i].fd = -1;
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->cond, NULL);
    return t;
}

void traces_free(struct traces *t)
{
    if (!t)
        return;
    if (t->has_thread) {
        pthread_mutex_lock(&t->lock);
        t->is_over = true;
        pthread_cond_broadcast(&t->cond);
        pthread_mutex_unlock(&t->lock);
        pthread_join(t->thread, NULL);
        for (uint32_t i = 0; i < t->conf.shards; i++)
            ring_drain(t, t->rings[i]);
    }
    for (uint32_t i = 0; i < TRACES_MAX; i++)
        if (t->all[i].fd >= 0)
            close(t->all[i].fd);
    for (uint32_t i = 0; t->rings && i < t->conf.shards; i++)
        free(t->rings[i]);
    free(t->rings);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->cond);
    free(t);
}

const struct trace_sink *traces_sink(const struct traces *t)
{
    return &t->sink;
}
