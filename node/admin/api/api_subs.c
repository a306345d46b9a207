/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/act.h"
#include "node/admin/api/routes.h"
#include "node/admin/api/subject.h"
#include "node/admin/api/walk.h"
#include "node/admin/ask.h"
#include "proto/base/mem.h"
#include "proto/topic/topic.h"

#include <stdlib.h>

/* Subscriptions, of one client or of all, and the filters of the route table. */

/* ---- all of them ---------------------------------------------------------------------------------- */

static bool group_is(const char *wanted, const struct inspect_sub *s)
{
    return !wanted || (s->group_n && walk_is(wanted, inspect_sub_group(s)));
}

/* match_topic: filters that a message of this topic would go to. */
static bool topic_is(const json_t *q, const struct inspect_sub *s)
{
    const char *exact = json_str(q, "topic"), *name = json_str(q, "match_topic");
    if (name && !topic_match(inspect_sub_filter(s), bytes_str(name)))
        return false;
    if (!exact)
        return true;
    json_t *text = subject_topic(s);
    bool is_it = strcmp(json_string_value(text), exact) == 0;
    json_decref(text);
    return is_it;
}

static bool sub_matches(const struct api_call *c, const void *record)
{
    const struct inspect_sub *s = record;
    const json_t *q = c->query;
    return walk_is(json_str(q, "clientid"), inspect_sub_client_id(s)) &&
           json_int(q, "qos", s->qos) == s->qos && json_bool(q, "durable", s->is_durable) == s->is_durable &&
           group_is(json_str(q, "share_group"), s) && topic_is(q, s);
}

static json_t *sub_row(const struct api_call *c, const void *record)
{
    return subject_subscription(c, record);
}

static void subs_piece(struct shard *sh, void *arg)
{
    struct walk *w = arg;
    w->result = inspect_subs(sh, &w->sub_place, &w->buf);
}

static const struct walk_kind all_subs = {.piece = subs_piece, .matches = sub_matches, .row = sub_row};

static void list(struct api_call *c)
{
    walk_begin(c, &all_subs, WALK_SOME);
}

/* ---- filters -------------------------------------------------------------------------------------- */

/* Each node tells of those that it has subscribers for. */
static bool topic_matches(const struct api_call *c, const void *record)
{
    const struct inspect_sub *s = record;
    return s->peer == INSPECT_HERE && topic_is(c->query, s);
}

static json_t *topic_row(const struct api_call *c, const void *record)
{
    json_t *o = json_object();
    json_put(o, "topic", subject_topic(record));
    json_put(o, "node", json_of_str(api_node_name(c)));
    return o;
}

static void topics_piece(struct shard *sh, void *arg)
{
    struct walk *w = arg;
    w->result = inspect_topics(sh, &w->place, &w->buf);
}

static const struct walk_kind topics = {
    .piece = topics_piece, .is_of_node = true, .matches = topic_matches, .row = topic_row};

static void list_topics(struct api_call *c)
{
    walk_begin(c, &topics, WALK_SOME);
}

/* ---- of one client -------------------------------------------------------------------------------- */

struct session_subs {
    struct bytes client_id;
    uint32_t place;
    enum inspect result;
    struct inspect_buf buf;
    json_t *rows;
};

static void session_subs_free(void *state)
{
    struct session_subs *x = state;
    inspect_buf_fini(&x->buf);
    json_decref(x->rows);
    free(x);
}

static void session_subs_call(struct shard *sh, void *arg)
{
    struct session_subs *x = arg;
    x->result = inspect_session_subs(sh, x->client_id, &x->place, &x->buf);
}

static void not_found(struct api_call *c)
{
    api_fail(c, 404, "CLIENTID_NOT_FOUND", "There is no client of this id.");
}

