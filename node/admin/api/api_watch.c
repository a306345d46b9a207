/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/fan.h"
#include "node/admin/api/numbers.h"
#include "node/admin/api/routes.h"
#include "node/admin/api/walk.h"
#include "node/admin/command.h"
#include "node/admin/watched.h"
#include "proto/base/mem.h"

#include <stdlib.h>

/* Topics that are looked at, and slow subscribers, of all nodes. */

/* ---- topics --------------------------------------------------------------------------------------- */

static json_t *metrics_of(const struct topic_metric *m)
{
    char name[40];
    json_t *o = json_object();
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "messages.qos%d.in.count", i);
        json_put(o, name, json_of_u64(m->in[i]));
        snprintf(name, sizeof name, "messages.qos%d.out.count", i);
        json_put(o, name, json_of_u64(m->out[i]));
    }
    json_put(o, "messages.in.count", json_of_u64(m->in[0] + m->in[1] + m->in[2]));
    json_put(o, "messages.out.count", json_of_u64(m->out[0] + m->out[1] + m->out[2]));
    json_put(o, "messages.dropped.count", json_of_u64(m->dropped));
    return o;
}

static json_t *topic_row(const struct topic_metric *m)
{
    json_t *o = json_object();
    json_put(o, "topic", json_of_bytes(watched_topic(m)));
    json_put(o, "create_time", json_of_time(m->since_ms));
    json_put(o, "metrics", metrics_of(m));
    return o;
}

/* topic: this one; NULL: all. */
static json_t *topic_rows(const struct api_call *c, const char *topic)
{
    struct watched_topics t = {0};
    json_t *all = json_array();
    watched_topics_get(c->env->conf.io, &t);
    for (uint32_t i = 0; i < t.n; i++)
        if (walk_is(topic, watched_topic(t.v[i])))
            json_push(all, topic_row(t.v[i]));
    watched_topics_fini(&t);
    return all;
}

static void topics_list(struct api_call *c)
{
    api_reply(c, 200, topic_rows(c, NULL));
}

static void no_topic(struct api_call *c)
{
    api_fail(c, 404, "TOPIC_NOT_FOUND", "Nobody looks at this topic.");
}

/* Answers with the first of the rows, which it takes. */
static void reply_first(struct api_call *c, json_t *rows)
{
    json_t *one = json_array_get(rows, 0);
    if (one)
        api_reply(c, 200, json_incref(one));
    else
        no_topic(c);
    json_decref(rows);
}

static void topic_show(struct api_call *c)
{
    reply_first(c, topic_rows(c, api_param(c, 0)));
}

static void row_add(json_t *sum, json_t *row)
{
    const char *since = json_str(row, "create_time"), *until_now = json_str(sum, "create_time");
    if (since && until_now && strcmp(since, until_now) < 0)
        json_put(sum, "create_time", json_of_str(since));
    numbers_add(json_object_get(sum, "metrics"), json_object_get(row, "metrics"));
}

/* The sums of the nodes, which need not have the same topics: one that was away when a topic was registered
 * does not know it. */
static json_t *rows_sum(const struct api_call *c)
{
    json_t *all = json_array(), *by_topic = json_object(), *part, *row;
    size_t i, j;
    json_array_foreach((json_t *)(uintptr_t)c->parts, i, part)
    {
        json_t *answer = json_object_get(part, "answer");
        json_t *rows = json_is_array(answer) ? json_incref(answer) : json_pack("[O]", answer);
        json_array_foreach(rows, j, row)
        {
            const char *topic = json_str(row, "topic");
            json_t *sum = topic ? json_object_get(by_topic, topic) : NULL;
            if (sum) {
                row_add(sum, row);
            } else if (topic) {
                json_push(all, json_incref(row));
                json_object_set(by_topic, topic, row);
            }
        }
        json_decref(rows);
    }
    json_decref(by_topic);
    return all;
}

static void topics_merge(struct api_call *c)
{
    api_reply(c, 200, rows_sum(c));
}

static void topic_merge(struct api_call *c)
{
    reply_first(c, rows_sum(c));
}

static bool topic_begin(struct api_call *c)
{
    const char *why;
    bool is_done = watched_topic_add(c->env->conf.io, json_bytes(c->body, "topic"), &why);
    if (!is_done)
        api_fail(c, 400, "BAD_REQUEST", "topic: %s", why);
    return is_done;
}

