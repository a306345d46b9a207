/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/world.h"

#include "node/core/counters.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHARDS_MAX = 4, PIPES_MAX = 64, TRACE_LINES = 60, TRACE_LINE = 160, BOOT_WALL_MS = 1700000000 };

struct commit {
    struct store_batch batch;
    bool under_way;
    uint64_t due_ms;
};

struct world {
    uint64_t random;
    uint64_t now_ms;
    uint32_t shards;
    unsigned fault_percent;
    struct settings settings;
    struct store *store;
    struct node *node;
    struct commit commits[SHARDS_MAX];
    struct mailbag *mail[SHARDS_MAX][SHARDS_MAX]; /* first in, first out, by pair */
    struct pipe_end *pipes[PIPES_MAX];
    char trace[TRACE_LINES][TRACE_LINE];
    uint64_t trace_n;
    uint64_t trace_hash;
    bool trace_live;
};

/* ---- chance, time, trace -------------------------------------------------------------------------- */

uint64_t world_random(struct world *w, uint64_t below)
{
    uint64_t x = w->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    w->random = x;
    return below ? (x * 0x2545F4914F6CDD1Dull >> 11) % below : 0;
}

bool world_chance(struct world *w, unsigned percent)
{
    return world_random(w, 100) < percent;
}
uint64_t world_now_ms(const struct world *w)
{
    return w->now_ms;
}

void world_trace(struct world *w, const char *fmt, ...)
{
    char *line = w->trace[w->trace_n++ % TRACE_LINES];
    va_list ap;
    va_start(ap, fmt);
    int n = snprintf(line, TRACE_LINE, "%8llu ", (unsigned long long)w->now_ms);
    vsnprintf(line + n, TRACE_LINE - (size_t)n, fmt, ap);
    va_end(ap);
    for (const char *c = line; *c; c++)
        w->trace_hash = (w->trace_hash ^ (uint8_t)*c) * 0x100000001b3ull;
    if (w->trace_live)
        printf("%s\n", line);
}

void world_trace_print(const struct world *w)
{
    uint64_t first = w->trace_n > TRACE_LINES ? w->trace_n - TRACE_LINES : 0;
    for (uint64_t i = first; i < w->trace_n; i++)
        printf("  %s\n", w->trace[i % TRACE_LINES]);
}

uint64_t world_trace_hash(const struct world *w)
{
    return w->trace_hash;
}
void world_trace_live(struct world *w)
{
    w->trace_live = true;
}

/* ---- the node ------------------------------------------------------------------------------------- */

static struct settings settings_make(void)
{
    return (struct settings){
        .listener = "sim",
        .anonymous_allowed = true,
        .packet_size_max = 1 << 16,
        .client_id_bytes_max = 64,
        .topic_levels_max = 16,
        .qos_max = 2,
        .topic_alias_max = 8,
        .retain_available = true,
        .wildcard_available = true,
        .shared_available = true,
        .idle_timeout_ms = 15000,
        .inflight_max = 8,
        .receive_max = 20,
        .session_expiry_default_s = 1000000,
        .session_expiry_max_s = SECONDS_FOREVER,
        .queue_len_max = 0,
        .keep_alive_percent = 150,
        .outbuf_bytes_max = 1 << 16,
        .response_info = "",
    };
}

static void node_start(struct world *w, uint32_t shards_before)
{
    struct node_conf nc = {.name = "sim",
                           .version = "0",
                           .shards = w->shards,
                           .seed = w->random | 1,
                           .shards_before = shards_before,
                           .boot_wall_ms = BOOT_WALL_MS + w->now_ms,
                           .settings = &w->settings,
                           .store = w->store};
    CHECK(node_new(&w->node, &nc) == OK);
    for (uint32_t i = 0; i < w->shards; i++)
        shard_set_time(node_shard(w->node, i), w->now_ms, BOOT_WALL_MS + w->now_ms);
    CHECK(node_load(w->node) == OK);
}

struct world *world_new(uint64_t seed, uint32_t shards)
{
    CHECK(sodium_init() >= 0 && shards >= 1 && shards <= SHARDS_MAX);
    struct world *w = mem_zalloc(sizeof *w);
    w->random = seed * 0x9E3779B97F4A7C15ull | 1;
    w->now_ms = 1000;
    w->shards = shards;
    w->settings = settings_make();
    w->store = store_new_mem();
    w->trace_hash = 0xcbf29ce484222325ull;
    for (unsigned i = 0; i < SHARDS_MAX; i++)
        store_batch_init(&w->commits[i].batch);
    node_start(w, shards);
    return w;
}

