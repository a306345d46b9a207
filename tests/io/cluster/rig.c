/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/io/cluster/rig.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS_MAX = 20000 };

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_line(struct log_sink *sink, enum log_level level, const char *line, size_t n)
{
    struct rig *r = (struct rig *)(void *)((char *)sink - offsetof(struct rig, log));

    if (getenv("TEST_VERBOSE"))
        fprintf(stderr, "[%s] %.*s\n", log_level_name(level), (int)n, line);
    pthread_mutex_lock(&log_lock);
    if (r->lines_n + n + 2 < sizeof r->lines) {
        memcpy(r->lines + r->lines_n, line, n);
        r->lines_n += n;
        r->lines[r->lines_n++] = '\n';
        r->lines[r->lines_n] = '\0';
    }
    pthread_mutex_unlock(&log_lock);
}

unsigned rig_logged(struct rig *r, const char *text)
{
    unsigned n = 0;

    pthread_mutex_lock(&log_lock);
    for (const char *p = r->lines; (p = strstr(p, text)); p++)
        n++;
    pthread_mutex_unlock(&log_lock);
    return n;
}

static void on_post(void *ctx, uint32_t shard, struct mailbag *bag)
{
    struct rig *r = ctx;

    free(bag);
    r->posted[shard]++;
}

void rig_init(struct rig *r, uint8_t number)
{
    memset(r, 0, sizeof *r);
    r->log = (struct log_sink){.level = LOG_DEBUG, .write = on_line};
    r->conf = (struct cluster_io_conf){
        .mesh = {.id = {{number}}, .epoch = 1, .name = "test", .cluster = "test"},
        .shards = 2,
        .bind = net_addr_v4(127, 0, 0, 1, 0),
        .post = on_post,
        .post_ctx = r,
        .log = &r->log,
    };
}

void rig_secret(struct rig *r, const char *text, unsigned mode)
{
    char fresh[128];
    int fd;

    if (!r->folder[0]) {
        snprintf(r->folder, sizeof r->folder, "/tmp/covey-cluster-XXXXXX");
        assert_non_null(mkdtemp(r->folder));
        snprintf(r->secret_file, sizeof r->secret_file, "%s/secret", r->folder);
        r->conf.secret_file = r->secret_file;
    }
    snprintf(fresh, sizeof fresh, "%s.new", r->secret_file);
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    assert_int_equal(rename(fresh, r->secret_file), 0);
}

void rig_start(struct rig *r)
{
    assert_int_equal(cluster_io_new(&r->io, &r->conf), OK);
    assert_int_equal(cluster_io_start(r->io), OK);
}

void rig_stop(struct rig *r)
{
    if (r->io) {
        cluster_io_stop(r->io, 2000);
        cluster_io_free(r->io);
    }
    if (r->folder[0]) {
        unlink(r->secret_file);
        rmdir(r->folder);
    }
}

struct net_addr rig_addr(const struct rig *r)
{
    return cluster_io_advertise(r->io);
}

void rig_ask(struct rig *r, void (*fn)(struct mesh *m, void *arg), void *arg)
{
    assert_int_equal(cluster_io_ask(r->io, fn, arg), OK);
}

static void do_dial(struct mesh *m, void *arg)
{
    stub_dial(m, arg);
}

void rig_dial(struct rig *r, const struct net_addr *to)
{
    struct net_addr copy = *to;

    rig_ask(r, do_dial, &copy);
}

void rig_pause(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

struct condition {
    bool (*fn)(struct mesh *m, void *arg);
    void *arg;
    bool is_true;
};

static void look(struct mesh *m, void *arg)
{
    struct condition *c = arg;

    c->is_true = c->fn(m, c->arg);
}

void rig_wait(struct rig *r, bool (*fn)(struct mesh *m, void *arg), void *arg)
{
    struct condition c = {fn, arg, false};

    for (int i = 0; i < WAIT_MS_MAX; i++) {
        rig_ask(r, look, &c);
        if (c.is_true)
            return;
        rig_pause();
    }
    fail_msg("what was waited for did not happen");
}

static bool has_peers(struct mesh *m, void *arg)
{
    return m->peers_n == *(uint32_t *)arg;
}

void rig_wait_peers(struct rig *r, uint32_t n)
{
    rig_wait(r, has_peers, &n);
}

struct cluster_io_stats rig_stats(struct rig *r)
{
    struct cluster_io_stats s;

    cluster_io_stats(r->io, &s);
    return s;
}

void rig_wait_half_open(struct rig *r, uint32_t n)
{
    for (int i = 0; i < WAIT_MS_MAX; i++) {
        if (rig_stats(r).half_open == n)
            return;
        rig_pause();
    }
    fail_msg("%u connections are half open", (unsigned)rig_stats(r).half_open);
}

void rig_wait_fault(struct rig *r, enum cluster_fault f, uint64_t at_least)
{
    for (int i = 0; i < WAIT_MS_MAX; i++) {
        if (rig_stats(r).faults[f] >= at_least)
            return;
        rig_pause();
    }
    fail_msg("no %s was counted", cluster_fault_name(f));
}
