/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load/opts.h"

#include "bench/load/die.h"
#include "bench/load/scenario.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum opts_kind { OPT_NUMBER, OPT_FLAG, OPT_STRING };

struct opts_row {
    const char *name;
    enum opts_kind kind;
    size_t at;
    int64_t initial, min, max;
    const char *help;
};

#define NUMBER(n, field, initial, min, max, help)                            \
    {                                                                        \
        n, OPT_NUMBER, offsetof(struct opts, field), initial, min, max, help \
    }
#define FLAG(n, field, help)                                     \
    {                                                            \
        n, OPT_FLAG, offsetof(struct opts, field), 0, 0, 1, help \
    }
#define STRING(n, field, help)                                     \
    {                                                              \
        n, OPT_STRING, offsetof(struct opts, field), 0, 0, 0, help \
    }

static const struct opts_row opts_table[] = {
    STRING("host", host, "IPv4 address of the broker (127.0.0.1)"),
    NUMBER("port", port, 1883, 1, 65535, "its port"),
    NUMBER("sub-port", sub_port, 0, 0, 65535, "pairs, paced, fanout: port for subscribers, of another node"),
    NUMBER("pid", pid, 0, 0, INT32_MAX, "its process: CPU and memory are read from /proc"),
    STRING("pids", pids, "further processes, with commas between: their CPU counts too"),
    NUMBER("mqtt", version, 4, 4, 5, "protocol level: 4 is MQTT 3.1.1, 5 is 5.0 (also -V)"),
    STRING("username", username, "of each connection; a % in it stands for the connection's number"),
    STRING("password", password, "with --username"),
    STRING("prefix", prefix, "idle: of the client ids (idle)"),
    NUMBER("qos", qos, -1, 0, 2, "QoS of publishes (0; retained, queue: 1)"),
    NUMBER("sub-qos", sub_qos, -1, 0, 2, "QoS of subscriptions (like --qos; retained: 0)"),
    NUMBER("pubs", pubs, 0, 0, 100000, "publishing connections"),
    NUMBER("subs", subs, 0, 0, 100000, "subscribing connections"),
    NUMBER("batch", batch, 0, 0, 10000, "messages a publisher writes at once"),
    NUMBER("window", window, 0, 0, 60000, "messages a publisher may have outstanding (default: batch)"),
    NUMBER("payload", payload_bytes, 64, 24, 65536, "payload bytes"),
    NUMBER("rate", rate, 20000, 1, 10000000, "paced: messages per second, all publishers together"),
    NUMBER("count", count, 0, 0, 10000000,
           "connections, filters or messages, where the scenario counts some"),
    NUMBER("topics", topics, 10000, 1, 1000000, "filters: distinct topics published to"),
    NUMBER("wildcards", wildcard_percent, 30, 0, 100, "filters: per cent that hold + or #"),
    NUMBER("warmup-ms", warmup_ms, 500, 0, 600000, "run before measuring"),
    NUMBER("ms", seconds_ms, 2000, 1, 600000, "measured time"),
    NUMBER("timeout-ms", timeout_ms, 20000, 1, 600000, "give up waiting for an answer after"),
    NUMBER("keepalive", keepalive_s, 60, 0, 65535, "seconds; keep runs shorter, no PINGREQ is sent"),
    FLAG("persistent", persistent, "idle, subs: clean session 0"),
    FLAG("spin", spin, "poll instead of sleeping in epoll_wait"),
    NUMBER("hold-ms", hold_ms, 0, 0, 600000, "idle: keep the connections this long afterwards"),
    NUMBER("cpu", cpu, -1, -1, 1023, "pin the generator to this core"),
    NUMBER("seed", seed, 1, 1, INT32_MAX, "of the random choices"),
    STRING("label", label, "any text, copied into the report"),
    FLAG("json", json, "print one JSON object"),
};

#define OPTS_COUNT (sizeof(opts_table) / sizeof(opts_table[0]))

static void opts_help(void)
{
    puts("usage: covey-bench SCENARIO [options]\n\nscenarios:");
    scenario_list();
    puts("\noptions:");
    for (size_t i = 0; i < OPTS_COUNT; i++) {
        const struct opts_row *r = &opts_table[i];
        printf("  --%-12s %s", r->name, r->help);
        if (r->kind == OPT_NUMBER && r->initial > 0)
            printf(" (%lld)", (long long)r->initial);
        putchar('\n');
    }
    puts("\nExit status: 0 fine, 1 set-up failed, 2 a message was lost, repeated, reordered or changed.");
}

static int64_t *opts_number(struct opts *o, const struct opts_row *r)
{
    return (int64_t *)(void *)((char *)o + r->at);
}

static void opts_set(struct opts *o, const struct opts_row *r, const char *text)
{
    if (r->kind == OPT_STRING) {
        *(const char **)(void *)((char *)o + r->at) = text;
        return;
    }
    char *end;
    long long value = r->kind == OPT_FLAG ? 1 : strtoll(text, &end, 10);
    if (r->kind == OPT_NUMBER && (*end || !*text || value < r->min || value > r->max))
        die("--%s must be a number from %lld to %lld, not '%s'", r->name, (long long)r->min,
            (long long)r->max, text);
    *opts_number(o, r) = value;
}

void opts_parse(struct opts *o, int argc, char **argv)
{
    struct option longs[OPTS_COUNT + 2];
    memset(longs, 0, sizeof(longs));
    memset(o, 0, sizeof(*o));
    o->host = "127.0.0.1";
    o->label = "";
    size_t version_at = 0;
    for (size_t i = 0; i < OPTS_COUNT; i++) {
        const struct opts_row *r = &opts_table[i];
        longs[i] = (struct option){r->name, r->kind == OPT_FLAG ? no_argument : required_argument, NULL, 0};
        if (r->kind != OPT_STRING)
            *opts_number(o, r) = r->initial;
        if (!strcmp(r->name, "mqtt"))
            version_at = i;
    }
    longs[OPTS_COUNT] = (struct option){"help", no_argument, NULL, 'h'};
    int at = 0;
    for (int c; (c = getopt_long(argc, argv, "hV:", longs, &at)) != -1;) {
        if (c == 'h') {
            opts_help();
            exit(BENCH_EXIT_OK);
        }
        if (c == '?')
            exit(BENCH_EXIT_SETUP);
        opts_set(o, &opts_table[c == 'V' ? version_at : (size_t)at], optarg);
    }
    if (optind != argc - 1) {
        opts_help();
        exit(BENCH_EXIT_SETUP);
    }
    o->scenario = argv[optind];
}
