/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/fan.h"
#include "node/admin/api/routes.h"
#include "node/admin/api/why.h"
#include "node/admin/command.h"
#include "node/mesh/mesh.h"
#include "proto/base/mem.h"
#include "proto/topic/topic.h"

#include <stdlib.h>
#include <string.h>

/* Why did a message not arrive: the answer of the API, of all nodes, as lines. */

enum { ASK_AGAIN_MS = 20 };

/* A question to all nodes that is under way. */
struct why_ask {
    struct api_call *head;
    bool is_answered;
    bool is_left; /* nobody waits for it any more */
};

static void ask_free(struct why_ask *a)
{
    api_call_free(a->head);
    free(a);
}

void why_ask_free(struct why_ask *a)
{
    if (a && !a->is_answered)
        a->is_left = true;
    else if (a)
        ask_free(a);
}

static void on_fan(void *arg, const json_t *missing)
{
    struct why_ask *a = arg;
    (void)missing; /* the answer names them */
    a->is_answered = true;
    if (a->is_left)
        ask_free(a);
}

/* ---- lines ---------------------------------------------------------------------------------------- */

static void put(struct text *out, const json_t *o, const char *name)
{
    text_escaped(out, json_bytes(o, name), "");
}

static void put_findings(struct text *out, const json_t *all)
{
    size_t i;
    json_t *f;
    json_array_foreach((json_t *)(uintptr_t)all, i, f)
    {
        const char *level = json_str(f, "level");
        text_add(out, level && strcmp(level, "problem") == 0 ? "  ! " : "  - ");
        put(out, f, "text");
        text_add(out, "\n");
    }
}

static void put_subscriptions(struct text *out, const json_t *all)
{
    size_t i;
    json_t *s;
    if (json_array_size(all))
        text_add(out, "Subscriptions that match:\n");
    json_array_foreach((json_t *)(uintptr_t)all, i, s)
    {
        text_add(out, "  ");
        put(out, s, "clientid");
        text_add(out, " ");
        if (json_str(s, "group")) {
            text_add(out, "$share/");
            put(out, s, "group");
            text_add(out, "/");
        }
        put(out, s, "filter");
        text_printf(out, " qos=%lld%s node=", (long long)json_int(s, "qos", 0),
                    json_bool(s, "no_local", false) ? " no_local" : "");
        put(out, s, "node");
        text_add(out, "\n");
    }
}

static void put_word(struct text *out, const json_t *o, const char *name)
{
    if (!json_str(o, name))
        return;
    text_printf(out, " %s=\"", name);
    text_escaped(out, json_bytes(o, name), "\"");
    text_add(out, "\"");
}

static void put_number(struct text *out, const json_t *o, const char *name)
{
    if (json_object_get(o, name))
        text_printf(out, " %s=%lld", name, (long long)json_int(o, name, 0));
}

static void put_names(struct text *out, const char *what, const json_t *names)
{
    size_t i;
    json_t *name;
    json_array_foreach((json_t *)(uintptr_t)names, i, name)
    {
        text_add(out, i ? "," : what);
        text_escaped(out, bytes_str(json_string_value(name)), ",");
    }
}

static void put_event(struct text *out, const json_t *e)
{
    text_add(out, "  ");
    put(out, e, "at");
    text_add(out, " ");
    put(out, e, "node");
    text_add(out, " ");
    put(out, e, "event");
    put_word(out, e, "clientid");
    put_word(out, e, "topic");
    put_number(out, e, "qos");
    put_number(out, e, "sessions");
    put_number(out, e, "messages");
    put_names(out, " nodes=", json_object_get(e, "nodes"));
    if (json_int(e, "count", 1) > 1)
        put_number(out, e, "count");
    if (json_str(e, "text")) {
        text_add(out, ": ");
        put(out, e, "text");
    }
    text_add(out, "\n");
}

