/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/why.h"

#include "node/admin/ask.h"
#include "node/admin/command.h"
#include "node/admin/text.h"
#include "node/core/explain.h"
#include "node/core/journal.h"
#include "node/core/node.h"
#include "node/core/peers.h"
#include "node/mesh/mesh.h"
#include "proto/base/mem.h"
#include "proto/topic/topic.h"

#include <stdlib.h>

/* What is gathered from the workers of this node, one after the other. */
struct gather {
    const struct why_query *q;
    struct journal_place place;
    enum inspect result;
    struct inspect_buf events; /* of the worker that is asked */
    struct inspect_buf subs;
    struct explain_client client;
    struct explain_topic topic;
    uint64_t watched_ms; /* the latest beginning among the workers */
    uint64_t since_ms;   /* before, something may be missing */
    bool is_on;
    bool is_retained;
};

/* ---- on the workers ------------------------------------------------------------------------------- */

static void watch_one(struct shard *sh, struct gather *g, struct bytes client, struct bytes topic)
{
    uint64_t since = journal_watch(sh, client, topic);
    g->is_on = since != 0;
    g->watched_ms = since > g->watched_ms ? since : g->watched_ms;
}

static void watch_call(struct shard *sh, void *arg)
{
    struct gather *g = arg;
    struct bytes none = bytes_of(NULL, 0);
    if (g->q->client.n)
        watch_one(sh, g, g->q->client, none);
    if (g->q->topic.n) {
        watch_one(sh, g, none, g->q->topic);
        explain_topic(sh, g->q->topic, &g->topic, &g->subs);
    }
    for (int i = 0; i < JOURNAL_RINGS; i++) {
        uint64_t since = journal_since(sh, (enum journal_ring)i);
        g->since_ms = since > g->since_ms ? since : g->since_ms;
    }
}

static void client_call(struct shard *sh, void *arg)
{
    struct gather *g = arg;
    explain_client(sh, g->q->client, g->q->topic, &g->client, &g->subs);
}

static void retained_call(struct shard *sh, void *arg)
{
    struct gather *g = arg;
    g->is_retained = explain_retained(sh, g->q->topic);
}

static void events_call(struct shard *sh, void *arg)
{
    struct gather *g = arg;
    struct journal_want want = {.client = g->q->client, .topic = g->q->topic};
    g->result = journal_read(sh, &g->place, &want, &g->events);
}

/* ---- events --------------------------------------------------------------------------------------- */

struct events {
    struct journal_record **v;
    uint32_t n;
    uint32_t cap;
};

static int older(const void *a, const void *b)
{
    const struct journal_record *x = *(struct journal_record *const *)a,
                                *y = *(struct journal_record *const *)b;
    return x->last_ms < y->last_ms ? -1 : x->last_ms > y->last_ms;
}

/* Keeps the latest. */
static void events_keep(struct events *e, uint32_t max)
{
    if (e->n)
        qsort(e->v, e->n, sizeof(struct journal_record *), older);
    uint32_t drop = e->n > max ? e->n - max : 0;
    for (uint32_t i = 0; i < drop; i++)
        free(e->v[i]);
    memmove(e->v, e->v + drop, (e->n - drop) * sizeof(struct journal_record *));
    e->n -= drop;
}

static void events_take(struct events *e, const struct inspect_buf *b)
{
    const struct journal_record *r;
    for (size_t at = 0; (r = inspect_next(b, &at));) {
        if (e->n == e->cap) {
            e->cap = e->cap ? e->cap * 2 : 64;
            e->v = mem_realloc(e->v, e->cap * sizeof(struct journal_record *));
        }
        e->v[e->n++] = mem_dup(r, r->size);
    }
}

static void events_gather(struct admin_env *env, struct gather *g, struct events *e)
{
    for (uint32_t i = 0; i < io_workers(env->conf.io); i++) {
        g->place = (struct journal_place){{0}};
        do {
            g->events.n = 0;
            shard_ask(env->conf.io, i, events_call, g);
            events_take(e, &g->events);
            if (e->n > 4 * WHY_EVENTS_MAX)
                events_keep(e, g->q->events_max);
        } while (g->result == INSPECT_MORE);
    }
    if (e->v)
        events_keep(e, g->q->events_max);
}

