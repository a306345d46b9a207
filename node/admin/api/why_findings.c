/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/why_i.h"

#include <stdio.h>

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
    of_lookup(w);
}
