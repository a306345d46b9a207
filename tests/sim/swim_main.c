/* SPDX-License-Identifier: Apache-2.0 */
#include "cluster/core/member.h"

#include "proto/base/check.h"
#include "proto/base/hash.h"
#include "proto/base/mem.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

/* Membership alone, many nodes in one thread on a virtual network: how long until all know that one was
 * killed, how many are taken for dead that are not, and what it costs. */

enum {
    STEP_MS = 10,
    SETTLE_MS = 20000,
    AFTER_MS = 60000,
    SILENT_MS = 1500,
    DELAY_MAX_MS = 3,
    NODES_MAX = 200
};

struct packet {
    struct packet *next;
    uint64_t at_ms;
    uint32_t from, to;
    uint32_t n;
    uint8_t b[];
};

struct node {
    struct members *members;
    struct node_id id;
    struct net_addr addr;
    uint64_t slow_until_ms; /* it does nothing until then */
    uint64_t knows_ms;      /* that the killed one is dead */
    bool is_killed;
};

struct world {
    struct node nodes[NODES_MAX];
    uint32_t n;
    uint32_t loss_percent, slow_percent;
    uint32_t victim;
    uint64_t now_ms, random, killed_ms;
    uint64_t packets, bytes, false_deaths;
    struct packet *flying, **flying_end;
};

static uint64_t world_random(struct world *w, uint64_t below)
{
    w->random = hash_u64(w->random, 11);
    return w->random % below;
}

static struct member_self node_self(const struct world *w, uint32_t i)
{
    struct member_self self = {.id = w->nodes[i].id, .epoch = 1, .addr = w->nodes[i].addr, .cluster = "sim"};
    snprintf(self.name, sizeof self.name, "n%u", i);
    return self;
}

static void nodes_make(struct world *w, uint64_t seed)
{
    struct members_conf conf;
    members_conf_default(&conf);
    for (uint32_t i = 0; i < w->n; i++) {
        struct node *n = &w->nodes[i];
        n->id = (struct node_id){{0}};
        be64_put(n->id.b, hash_u64(i + 1, seed));
        n->addr = net_addr_v4(10, 0, (uint8_t)(i >> 8), (uint8_t)(i & 255), 7946);
        struct member_self self = node_self(w, i);
        n->members = members_new(&conf, &self, hash_u64(i, seed) | 1, 0, NULL);
    }
    for (uint32_t i = 0; i < w->n; i++) { /* as after the first exchange over links */
        for (uint32_t k = 0; k < w->n; k++) {
            struct member_self peer = node_self(w, k);
            if (i != k)
                members_on_contact(w->nodes[i].members, &peer, 0);
        }
    }
}

static void send_all(struct world *w, uint32_t from)
{
    struct member_datagram d;
    while (members_datagram_take(w->nodes[from].members, &d)) {
        w->packets++;
        w->bytes += d.n;
        if (world_random(w, 100) < w->loss_percent)
            continue;
        struct packet *p = mem_alloc(sizeof *p + d.n);
        uint32_t to = (uint32_t)d.to.ip[14] << 8 | d.to.ip[15];
        *p = (struct packet){
            .at_ms = w->now_ms + 1 + world_random(w, DELAY_MAX_MS), .from = from, .to = to, .n = d.n};
        memcpy(p->b, d.b, d.n);
        *w->flying_end = p;
        w->flying_end = &p->next;
    }
}

static void deliver_all(struct world *w)
{
    struct packet *all = w->flying;
    w->flying = NULL;
    w->flying_end = &w->flying;
    while (all) {
        struct packet *p = all;
        struct node *n = &w->nodes[p->to];
        all = p->next;
        if (p->at_ms > w->now_ms ||
            (n->slow_until_ms > w->now_ms && !n->is_killed)) { /* waits in its socket */
            p->next = NULL;
            *w->flying_end = p;
            w->flying_end = &p->next;
            continue;
        }
        if (!n->is_killed)
            members_on_datagram(n->members, &w->nodes[p->from].addr, bytes_of(p->b, p->n), w->now_ms);
        free(p);
    }
}

static void events_look(struct world *w, struct node *n)
{
    struct member_event e;
    while (members_event_take(n->members, &e)) {
        if (e.kind != MEMBER_EVENT_DEAD)
            continue;
        if (w->killed_ms && node_id_eq(&e.member.id, &w->nodes[w->victim].id))
            n->knows_ms = n->knows_ms ? n->knows_ms : w->now_ms;
        else
            w->false_deaths++;
    }
}

static void step(struct world *w)
{
    w->now_ms += STEP_MS;
    deliver_all(w);
    for (uint32_t i = 0; i < w->n; i++) {
        struct node *n = &w->nodes[i];
        if (n->is_killed || n->slow_until_ms > w->now_ms)
            continue;
        if (i * 100 < w->slow_percent * w->n && world_random(w, 300) == 0) { /* a stall now and then */
            n->slow_until_ms = w->now_ms + 500 + world_random(w, 3500);
            continue;
        }
        members_tick(n->members, w->now_ms);
        events_look(w, n);
        send_all(w, i);
    }
}