static bool session_subs_step(struct api_call *c)
{
    struct session_subs *x = c->state;
    const struct inspect_sub *s;
    size_t at = 0;
    x->buf.n = 0;
    shard_ask(c->env->conf.io, node_home(c->env->conf.node, x->client_id), session_subs_call, x);
    if (x->result == INSPECT_NONE) {
        not_found(c);
        return false;
    }
    while ((s = inspect_next(&x->buf, &at)))
        json_push(x->rows, subject_subscription(c, s));
    if (x->result == INSPECT_MORE)
        return true;
    api_reply(c, 200, json_incref(x->rows));
    return false;
}

static void session_subs(struct api_call *c)
{
    struct session_subs *x = mem_zalloc(sizeof *x);
    x->client_id = api_param_bytes(c, 0);
    x->rows = json_array();
    c->state = x;
    c->state_free = session_subs_free;
    c->step = session_subs_step;
}

/* ---- for a client --------------------------------------------------------------------------------- */

static bool act_failed(struct api_call *c, const struct act *a)
{
    if (a->result == ACT_NOT_FOUND)
        not_found(c);
    else if (a->result == ACT_REFUSED)
        api_fail(c, 400, "BAD_REQUEST", "topic: %s", a->text ? a->text : reason_name(a->code));
    return a->result != ACT_OK;
}

static enum act_result subscribe_one(struct api_call *c, const json_t *item, struct act *a)
{
    *a = (struct act){.client_id = api_param_bytes(c, 0), .item = {.filter = json_bytes(item, "topic")}};
    a->item.qos = (uint8_t)json_int(item, "qos", 0);
    a->item.no_local = json_int(item, "nl", 0) == 1;
    a->item.retain_as_published = json_int(item, "rap", 0) == 1;
    a->item.retain_handling = (uint8_t)json_int(item, "rh", 0);
    shard_ask(c->env->conf.io, node_home(c->env->conf.node, a->client_id), act_subscribe, a);
    return a->result;
}

static json_t *subscribed(const struct api_call *c, const struct act *a)
{
    json_t *o = json_object();
    json_put(o, "node", json_of_str(api_node_name(c)));
    json_put(o, "clientid", json_of_bytes(a->client_id));
    json_put(o, "topic", json_of_bytes(a->item.filter));
    json_put(o, "qos", json_of_u64(a->item.qos));
    json_put(o, "nl", json_of_u64(a->item.no_local));
    json_put(o, "rap", json_of_u64(a->item.retain_as_published));
    json_put(o, "rh", json_of_u64(a->item.retain_handling));
    return o;
}

static void subscribe(struct api_call *c)
{
    struct act a;
    subscribe_one(c, c->body, &a);
    if (!act_failed(c, &a))
        api_reply(c, 200, subscribed(c, &a));
}

/* Those before one that is refused stay. */
static void subscribe_bulk(struct api_call *c)
{
    json_t *all = json_array(), *item;
    size_t i;
    json_array_foreach(c->body, i, item)
    {
        struct act a;
        subscribe_one(c, item, &a);
        if (act_failed(c, &a)) {
            json_decref(all);
            return;
        }
        json_push(all, subscribed(c, &a));
    }
    api_reply(c, 200, all);
}

/* What is not subscribed is no error: it is what was wanted. */
static void unsubscribe_one(struct api_call *c, const json_t *item, struct act *a)
{
    *a = (struct act){.client_id = api_param_bytes(c, 0), .item = {.filter = json_bytes(item, "topic")}};
    shard_ask(c->env->conf.io, node_home(c->env->conf.node, a->client_id), act_unsubscribe, a);
    if (a->result == ACT_NOT_FOUND && a->code == RC_NO_SUBSCRIPTION_EXISTED)
        a->result = ACT_OK;
}

static void unsubscribe(struct api_call *c)
{
    struct act a;
    unsubscribe_one(c, c->body, &a);
    if (!act_failed(c, &a))
        api_reply(c, 204, NULL);
}

/* ---- the table ------------------------------------------------------------------------------------ */

