/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/traces.h"

#include "node/core/node.h"
#include "node/io/trace_kept.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"
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
    uint8_t value[TRACE_VALUE_MAX];
    char ended[TRACE_ENDED_MAX + 1]; /* what info.ended looks at, when it was read */
    int fd;                          /* -1: nothing is written */
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
    uint64_t lost = atomic_exchange_explicit(&r->lost, 0, memory_order_acquire);
    if (!lost)
        return;
    uint32_t mask = atomic_exchange_explicit(&r->lost_mask, 0, memory_order_relaxed);
    for (uint32_t i = 0; i < TRACES_MAX; i++)
        if (mask & 1u << i)
            t->all[i].info.dropped += lost;
    int n = snprintf(text, sizeof text, "- %llu events are missing here", (unsigned long long)lost);
    record_write(t, mask, wall_ms(), text, (size_t)n);
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
        for (uint32_t i = 0; i < t->conf.shards; i++)
            ring_drain(t, t->rings[i]);
        t->rounds++;
        pthread_cond_broadcast(&t->cond);
        struct timespec until = mono_in_ms(WRITE_EVERY_MS);
        if (any_runs(t))
            pthread_cond_clockwait(&t->cond, &t->lock, CLOCK_MONOTONIC, &until);
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
    if (!trace_name_is_good(name) || !rule->value.n || rule->value.n > TRACE_VALUE_MAX)
        return ERR_INVALID;
    return rule->by != TRACE_TOPIC || topic_filter_parse(rule->value, 0, &f) == TOPIC_OK ? OK : ERR_INVALID;
}

/* flags O_EXCL: only when there is none yet. */
static int file_open(const struct traces *t, const char *name, int flags)
{
    char path[4096];
    mkdir(t->conf.folder, 0750);
    int fd =
        open(traces_path(t, name, path, sizeof path), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0640);
    if (fd < 0 && errno != EEXIST)
        LOG(t->conf.log, LOG_ERROR, "trace file not made file=\"%s\" error=\"%s\"", path, strerror(errno));
    return fd;
}

/* Writes down how things are with it. Not under lock: the file system may be slow. */
static enum err keep(struct traces *t, uint32_t number)
{
    struct trace_kept k = {.state = TRACE_FREE};
    pthread_mutex_lock(&t->lock);
    const struct trace *x = &t->all[number];
    k.state = x->info.state;
    k.by = x->info.rule.by;
    k.payload = x->info.rule.payload;
    k.start_ms = x->info.start_ms;
    k.end_ms = x->info.end_ms;
    k.dropped = x->info.dropped;
    k.value_n = x->info.rule.value.n;
    memcpy(k.value, x->value, k.value_n);
    memcpy(k.name, x->info.name, sizeof k.name);
    snprintf(k.ended, sizeof k.ended, "%s", x->info.ended ? x->info.ended : "");
    pthread_mutex_unlock(&t->lock);
    enum err e = trace_kept_write(t->conf.folder, &k);
    if (e != OK)
        LOG(t->conf.log, LOG_ERROR, "trace not kept name=%s error=\"%s\"", k.name, strerror(errno));
    return e;
}

static uint32_t free_find(const struct traces *t)
{
    uint32_t i = 0;
    while (i < TRACES_MAX && t->all[i].info.state != TRACE_FREE)
        i++;
    return i;
}

static void fill(struct trace *x, const char *name, enum trace_state state, int fd,
                 const struct trace_rule *rule)
{
    *x = (struct trace){.fd = fd};
    x->info.state = state;
    x->info.rule = *rule;
    x->info.rule.value = bytes_of(x->value, rule->value.n);
    memcpy(x->value, rule->value.p, rule->value.n);
    memcpy(x->info.name, name, strlen(name) + 1);
}

static void forget(struct traces *t, uint32_t number)
{
    pthread_mutex_lock(&t->lock);
    if (t->all[number].fd >= 0)
        close(t->all[number].fd);
    t->all[number].fd = -1;
    t->all[number].info.state = TRACE_FREE;
    pthread_mutex_unlock(&t->lock);
}