/* Links to the killed one have been silent for long enough. */
static void links_end(struct world *w)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (i != w->victim)
            members_set_reachable(w->nodes[i].members, &w->nodes[w->victim].id, false);
}

static bool all_know(const struct world *w)
{
    for (uint32_t i = 0; i < w->n; i++)
        if (!w->nodes[i].is_killed && !w->nodes[i].knows_ms)
            return false;
    return true;
}

struct result {
    uint64_t known_ms; /* UINT64_MAX: not within AFTER_MS */
    uint64_t false_deaths;
    double packets_s, bytes_s; /* of each node, when nothing happens */
};

static struct result run(uint32_t nodes, uint32_t loss, uint32_t slow, bool with_links, uint64_t seed)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct result r = {0};
    *w = (struct world){.n = nodes, .loss_percent = loss, .slow_percent = slow, .random = hash_u64(seed, 5)};
    w->flying_end = &w->flying;
    nodes_make(w, seed);
    for (uint32_t i = 0; i < nodes * nodes && with_links; i++)
        members_set_reachable(w->nodes[i / nodes].members, &w->nodes[i % nodes].id, true);
    while (w->now_ms < SETTLE_MS)
        step(w);
    r.packets_s = (double)w->packets * 1000 / SETTLE_MS / nodes;
    r.bytes_s = (double)w->bytes * 1000 / SETTLE_MS / nodes;
    for (uint64_t until = w->now_ms + world_random(w, 1000); w->now_ms < until;)
        step(w);
    w->victim = nodes - 1;
    w->nodes[w->victim].is_killed = true;
    w->killed_ms = w->now_ms;
    while (!all_know(w) && w->now_ms < w->killed_ms + AFTER_MS) {
        step(w);
        if (with_links && w->now_ms == w->killed_ms + SILENT_MS)
            links_end(w);
    }
    r.known_ms = all_know(w) ? w->now_ms - w->killed_ms : UINT64_MAX;
    r.false_deaths = w->false_deaths;
    for (struct packet *p = w->flying, *next; p; p = next) {
        next = p->next;
        free(p);
    }
    for (uint32_t i = 0; i < nodes; i++)
        members_free(w->nodes[i].members);
    free(w);
    return r;
}

/* ---- the table ------------------------------------------------------------------------------------ */

struct options {
    uint64_t nodes, seeds, loss, slow, known_max_ms, false_max, links;
};

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    uint64_t *const at[] = {
        ['n'] = &o->nodes,        ['s'] = &o->seeds,     ['l'] = &o->loss, ['w'] = &o->slow,
        ['k'] = &o->known_max_ms, ['f'] = &o->false_max, ['i'] = &o->links};
    if (key < 0 || key >= (int)(sizeof at / sizeof at[0]) || !at[key])
        return ARGP_ERR_UNKNOWN;
    *at[key] = arg ? strtoull(arg, NULL, 10) : 1;
    return 0;
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"nodes", 'n', "N", 0, "nodes (10)", 0},
        {"seeds", 's', "N", 0, "runs (20)", 0},
        {"loss", 'l', "PERCENT", 0, "of datagrams (0)", 0},
        {"slow", 'w', "PERCENT", 0, "of nodes that stall for 0.5 to 4 s now and then (0)", 0},
        {"links", 'i', NULL, 0, "nodes have links as well, which are silent 1.5 s after the death", 0},
        {"known-max", 'k', "MS", 0, "fail when it takes longer until all know", 0},
        {"false-max", 'f', "N", 0, "fail when more are taken for dead that are not", 0},
        {0},
    };
    static const struct argp argp = {
        options, on_option, NULL, "Membership of many nodes; the last of them is killed.", NULL, NULL, NULL};
    struct options o = {.nodes = 10, .seeds = 20, .known_max_ms = UINT64_MAX, .false_max = UINT64_MAX};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    if (o.nodes < 2 || o.nodes > NODES_MAX || !o.seeds)
        return 2;
    uint64_t *known = mem_zalloc(sizeof *known * o.seeds), false_deaths = 0;
    struct result r = {0};
    for (uint64_t i = 0; i < o.seeds; i++) {
        r = run((uint32_t)o.nodes, (uint32_t)o.loss, (uint32_t)o.slow, o.links != 0, i + 1);
        known[i] = r.known_ms;
        false_deaths += r.false_deaths;
    }
    qsort(known, o.seeds, sizeof *known, by_size);
    uint64_t most = known[o.seeds - 1];
    printf("| nodes | loss | slow | runs | dead known to all: p50 | p99 | most | false deaths | datagrams/s "
           "| bytes/s |\n"
           "| %llu | %llu %% | %llu %% | %llu | %.1f s | %.1f s | %.1f s | %llu | %.1f | %.0f |\n",
           (unsigned long long)o.nodes, (unsigned long long)o.loss, (unsigned long long)o.slow,
           (unsigned long long)o.seeds, (double)known[o.seeds / 2] / 1000,
           (double)known[(o.seeds * 99 - 1) / 100] / 1000, (double)most / 1000,
           (unsigned long long)false_deaths, r.packets_s, r.bytes_s);
    free(known);
    return most > o.known_max_ms || false_deaths > o.false_max;
}
