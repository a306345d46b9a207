/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/routes.h"
#include "node/admin/api/subject.h"
#include "node/admin/api/walk.h"
#include "node/admin/delayed_walk.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Messages that are to be published later. Each node has those that came in there. */

static void settings(struct api_call *c)
{
    const struct settings *set = node_settings(c->env->conf.node);
    json_t *o = json_object();
    json_put(o, "enable", json_boolean(set->delayed_available));
    json_put(o, "max_delayed_messages", json_of_u64(set->delayed_count_max));
    api_reply(c, 200, o);
}

/* ---- listing -------------------------------------------------------------------------------------- */

struct delayed_listing {
    struct retained_walk walk;
    struct api_call *call;
    const char *topic; /* of the query; NULL: any */
    uint64_t wall_ms;
    uint64_t matched, skipped;
    json_t *rows;
};

static void listing_free(void *state)
{
    struct delayed_listing *l = state;
    retained_walk_end(&l->walk);
    json_decref(l->rows);
    free(l);
}

static json_t *row(const struct api_call *c, const struct delayed_item *item, uint64_t wall_ms)
{
    json_t *o = json_object();
    json_put(o, "msgid", json_of_str(item->id));
    json_put(o, "node", json_of_str(api_node_name(c)));
    json_put(o, "topic", json_of_bytes(item->m.topic));
    json_put(o, "qos", json_of_u64(item->m.qos));
    json_put(o, "retain", json_boolean(item->m.retain));
    json_put(o, "payload_size", json_of_u64(item->m.payload.n));
    json_put(o, "expected_at", json_of_time(item->when_ms));
    json_put(o, "delayed_remaining",
             json_of_u64(item->when_ms > wall_ms ? (item->when_ms - wall_ms) / 1000 : 0));
    return o;
}

static bool row_take(void *arg, const struct delayed_item *item)
{
    struct delayed_listing *l = arg;
    if (!walk_is(l->topic, item->m.topic))
        return true;
    l->matched++;
    if (l->skipped < l->call->window.skip)
        l->skipped++;
    else
        json_push(l->rows, row(l->call, item, l->wall_ms));
    return json_array_size(l->rows) < l->call->window.take;
}

static bool list_step(struct api_call *c)
{
    struct delayed_listing *l = c->state;
    bool is_full = json_array_size(l->rows) >= c->window.take;
    bool more = !is_full && delayed_walk_piece(&l->walk, row_take, l);
    is_full = json_array_size(l->rows) >= c->window.take;
    if (more && !is_full)
        return true;
    json_t *count = !l->topic ? json_of_u64(store_count(c->env->conf.store, STORE_DELAYED))
                    : is_full ? json_null()
                              : json_of_u64(l->matched);
    walk_page(c, json_incref(l->rows), l->skipped, count);
    return false;
}

static void list(struct api_call *c)
{
    struct delayed_listing *l = mem_zalloc(sizeof *l);
    l->call = c;
    l->topic = json_str(c->query, "topic");
    l->wall_ms = wall_ms();
    l->rows = json_array();
    c->state = l;
    c->state_free = listing_free;
    if (retained_walk_begin(&l->walk, c->env->conf.store) == OK)
        c->step = list_step;
    else
        api_fail(c, 503, "SERVICE_UNAVAILABLE", "The store cannot be read.");
}

/* ---- one ------------------------------------------------------------------------------------------ */

static void one_take(void *arg, const struct delayed_item *item)
{
    struct api_call *c = arg;
    json_t *o = row(c, item, wall_ms());
    json_put(o, "payload", subject_base64(item->m.payload));
    api_reply(c, 200, o);
}

static void not_found(struct api_call *c)
{
    api_fail(c, 404, "NOT_FOUND", "There is no delayed message of this id.");
}

static void show(struct api_call *c)
{
    if (!delayed_find(c->env->conf.store, api_param(c, 1), one_take, c))
        not_found(c);
}

static void remove_one(struct api_call *c)
{
    enum delayed_deleted done = delayed_remove(c->env->conf.io, api_param(c, 1));
    if (done == DELAYED_DELETED)
        api_reply(c, 204, NULL);
    else if (done == DELAYED_NOT_STORED)
        api_fail(c, 503, "SERVICE_UNAVAILABLE", "The store cannot be written.");
    else
        not_found(c);
}

/* ---- the table ------------------------------------------------------------------------------------ */

API_SHAPE(settings_shape, "delayed",
          API_HAS("enable", BOOL, "Whether $delayed/SECONDS/TOPIC means something"),
          API_HAS("max_delayed_messages", INT, "Most there may be; 0: no limit"));
API_SHAPE(delayed_shape, "delayed_message", API_HAS("msgid", STRING, "Its id"),
          API_HAS("node", STRING, "The node that has it"), API_HAS("topic", STRING, "The topic of then"),
          API_HAS("qos", INT, "QoS"), API_HAS("retain", BOOL, "Whether it is retained then"),
          API_HAS("payload_size", INT, "Bytes"), API_HAS("expected_at", TIME, "When it is published"),
          API_HAS("delayed_remaining", INT, "Seconds until then"),
          API_MAY("payload", STRING, "Base64; not in a list"));
static const struct api_field list_query[] = {
    WALK_PAGE_FIELDS,
    API_MAY("node", STRING, "Only those of this node"),
    API_MAY("topic", STRING, "Those of this topic"),
    {0},
};

const struct api_route api_routes_delayed[] = {
    {.method = API_GET,
     .path = "/mqtt/delayed",
     .scope = API_HERE,
     .role = API_VIEWER,
     .run = settings,
     .answer = API_ONE,
     .shape = &settings_shape,
     .tag = "Delayed",
     .summary = "Whether messages can be published later"},
    {.method = API_GET,
     .path = "/mqtt/delayed/messages",
     .scope = API_ALL,
     .role = API_VIEWER,
     .run = list,
     .query = list_query,
     .answer = API_PAGE,
     .shape = &delayed_shape,
     .tag = "Delayed",
     .summary = "A page of those that wait, of each node the next due first"},
    {.method = API_GET,
     .path = "/mqtt/delayed/messages/{node}/{msgid}",
     .scope = API_NODE,
     .role = API_VIEWER,
     .run = show,
     .answer = API_ONE,
     .shape = &delayed_shape,
     .tag = "Delayed",
     .summary = "One of them, with its payload",
     .refusals = "404 NOT_FOUND"},
    {.method = API_DELETE,
     .path = "/mqtt/delayed/messages/{node}/{msgid}",
     .scope = API_NODE,
     .role = API_ADMIN,
     .run = remove_one,
     .tag = "Delayed",
     .summary = "Delete one of them",
     .refusals = "404 NOT_FOUND, 503 SERVICE_UNAVAILABLE"},
    {0},
};
