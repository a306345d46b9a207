/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/why.h"

#include "proto/base/mem.h"

#include <stdlib.h>
#include <string.h>

/* The parts of the nodes become one answer. */

static const char recorded[] =
    "Always: connects, refusals, subscriptions, denials, drops and links between nodes. What was published "
    "and sent: only since "
    "the "
    "client and the topic are watched, which every question renews for five minutes.";

/* ---- events --------------------------------------------------------------------------------------- */

static int earlier(const void *a, const void *b)
{
    const char *x = json_str(*(json_t *const *)a, "at"), *y = json_str(*(json_t *const *)b, "at");
    return strcmp(x ? x : "", y ? y : "");
}

/* The latest of all nodes, in their order. */
static json_t *events_join(const json_t *all, uint32_t max)
{
    size_t n = json_array_size(all);
    json_t **v = mem_alloc((n + 1) * sizeof(json_t *)), *out = json_array();
    for (size_t i = 0; i < n; i++)
        v[i] = json_array_get(all, i);
    qsort(v, n, sizeof v[0], earlier);
    for (size_t i = n > max ? n - max : 0; i < n; i++)
        json_push(out, json_incref(v[i]));
    free(v);
    return out;
}

/* ---- how things stand ----------------------------------------------------------------------------- */

/* The connected one over one that is offline: a session is on two nodes while it moves. */
static void client_take(json_t *answer, json_t *client)
{
    const json_t *now = json_object_get(answer, "client");
    if (!json_is_object(client))
        return;
    if (!now || (json_bool(client, "connected", false) && !json_bool(now, "connected", false)))
        json_put(answer, "client", json_incref(client));
}

static void topic_add(json_t *sum, const json_t *topic, const char *node)
{
    static const char *const numbers[] = {"sessions", "connected", "members", "members_connected"};
    int64_t here = json_int(topic, "sessions", 0) + json_int(topic, "members", 0);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        json_put(sum, numbers[i],
                 json_integer(json_int(sum, numbers[i], 0) + json_int(topic, numbers[i], 0)));
    if (json_bool(topic, "retained", false))
        json_put(sum, "retained", json_true());
    if (here)
        json_push(json_object_get(sum, "nodes"), json_of_str(node));
}

static json_t *topic_new(void)
{
    json_t *o = json_object();
    json_put(o, "nodes", json_array());
    json_put(o, "retained", json_false());
    return o;
}

/* The journal of all nodes: since when all of them watch, and how far back all of them go. */
struct reach {
    int64_t watched_ms, since_ms;
    json_t *off; /* nodes without a journal */
};

static void part_take(json_t *answer, json_t *events, struct reach *r, const json_t *part)
{
    const char *node = json_str(part, "node");
    const json_t *p = json_object_get(part, "answer");
    json_t *topic = json_object_get(p, "topic"), *sum = json_object_get(answer, "topic_state");
    int64_t watched = json_int(p, "watched_ms", 0), since = json_int(p, "since_ms", 0);
    client_take(answer, json_object_get(p, "client"));
    if (json_is_object(topic) && sum)
        topic_add(sum, topic, node ? node : "");
    json_array_extend(json_object_get(answer, "subscriptions"), json_object_get(p, "subscriptions"));
    json_array_extend(events, json_object_get(p, "events"));
    r->watched_ms = watched > r->watched_ms ? watched : r->watched_ms;
    r->since_ms = since > r->since_ms ? since : r->since_ms;
    if (!json_bool(p, "is_on", true))
        json_push(r->off, json_of_str(node ? node : ""));
}

static void reach_put(json_t *answer, struct reach *r)
{
    if (r->watched_ms)
        json_put(answer, "watched_since", json_of_time((uint64_t)r->watched_ms));
    if (r->since_ms)
        json_put(answer, "complete_since", json_of_time((uint64_t)r->since_ms));
    json_put(answer, "without_journal", r->off);
    json_put(answer, "recorded", json_of_str(recorded));
}

json_t *why_answer(const struct why_query *q, const json_t *parts, const json_t *missing)
{
    json_t *answer = json_object(), *events = json_array(), *part;
    struct reach reach = {.off = json_array()};
    size_t i;
    if (q->client.n)
        json_put(answer, "clientid", json_of_bytes(q->client));
    if (q->topic.n) {
        json_put(answer, "topic", json_of_bytes(q->topic));
        json_put(answer, "topic_state", topic_new());
    }
    json_put(answer, "missing", json_deep_copy(missing));
    json_put(answer, "subscriptions", json_array());
    json_array_foreach((json_t *)(uintptr_t)parts, i, part)
    {
        if (json_int(part, "status", 500) == 200)
            part_take(answer, events, &reach, part);
    }
    reach_put(answer, &reach);
    json_put(answer, "events", events_join(events, q->events_max));
    json_decref(events);
    why_judge(answer);
    return answer;
}
