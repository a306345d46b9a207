/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_CORE_SYS_H
#define COVEY_CORE_SYS_H

/* What the broker tells about itself under $SYS: a sheet of topics with their payloads, made from figures
 * that somebody else gathered, and its publication through a shard. The topics are
 *
 *     $SYS/brokers                                      the names of the nodes
 *     $SYS/brokers/NODE/version, sysdescr, uptime, datetime
 *     $SYS/brokers/NODE/stats/connections/count, ...    a figure, dots become slashes
 *     $SYS/brokers/NODE/metrics/bytes/received, ... */

#include "proto/base/bytes.h"

struct shard;

#define SYS_DESCRIPTION "Covey MQTT broker"

struct sys_figure {
    const char *name; /* "connections.count" */
    uint64_t value;
};

struct sys_snapshot {
    const char *name; /* of the node: one level of a topic */
    const char *version;
    uint64_t wall_ms;
    uint64_t uptime_ms;
    const struct sys_figure *stats;
    uint32_t stats_n;
    const struct sys_figure *metrics;
    uint32_t metrics_n;
};

/* Bits: which part of a sheet. */
enum { SYS_HEARTBEAT = 1 /* uptime and datetime */, SYS_REST = 2 };

struct sys_item {
    struct bytes topic;
    struct bytes payload;
    unsigned part;
};

/* The caller's, ended by sys_sheet_free(); keeps nothing of the snapshot. Sheets of the same names have the
 * same topics in the same order. */
struct sys_sheet *sys_sheet_new(const struct sys_snapshot *s);
void sys_sheet_free(struct sys_sheet *sheet); /* NULL is fine */
uint32_t sys_sheet_count(const struct sys_sheet *sheet);
/* Views into the sheet. */
struct sys_item sys_sheet_item(const struct sys_sheet *sheet, uint32_t i);

/* On the shard's thread: publishes the items of these parts from number `from` on, with QoS 0 and without
 * RETAIN, until the last or until they have reached SYS_RECEIVERS_MAX sessions; answers where to go on.
 * Topics without subscribers cost a look-up. */
enum { SYS_RECEIVERS_MAX = 1000 };
uint32_t sys_sheet_publish(struct shard *sh, const struct sys_sheet *sheet, unsigned parts, uint32_t from);
/* Sets wanted[i] for each item to 1 when somebody on any shard subscribes to it, else 0. */
void sys_sheet_wanted(struct shard *sh, const struct sys_sheet *sheet, uint8_t *wanted);

enum { SYS_TEXT_MAX = 64 };
/* "1 days, 2 hours, 0 minutes, 5 seconds", without what is zero in front. */
const char *sys_uptime_text(char out[SYS_TEXT_MAX], uint64_t uptime_ms);
/* "2026-11-23T10:00:00.123Z" */
const char *sys_datetime_text(char out[SYS_TEXT_MAX], uint64_t wall_ms);

#endif