static const char *peer_name(const struct admin_env *env, const struct mesh_info *info, uint32_t peer)
{
    const struct node_id *id = &node_peers(env->conf.node)->ids[peer];
    for (uint32_t i = 0; i < info->peers_n; i++)
        if (node_id_eq(&info->peers[i].member.id, id))
            return info->peers[i].member.name;
    return "?";
}

static json_t *peer_names(const struct admin_env *env, const struct mesh_info *info, uint64_t peers)
{
    json_t *names = json_array();
    for (; peers; peers &= peers - 1)
        json_push(names, json_of_str(peer_name(env, info, (uint32_t)__builtin_ctzll(peers))));
    return names;
}

static json_t *event_row(const struct admin_env *env, const struct mesh_info *info,
                         const struct journal_record *r)
{
    enum journal_what what = (enum journal_what)r->what;
    json_t *o = json_object();
    json_put(o, "at", json_of_time(r->last_ms));
    json_put(o, "first_at", json_of_time(r->first_ms));
    json_put(o, "count", json_of_u64(r->count));
    json_put(o, "node", json_of_str(node_conf(env->conf.node)->name));
    json_put(o, "event", json_of_str(journal_name(what)));
    if (r->client_n)
        json_put(o, "clientid", json_of_bytes(journal_client(r)));
    if (r->topic_n)
        json_put(o, "topic", json_of_bytes(journal_topic(r)));
    if (what == JOURNAL_PUBLISHED || what == JOURNAL_SENT || what == JOURNAL_QUEUED)
        json_put(o, "qos", json_of_u64(r->qos));
    if (what == JOURNAL_PUBLISHED)
        json_put(o, "sessions", json_of_u64(r->detail));
    if (what == JOURNAL_QUEUE_LOST || what == JOURNAL_STORE_DAMAGED)
        json_put(o, "messages", json_of_u64(r->detail));
    if (r->peers)
        json_put(o, "nodes", peer_names(env, info, r->peers));
    if (r->text_n)
        json_put(o, "text", json_of_bytes(journal_text(r)));
    return o;
}

static json_t *event_rows(struct admin_env *env, struct gather *g)
{
    struct events e = {0};
    struct mesh_info info = {0};
    json_t *rows = json_array();
    events_gather(env, g, &e);
    cluster_view_info(env->conf.cluster, &info);
    for (uint32_t i = 0; i < e.n; i++) {
        json_push(rows, event_row(env, &info, e.v[i]));
        free(e.v[i]);
    }
    free(e.v);
    free(info.peers);
    return rows;
}

/* ---- how things stand ----------------------------------------------------------------------------- */

static json_t *sub_row(const struct admin_env *env, const struct inspect_sub *s)
{
    json_t *o = json_object();
    struct bytes group = inspect_sub_group(s), filter = inspect_sub_filter(s);
    json_put(o, "node", json_of_str(node_conf(env->conf.node)->name));
    json_put(o, "clientid", json_of_bytes(inspect_sub_client_id(s)));
    json_put(o, "filter", json_of_bytes(filter));
    if (s->group_n && topic_group_is_exclusive(group))
        json_put(o, "exclusive", json_true());
    else if (s->group_n)
        json_put(o, "group", json_of_bytes(group));
    json_put(o, "qos", json_of_u64(s->qos));
    json_put(o, "no_local", json_boolean(s->no_local));
    return o;
}

static json_t *sub_rows(const struct admin_env *env, const struct inspect_buf *b)
{
    json_t *rows = json_array();
    const struct inspect_sub *s;
    for (size_t at = 0; (s = inspect_next(b, &at));)
        json_push(rows, sub_row(env, s));
    return rows;
}

