/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/why_i.h"

#include <stdio.h>
#include <string.h>

static const char *number_text(char out[24], const json_t *o, const char *name)
{
    snprintf(out, 24, "%lld", (long long)json_int(o, name, 0));
    return out;
}

static void of_client(struct why_case *w)
{
    char a[24], b[24];
    const json_t *c = w->client;
    if (json_int(c, "dropped", 0)) {
        number_text(a, c, "dropped");
        why_find(w, "problem", "DROPPED", WHY_PARAMS("count", a),
                 "%s messages to it were dropped in this session, because its queue was full or it read too "
                 "slowly.",
                 a);
    }
    if (json_int(c, "queued", 0)) {
        number_text(a, c, "queued");
        number_text(b, c, "queue_max");
        why_find(w, "note", "QUEUED", WHY_PARAMS("count", a, "max", b),
                 "%s messages wait in its queue, of at most %s.", a, b);
    }
    if (json_bool(c, "moving", false))
        why_find(w, "note", "MOVING", NULL, "Its session is on its way between two nodes.");
    if (json_int(c, "packet_size_max", 0)) {
        number_text(a, c, "packet_size_max");
        why_find(w, "note", "PACKET_SIZE", WHY_PARAMS("bytes", a),
                 "It takes no packets of more than %s bytes.", a);
    }
    if (!json_bool(c, "may_publish", true)) {
        const char *reason = json_str(c, "publish_why");
        why_find(w, "note", "MAY_NOT_PUBLISH", WHY_PARAMS("reason", reason),
                 "It may not itself publish to the topic: %s.", reason ? reason : "");
    }
    if (!json_bool(c, "connected", false) && !json_int(c, "expiry_interval", 0))
        why_find(w, "note", "NO_EXPIRY", NULL, "Its session ends with its connection.");
}

static void of_topic(struct why_case *w)
{
    const json_t *lost = why_last(w, "no_subscribers", NULL);
    char at[WHY_TIME_N];
    if (json_bool(w->state, "retained", false))
        why_find(w, "note", "RETAINED", NULL, "The topic has a retained message: who subscribes gets it.");
    if (w->topic[0] == '$')
        why_find(w, "note", "RESERVED", NULL,
                 "Clients may not publish to $SYS topics, and filters that begin with + or # do not match $ "
                 "topics.");
    if (lost)
        why_find(w, "note", "MATCHED_NOBODY",
                 WHY_PARAMS("at", json_str(lost, "at"), "node", json_str(lost, "node")),
                 "A message that matched no subscription was published at %s on %s.", why_at(at, lost, "at"),
                 json_str(lost, "node"));
}

/* ---- links between nodes -------------------------------------------------------------------------- */

/* What has become of the link from one node to another. */
struct way {
    const json_t *last; /* of its events */
    const json_t *down; /* it is down since, NULL: it is up */
    const json_t *gave; /* the other node was given up meanwhile */
    const json_t *was;  /* it was down before, until: */
    const json_t *back;
};

static const char *event_of(const json_t *e)
{
    const char *name = json_str(e, "event");
    return name ? name : "";
}

static bool is_link_event(const json_t *e)
{
    return strcmp(event_of(e), "link_down") == 0 || strcmp(event_of(e), "link_up") == 0 ||
           strcmp(event_of(e), "node_given_up") == 0;
}

/* That another connection took the place of one at once is no outage. */
static void way_on_up(struct way *way, const json_t *e)
{
    const json_t *cause = way->gave ? way->gave : way->down;
    const char *from = json_str(cause, "at"), *to = json_str(e, "at");
    if (from && to && (way->gave || strncmp(from, to, strlen("2026-01-31T12:00:00")) != 0)) {
        way->was = cause;
        way->back = e;
    }
    way->gave = way->down = NULL;
}

static struct way way_of(const struct why_case *w, const char *node, const char *peer)
{
    struct way way = {0};
    for (size_t i = 0; i < json_array_size(w->events); i++) {
        const json_t *e = json_array_get(w->events, i);
        if (!is_link_event(e) || !why_names(e, peer) || strcmp(json_str(e, "node"), node) != 0)
            continue;
        way.last = e;
        if (strcmp(event_of(e), "node_given_up") == 0)
            way.gave = e;
        else if (strcmp(event_of(e), "link_down") == 0)
            way.down = e;
        else
            way_on_up(&way, e);
    }
    return way;
}

/* e: the last event of the link; else its finding is made when that comes. */
static void of_way(struct why_case *w, const json_t *e)
{
    char at[WHY_TIME_N];
    const char *node = json_str(e, "node");
    const char *peer = json_string_value(json_array_get(json_object_get(e, "nodes"), 0));
    struct way way = way_of(w, node, peer);
    const json_t *cause = way.gave ? way.gave : way.down ? way.down : way.was;
    if (way.last != e || !cause)
        return;
    bool is_up = !way.gave && !way.down;
    const json_t *when = is_up ? way.back : cause;
    json_t *params =
        WHY_PARAMS("node", node, "peer", peer, "at", json_str(when, "at"), "reason", why_text(cause));
    why_at(at, when, "at");
    if (is_up)
        why_find(w, "note", "LINK_WAS_DOWN", params, "The link from %s to %s was down until %s (%s).", node,
                 peer, at, why_text(cause));
    else if (way.gave)
        why_find(w, strcmp(why_text(cause), "left") == 0 ? "note" : "problem", "GIVEN_UP", params,
                 "At %s %s gave up %s (%s): what is published there does not reach its clients.", at, node,
                 peer, why_text(cause));
    else
        why_find(w, "problem", "LINK_DOWN", params,
                 "The link from %s to %s is down since %s (%s): messages wait there, but for QoS 0 without "
                 "room.",
                 node, peer, at, why_text(cause));
}

/* Of those to the client's node, where it is known. */
static void of_links(struct why_case *w)
{
    const char *to = json_str(w->client, "node");
    size_t i;
    json_t *e;
    json_array_foreach((json_t *)(uintptr_t)w->events, i, e)
    {
        if (is_link_event(e) && (!to || why_names(e, to)))
            of_way(w, e);
    }
}

static void of_lookup(struct why_case *w)
{
    size_t i;
    json_t *name;
    json_array_foreach((json_t *)(uintptr_t)w->missing, i, name)
        why_find(w, "problem", "NODE_MISSING", WHY_PARAMS("node", json_string_value(name)),
                 "The node %s has not answered: what it knows is missing here.", json_string_value(name));
    json_array_foreach(json_object_get(w->answer, "without_journal"), i, name) why_find(
        w, "problem", "JOURNAL_OFF", WHY_PARAMS("node", json_string_value(name)),
        "The journal of %s is off: nothing of what happened there is known.", json_string_value(name));
}

void why_findings(struct why_case *w)
{
    if (w->client)
        of_client(w);
    if (w->state && w->topic)
        of_topic(w);
    of_links(w);
    of_lookup(w);
}
