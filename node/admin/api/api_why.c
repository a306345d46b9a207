/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/fan.h"
#include "node/admin/api/routes.h"
#include "node/admin/api/why.h"
#include "node/admin/command.h"
#include "proto/topic/topic.h"

#include <string.h>

/* Why a message did not arrive, of all nodes. */

static struct why_query query_of(const struct api_call *c)
{
    return (struct why_query){.client = json_bytes(c->query, "clientid"),
                              .topic = json_bytes(c->query, "topic"),
                              .events_max = (uint32_t)json_int(c->query, "limit", WHY_EVENTS)};
}

static void run(struct api_call *c)
{
    struct why_query q = query_of(c);
    enum topic_verdict v = q.topic.n ? topic_name_check(q.topic, 0) : TOPIC_OK;
    if (!q.client.n && !q.topic.n)
        api_fail(c, 400, "BAD_REQUEST", "clientid: is missing, and so is topic: name one of them, or both");
    else if (v != TOPIC_OK)
        api_fail(c, 400, "BAD_REQUEST", "topic: %s", topic_verdict_text(v));
    else
        api_reply(c, 200, why_part(c->env, &q));
}

static bool has_answered(const struct api_call *c, const char *node)
{
    size_t i;
    json_t *part;
    json_array_foreach((json_t *)(uintptr_t)c->parts, i, part)
    {
        const char *name = json_str(part, "node");
        if (name && strcmp(name, node) == 0)
            return json_int(part, "status", 500) == 200;
    }
    return false;
}

static json_t *missing_of(const struct api_call *c)
{
    json_t *all = fan_nodes(c), *missing = json_array(), *name;
    size_t i;
    json_array_foreach(all, i, name)
    {
        if (!has_answered(c, json_string_value(name)))
            json_push(missing, json_incref(name));
    }
    json_decref(all);
    return missing;
}

static void merge(struct api_call *c)
{
    struct why_query q = query_of(c);
    json_t *missing = missing_of(c);
    api_reply(c, 200, why_answer(&q, c->parts, missing));
    json_decref(missing);
}

/* ---- the table ------------------------------------------------------------------------------------ */

/* Fields that come in pairs. */
#define WHY_BOUNDED(name, what, max) API_HAS(name, INT, what), API_HAS(max, INT, "At most; 0: no bound")
#define WHY_SUBSCRIBERS(name, what, connected) \
    API_MAY(name, INT, what), API_MAY(connected, INT, "Of those, with a connection")
#define WHY_CODE(help) \
    API_HAS("code", STRING, help), API_HAS_OF("params", OBJECT, params_shape, "What it is about")

API_SHAPE(params_shape, "why_params", API_MAY("clientid", STRING, "The client"),
          API_MAY("topic", STRING, "The topic"), API_MAY("filter", STRING, "A topic filter"),
          API_MAY("at", STRING, "When it happened"), API_MAY("reason", STRING, "Why, in English"),
          API_MAY("node", STRING, "A node"), API_MAY("peer", STRING, "Another node"),
          API_MAY("event", STRING, "As in events"),
          API_MAY("publisher", STRING, "Who published; empty: not known"),
          API_MAY("count", STRING, "How many"), API_MAY("max", STRING, "At most; 0: no bound"),
          API_MAY("waiting", STRING, "Messages that wait"), API_MAY("bytes", STRING, "Bytes"),
          API_MAY("qos", STRING, "At most"),
          API_MAY("how", STRING, "case, slash or dollar: in what a filter differs"));
API_SHAPE(finding_shape, "why_finding", API_HAS_WORD("level", "problem|note", "Whether it stands in the way"),
          WHY_CODE("The same in all languages"), API_HAS("text", STRING, "In English"));
API_SHAPE(client_shape, "why_client", API_HAS("node", STRING, "The node that has the session"),
          API_HAS("connected", BOOL, "Whether there is a connection"),
          API_HAS("since", TIME, "Since when that is so"), API_MAY("ip_address", STRING, "Its address"),
          API_HAS("moving", BOOL, "Whether its session is between two nodes"),
          API_HAS("reads_slowly", BOOL, "Whether its connection takes no more at the moment"),
          API_HAS("clean_start", BOOL, "Whether it asked for a new session"),
          API_HAS("expiry_interval", INT, "Seconds that the session outlives its connection"),
          API_HAS("subscriptions", INT, "All of its subscriptions"),
          WHY_BOUNDED("queued", "Messages that wait", "queue_max"),
          WHY_BOUNDED("queued_bytes", "Their bytes", "queue_bytes_max"),
          API_HAS("keeps_qos0", BOOL, "Whether QoS 0 is kept for it while it is offline"),
          API_HAS("upgrades_qos", BOOL, "Whether messages are sent with the QoS of the subscription"),
          API_HAS("inflight", INT, "Messages sent and not acknowledged"),
          API_HAS("inflight_max", INT, "At most"),
          API_HAS("dropped", INT, "Messages that its bounds refused"),
          API_HAS("packet_size_max", INT, "Bytes of the largest packet that it takes; 0: any"),
          API_MAY("matching", INT, "Subscriptions that match the topic"),
          API_MAY("may_receive", BOOL, "Whether the rules let the topic reach it"),
          API_MAY("may_publish", BOOL, "Whether the rules let it publish to the topic"),
          API_MAY("receive_why", STRING, "Why not"), API_MAY("publish_why", STRING, "Why not"),
          API_MAY("near", STRING, "In what a filter differs that nearly matches: case, slash or dollar"),
          API_MAY("near_filter", STRING, "That filter"));
