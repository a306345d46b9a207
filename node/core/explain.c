/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/explain.h"

#include "node/core/deliver.h"
#include "node/core/retained.h"
#include "node/core/shard_i.h"
#include "proto/base/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { NEAR_SUBS_MAX = 1000, STEPS_MAX = 20000 };

/* ---- what matches --------------------------------------------------------------------------------- */

/* Calls fn for each route that the topic matches and that has subscribers on this shard, shared ones too. */
static void each_route(struct shard *sh, struct bytes topic, void (*fn)(void *ctx, const struct route *r),
                       void *ctx)
{
    struct routes *t = sh->node->routes;
    struct route_list *found = &sh->subs.found;
    routes_match(t, topic, routes_hash(t, topic), found);
    for (uint32_t i = 0; i < found->n; i++)
        for (const struct route *r = found->v[i]; r; r = __atomic_load_n(&r->shared, __ATOMIC_ACQUIRE))
            if (subs_list(&sh->subs, r->id)->n)
                fn(ctx, r);
}

/* ---- a client ------------------------------------------------------------------------------------- */

struct client_walk {
    struct session *s;
    struct explain_client *out;
    struct inspect_buf *subs;
};

static void client_route(void *ctx, const struct route *r)
{
    struct client_walk *w = ctx;
    const struct subscription *sub = session_sub_find(w->s, r);
    if (sub && w->out->matching_n++ < EXPLAIN_SUBS_MAX)
        inspect_sub_put(w->subs, sub);
}

static struct bytes lower(uint8_t *buf, struct bytes b)
{
    for (size_t i = 0; i < b.n; i++)
        buf[i] = (uint8_t)tolower(b.p[i]);
    return bytes_of(buf, b.n);
}

static struct bytes without_slashes(struct bytes b)
{
    size_t from = b.n > 1 && b.p[0] == '/', to = b.n;
    if (to > from + 1 && b.p[to - 1] == '/')
        to--;
    return bytes_of(b.p + from, to - from);
}

/* How nearly the filter matches the topic, both of at most EXPLAIN_NEAR_MAX bytes; it does not quite. */
static enum explain_near near_of(struct bytes filter, struct bytes topic)
{
    uint8_t f[EXPLAIN_NEAR_MAX], t[EXPLAIN_NEAR_MAX];
    bool is_wild = filter.p[0] == '+' || filter.p[0] == '#';
    if (topic.p[0] == '$' && is_wild)
        return NEAR_DOLLAR;
    if (topic_match(lower(f, filter), lower(t, topic)))
        return NEAR_CASE;
    return topic_match(without_slashes(filter), without_slashes(topic)) ? NEAR_SLASH : NEAR_NONE;
}

static void find_near(const struct session *s, struct bytes topic, struct explain_client *out)
{
    uint32_t n = s->subs_n < NEAR_SUBS_MAX ? s->subs_n : NEAR_SUBS_MAX;
    for (uint32_t i = 0; i < n && topic.n <= EXPLAIN_NEAR_MAX && !out->near; i++) {
        struct bytes filter = route_filter(s->subs[i]->route);
        if (!filter.n || filter.n > EXPLAIN_NEAR_MAX)
            continue;
        out->near = near_of(filter, topic);
        out->near_n = (uint16_t)filter.n;
        bytes_put(out->near_filter, filter);
    }
}

static void rights(struct shard *sh, struct session *s, struct bytes topic, struct explain_client *out)
{
    const char *receive = gate_explain(sh, s, ACL_SUBSCRIBE, topic);
    const char *publish = gate_explain(sh, s, ACL_PUBLISH, topic);
    out->may_receive = !receive;
    out->may_publish = !publish;
    snprintf(out->receive_why, sizeof out->receive_why, "%s", receive ? receive : "");
    snprintf(out->publish_why, sizeof out->publish_why, "%s", publish ? publish : "");
}

static void state_of(const struct shard *sh, const struct session *s, struct explain_client *out)
{
    const struct settings *set = sh->settings;
    out->is_there = true;
    out->is_connected = s->conn != NULL;
    out->is_moving = s->parcel != NULL;
    out->is_slow = s->conn && !conn_has_room(s->conn);
    out->keeps_qos0 = set->queue_qos0;
    out->upgrades_qos = set->upgrade_qos;
    out->clean_start = s->clean_start;
    out->version = s->version;
    out->since_ms = s->since_ms;
    out->queue_max = set->queue_len_max;
    out->queue_bytes_max = set->queue_bytes_max;
    out->inflight_max = s->inflight_max;
    out->dropped = s->dropped;
    out->expiry_s = s->expiry_s;
    out->subs_n = s->subs_n;
    if (s->q) {
        out->queued = s->q->queued;
        out->queued_bytes = s->q->queued_bytes;
        out->inflight = s->q->inflight;
    }
    if (s->conn) {
        out->packet_size_max = s->conn->packet_size_max;
        memcpy(out->address, s->conn->peer.address, sizeof out->address);
        out->address[sizeof out->address - 1] = 0;
    }
}

void explain_client(struct shard *sh, struct bytes client_id, struct bytes topic, struct explain_client *out,
                    struct inspect_buf *subs)
{
    struct session *s = session_find(sh, client_id);
    *out = (struct explain_client){.may_receive = true, .may_publish = true};
    if (!s)
        return;
    state_of(sh, s, out);
    if (!topic.n)
        return;
    each_route(sh, topic, client_route, &(struct client_walk){s, out, subs});
    if (!out->matching_n)
        find_near(s, topic, out);
    rights(sh, s, topic, out);
}

/* ---- a topic -------------------------------------------------------------------------------------- */

struct topic_walk {
    struct shard *sh;
    struct explain_topic *out;
    struct inspect_buf *subs;
    uint32_t steps;
};

static void topic_route(void *ctx, const struct route *r)
{
    struct topic_walk *w = ctx;
    const struct sublist *l = subs_list(&w->sh->subs, r->id);
    struct subscription *const *v = sublist_items(l);
    bool is_shared = route_is_shared(r);
    uint64_t online = is_shared ? l->online : 0;
    for (uint32_t i = 0; i < l->n && !is_shared && w->steps < STEPS_MAX; i++, w->steps++)
        online += v[i]->session->conn != NULL;
    *(is_shared ? &w->out->members : &w->out->sessions) += l->n;
    *(is_shared ? &w->out->members_connected : &w->out->connected) += online;
    for (uint32_t i = 0; i < l->n && w->out->listed < EXPLAIN_SUBS_MAX; i++, w->out->listed++)
        inspect_sub_put(w->subs, v[i]);
}

void explain_topic(struct shard *sh, struct bytes topic, struct explain_topic *out, struct inspect_buf *subs)
{
    each_route(sh, topic, topic_route, &(struct topic_walk){.sh = sh, .out = out, .subs = subs});
}

struct retained_look {
    uint64_t wall_ms;
    bool is_there;
};

static bool retained_one(void *ctx, struct bytes key, struct bytes record)
{
    struct retained_look *look = ctx;
    struct message_in m;
    uint64_t origin;
    (void)key;
    look->is_there =
        msg_record_view(record, look->wall_ms, &m, &origin) && !(m.has_expiry && m.expiry_s == 0);
    return false;
}

bool explain_retained(struct shard *sh, struct bytes topic)
{
    struct retained_look look = {.wall_ms = sh->wall_ms};
    retained_each(sh, topic, bytes_of(NULL, 0), retained_one, &look);
    return look.is_there;
}