/* What was not committed goes with the node. */
static void node_drop(struct world *w)
{
    for (unsigned i = 0; i < PIPES_MAX; i++) {
        struct pipe_end *p = w->pipes[i];
        if (!p || !p->is_open)
            continue;
        conn_on_lost(&p->core, CONN_END_LOST);
        conn_fini(&p->core);
        p->is_open = false;
        p->broker_ended = true;
    }
    for (unsigned a = 0; a < SHARDS_MAX; a++) {
        for (unsigned b = 0; b < SHARDS_MAX; b++) {
            while (w->mail[a][b]) {
                struct mailbag *next = w->mail[a][b]->next;
                mailbag_free(w->mail[a][b]);
                w->mail[a][b] = next;
            }
        }
        w->commits[a].under_way = false;
        store_batch_reset(&w->commits[a].batch);
    }
    node_free(w->node);
    w->node = NULL;
}

void world_free(struct world *w)
{
    node_drop(w);
    store_close(w->store);
    for (unsigned i = 0; i < SHARDS_MAX; i++)
        store_batch_fini(&w->commits[i].batch);
    free(w);
}

void world_faults(struct world *w, unsigned commit_percent)
{
    w->fault_percent = commit_percent;
}

void world_crash(struct world *w, uint32_t shards)
{
    struct store *left = store_mem_clone(w->store);
    world_trace(w, "CRASH, back with %u shards", shards);
    node_drop(w);
    store_close(w->store);
    w->store = left;
    uint32_t before = w->shards;
    w->shards = shards;
    w->now_ms += 50;
    node_start(w, before);
}

/* ---- pipes ---------------------------------------------------------------------------------------- */

struct pipe_end *pipe_new(struct world *w, const char *client_id)
{
    struct pipe_end *p = mem_zalloc(sizeof *p);
    struct conn_peer peer = {.address = "sim", .port = 1};
    p->world = w;
    p->is_open = true;
    conn_init(&p->core, node_shard(w->node, node_home(w->node, bytes_str(client_id))), &w->settings, &peer);
    for (unsigned i = 0;; i++) {
        CHECK(i < PIPES_MAX);
        if (!w->pipes[i]) {
            w->pipes[i] = p;
            return p;
        }
    }
}

void pipe_drop(struct pipe_end *p)
{
    p->is_gone = true;
}

void pipe_free(struct pipe_end *p)
{
    struct world *w = p->world;
    if (p->is_open) {
        conn_on_lost(&p->core, CONN_END_LOST);
        conn_fini(&p->core);
    }
    for (unsigned i = 0; i < PIPES_MAX; i++) {
        if (w->pipes[i] == p)
            w->pipes[i] = NULL;
    }
    wbuf_free(&p->up);
    wbuf_free(&p->held);
    wbuf_free(&p->down);
    free(p);
}

static void pipe_feed(struct world *w, struct pipe_end *p)
{
    size_t n = p->up.n && world_chance(w, 70) ? 1 + world_random(w, p->up.n) : 0;
    if (n) {
        wbuf_add(&p->held, p->up.p, n);
        wbuf_drop(&p->up, n);
    }
    if (p->is_gone && (p->up.n == 0 || world_chance(w, 50))) {
        conn_on_lost(&p->core, CONN_END_LOST);
        return;
    }
    if (p->held.n && !p->core.read_paused && p->core.state != CONN_CLOSING)
        wbuf_drop(&p->held, conn_feed(&p->core, p->held.p, p->held.n));
}

/* Writes what the pipe takes; a slow one takes some and blocks. */
static void pipe_flush(struct world *w, struct pipe_end *p)
{
    struct iovec iov[16];
    struct outpool *pool = shard_outpool(p->core.shard);
    bool slow = world_chance(w, 20);
    while (!outbuf_is_empty(&p->core.out)) {
        int n = outbuf_iov(&p->core.out, iov, 16);
        size_t take = iov[0].iov_len;
        CHECK(n > 0);
        if (slow)
            take = world_random(w, take + 1);
        wbuf_add(&p->down, iov[0].iov_base, take);
        outbuf_consume(&p->core.out, pool, take);
        if (slow) {
            p->core.write_blocked = !outbuf_is_empty(&p->core.out);
            return;
        }
    }
    p->core.write_blocked = 0;
}

