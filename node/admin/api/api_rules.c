/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/routes.h"
#include "node/admin/api/call.h"
#include "node/admin/command.h"
#include "node/core/auto_subscribe.h"
#include "node/core/expand.h"
#include "node/core/session.h"

/* What the configuration makes of topics: those that stand for others, those that every client gets. */

static const struct settings *settings_of(const struct api_call *c)
{
    return node_settings(c->env->conf.node);
}

/* A checked rule: ACTION SOURCE EXPRESSION DEST. */
static json_t *rewrite_row(struct bytes rule)
{
    static const char *const words[] = {"action", "source_topic", "re", "dest_topic"};
    json_t *o = json_object();
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        json_put(o, words[i], json_of_bytes(rule_word(&rule)));
    return o;
}

static void rewrite_list(struct api_call *c)
{
    const char *text = settings_of(c)->rewrite_rules;
    json_t *all = json_array();
    struct bytes rule;
    for (size_t at = 0; text && rule_next(text, &at, &rule);)
        json_push(all, rewrite_row(rule));
    api_reply(c, 200, all);
}

static void auto_list(struct api_call *c)
{
    const char *text = settings_of(c)->auto_subscribe;
    json_t *all = json_array();
    struct subscribe_item item;
    for (size_t at = 0; text && auto_subscribe_next(text, &at, &item);) {
        json_t *o = json_object();
        json_put(o, "topic", json_of_bytes(item.filter));
        json_put(o, "qos", json_of_u64(item.qos));
        json_put(o, "nl", json_of_u64(item.no_local));
        json_put(o, "rap", json_of_u64(item.retain_as_published));
        json_put(o, "rh", json_of_u64(item.retain_handling));
        json_push(all, o);
    }
    api_reply(c, 200, all);
}

API_SHAPE(rewrite_shape, "topic_rewrite", API_HAS("action", STRING, "publish, subscribe or all"),
          API_HAS("source_topic", STRING, "The filter of the topics that it is about"),
          API_HAS("re", STRING, "The expression that is looked for in the topic"),
          API_HAS("dest_topic", STRING, "What the topic becomes"));
API_SHAPE(auto_shape, "auto_subscribe",
          API_HAS("topic", STRING, "Topic filter, with ${clientid} and the like"),
          API_HAS("qos", INT, "Highest QoS"), API_HAS("nl", INT, "No Local"),
          API_HAS("rap", INT, "Retain As Published"), API_HAS("rh", INT, "Retain Handling"));

const struct api_route api_routes_rules[] = {
    {.method = API_GET,
     .path = "/mqtt/topic_rewrite",
     .scope = API_HERE,
     .role = API_VIEWER,
     .run = rewrite_list,
     .answer = API_LIST,
     .shape = &rewrite_shape,
     .tag = "Topics",
     .summary = "Rules by which topics stand for others, as this node is configured"},
    {.method = API_GET,
     .path = "/mqtt/auto_subscribe",
     .scope = API_HERE,
     .role = API_VIEWER,
     .run = auto_list,
     .answer = API_LIST,
     .shape = &auto_shape,
     .tag = "Topics",
     .summary = "Subscriptions that every client gets with its connection, as this node is configured"},
    {0},
};