static void put_answer(struct call *c, const json_t *answer)
{
    struct text *out = &c->out;
    const json_t *events = json_object_get(answer, "events");
    const char *watched = json_str(answer, "watched_since"), *since = json_str(answer, "complete_since");
    size_t i;
    json_t *e;
    put(out, answer, "sentence");
    text_add(out, "\n");
    put_findings(out, json_object_get(answer, "findings"));
    put_subscriptions(out, json_object_get(answer, "subscriptions"));
    text_add(out, json_array_size(events) ? "What happened:\n" : "The journal has nothing about it.\n");
    json_array_foreach((json_t *)(uintptr_t)events, i, e) put_event(out, e);
    if (since)
        text_printf(out, "Older than %s is not complete.\n", since);
    put(out, answer, "recorded");
    text_printf(out, "\nWatched since %s.\n", watched ? watched : "never: the journal is off");
}

/* ---- asking --------------------------------------------------------------------------------------- */

static void put_failure(struct call *c, const json_t *answer)
{
    const char *message = json_str(answer, "message");
    call_fail(c, message ? message : "There is no answer.");
}

static bool produce(struct call *c)
{
    const struct why_ask *a = c->why;
    if (!a->is_answered) {
        c->wait_ms = ASK_AGAIN_MS;
        return true;
    }
    if (a->head->status == 200)
        put_answer(c, a->head->answer);
    else
        put_failure(c, a->head->answer);
    return false;
}

static json_t *other_nodes(const struct admin_env *env)
{
    json_t *names = json_array();
    struct mesh_info info = {0};
    if (cluster_view_info(env->conf.cluster, &info))
        for (uint32_t i = 0; i < info.peers_n; i++)
            if (info.peers[i].member.state != MEMBER_LEFT)
                json_push(names, json_of_str(info.peers[i].member.name));
    free(info.peers);
    return names;
}

/* Without the API there is no way to the other nodes. */
static void answer_alone(struct call *c, const struct why_query *q)
{
    json_t *parts = json_array(), *part = json_object(), *missing = other_nodes(c->env);
    json_put(part, "node", json_of_str(node_conf(c->env->conf.node)->name));
    json_put(part, "status", json_integer(200));
    json_put(part, "answer", why_part(c->env, q));
    json_push(parts, part);
    json_t *answer = why_answer(q, parts, missing);
    put_answer(c, answer);
    json_decref(answer);
    json_decref(parts);
    json_decref(missing);
}

static void ask_all(struct call *c, const struct why_query *q)
{
    struct why_ask *a = c->why = mem_zalloc(sizeof *a);
    a->head = api_call_new(c->env->api, &api_routes_why[0]);
    if (q->client.n)
        json_put(a->head->query, "clientid", json_of_bytes(q->client));
    if (q->topic.n)
        json_put(a->head->query, "topic", json_of_bytes(q->topic));
    c->produce = produce;
    fan_run(a->head, on_fan, a);
}

static void ask(struct call *c, const char *client, const char *topic)
{
    struct why_query q = {.client = bytes_str(client), .topic = bytes_str(topic), .events_max = WHY_EVENTS};
    enum topic_verdict v = q.topic.n ? topic_name_check(q.topic, 0) : TOPIC_OK;
    if (v != TOPIC_OK)
        call_fail(c, topic_verdict_text(v));
    else if (c->env->api)
        ask_all(c, &q);
    else
        answer_alone(c, &q);
}

static void of_client(struct call *c)
{
    bool has_topic = c->args_n == 3 && strcmp(c->args[1], "topic") == 0;
    if (c->args_n == 1 || has_topic)
        ask(c, c->args[0], has_topic ? c->args[2] : "");
    else
        call_fail(c, "Usage: why client CLIENTID [topic TOPIC]");
}

static void of_topic(struct call *c)
{
    ask(c, "", c->args[0]);
}

const struct command commands_why[] = {
    {"why", "client", "<clientid> [topic <topic>]", "Why does a client, or a message to it, not arrive", 1, 3,
     COMMAND_LOOKS, of_client},
    {"why", "topic", "<topic>", "What becomes of messages to a topic", 1, 1, COMMAND_LOOKS, of_topic},
    {0},
};
