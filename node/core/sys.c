/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/sys.h"

#include "node/core/deliver.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct entry {
    uint32_t topic_at; /* into text */
    uint32_t payload_at;
    uint16_t topic_n;
    uint16_t payload_n;
    unsigned part;
};

struct sys_sheet {
    char *text;
    size_t text_n;
    size_t text_cap;
    uint32_t n;
    uint32_t cap;
    struct entry entries[];
};

const char *sys_uptime_text(char out[SYS_TEXT_MAX], uint64_t uptime_ms)
{
    uint64_t s = uptime_ms / 1000;
    unsigned seconds = (unsigned)(s % 60), minutes = (unsigned)(s / 60 % 60),
             hours = (unsigned)(s / 3600 % 24);
    unsigned long long days = s / 86400;
    if (days)
        snprintf(out, SYS_TEXT_MAX, "%llu days, %u hours, %u minutes, %u seconds", days, hours, minutes,
                 seconds);
    else if (hours)
        snprintf(out, SYS_TEXT_MAX, "%u hours, %u minutes, %u seconds", hours, minutes, seconds);
    else if (minutes)
        snprintf(out, SYS_TEXT_MAX, "%u minutes, %u seconds", minutes, seconds);
    else
        snprintf(out, SYS_TEXT_MAX, "%u seconds", seconds);
    return out;
}

const char *sys_datetime_text(char out[SYS_TEXT_MAX], uint64_t wall_ms)
{
    time_t t = (time_t)(wall_ms / 1000);
    struct tm tm;
    if (!gmtime_r(&t, &tm))
        memset(&tm, 0, sizeof tm);
    size_t n = strftime(out, SYS_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, SYS_TEXT_MAX - n, ".%03uZ", (unsigned)(wall_ms % 1000));
    return out;
}

/* ---- making a sheet ------------------------------------------------------------------------------- */

static uint32_t text_put(struct sys_sheet *h, const char *p, size_t n)
{
    if (h->text_cap - h->text_n < n) {
        h->text_cap = (h->text_cap + n) * 2;
        h->text = mem_realloc(h->text, h->text_cap);
    }
    memcpy(h->text + h->text_n, p, n);
    h->text_n += n;
    return (uint32_t)(h->text_n - n);
}

/* Topic: $SYS/brokers/NODE/FOLDER/NAME with the dots of the name as slashes. */
static void sheet_add(struct sys_sheet *h, const char *node, const char *folder, const char *name,
                      const char *payload, unsigned part)
{
    struct entry *e = &h->entries[h->n++];
    CHECK(h->n <= h->cap);
    e->part = part;
    e->topic_at = text_put(h, "$SYS/brokers", 12);
    if (node) {
        text_put(h, "/", 1);
        text_put(h, node, strlen(node));
        text_put(h, folder, strlen(folder));
        uint32_t at = text_put(h, name, strlen(name));
        for (char *p = h->text + at; p < h->text + h->text_n; p++)
            *p = *p == '.' ? '/' : *p;
    }
    e->topic_n = (uint16_t)(h->text_n - e->topic_at);
    e->payload_n = (uint16_t)strlen(payload);
    e->payload_at = text_put(h, payload, e->payload_n);
}

static void sheet_add_figures(struct sys_sheet *h, const char *node, const char *folder,
                              const struct sys_figure *v, uint32_t n)
{
    char number[24];
    for (uint32_t i = 0; i < n; i++) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)v[i].value);
        sheet_add(h, node, folder, v[i].name, number, SYS_REST);
    }
}

struct sys_sheet *sys_sheet_new(const struct sys_snapshot *s)
{
    char buf[SYS_TEXT_MAX];
    uint32_t cap = 5 + s->stats_n + s->metrics_n;
    struct sys_sheet *h = mem_zalloc(sizeof *h + cap * sizeof h->entries[0]);
    h->cap = cap;
    sheet_add(h, NULL, "", "", s->name, SYS_REST);
    sheet_add(h, s->name, "/", "version", s->version, SYS_REST);
    sheet_add(h, s->name, "/", "sysdescr", SYS_DESCRIPTION, SYS_REST);
    sheet_add(h, s->name, "/", "uptime", sys_uptime_text(buf, s->uptime_ms), SYS_HEARTBEAT);
    sheet_add(h, s->name, "/", "datetime", sys_datetime_text(buf, s->wall_ms), SYS_HEARTBEAT);
    sheet_add_figures(h, s->name, "/stats/", s->stats, s->stats_n);
    sheet_add_figures(h, s->name, "/metrics/", s->metrics, s->metrics_n);
    return h;
}

void sys_sheet_free(struct sys_sheet *h)
{
    if (!h)
        return;
    free(h->text);
    free(h);
}

uint32_t sys_sheet_count(const struct sys_sheet *h)
{
    return h->n;
}

struct sys_item sys_sheet_item(const struct sys_sheet *h, uint32_t i)
{
    CHECK(i < h->n);
    const struct entry *e = &h->entries[i];
    return (struct sys_item){bytes_of(h->text + e->topic_at, e->topic_n),
                             bytes_of(h->text + e->payload_at, e->payload_n), e->part};
}

/* ---- publishing it -------------------------------------------------------------------------------- */

/* NULL: nobody is there, or the node's name makes it no topic. */
static const struct match *item_match(struct shard *sh, struct bytes topic)
{
    enum topic_verdict verdict;
    const struct match *m = subs_match(&sh->subs, topic, &verdict);
    return m && (m->local_n || m->shared_n || m->remote) ? m : NULL;
}

uint32_t sys_sheet_publish(struct shard *sh, const struct sys_sheet *h, unsigned parts, uint32_t from)
{
    uint32_t receivers = 0;
    while (from < h->n && receivers < SYS_RECEIVERS_MAX) {
        struct sys_item item = sys_sheet_item(h, from++);
        const struct match *m = item.part & parts ? item_match(sh, item.topic) : NULL;
        if (!m)
            continue;
        struct publication p = {.m = {.topic = item.topic, .payload = item.payload}};
        deliver_match(sh, &p, m);
        receivers += p.receivers;
        publication_fini(sh, &p);
    }
    return from;
}

void sys_sheet_wanted(struct shard *sh, const struct sys_sheet *h, uint8_t *wanted)
{
    for (uint32_t i = 0; i < h->n; i++)
        wanted[i] = item_match(sh, sys_sheet_item(h, i).topic) != NULL;
}
