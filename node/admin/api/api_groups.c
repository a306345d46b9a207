/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/fan.h"
#include "node/admin/api/routes.h"
#include "node/admin/api/walk.h"
#include "node/admin/ask.h"
#include "node/admin/command.h"
#include "node/core/inspect.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Share groups: each node counts its members, the page joins them. The members themselves are subscriptions:
 * GET /subscriptions?topic=$share/GROUP/FILTER. */

struct groups_listing {
    uint32_t shard;
    uint32_t place;
    enum inspect result;
    struct inspect_buf buf;
    json_t *by_topic;
};

static void listing_free(void *state)
{
    struct groups_listing *l = state;
    inspect_buf_fini(&l->buf);
    json_decref(l->by_topic);
    free(l);
}

static void piece_call(struct shard *sh, void *arg)
{
    struct groups_listing *l = arg;
    l->result = inspect_groups(sh, &l->place, &l->buf);
}

static void number_add(json_t *o, const char *name, int64_t n)
{
    json_put(o, name, json_integer(json_int(o, name, 0) + n));
}

static json_t *row_of(json_t *by_topic, const json_t *topic, const json_t *group, const json_t *filter)
{
    const char *key = json_string_value(topic);
    json_t *o = json_object_get(by_topic, key);
    if (o)
        return o;
    o = json_object();
    json_put(o, "topic", json_incref((json_t *)(uintptr_t)topic));
    json_put(o, "group", json_incref((json_t *)(uintptr_t)group));
    json_put(o, "filter", json_incref((json_t *)(uintptr_t)filter));
    json_put(by_topic, key, o);
    return o;
}

static bool is_wanted(const json_t *query, struct bytes group, struct bytes filter)
{
    return walk_is(json_str(query, "group"), group) && walk_contains(json_str(query, "like_topic"), filter);
}

static void group_take(struct groups_listing *l, const struct inspect_group *g)
{
    struct text t = {0};
    struct bytes name = inspect_group_name(g), filter = inspect_group_filter(g);
    text_printf(&t, "$share/%.*s/%.*s", (int)name.n, (const char *)name.p, (int)filter.n,
                (const char *)filter.p);
    json_t *topic = json_of_bytes(bytes_of(t.p, t.n)), *n = json_of_bytes(name), *f = json_of_bytes(filter);
    json_t *o = row_of(l->by_topic, topic, n, f);
    number_add(o, "members", g->members);
    number_add(o, "connected", g->online);
    json_decref(topic);
    json_decref(n);
    json_decref(f);
    text_fini(&t);
}

static json_t *values(json_t *by_topic)
{
    json_t *all = json_array(), *o;
    const char *topic;
    json_object_foreach(by_topic, topic, o) json_push(all, json_incref(o));
    return all;
}

static bool list_step(struct api_call *c)
{
    struct groups_listing *l = c->state;
    const struct inspect_group *g;
    size_t at = 0;
    l->buf.n = 0;
    shard_ask(c->env->conf.io, l->shard, piece_call, l);
    while ((g = inspect_next(&l->buf, &at)))
        if (is_wanted(c->query, inspect_group_name(g), inspect_group_filter(g)))
            group_take(l, g);
    if (l->result == INSPECT_MORE)
        return true;
    l->place = 0;
    if (++l->shard < io_workers(c->env->conf.io))
        return true;
    api_reply(c, 200, values(l->by_topic));
    return false;
}

static void list(struct api_call *c)
{
    struct groups_listing *l = mem_zalloc(sizeof *l);
    l->by_topic = json_object();
    c->state = l;
    c->state_free = listing_free;
    c->step = list_step;
}

/* ---- of all nodes --------------------------------------------------------------------------------- */

static const char *strategy_name(const struct api_call *c)
{
    static const char *const names[] = {
        [SHARE_ROUND_ROBIN] = "round_robin",     [SHARE_RANDOM] = "random",         [SHARE_STICKY] = "sticky",
        [SHARE_HASH_CLIENTID] = "hash_clientid", [SHARE_HASH_TOPIC] = "hash_topic", [SHARE_LOCAL] = "local",
    };
    return names[node_settings(c->env->conf.node)->share_strategy];
}

static void row_join(const struct api_call *c, json_t *by_topic, const char *node, const json_t *row)
{
    json_t *topic = json_object_get(row, "topic"), *group = json_object_get(row, "group");
    json_t *filter = json_object_get(row, "filter");
    if (!json_is_string(topic) || !json_is_string(group) || !json_is_string(filter))
        return;
    json_t *at = json_object();
    json_t *o = row_of(by_topic, topic, group, filter);
    json_t *nodes = json_object_get(o, "nodes");
    if (!nodes) {
        json_put(o, "strategy", json_of_str(strategy_name(c)));
        json_put(o, "nodes", nodes = json_array());
    }
    json_put(at, "node", json_of_str(node));
    number_add(at, "members", json_int(row, "members", 0));
    number_add(at, "connected", json_int(row, "connected", 0));
    number_add(o, "members", json_int(row, "members", 0));
    number_add(o, "connected", json_int(row, "connected", 0));
    json_push(nodes, at);
}

static void list_merge(struct api_call *c)
{
    json_t *by_topic = json_object(), *part, *row;
    size_t i, j;
    json_array_foreach((json_t *)(uintptr_t)c->parts, i, part)
    {
        json_array_foreach(json_object_get(part, "answer"), j, row)
            row_join(c, by_topic, json_str(part, "node"), row);
    }
    fan_page(c, values(by_topic));
    json_decref(by_topic);
}

API_SHAPE(node_shape, "shared_group_node", API_HAS("node", STRING, "A node with members"),
          API_HAS("members", INT, "Members there"), API_HAS("connected", INT, "Those with a connection"));
API_SHAPE(group_shape, "shared_group", API_HAS("topic", STRING, "As it is subscribed: $share/GROUP/FILTER"),
          API_HAS("group", STRING, "Share name"), API_HAS("filter", STRING, "Topic filter"),
          API_HAS("strategy", STRING, "How the member is chosen, as this node is configured"),
          API_HAS("members", INT, "Members on all nodes"),
          API_HAS("connected", INT, "Those with a connection"),
          API_HAS_OF("nodes", ARRAY, node_shape, "Where they are"));
static const struct api_field groups_query[] = {
    WALK_PAGE_FIELDS,
    API_MAY("node", STRING, "Only members of this node"),
    API_MAY("group", STRING, "This share name"),
    API_MAY("like_topic", STRING, "Filters with this in them"),
    {0},
};

const struct api_route api_routes_groups[] = {
    {.method = API_GET,
     .path = "/shared_groups",
     .scope = API_ALL,
     .role = API_VIEWER,
     .run = list,
     .merge = list_merge,
     .query = groups_query,
     .answer = API_PAGE,
     .shape = &group_shape,
     .tag = "Subscriptions",
     .summary = "A page of the share groups and where their members are"},
    {0},
};