static void topic_add(struct api_call *c)
{
    const char *topic = json_str(c->body, "topic");
    json_t *rows = topic_rows(c, topic);
    if (json_array_size(rows))
        api_fail(c, 400, "ALREADY_EXISTS", "topic: is looked at already");
    else if (topic_begin(c))
        reply_first(c, topic_rows(c, topic));
    json_decref(rows);
}

static void topic_reset(struct api_call *c)
{
    json_t *rows = topic_rows(c, json_str(c->body, "topic"));
    if (!json_array_size(rows))
        no_topic(c);
    else if (topic_begin(c))
        api_reply(c, 204, NULL);
    json_decref(rows);
}

static void topic_remove(struct api_call *c)
{
    if (watched_topic_del(c->env->conf.io, api_param_bytes(c, 0)))
        api_reply(c, 204, NULL);
    else
        no_topic(c);
}

static void done_merge(struct api_call *c)
{
    api_reply(c, 204, NULL);
}

/* ---- slow subscribers ----------------------------------------------------------------------------- */

static const struct settings *settings_of(const struct api_call *c)
{
    return node_settings(c->env->conf.node);
}

static void slow_settings(struct api_call *c)
{
    const struct settings *set = settings_of(c);
    json_t *o = json_object();
    json_put(o, "enable", json_boolean(set->slow_subs_ms));
    json_put(o, "threshold", json_of_u64(set->slow_subs_ms));
    json_put(o, "expire_interval", json_of_u64(set->slow_subs_expiry_ms / 1000));
    json_put(o, "top_k_num", json_of_u64(set->slow_subs_max));
    api_reply(c, 200, o);
}

static void slow_list(struct api_call *c)
{
    struct watched_slow s = {0};
    json_t *all = json_array();
    watched_slow_get(c->env->conf.io, &s, settings_of(c)->slow_subs_max);
    for (uint32_t i = 0; i < s.n; i++) {
        json_t *o = json_object();
        json_put(o, "clientid", json_of_bytes(watched_slow_client(s.v[i])));
        json_put(o, "node", json_of_str(api_node_name(c)));
        json_put(o, "topic", json_of_bytes(watched_slow_topic(s.v[i])));
        json_put(o, "timespan", json_of_u64(s.v[i]->took_ms));
        json_put(o, "last_update_time", json_of_time(s.v[i]->last_ms));
        json_push(all, o);
    }
    watched_slow_fini(&s);
    api_reply(c, 200, all);
}

static int slower(const void *a, const void *b)
{
    int64_t x = json_int(*(json_t *const *)a, "timespan", 0),
            y = json_int(*(json_t *const *)b, "timespan", 0);
    return x > y ? -1 : x < y;
}

/* The slowest of all nodes first. */
static void slow_merge(struct api_call *c)
{
    json_t *rows = fan_rows(c), *sorted = json_array();
    size_t n = json_array_size(rows);
    json_t **v = mem_alloc((n + 1) * sizeof(json_t *));
    for (size_t i = 0; i < n; i++)
        v[i] = json_array_get(rows, i);
    qsort(v, n, sizeof v[0], slower);
    for (size_t i = 0; i < n; i++)
        json_push(sorted, json_incref(v[i]));
    free(v);
    json_decref(rows);
    fan_page(c, sorted);
}

static void slow_clear(struct api_call *c)
{
    watched_slow_clear(c->env->conf.io);
    api_reply(c, 204, NULL);
}

/* ---- the table ------------------------------------------------------------------------------------ */

API_SHAPE(counts_shape, "topic_counts", API_HAS("messages.in.count", INT, "From clients"),
          API_HAS("messages.out.count", INT, "To clients"),
          API_HAS("messages.dropped.count", INT, "That nobody got"),
          API_HAS("messages.qos0.in.count", INT, "Of QoS 0"),
          API_HAS("messages.qos0.out.count", INT, "Of QoS 0"),
          API_HAS("messages.qos1.in.count", INT, "Of QoS 1"),
          API_HAS("messages.qos1.out.count", INT, "Of QoS 1"),
          API_HAS("messages.qos2.in.count", INT, "Of QoS 2"),
          API_HAS("messages.qos2.out.count", INT, "Of QoS 2"));
