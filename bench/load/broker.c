/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/load/broker.h"

#include "bench/load/clock.h"
#include "bench/load/die.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Less than this in 20 ms is a timer, not work. */
#define TRAILING_IDLE_NS 100000u

enum { OTHERS_MAX = 64 };
static pid_t others[OTHERS_MAX];
static unsigned others_n;

void broker_others_set(const char *pids)
{
    for (const char *at = pids; *at && others_n < OTHERS_MAX; at += *at == ',') {
        char *end;
        others[others_n++] = (pid_t)strtol(at, &end, 10);
        if (end == at || (*end && *end != ','))
            die("--pids must be numbers with commas between, not '%s'", pids);
        at = end;
    }
}

static uint64_t broker_cpu_ns(pid_t pid)
{
    clockid_t id;
    struct timespec ts;
    if (clock_getcpuclockid(pid, &id) || clock_gettime(id, &ts))
        die("no CPU clock for pid %d: has the broker gone?", (int)pid);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void broker_stat_get(pid_t pid, struct broker_usage *u)
{
    char path[64];
    char line[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f || !fgets(line, sizeof(line), f))
        die("cannot read %s: has the broker gone?", path);
    fclose(f);
    /* The name in parentheses may hold blanks: fields are counted from the last ')'. utime is field 14. */
    char *p = strrchr(line, ')');
    for (int field = 2; p && field < 14; field++)
        p = strchr(p + 1, ' ');
    if (!p)
        die("%s is not understood", path);
    char *end;
    uint64_t tick_ns = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    u->stat_user_ns = strtoull(p, &end, 10) * tick_ns;
    u->stat_sys_ns = strtoull(end, NULL, 10) * tick_ns;
}

static uint64_t broker_switches_get(pid_t pid)
{
    char path[64];
    char line[256];
    uint64_t sum = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return 0;
    while (fgets(line, sizeof(line), f)) {
        const char *colon = strchr(line, ':');
        if (colon && strstr(line, "ctxt_switches"))
            sum += strtoull(colon + 1, NULL, 10);
    }
    fclose(f);
    return sum;
}

void broker_usage_get(pid_t pid, struct broker_usage *u)
{
    memset(u, 0, sizeof(*u));
    if (pid) {
        broker_stat_get(pid, u);
        u->switches = broker_switches_get(pid);
        u->cpu_ns = broker_cpu_ns(pid);
        for (unsigned i = 0; i < others_n; i++)
            u->cpu_ns += broker_cpu_ns(others[i]);
    }
    u->self_ns = clock_self_cpu_ns();
    u->wall_ns = clock_now_ns();
}

void broker_usage_add_trailing(pid_t pid, struct broker_usage *u)
{
    const struct timespec nap = {.tv_nsec = 20000000};
    struct broker_usage last = *u;
    unsigned quiet = 0;
    for (unsigned i = 0; pid && i < 150 && quiet < 5; i++) {
        struct broker_usage now;
        nanosleep(&nap, NULL);
        broker_usage_get(pid, &now);
        quiet = now.cpu_ns - last.cpu_ns < TRAILING_IDLE_NS ? quiet + 1 : 0;
        last = now;
    }
    u->cpu_ns = last.cpu_ns;
    u->stat_user_ns = last.stat_user_ns;
    u->stat_sys_ns = last.stat_sys_ns;
    u->switches = last.switches;
}

void broker_memory_get(pid_t pid, struct broker_memory *m)
{
    char path[64];
    char line[256];
    memset(m, 0, sizeof(*m));
    if (!pid)
        return;
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "r");
    if (!f)
        die("cannot read %s: %s", path, strerror(errno));
    while (fgets(line, sizeof(line), f)) {
        if (!strncmp(line, "Rss:", 4))
            m->rss_bytes = strtoull(line + 4, NULL, 10) * 1024;
        else if (!strncmp(line, "Pss:", 4))
            m->pss_bytes = strtoull(line + 4, NULL, 10) * 1024;
    }
    fclose(f);
}