static void rights_put(json_t *o, const struct explain_client *c)
{
    static const char *const near[] = {"none", "case", "slash", "dollar"};
    json_put(o, "matching", json_of_u64(c->matching_n));
    json_put(o, "may_receive", json_boolean(c->may_receive));
    json_put(o, "may_publish", json_boolean(c->may_publish));
    if (!c->may_receive)
        json_put(o, "receive_why", json_of_str(c->receive_why));
    if (!c->may_publish)
        json_put(o, "publish_why", json_of_str(c->publish_why));
    if (c->near) {
        json_put(o, "near", json_of_str(near[c->near]));
        json_put(o, "near_filter", json_of_bytes(bytes_of(c->near_filter, c->near_n)));
    }
}

static json_t *client_of(const struct admin_env *env, const struct gather *g)
{
    const struct explain_client *c = &g->client;
    json_t *o = json_object();
    json_put(o, "node", json_of_str(node_conf(env->conf.node)->name));
    json_put(o, "connected", json_boolean(c->is_connected));
    json_put(o, "since", json_of_time(c->since_ms));
    if (c->address[0])
        json_put(o, "ip_address", json_of_str(c->address));
    json_put(o, "moving", json_boolean(c->is_moving));
    json_put(o, "reads_slowly", json_boolean(c->is_slow));
    json_put(o, "clean_start", json_boolean(c->clean_start));
    json_put(o, "expiry_interval", json_of_u64(c->expiry_s));
    json_put(o, "subscriptions", json_of_u64(c->subs_n));
    json_put(o, "queued", json_of_u64(c->queued));
    json_put(o, "queue_max", json_of_u64(c->queue_max));
    json_put(o, "queued_bytes", json_of_u64(c->queued_bytes));
    json_put(o, "queue_bytes_max", json_of_u64(c->queue_bytes_max));
    json_put(o, "keeps_qos0", json_boolean(c->keeps_qos0));
    json_put(o, "upgrades_qos", json_boolean(c->upgrades_qos));
    json_put(o, "inflight", json_of_u64(c->inflight));
    json_put(o, "inflight_max", json_of_u64(c->inflight_max));
    json_put(o, "dropped", json_of_u64(c->dropped));
    json_put(o, "packet_size_max", json_of_u64(c->packet_size_max));
    if (g->q->topic.n)
        rights_put(o, c);
    return o;
}

static json_t *topic_of(const struct gather *g)
{
    json_t *o = json_object();
    json_put(o, "sessions", json_of_u64(g->topic.sessions));
    json_put(o, "connected", json_of_u64(g->topic.connected));
    json_put(o, "members", json_of_u64(g->topic.members));
    json_put(o, "members_connected", json_of_u64(g->topic.members_connected));
    json_put(o, "retained", json_boolean(g->is_retained));
    return o;
}

static void state_put(struct admin_env *env, struct gather *g, json_t *part)
{
    struct io *io = env->conf.io;
    for (uint32_t i = 0; i < io_workers(io); i++)
        shard_ask(io, i, watch_call, g);
    if (g->q->topic.n)
        shard_ask(io, 0, retained_call, g);
    if (g->q->client.n) {
        g->subs.n = 0; /* those of the client alone */
        shard_ask(io, node_home(env->conf.node, g->q->client), client_call, g);
    }
    json_put(part, "is_on", json_boolean(g->is_on));
    json_put(part, "watched_ms", json_of_u64(g->watched_ms));
    json_put(part, "since_ms", json_of_u64(g->since_ms));
    json_put(part, "client", g->client.is_there ? client_of(env, g) : json_null());
    json_put(part, "topic", g->q->topic.n ? topic_of(g) : json_null());
    json_put(part, "subscriptions", sub_rows(env, &g->subs));
}

json_t *why_part(struct admin_env *env, const struct why_query *q)
{
    struct gather g = {.q = q};
    json_t *part = json_object();
    state_put(env, &g, part);
    json_put(part, "events", event_rows(env, &g));
    inspect_buf_fini(&g.events);
    inspect_buf_fini(&g.subs);
    return part;
}
