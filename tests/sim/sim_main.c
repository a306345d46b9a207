/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/client.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

/* Runs the simulation for a range of seeds. Each seed gives one history: clients, faults and crashes at
 * random, then a drain, then the verdict. */

struct options {
    uint64_t from;
    uint64_t seeds;
    uint64_t steps;
    uint64_t shards; /* 0: by the seed */
    uint64_t nodes;
    bool calm; /* no faults of the cluster */
    bool sticky;
    bool first;
    bool trace;
};

static error_t on_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    switch (key) {
    case 'f':
        o->from = strtoull(arg, NULL, 10);
        return 0;
    case 'n':
        o->seeds = strtoull(arg, NULL, 10);
        return 0;
    case 'm':
        o->steps = strtoull(arg, NULL, 10);
        return 0;
    case 'k':
        o->shards = strtoull(arg, NULL, 10);
        return 0;
    case 'N':
        o->nodes = strtoull(arg, NULL, 10);
        return 0;
    case 'c':
        o->calm = true;
        return 0;
    case 's':
        o->sticky = true;
        return 0;
    case '1':
        o->first = true;
        return 0;
    case 't':
        o->trace = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* The same history for the same seed; answers whether every promise was kept. */
static bool run_seed(const struct options *o, uint64_t seed, uint64_t *acked)
{
    uint32_t shards = (uint32_t)(o->shards ? o->shards : 1 + seed % 3);
    uint32_t nodes = (uint32_t)o->nodes;
    struct sim *s = sim_new(seed, nodes, shards);
    struct world *w = sim_world(s);
    if (o->trace)
        world_trace_live(w);
    if (o->sticky)
        sim_sticky(s);
    sim_gather(s);
    sim_faults(s, seed % 4 == 0 ? 5 : 0);
    for (uint64_t i = 0; i < o->steps && !sim_verdict(s); i++) {
        sim_step(s);
        if (!o->calm && world_random(w, o->steps / 3) == 0)
            sim_crash(s, (uint32_t)world_random(w, nodes),
                      o->shards ? shards : 1 + (uint32_t)world_random(w, 3));
        if (nodes > 1 && !o->calm && world_random(w, 60) == 0)
            sim_trouble(s);
    }
    if (!sim_verdict(s))
        sim_drain(s);
    const char *verdict = sim_verdict(s);
    if (verdict) {
        printf("seed %llu: %s\nthe last lines:\n", (unsigned long long)seed, verdict);
        world_trace_print(w);
    } else if (o->trace || o->seeds == 1) {
        printf("seed %llu: %llu acknowledged, %llu delivered, trace %016llx\n", (unsigned long long)seed,
               (unsigned long long)sim_acked(s), (unsigned long long)sim_delivered(s),
               (unsigned long long)world_trace_hash(w));
    }
    *acked += sim_acked(s);
    bool kept = verdict == NULL;
    sim_free(s);
    return kept;
}

int main(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"from", 'f', "SEED", 0, "the first seed (1)", 0},
        {"seeds", 'n', "N", 0, "how many (100)", 0},
        {"steps", 'm', "N", 0, "steps of each before the drain (1500)", 0},
        {"shards", 'k', "N", 0, "always so many shards (otherwise 1 to 3, changing at crashes)", 0},
        {"nodes", 'N', "N", 0, "nodes of the cluster, 1 to 5 (1)", 0},
        {"calm", 'c', NULL, 0, "no crashes and no faults of the network", 0},
        {"sticky", 's', NULL, 0, "every client stays with one node", 0},
        {"first", '1', NULL, 0, "end with the first seed that fails", 0},
        {"trace", 't', NULL, 0, "print everything that happens", 0},
        {0},
    };
    static const struct argp argp = {
        options, on_option, NULL, "A node under random clients, faults and crashes, from a seed.",
        NULL,    NULL,      NULL};
    struct options o = {.from = 1, .seeds = 100, .steps = 1500, .nodes = 1};
    argp_parse(&argp, argc, argv, 0, NULL, &o);
    uint64_t failed = 0, passed = 0, acked = 0;
    for (uint64_t i = 0; i < o.seeds && !(o.first && failed); i++) {
        if (run_seed(&o, o.from + i, &acked))
            passed++;
        else
            failed++;
    }
    printf("%llu messages acknowledged\n", (unsigned long long)acked);
    printf("%llu passed, %llu failed\n", (unsigned long long)passed, (unsigned long long)failed);
    return failed ? 1 : 0;
}
