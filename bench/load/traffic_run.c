/* SPDX-License-Identifier: Apache-2.0 */
/* The measured part: closed loop or paced, then the drain and the figures. */
#include "bench/load/traffic.h"

#include "bench/load/clock.h"
#include "bench/load/die.h"

#define TURN_NS  10000000u
#define AFTER_NS 50000000u

static uint64_t traffic_outstanding(const struct traffic *t)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < t->publisher_count; i++)
        sum += publisher_outstanding(&t->publishers[i]);
    return sum;
}

void traffic_drain(struct traffic *t)
{
    struct bench *b = t->bench;
    uint64_t give_up_ns = clock_now_ns() + (uint64_t)b->opts.timeout_ms * 1000000u;
    t->is_open = false;
    while (traffic_outstanding(t) && clock_now_ns() < give_up_ns && !b->verdict.closed)
        traffic_turn(t, TURN_NS);
    b->verdict.missing += traffic_outstanding(t);
    /* What is sent twice may come late. */
    uint64_t after_ns = clock_now_ns() + AFTER_NS;
    while (clock_now_ns() < after_ns)
        traffic_turn(t, TURN_NS);
}

static void traffic_until(struct traffic *t, uint64_t end_ns)
{
    while (clock_now_ns() < end_ns && !t->bench->verdict.closed)
        traffic_turn(t, TURN_NS);
}

static void traffic_report(struct traffic *t, uint64_t deliveries, const struct broker_usage *from,
                           const struct broker_usage *to)
{
    struct report *r = &t->bench->report;
    report_usage(r, "", deliveries, from, to);
    report_latency(r, &t->bench->latency);
    traffic_drain(t);
    report_add(r, "checked", (double)t->deliveries);
}

static void traffic_start(struct traffic *t)
{
    t->is_open = true;
    for (uint32_t i = 0; i < t->publisher_count; i++)
        while (publisher_outstanding(&t->publishers[i]) + t->batch <= t->window)
            publisher_send(&t->publishers[i], t->batch);
    net_flush(&t->bench->net);
}

void traffic_run(struct traffic *t)
{
    struct bench *b = t->bench;
    struct broker_usage from, to;
    traffic_start(t);
    traffic_until(t, clock_now_ns() + (uint64_t)b->opts.warmup_ms * 1000000u);
    uint64_t before = t->deliveries;
    t->is_measuring = true;
    broker_usage_get((pid_t)b->opts.pid, &from);
    traffic_until(t, from.wall_ns + (uint64_t)b->opts.seconds_ms * 1000000u);
    broker_usage_get((pid_t)b->opts.pid, &to);
    t->is_measuring = false;
    traffic_report(t, t->deliveries - before, &from, &to);
}

struct pacer {
    uint64_t next_ns, period_ns, late_max_ns;
    uint64_t skipped;
    uint32_t publisher;
};

/* Sends what is due. A publisher whose window is full skips its message: the broker did not keep up. */
static void pacer_send_due(struct pacer *p, struct traffic *t)
{
    uint64_t now_ns = clock_now_ns();
    while (p->next_ns <= now_ns) {
        struct publisher *pub = &t->publishers[p->publisher];
        if (t->is_measuring && now_ns - p->next_ns > p->late_max_ns)
            p->late_max_ns = now_ns - p->next_ns;
        if (publisher_outstanding(pub) < t->window)
            publisher_send(pub, 1);
        else
            p->skipped++;
        p->publisher = (p->publisher + 1) % t->publisher_count;
        p->next_ns += p->period_ns;
    }
    net_flush(&t->bench->net);
}

static void pacer_until(struct pacer *p, struct traffic *t, uint64_t end_ns)
{
    while (clock_now_ns() < end_ns && !t->bench->verdict.closed) {
        pacer_send_due(p, t);
        uint64_t now_ns = clock_now_ns();
        traffic_turn(t, p->next_ns > now_ns ? p->next_ns - now_ns : 0);
    }
}

void traffic_run_paced(struct traffic *t)
{
    struct bench *b = t->bench;
    struct broker_usage from, to;
    struct pacer p = {.next_ns = clock_now_ns(), .period_ns = 1000000000u / (uint64_t)b->opts.rate};
    pacer_until(&p, t, p.next_ns + (uint64_t)b->opts.warmup_ms * 1000000u);
    uint64_t before = t->deliveries;
    p.skipped = 0;
    t->is_measuring = true;
    broker_usage_get((pid_t)b->opts.pid, &from);
    pacer_until(&p, t, from.wall_ns + (uint64_t)b->opts.seconds_ms * 1000000u);
    broker_usage_get((pid_t)b->opts.pid, &to);
    t->is_measuring = false;
    traffic_report(t, t->deliveries - before, &from, &to);
    report_add(&b->report, "skipped", (double)p.skipped);
    report_add(&b->report, "generator_late_max_us", (double)p.late_max_ns / 1e3);
}
