/* SPDX-License-Identifier: Apache-2.0 */
/* Command line of covey-bench. 0 in a count means "the scenario's default". */
#ifndef BENCH_LOAD_OPTS_H
#define BENCH_LOAD_OPTS_H

#include <stdint.h>

struct opts {
    const char *scenario;
    const char *host;
    const char *label;    /* copied into the report */
    const char *username; /* with a % for the number of the connection; NULL: none */
    const char *prefix;   /* of the client ids of idle connections; NULL: "idle" */
    const char *password; /* "" */
    int64_t port;
    int64_t sub_port; /* 0: as port */
    int64_t pid;      /* of the broker; 0: no CPU and memory figures */
    const char *pids; /* NULL: none beside it */
    int64_t version;
    int64_t qos, sub_qos; /* -1: the scenario's default */
    int64_t pubs, subs;   /* connections of each kind */
    int64_t batch;        /* messages a publisher writes at once */
    int64_t window;       /* messages a publisher may have outstanding */
    int64_t payload_bytes;
    int64_t rate; /* messages per second, all publishers together; paced only */
    int64_t count;
    int64_t topics;
    int64_t wildcard_percent;
    int64_t warmup_ms, seconds_ms, timeout_ms;
    int64_t keepalive_s;
    int64_t persistent; /* 1: clean session 0 */
    int64_t spin;       /* 1: poll instead of sleeping */
    int64_t hold_ms;    /* idle: how long the connections stay after the measurement */
    int64_t cpu;        /* core to pin the generator to; -1: none */
    int64_t seed;
    int64_t json;
};

/* Fills in what is given; prints help or an error and exits where needed. */
void opts_parse(struct opts *o, int argc, char **argv);

/* value, or `otherwise` when it was not given. */
static inline uint32_t opts_or(int64_t value, uint32_t otherwise)
{
    return value ? (uint32_t)value : otherwise;
}

/* The same for a QoS, where "not given" is -1. */
static inline uint8_t opts_qos_or(int64_t qos, uint8_t otherwise)
{
    return qos < 0 ? otherwise : (uint8_t)qos;
}

#endif
