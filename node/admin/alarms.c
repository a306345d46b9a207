/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/alarms.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void alarms_begin(struct alarms *a)
{
    for (uint32_t i = 0; i < a->active_n; i++)
        a->active[i].is_seen = false;
}

static struct alarm *find(struct alarms *a, const char *name)
{
    for (uint32_t i = 0; i < a->active_n; i++)
        if (strncmp(a->active[i].name, name, ALARM_NAME_MAX - 1) == 0)
            return &a->active[i];
    return NULL;
}

void alarm_on(struct alarms *a, uint64_t wall_ms, const char *name, const char *fmt, ...)
{
    struct alarm *m = find(a, name);
    bool is_new = !m;
    va_list ap;
    if (is_new && a->active_n == ALARMS_ACTIVE_MAX)
        return;
    if (is_new) {
        m = &a->active[a->active_n++];
        *m = (struct alarm){.since_ms = wall_ms};
        snprintf(m->name, sizeof m->name, "%s", name);
    }
    m->is_seen = true;
    va_start(ap, fmt);
    vsnprintf(m->message, sizeof m->message, fmt, ap);
    va_end(ap);
    if (is_new)
        LOG(a->log, LOG_WARNING, "alarm activated name=\"%s\" message=\"%s\"", m->name, m->message);
}

void alarms_end(struct alarms *a, uint64_t wall_ms)
{
    for (uint32_t i = 0; i < a->active_n;) {
        struct alarm *m = &a->active[i];
        if (m->is_seen) {
            i++;
            continue;
        }
        LOG(a->log, LOG_NOTICE, "alarm deactivated name=\"%s\" message=\"%s\"", m->name, m->message);
        m->until_ms = wall_ms;
        a->past[a->past_n++ % ALARMS_PAST_MAX] = *m;
        *m = a->active[--a->active_n];
    }
}

const struct alarm *alarms_past(const struct alarms *a, uint32_t i)
{
    if (i >= a->past_n || i >= ALARMS_PAST_MAX)
        return NULL;
    return &a->past[(a->past_n - 1 - i) % ALARMS_PAST_MAX];
}

void alarms_forget_past(struct alarms *a)
{
    a->past_n = 0;
}
