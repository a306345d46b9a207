/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_ALARMS_H
#define COVEY_ADMIN_ALARMS_H

/* What is wrong with the node now, and what was. An alarm is active while its condition holds; then it is of
 * the past, of which the last ALARMS_PAST_MAX are kept in memory. Each change is a log event. */

#include "proto/base/log.h"

#include <stdbool.h>
#include <stdint.h>

enum { ALARMS_ACTIVE_MAX = 256, ALARMS_PAST_MAX = 256, ALARM_NAME_MAX = 160, ALARM_MESSAGE_MAX = 240 };

struct alarm {
    char name[ALARM_NAME_MAX]; /* "node_down/covey@n3": what, and of what where there are several */
    char message[ALARM_MESSAGE_MAX];
    uint64_t since_ms; /* wall clock */
    uint64_t until_ms; /* of the past only */
    bool is_seen;      /* since alarms_begin() */
};

struct alarms {
    struct log_sink *log;
    struct alarm active[ALARMS_ACTIVE_MAX];
    uint32_t active_n;
    struct alarm past[ALARMS_PAST_MAX]; /* a ring */
    uint64_t past_n;
};

/* A look at everything: begin, alarm_on() for each condition that holds, end. What is not on any more becomes
 * past. Names and messages that are too long are cut. */
void alarms_begin(struct alarms *a);
void alarm_on(struct alarms *a, uint64_t wall_ms, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void alarms_end(struct alarms *a, uint64_t wall_ms);

/* The i-th of the past, the last one first; NULL: there are no more. */
const struct alarm *alarms_past(const struct alarms *a, uint32_t i);
void alarms_forget_past(struct alarms *a);

#endif
