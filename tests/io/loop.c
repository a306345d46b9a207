/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/io/loop.h"

#include "storage/mem.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WAIT_MS_MAX = 20000 };

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_line(struct log_sink *sink, enum log_level level, const char *line, size_t n)
{
    struct loop *l = (struct loop *)(void *)((char *)sink - offsetof(struct loop, log));

    if (getenv("TEST_VERBOSE"))
        fprintf(stderr, "[%s] %.*s\n", log_level_name(level), (int)n, line);
    pthread_mutex_lock(&log_lock);
    if (l->lines_n + n + 2 < sizeof l->lines) {
        memcpy(l->lines + l->lines_n, line, n);
        l->lines_n += n;
        l->lines[l->lines_n++] = '\n';
        l->lines[l->lines_n] = '\0';
    }
    pthread_mutex_unlock(&log_lock);
}

unsigned loop_logged(struct loop *l, const char *text)
{
    unsigned n = 0;

    pthread_mutex_lock(&log_lock);
    for (const char *p = l->lines; (p = strstr(p, text)); p++)
        n++;
    pthread_mutex_unlock(&log_lock);
    return n;
}

void loop_init(struct loop *l)
{
    memset(l, 0, sizeof *l);
    l->log = (struct log_sink){.level = LOG_NOTICE, .write = on_line};
    l->settings = (struct settings){
        .listener = "tcp:default",
        .anonymous_allowed = true,
        .packet_size_max = 4 << 20,
        .client_id_bytes_max = 65535,
        .qos_max = 2,
        .topic_alias_max = 10,
        .retain_available = true,
        .wildcard_available = true,
        .shared_available = true,
        .idle_timeout_ms = 10000,
        .inflight_max = 100,
        .receive_max = 65535,
        .session_expiry_default_s = 3600,
        .session_expiry_max_s = 3600,
        .queue_len_max = 100000,
        .keep_alive_percent = 150,
        .outbuf_bytes_max = 64 << 20,
        .response_info = "",
        .retained_payload_max = 1 << 20,
    };
    for (int i = 0; i < LOOP_LISTENERS_MAX; i++) {
        static const char *const names[] = {"tcp:default", "tcp:second", "ssl:default", "ws:default"};
        struct sockaddr_in *in = (struct sockaddr_in *)(void *)&l->listeners[i].addr;
        l->listeners[i].name = names[i];
        l->listeners[i].is_enabled = true;
        l->listeners[i].settings = &l->settings;
        l->listeners[i].ws.path = "/mqtt";
        in->sin_family = AF_INET;
        in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
}

void loop_start(struct loop *l, uint32_t workers, uint32_t listeners)
{
    struct store_conf store = {.sync = STORE_SYNC_OFF, .log = &l->log};
    struct node_conf node = {.name = "test@127.0.0.1",
                             .version = "0",
                             .shards = workers,
                             .seed = 1,
                             .boot_wall_ms = (uint64_t)time(NULL) * 1000,
                             .settings = &l->settings,
                             .log = &l->log,
                             .defer_free = io_defer_free};
    struct io_conf io = {.listeners = l->listeners, .listeners_n = listeners, .log = &l->log};

    l->store = node.store = store_new_mem();
    assert_int_equal(writer_new(&l->writer, l->store, &store), OK);
    assert_int_equal(node_new(&l->node, &node), OK);
    assert_int_equal(node_load(l->node), OK);
    io.node = l->node;
    io.writer = l->writer;
    assert_int_equal(io_new(&l->io, &io), OK);
    assert_int_equal(io_start(l->io), OK);
}

void loop_stop(struct loop *l)
{
    io_stop(l->io, 5000);
    writer_free(l->writer);
    io_free(l->io);
    node_free(l->node);
    store_close(l->store);
    io_defer_barrier();
}

struct io_listener_info loop_info(struct loop *l, uint32_t listener)
{
    struct io_listener_info info;

    io_listener_info(l->io, listener, &info);
    return info;
}

uint16_t loop_port(struct loop *l, uint32_t listener)
{
    return loop_info(l, listener).port;
}

struct io_stats loop_stats(struct loop *l)
{
    struct io_stats s;

    io_stats(l->io, &s);
    return s;
}

void loop_wait(struct loop *l, bool (*cond)(struct loop *l, void *arg), void *arg)
{
    struct timespec ms = {.tv_nsec = 1000000};

    for (int i = 0; i < WAIT_MS_MAX; i++) {
        if (cond(l, arg))
            return;
        nanosleep(&ms, NULL);
    }
    fail_msg("what was waited for did not happen");
}
