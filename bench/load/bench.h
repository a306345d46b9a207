/* SPDX-License-Identifier: Apache-2.0 */
/* What every part of the load generator shares during one run: options, sockets, the verdict and the report.
 */
#ifndef BENCH_LOAD_BENCH_H
#define BENCH_LOAD_BENCH_H

#include "bench/load/broker.h"
#include "bench/load/hist.h"
#include "bench/load/net.h"
#include "bench/load/opts.h"

/* Broken promises, by kind. All zero is a pass. */
struct verdict {
    uint64_t gaps;      /* a sequence number jumped forward: lost, or out of order */
    uint64_t repeats;   /* it jumped back: delivered twice, or out of order */
    uint64_t misrouted; /* came to a client that did not subscribe to it */
    uint64_t corrupt;   /* not a payload of ours, wrong length, wrong QoS */
    uint64_t ack_order; /* an acknowledgement that is not the next one due [MQTT-4.6.0-2] */
    uint64_t refused;   /* CONNACK or SUBACK with a failure */
    uint64_t closed;    /* the broker closed a connection, or it failed */
    uint64_t malformed; /* bytes that are not MQTT, or a packet out of place */
    uint64_t missing;   /* never arrived, or never acknowledged, by the end */
};

#define REPORT_METRICS_MAX 64

struct report {
    unsigned count;
    struct {
        char name[40];
        double value;
    } metric[REPORT_METRICS_MAX];
};

struct bench {
    struct opts opts;
    struct net net;
    struct verdict verdict;
    struct report report;
    struct hist latency;
};

/* Turns the loop until is_done(arg) or timeout_ns is over. Returns whether it is done. */
int bench_until(struct bench *b, int (*is_done)(void *arg), void *arg, uint64_t timeout_ns);

/* Appends one figure; `name` is cut at 39 bytes. */
void report_add(struct report *r, const char *name, double value);

/* <prefix>count, wall_s, rate, cpu_s, rate_cpu, cpu_us and the share of user time, between two readings. */
void report_usage(struct report *r, const char *prefix, uint64_t count, const struct broker_usage *from,
                  const struct broker_usage *to);

/* Bytes for each of `count`, RSS and PSS. Nothing without a pid. */
void report_memory(struct report *r, uint64_t count, const struct broker_memory *from,
                   const struct broker_memory *to);

void report_latency(struct report *r, const struct hist *h);
void report_print(const struct bench *b);

int verdict_is_clean(const struct verdict *v);

#endif