API_SHAPE(subscribe_shape, "subscribe",
          {"topic", API_STRING, API_REQUIRED, 1, 65535, NULL, NULL, "Topic filter"},
          {"qos", API_INT, 0, 0, 2, NULL, NULL, "Highest QoS; 0 by default"},
          {"nl", API_INT, 0, 0, 1, NULL, NULL, "No Local"},
          {"rap", API_INT, 0, 0, 1, NULL, NULL, "Retain As Published"},
          {"rh", API_INT, 0, 0, 2, NULL, NULL, "Retain Handling"});
API_SHAPE(unsubscribe_shape, "unsubscribe",
          {"topic", API_STRING, API_REQUIRED, 1, 65535, NULL, NULL, "Topic filter, as it was subscribed"});
API_SHAPE(subscribed_shape, "subscribed", API_HAS("node", STRING, "The node that has the client"),
          API_HAS("clientid", STRING, "Client identifier"), API_HAS("topic", STRING, "Topic filter"),
          API_HAS("qos", INT, "Highest QoS that it is sent"), API_HAS("nl", INT, "No Local"),
          API_HAS("rap", INT, "Retain As Published"), API_HAS("rh", INT, "Retain Handling"));
API_SHAPE(topic_shape, "topic", API_HAS("topic", STRING, "Topic filter"),
          API_HAS("node", STRING, "The node that has subscribers"));

static const struct api_field subs_query[] = {
    WALK_PAGE_FIELDS,
    API_MAY("node", STRING, "Only those of this node"),
    API_MAY("clientid", STRING, "Only those of this client"),
    {"qos", API_INT, 0, 0, 2, NULL, NULL, "Only those of this QoS"},
    API_MAY("topic", STRING, "This topic filter"),
    API_MAY("match_topic", STRING, "Filters that a message of this topic goes to"),
    API_MAY("share_group", STRING, "Shared subscriptions of this group"),
    API_MAY("durable", BOOL, "Only those that outlive the connection, or not"),
    {0},
};
static const struct api_field topics_query[] = {
    WALK_PAGE_FIELDS,
    API_MAY("node", STRING, "Only those of this node"),
    API_MAY("topic", STRING, "This topic filter"),
    API_MAY("match_topic", STRING, "Filters that a message of this topic goes to"),
    {0},
};

/* A call for one client, wherever it is. */
#define OF_CLIENT(method_, path_, role_, run_)                                                    \
    .method = method_, .path = "/clients/{clientid}/" path_, .scope = API_FINDING, .role = role_, \
    .run = run_, .tag = "Clients", .refusals = "404 CLIENTID_NOT_FOUND"

const struct api_route api_routes_subs[] = {
    {OF_CLIENT(API_GET, "subscriptions", API_VIEWER, session_subs), .answer = API_LIST,
     .shape = &subject_subscription_shape, .summary = "What it subscribes to"},
    {OF_CLIENT(API_POST, "subscribe", API_ADMIN, subscribe), .body = &subscribe_shape, .body_form = API_ONE,
     .answer = API_ONE, .shape = &subscribed_shape, .summary = "Subscribe for it"},
    {OF_CLIENT(API_POST, "subscribe/bulk", API_ADMIN, subscribe_bulk), .body = &subscribe_shape,
     .body_form = API_LIST, .answer = API_LIST, .shape = &subscribed_shape,
     .summary = "Subscribe for it, to several; it ends with the first that is refused"},
    {OF_CLIENT(API_POST, "unsubscribe", API_ADMIN, unsubscribe), .body = &unsubscribe_shape,
     .body_form = API_ONE, .summary = "Unsubscribe for it"},
    {.method = API_GET,
     .path = "/subscriptions",
     .scope = API_ALL,
     .role = API_VIEWER,
     .run = list,
     .query = subs_query,
     .answer = API_PAGE,
     .shape = &subject_subscription_shape,
     .tag = "Subscriptions",
     .summary = "A page of all subscriptions"},
    {.method = API_GET,
     .path = "/topics",
     .scope = API_ALL,
     .role = API_VIEWER,
     .run = list_topics,
     .query = topics_query,
     .answer = API_PAGE,
     .shape = &topic_shape,
     .tag = "Subscriptions",
     .summary = "A page of the filters that have subscribers, and where"},
    {0},
};
