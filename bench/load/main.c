/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load/bench.h"
#include "bench/load/clock.h"
#include "bench/load/die.h"
#include "bench/load/scenario.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const struct scenario scenarios[] = {
    {"pairs", "1:1, --pubs pairs (50), --batch (16)", run_pairs},
    {"paced", "1:1 at --rate messages a second, one per write", run_paced},
    {"fanout", "one publisher, --subs subscribers (1000), --batch (16)", run_fanout},
    {"fanin", "--pubs publishers (1000), --subs subscribers (1), --batch (1)", run_fanin},
    {"filters", "--pubs (50) publish to --topics among --count (100000) deep filters of --subs (100)",
     run_filters},
    {"subs", "the same filters subscribed: time and memory of each", run_subs},
    {"idle", "--count connections (15000) that say nothing: memory of each", run_idle},
    {"connect", "connect and disconnect, --pubs at a time (50)", run_connect},
    {"retained", "store --count (100000) retained messages, replay them to new subscribers", run_retained},
    {"queue", "--count (100000) messages for --subs (1) offline sessions: store, then drain", run_queue},
};

#define SCENARIO_COUNT (sizeof(scenarios) / sizeof(scenarios[0]))

const struct scenario *scenario_find(const char *name)
{
    for (size_t i = 0; i < SCENARIO_COUNT; i++)
        if (!strcmp(scenarios[i].name, name))
            return &scenarios[i];
    return NULL;
}

void scenario_list(void)
{
    for (size_t i = 0; i < SCENARIO_COUNT; i++)
        printf("  %-10s %s\n", scenarios[i].name, scenarios[i].help);
}

int bench_until(struct bench *b, int (*is_done)(void *arg), void *arg, uint64_t timeout_ns)
{
    uint64_t end_ns = clock_now_ns() + timeout_ns;
    net_flush(&b->net);
    while (!is_done(arg)) {
        if (clock_now_ns() > end_ns)
            return 0;
        net_wait(&b->net, 10000000u);
        net_flush(&b->net);
    }
    return 1;
}

static void main_pin(int64_t cpu)
{
    cpu_set_t set;
    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set))
        die("cannot run on core %d: %s", (int)cpu, strerror(errno));
}

static void main_raise_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
    struct bench *b = die_calloc(1, sizeof(*b));
    opts_parse(&b->opts, argc, argv);
    const struct scenario *s = scenario_find(b->opts.scenario);
    if (!s)
        die("no scenario '%s'; --help lists them", b->opts.scenario);
    main_pin(b->opts.cpu);
    main_raise_files();
    prctl(PR_SET_TIMERSLACK, 1ul, 0, 0, 0); /* paced sends are due to the microsecond */
    net_init(&b->net, b->opts.host, (uint16_t)b->opts.port, 200);
    broker_others_set(b->opts.pids ? b->opts.pids : "");
    s->run(b);
    report_print(b);
    net_fini(&b->net);
    enum bench_exit status = verdict_is_clean(&b->verdict) ? BENCH_EXIT_OK : BENCH_EXIT_BROKEN;
    free(b);
    return (int)status;
}