enum err traces_open(struct traces *t, const char *name, const struct trace_rule *rule, uint64_t end_ms,
                     uint32_t *number)
{
    char path[4096];
    uint32_t i = free_find(t);
    enum err e = judge(name, rule);
    if (e != OK)
        return e;
    if (traces_find(t, name) < TRACES_MAX)
        return ERR_EXISTS;
    if (i == TRACES_MAX || !thread_start(t))
        return ERR_LIMIT;
    int fd = file_open(t, name, O_EXCL);
    if (fd < 0)
        return errno == EEXIST ? ERR_EXISTS : ERR_IO;
    pthread_mutex_lock(&t->lock);
    fill(&t->all[i], name, TRACE_RUNS, fd, rule);
    t->all[i].info.start_ms = wall_ms();
    t->all[i].info.end_ms = end_ms;
    pthread_cond_broadcast(&t->cond);
    pthread_mutex_unlock(&t->lock);
    if (keep(t, i) != OK) {
        forget(t, i);
        unlink(traces_path(t, name, path, sizeof path));
        return ERR_IO;
    }
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
    (void)keep(t, number); /* after a restart it would end again */
}

enum err traces_delete(struct traces *t, const char *name)
{
    char path[4096];
    uint32_t i = traces_find(t, name);
    if (!trace_name_is_good(name))
        return ERR_NOTFOUND;
    if (i < TRACES_MAX) {
        CHECK(t->all[i].info.state == TRACE_STOPPED);
        forget(t, i);
    }
    trace_kept_delete(t->conf.folder, name); /* first: a crash leaves a file, not a trace without one */
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

/* ---- after a restart ------------------------------------------------------------------------------ */

/* Was the last line cut, by a crash of the machine or a full disk? */
static bool is_cut(int fd, uint64_t bytes)
{
    char last;
    return bytes && pread(fd, &last, 1, (off_t)bytes - 1) == 1 && last != '\n';
}

/* Its number; TRACES_MAX: there is no room. */
static uint32_t slot_fill(struct traces *t, const struct trace_kept *k)
{
    struct stat st;
    uint32_t i = free_find(t);
    const struct trace_rule rule = {k->by, k->payload, bytes_of(k->value, k->value_n)};
    bool runs = k->state == TRACE_RUNS && k->end_ms > wall_ms();
    if (i == TRACES_MAX || judge(k->name, &rule) != OK)
        return TRACES_MAX;
    int fd = file_open(t, k->name, 0);
    pthread_mutex_lock(&t->lock);
    struct trace *x = &t->all[i];
    fill(x, k->name, runs ? TRACE_RUNS : TRACE_STOPPED, fd, &rule);
    x->info.start_ms = k->start_ms;
    x->info.end_ms = k->end_ms;
    x->info.dropped = k->dropped;
    memcpy(x->ended, k->ended, sizeof x->ended);
    x->info.ended = *x->ended ? x->ended : fd < 0 ? "its file cannot be opened" : NULL;
    x->info.bytes = fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
    if (!runs && fd >= 0) {
        close(fd);
        x->fd = -1;
    }
    pthread_mutex_unlock(&t->lock);
    return i;
}

struct resuming {
    struct traces *t;
    struct node *node;
};

static void on_kept(void *arg, const struct trace_kept *k)
{
    static const char again[] = "- the node has started again";
    const struct resuming *r = arg;
    struct traces *t = r->t;
    uint32_t i = slot_fill(t, k);
    if (i == TRACES_MAX) {
        LOG(t->conf.log, LOG_ERROR, "trace not resumed name=%s", k->name);
        return;
    }
    if (t->all[i].info.state != TRACE_RUNS || !thread_start(t)) {
        if (k->state == TRACE_RUNS)
            (void)keep(t, i);
        return;
    }
    pthread_mutex_lock(&t->lock);
    if (is_cut(t->all[i].fd, t->all[i].info.bytes))
        lines_write(t, 1u << i, "\n", 1);
    record_write(t, 1u << i, wall_ms(), again, sizeof again - 1);
    pthread_mutex_unlock(&t->lock);
    for (uint32_t s = 0; s < t->conf.shards; s++)
        trace_set(node_shard(r->node, s), i, &t->all[i].info.rule);
}

void traces_resume(struct traces *t, struct node *node)
{
    trace_kept_each(t->conf.folder, t->conf.log, on_kept, &(struct resuming){t, node});
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
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        if (t->all[i].info.state == TRACE_RUNS)
            (void)keep(t, i);
        if (t->all[i].fd >= 0)
            close(t->all[i].fd);
    }
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
