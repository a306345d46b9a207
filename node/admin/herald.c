/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/herald.h"

#include "node/admin/ask.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <event2/event.h>
#include <stdlib.h>

enum { LOOK_MS = 1000, LOOK_MS_MIN = 100 };

struct herald {
    struct admin_env *env;
    struct event *tick;
    struct sys_sheet *sheet; /* the last one; its topics stay the same */
    uint8_t *wanted;         /* by item: somebody subscribes to it */
    uint8_t *wanted_now;
    unsigned parts;   /* that are published at all */
    uint64_t rest_ms; /* when each is due (monotonic) */
    uint64_t heartbeat_ms;
};

static void sheet_make(struct herald *h)
{
    struct figures *f = &h->env->figures;
    const struct node_conf *nc = node_conf(h->env->conf.node);
    figures_gather(f);
    sys_sheet_free(h->sheet);
    h->sheet = sys_sheet_new(&(struct sys_snapshot){
        .name = nc->name,
        .version = nc->version,
        .wall_ms = wall_ms(),
        .uptime_ms = admin_uptime_ms(h->env),
        .stats = f->stats,
        .stats_n = f->stats_n,
        .metrics = f->metrics,
        .metrics_n = f->metrics_n,
    });
}

struct publish_call {
    const struct sys_sheet *sheet;
    unsigned parts;
    uint32_t from;
};

static void publish_call(struct shard *sh, void *arg)
{
    struct publish_call *x = arg;
    x->from = sys_sheet_publish(sh, x->sheet, x->parts, x->from);
}

static void publish(struct herald *h, unsigned parts)
{
    sheet_make(h);
    struct publish_call x = {h->sheet, parts, 0};
    while (x.from < sys_sheet_count(h->sheet))
        shard_ask(h->env->conf.io, 0, publish_call, &x);
}

static void wanted_call(struct shard *sh, void *arg)
{
    const struct herald *h = arg;
    sys_sheet_wanted(sh, h->sheet, h->wanted_now);
}

/* The parts with a topic that somebody subscribes to since the last look. */
static unsigned look(struct herald *h)
{
    unsigned parts = 0;
    shard_ask(h->env->conf.io, 0, wanted_call, h);
    for (uint32_t i = 0; i < sys_sheet_count(h->sheet); i++) {
        if (h->wanted_now[i] && !h->wanted[i])
            parts |= sys_sheet_item(h->sheet, i).part;
        h->wanted[i] = h->wanted_now[i];
    }
    return parts;
}

static bool is_due(uint64_t *at_ms, uint64_t now_ms, uint32_t interval_ms)
{
    if (!interval_ms || now_ms < *at_ms)
        return false;
    *at_ms += interval_ms;
    if (*at_ms <= now_ms) /* the thread, or the machine, was held up */
        *at_ms = now_ms + interval_ms;
    return true;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct herald *h = arg;
    const struct admin_conf *conf = &h->env->conf;
    uint64_t now_ms = mono_ms();
    unsigned parts = look(h) ? h->parts : 0;
    (void)fd;
    (void)what;
    if (is_due(&h->rest_ms, now_ms, conf->sys_interval_ms))
        parts |= SYS_REST;
    if (is_due(&h->heartbeat_ms, now_ms, conf->sys_heartbeat_ms))
        parts |= SYS_HEARTBEAT;
    if (parts)
        publish(h, parts);
}

/* Often enough for the shorter of the intervals. */
static uint32_t tick_ms(const struct admin_conf *conf)
{
    uint32_t ms = LOOK_MS;
    if (conf->sys_interval_ms && conf->sys_interval_ms < ms)
        ms = conf->sys_interval_ms;
    if (conf->sys_heartbeat_ms && conf->sys_heartbeat_ms < ms)
        ms = conf->sys_heartbeat_ms;
    return ms < LOOK_MS_MIN ? LOOK_MS_MIN : ms;
}

struct herald *herald_new(struct admin_env *env, struct event_base *base)
{
    const struct admin_conf *conf = &env->conf;
    uint32_t ms = tick_ms(conf);
    struct timeval tv = {ms / 1000, (ms % 1000) * 1000};
    if (!conf->sys_interval_ms && !conf->sys_heartbeat_ms)
        return NULL;
    struct herald *h = mem_zalloc(sizeof *h);
    h->env = env;
    h->parts = (conf->sys_interval_ms ? SYS_REST : 0) | (conf->sys_heartbeat_ms ? SYS_HEARTBEAT : 0);
    h->rest_ms = mono_ms() + conf->sys_interval_ms;
    h->heartbeat_ms = mono_ms() + conf->sys_heartbeat_ms;
    sheet_make(h);
    h->wanted = mem_zalloc(sys_sheet_count(h->sheet));
    h->wanted_now = mem_zalloc(sys_sheet_count(h->sheet));
    h->tick = event_new(base, -1, EV_PERSIST, on_tick, h);
    CHECK(h->tick && event_add(h->tick, &tv) == 0);
    return h;
}

void herald_free(struct herald *h)
{
    if (!h)
        return;
    event_free(h->tick);
    sys_sheet_free(h->sheet);
    free(h->wanted);
    free(h->wanted_now);
    free(h);
}
