/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/counters.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "tests/sim/world_i.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { TRACE_LINES = 60, TRACE_LINE = 160 };

struct trace {
    char lines[TRACE_LINES][TRACE_LINE];
    uint64_t n;
    uint64_t hash;
    bool is_live;
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
uint32_t world_nodes(const struct world *w)
{
    return w->nodes_n;
}

void world_trace(struct world *w, const char *fmt, ...)
{
    struct trace *t = w->trace;
    char *line = t->lines[t->n++ % TRACE_LINES];
    va_list ap;
    va_start(ap, fmt);
    int n = snprintf(line, TRACE_LINE, "%8llu ", (unsigned long long)w->now_ms);
    vsnprintf(line + n, TRACE_LINE - (size_t)n, fmt, ap);
    va_end(ap);
    for (const char *c = line; *c; c++)
        t->hash = (t->hash ^ (uint8_t)*c) * 0x100000001b3ull;
    if (t->is_live)
        printf("%s\n", line);
}

void world_trace_print(const struct world *w)
{
    const struct trace *t = w->trace;
    uint64_t first = t->n > TRACE_LINES ? t->n - TRACE_LINES : 0;
    for (uint64_t i = first; i < t->n; i++)
        printf("  %s\n", t->lines[i % TRACE_LINES]);
}

uint64_t world_trace_hash(const struct world *w)
{
    return w->trace->hash;
}
void world_trace_live(struct world *w)
{
    w->trace->is_live = true;
}

/* ---- life ----------------------------------------------------------------------------------------- */

struct world *world_new(uint64_t seed, uint32_t nodes, uint32_t shards)
{
    CHECK(sodium_init() >= 0 && shards >= 1 && shards <= SIM_SHARDS_MAX && nodes >= 1 &&
          nodes <= SIM_NODES_MAX);
    struct world *w = mem_zalloc(sizeof *w);
    w->random = seed * 0x9E3779B97F4A7C15ull | 1;
    w->now_ms = 1000;
    w->nodes_n = nodes;
    w->delay_ms = 3;
    w->is_whole = nodes == 1;
    w->trace = mem_zalloc(sizeof *w->trace);
    w->trace->hash = 0xcbf29ce484222325ull;
    for (uint32_t i = 0; i < nodes; i++)
        world_node_init(&w->nodes[i], w, i, shards);
    for (uint32_t i = 0; i < nodes; i++)
        world_node_start(&w->nodes[i], 0);
    return w;
}

void world_free(struct world *w)
{
    for (uint32_t i = 0; i < w->nodes_n; i++)
        world_node_fini(&w->nodes[i]);
    net_free(w);
    free(w->trace);
    free(w);
}

void world_faults(struct world *w, unsigned commit_percent)
{
    w->fault_percent = commit_percent;
}

void world_step(struct world *w)
{
    uint32_t first = (uint32_t)world_random(w, w->nodes_n);
    w->now_ms += 1 + world_random(w, 10);
    net_deliver(w);
    for (uint32_t i = 0; i < w->nodes_n; i++)
        world_node_turn(&w->nodes[(first + i) % w->nodes_n]);
    net_look_whole(w);
}

void world_explain(const struct world *w)
{
    net_explain(w);
    for (uint32_t i = 0; i < w->nodes_n; i++)
        printf("  node %u: %s\n", i, w->nodes[i].node && world_node_is_busy(&w->nodes[i]) ? "busy" : "quiet");
}

bool world_is_busy(const struct world *w)
{
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        if (w->nodes[i].node && world_node_is_busy(&w->nodes[i]))
            return true;
    }
    for (unsigned i = 0; i < PIPES_MAX; i++) {
        struct pipe_end *p = w->pipes[i];
        if (p && (p->down.n || (p->is_open && (p->up.n || !outbuf_is_empty(&p->core.out)))))
            return true;
    }
    return net_is_busy(w);
}

uint64_t world_counter(const struct world *w, const char *name)
{
    uint64_t sum = 0;
    for (uint32_t k = 0; k < w->nodes_n; k++) {
        const struct world_node *n = &w->nodes[k];
        for (unsigned c = 0; n->node && c < COUNTERS; c++)
            for (uint32_t i = 0; strcmp(counter_name(c), name) == 0 && i < n->shards; i++)
                sum += node_shard(n->node, i)->counters.v[c];
    }
    return sum;
}

bool world_has_session(const struct world *w, uint32_t node, const char *client_id)
{
    const struct world_node *n = &w->nodes[node];
    if (!n->node)
        return false;
    struct bytes id = bytes_str(client_id);
    return session_find(node_shard(n->node, node_home(n->node, id)), id) != NULL;
}

/* ---- nodes come and go ---------------------------------------------------------------------------- */

bool world_is_up(const struct world *w, uint32_t node)
{
    return w->nodes[node].node != NULL;
}

void world_down(struct world *w, uint32_t node)
{
    struct world_node *n = &w->nodes[node];
    struct store *left = store_mem_clone(n->store);
    world_trace(w, "node %u DOWN", node);
    world_node_drop(n);
    store_close(n->store);
    n->store = left;
    net_look_whole(w);
}

void world_up(struct world *w, uint32_t node, enum world_return how)
{
    struct world_node *n = &w->nodes[node];
    if (how == WORLD_OTHER_ADDRESS)
        n->addr.ip[15] = (uint8_t)(100 + w->next_address++);
    world_trace(w, "node %u UP", node);
    world_node_start(n, n->shards);
}

void world_crash(struct world *w, uint32_t node, uint32_t shards)
{
    struct world_node *n = &w->nodes[node];
    uint32_t before = n->shards;
    world_trace(w, "CRASH of node %u, back with %u shards", node, shards);
    world_down(w, node);
    n->shards = shards;
    w->now_ms += 50;
    world_node_start(n, before);
}