API_SHAPE(state_shape, "why_topic",
          WHY_SUBSCRIBERS("sessions", "Plain subscriptions that match", "connected"),
          WHY_SUBSCRIBERS("members", "Shared subscriptions that match", "members_connected"),
          API_HAS("retained", BOOL, "Whether there is a retained message"),
          API_HAS("nodes", ARRAY, "Nodes with subscribers"));
API_SHAPE(subscription_shape, "why_subscription", API_HAS("node", STRING, "The node that has it"),
          API_HAS("clientid", STRING, "Whose it is"), API_HAS("filter", STRING, "Topic filter"),
          API_MAY("group", STRING, "Name of the share group"), API_MAY("exclusive", BOOL, "Whether it is"),
          API_HAS("qos", INT, "Highest QoS that it is sent"), API_HAS("no_local", BOOL, "No Local"));
API_SHAPE(event_shape, "why_event", API_HAS("at", TIME, "When, the last time"),
          API_HAS("first_at", TIME, "The first time, at most a minute before"),
          API_HAS("count", INT, "How often"), API_HAS("node", STRING, "The node where it happened"),
          API_HAS("event", STRING, "What, as connected, subscribe_denied, queue_full"),
          API_MAY("clientid", STRING, "To whom"), API_MAY("topic", STRING, "The topic, or the filter"),
          API_MAY("qos", INT, "Of the message"), API_MAY("sessions", INT, "That a worker had for it"),
          API_MAY("messages", INT, "That were lost"),
          API_MAY("nodes", ARRAY, "To which it was forwarded; of a link: the other node"),
          API_MAY("text", STRING, "Why, in English"));
API_SHAPE(why_shape, "why", API_MAY("clientid", STRING, "The client in question"),
          API_MAY("topic", STRING, "The topic in question"),
          API_HAS_WORD("verdict", "yes|no|later|perhaps|unknown", "Would a message arrive now"),
          WHY_CODE("The sentence, the same in all languages"),
          API_HAS("sentence", STRING, "The answer in English"),
          API_HAS_OF("findings", ARRAY, finding_shape, "What else is worth knowing"),
          API_MAY_OF("client", OBJECT, client_shape, "How the client stands; none: not there"),
          API_MAY_OF("topic_state", OBJECT, state_shape, "How the topic stands"),
          API_HAS_OF("subscriptions", ARRAY, subscription_shape,
                     "That match, 20 of each node at most; with a client: its own"),
          API_HAS_OF("events", ARRAY, event_shape, "The latest, in order"),
          API_MAY("watched_since", TIME, "Since when ordinary messages are recorded too"),
          API_MAY("complete_since", TIME, "Older events have been pushed out; none: none has"),
          API_HAS("recorded", STRING, "What is recorded and what is not"),
          API_HAS("without_journal", ARRAY, "Nodes whose journal is off"),
          API_HAS("missing", ARRAY, "Nodes that have not answered"));
static const struct api_field why_query_fields[] = {
    {"clientid", API_STRING, 0, 1, 65535, NULL, NULL, "A client"},
    {"topic", API_STRING, 0, 1, 65535, NULL, NULL, "A topic, no filter; with clientid: does it reach it"},
    {"limit", API_INT, 0, 1, WHY_EVENTS_MAX, NULL, NULL, "Events at most, the latest; 100"},
    {0},
};

const struct api_route api_routes_why[] = {
    {.method = API_GET,
     .path = "/why",
     .scope = API_ALL,
     .role = API_VIEWER,
     .run = run,
     .merge = merge,
     .query = why_query_fields,
     .answer = API_ONE,
     .shape = &why_shape,
     .tag = "Why",
     .summary = "Why a message does not reach a client, or what becomes of a topic: a sentence, how things "
                "stand, and what happened lately"},
    {0},
};
