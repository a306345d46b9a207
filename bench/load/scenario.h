/* SPDX-License-Identifier: Apache-2.0 */
/* The scenarios: each sets up its clients, runs, fills the report and returns. main() decides the exit
 * status. */
#ifndef BENCH_LOAD_SCENARIO_H
#define BENCH_LOAD_SCENARIO_H

struct bench;

struct scenario {
    const char *name;
    const char *help;
    void (*run)(struct bench *b);
};

/* NULL when there is none of that name. */
const struct scenario *scenario_find(const char *name);
void scenario_list(void);

void run_pairs(struct bench *b);
void run_paced(struct bench *b);
void run_fanout(struct bench *b);
void run_fanin(struct bench *b);
void run_filters(struct bench *b);
void run_subs(struct bench *b);
void run_idle(struct bench *b);
void run_connect(struct bench *b);
void run_retained(struct bench *b);
void run_queue(struct bench *b);

#endif