static void pipe_close(struct world *w, struct pipe_end *p)
{
    while (!outbuf_is_empty(&p->core.out))
        pipe_flush(w, p);
    conn_fini(&p->core);
    p->is_open = false;
    p->broker_ended = true;
}

/* ---- a turn --------------------------------------------------------------------------------------- */

static void store_step(struct world *w, uint32_t i)
{
    struct commit *c = &w->commits[i];
    struct shard *sh = node_shard(w->node, i);
    const struct store_batch *b = &c->batch;
    if (c->under_way && w->now_ms >= c->due_ms) {
        if (world_chance(w, w->fault_percent))
            store_mem_fail_next(w->store, world_chance(w, 50) ? ERR_NOSPC : ERR_IO, 1);
        enum err e = store_commit(w->store, &b, 1);
        world_trace(w, "shard %u commit %u ops: %s", i, b->ops, err_name(e));
        store_batch_reset(&c->batch);
        c->under_way = false;
        shard_on_stored(sh, e);
    }
    if (c->under_way || shard_seal_state(sh) == SHARD_SEAL_NOTHING)
        return;
    if (shard_seal_state(sh) == SHARD_SEAL_SOON && world_chance(w, 60))
        return;
    c->under_way = shard_seal(sh, &c->batch);
    c->due_ms = w->now_ms + world_random(w, 30);
}

static void flush_all(struct world *w, struct shard *sh)
{
    struct conn *c;
    while ((c = shard_dirty_take(sh))) {
        struct pipe_end *p = container_of(c, struct pipe_end, core);
        if (c->state == CONN_CLOSING)
            pipe_close(w, p);
        else if (!c->write_blocked && !c->out_held)
            pipe_flush(w, p);
    }
}

static void mail_out(struct world *w, uint32_t from)
{
    for (uint32_t to = 0; to < w->shards; to++) {
        struct mailbag *bag = to == from ? NULL : shard_outbox_take(node_shard(w->node, from), to);
        struct mailbag **last = &w->mail[from][to];
        while (*last)
            last = &(*last)->next;
        *last = bag;
    }
}

static void shard_turn(struct world *w, uint32_t i)
{
    struct shard *sh = node_shard(w->node, i);
    shard_set_time(sh, w->now_ms, BOOT_WALL_MS + w->now_ms);
    for (unsigned k = 0; k < PIPES_MAX; k++) {
        struct pipe_end *p = w->pipes[k];
        if (!p || !p->is_open || p->core.shard != sh)
            continue;
        if (p->core.write_blocked && world_chance(w, 50)) {
            pipe_flush(w, p);
            if (!p->core.write_blocked)
                conn_on_writable(&p->core);
        } else if (p->core.out_waits && !p->core.write_blocked) {
            conn_on_writable(&p->core);
        }
        pipe_feed(w, p);
    }
    for (uint32_t from = 0; from < w->shards; from++) {
        struct mailbag *bag = w->mail[from][i];
        if (!bag || world_chance(w, 30))
            continue;
        w->mail[from][i] = bag->next;
        shard_on_mail(sh, bag);
    }
    shard_tick(sh);
    flush_all(w, sh);
    store_step(w, i);
    flush_all(w, sh);
    mail_out(w, i);
}

void world_step(struct world *w)
{
    uint32_t first = (uint32_t)world_random(w, w->shards);
    w->now_ms += 1 + world_random(w, 10);
    for (uint32_t i = 0; i < w->shards; i++)
        shard_turn(w, (first + i) % w->shards);
}

bool world_is_busy(const struct world *w)
{
    for (uint32_t i = 0; i < w->shards; i++) {
        if (w->commits[i].under_way || shard_seal_state(node_shard(w->node, i)) != SHARD_SEAL_NOTHING)
            return true;
        for (uint32_t k = 0; k < w->shards; k++) {
            if (w->mail[i][k])
                return true;
        }
    }
    for (unsigned i = 0; i < PIPES_MAX; i++) {
        struct pipe_end *p = w->pipes[i];
        if (p && (p->down.n || (p->is_open && (p->up.n || !outbuf_is_empty(&p->core.out)))))
            return true;
    }
    return false;
}

uint64_t world_counter(const struct world *w, const char *name)
{
    uint64_t sum = 0;
    for (unsigned c = 0; c < COUNTERS; c++) {
        for (uint32_t i = 0; strcmp(counter_name(c), name) == 0 && i < w->shards; i++)
            sum += node_shard(w->node, i)->counters.v[c];
    }
    return sum;
}