API_SHAPE(metrics_shape, "topic_metrics", API_HAS("topic", STRING, "A topic, no filter"),
          API_HAS("create_time", TIME, "Since when it is counted"),
          API_HAS_OF("metrics", OBJECT, counts_shape, "Sums of the nodes"));
API_SHAPE(topic_body, "topic_metrics_new",
          {"topic", API_STRING, API_REQUIRED, 1, 65535, NULL, NULL, "A topic, no filter"});
API_SHAPE(reset_body, "topic_metrics_reset",
          {"topic", API_STRING, API_REQUIRED, 1, 65535, NULL, NULL, "A topic that is looked at"},
          API_HAS_WORD("action", "reset", "From zero again"));
API_SHAPE(slow_shape, "slow_subscription", API_HAS("clientid", STRING, "Client identifier"),
          API_HAS("node", STRING, "The node that has it"), API_HAS("topic", STRING, "Of the message"),
          API_HAS("timespan", INT, "Milliseconds until it was acknowledged, the longest"),
          API_HAS("last_update_time", TIME, "Of the last slow one"));
API_SHAPE(slow_settings_shape, "slow_subscriptions_settings",
          API_HAS("enable", BOOL, "Whether it is measured"),
          API_HAS("threshold", INT, "Milliseconds from which on a client is slow"),
          API_HAS("expire_interval", INT, "Seconds after which one that is slow no more is forgotten"),
          API_HAS("top_k_num", INT, "How many each node lists"));
static const struct api_field page_query[] = {
    WALK_PAGE_FIELDS,
    API_MAY("node", STRING, "Only those of this node"),
    {0},
};

/* A call of all nodes. */
#define OF_ALL(method_, path_, role_, run_, merge_, tag_, summary_)                                  \
    .method = method_, .path = path_, .scope = API_ALL, .role = role_, .run = run_, .merge = merge_, \
    .tag = tag_, .summary = summary_

const struct api_route api_routes_watch[] = {
    {OF_ALL(API_GET, "/mqtt/topic_metrics", API_VIEWER, topics_list, topics_merge, "Topic metrics",
            "What went in and out under the topics that are looked at"),
     .answer = API_LIST, .shape = &metrics_shape},
    {OF_ALL(API_POST, "/mqtt/topic_metrics", API_ADMIN, topic_add, topic_merge, "Topic metrics",
            "Look at a topic, from zero, until the nodes stop"),
     .body = &topic_body, .body_form = API_ONE, .answer = API_ONE, .shape = &metrics_shape,
     .refusals = "400 ALREADY_EXISTS"},
    {OF_ALL(API_PUT, "/mqtt/topic_metrics", API_ADMIN, topic_reset, done_merge, "Topic metrics",
            "Count from zero again"),
     .body = &reset_body, .body_form = API_ONE, .refusals = "404 TOPIC_NOT_FOUND"},
    {OF_ALL(API_GET, "/mqtt/topic_metrics/{topic}", API_VIEWER, topic_show, topic_merge, "Topic metrics",
            "The same of one topic"),
     .answer = API_ONE, .shape = &metrics_shape, .refusals = "404 TOPIC_NOT_FOUND"},
    {OF_ALL(API_DELETE, "/mqtt/topic_metrics/{topic}", API_ADMIN, topic_remove, done_merge, "Topic metrics",
            "Do not look at it any more"),
     .refusals = "404 TOPIC_NOT_FOUND"},
    {OF_ALL(API_GET, "/slow_subscriptions", API_VIEWER, slow_list, slow_merge, "Slow subscriptions",
            "Who takes long to acknowledge, the slowest first"),
     .query = page_query, .answer = API_PAGE, .shape = &slow_shape},
    {OF_ALL(API_DELETE, "/slow_subscriptions", API_ADMIN, slow_clear, done_merge, "Slow subscriptions",
            "Begin that list anew")},
    {.method = API_GET,
     .path = "/slow_subscriptions/settings",
     .scope = API_HERE,
     .role = API_VIEWER,
     .run = slow_settings,
     .answer = API_ONE,
     .shape = &slow_settings_shape,
     .tag = "Slow subscriptions",
     .summary = "What counts as slow, as this node is configured"},
    {0},
};
