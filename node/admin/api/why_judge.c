/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/why.h"

#include "node/admin/api/why_i.h"

#include <stdarg.h>
#include <string.h>

/* From how things stand, and what has happened, to one sentence: the first that fits. */

/* ---- the verdict ---------------------------------------------------------------------------------- */

static json_t *text_of(const char *fmt, va_list ap)
{
    char line[2048];
    int n = vsnprintf(line, sizeof line, fmt, ap);
    size_t whole = n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    return json_of_bytes(bytes_of(line, whole));
}

void why_say(struct why_case *w, const char *verdict, const char *code, json_t *params, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    json_put(w->answer, "verdict", json_of_str(verdict));
    json_put(w->answer, "code", json_of_str(code));
    json_put(w->answer, "params", params ? params : json_object());
    json_put(w->answer, "sentence", text_of(fmt, ap));
    va_end(ap);
}

void why_find(struct why_case *w, const char *level, const char *code, json_t *params, const char *fmt, ...)
{
    json_t *o = json_object();
    va_list ap;
    va_start(ap, fmt);
    json_put(o, "level", json_of_str(level));
    json_put(o, "code", json_of_str(code));
    json_put(o, "params", params ? params : json_object());
    json_put(o, "text", text_of(fmt, ap));
    va_end(ap);
    json_push(w->findings, o);
}

json_t *why_params(const char *const *names_and_values)
{
    json_t *o = json_object();
    for (; names_and_values[0]; names_and_values += 2)
        json_put(o, names_and_values[0], json_of_str(names_and_values[1] ? names_and_values[1] : ""));
    return o;
}

const char *why_at(char out[WHY_TIME_N], const json_t *o, const char *name)
{
    const char *at = json_str(o, name);
    snprintf(out, WHY_TIME_N, "%.19sZ", at ? at : "");
    return out;
}

static bool is_one_of(const char *name, const char *names)
{
    size_t n = strlen(name);
    for (const char *p = names; *p; p += strcspn(p, "|"), p += *p == '|')
        if (strcspn(p, "|") == n && memcmp(p, name, n) == 0)
            return true;
    return false;
}

const json_t *why_last(const struct why_case *w, const char *names, const char *client)
{
    for (size_t i = json_array_size(w->events); i-- > 0;) {
        const json_t *e = json_array_get(w->events, i);
        const char *event = json_str(e, "event"), *id = json_str(e, "clientid");
        if (event && is_one_of(event, names) && (!client || (id && strcmp(id, client) == 0)))
            return e;
    }
    return NULL;
}

const char *why_text(const json_t *event)
{
    const char *text = json_str(event, "text");
    return text ? text : "";
}

bool why_names(const json_t *event, const char *node)
{
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(event, "nodes"), i, name)
    {
        if (strcmp(json_string_value(name), node) == 0)
            return true;
    }
    return false;
}

bool why_is_later(const json_t *a, const json_t *b)
{
    const char *x = json_str(a, "at"), *y = json_str(b, "at");
    return x && (!y || strcmp(x, y) > 0);
}

/* ---- a client that is not there ------------------------------------------------------------------- */

static void absent(struct why_case *w)
{
    char at[WHY_TIME_N];
    const json_t *e = why_last(w, "connect_refused|disconnected|session_ended|session_moved", w->id);
    const json_t *end = why_last(w, "disconnected", w->id);
    if (json_array_size(w->missing)) {
        why_say(
            w, "unknown", "NOT_FOUND_SOME_MISSING", WHY_PARAMS("clientid", w->id),
            "Unknown: the nodes that have answered have neither a connection nor a session of %s, and not "
            "all have answered.",
            w->id);
    } else if (e && strcmp(json_str(e, "event"), "connect_refused") == 0) {
        why_say(w, "no", "REFUSED",
                WHY_PARAMS("clientid", w->id, "at", json_str(e, "at"), "reason", why_text(e)),
                "No: %s is not connected; its last attempt to connect was refused at %s: %s.", w->id,
                why_at(at, e, "at"), why_text(e));
    } else if (end) {
        why_say(w, "no", "SESSION_ENDED",
                WHY_PARAMS("clientid", w->id, "at", json_str(end, "at"), "reason", why_text(end)),
                "No: %s is not connected and no session of it is kept; its connection ended at %s: %s.",
                w->id, why_at(at, end, "at"), why_text(end));
    } else {
        why_say(w, "no", "NO_SESSION", WHY_PARAMS("clientid", w->id),
                "No: there is neither a connection nor a session of %s, and the journal knows of none.",
                w->id);
    }
}

/* ---- a client and a topic ------------------------------------------------------------------------- */

static void say_near(struct why_case *w)
{
    const char *near = json_str(w->client, "near"), *filter = json_str(w->client, "near_filter");
    if (!near)
        return;
    const char *how = strcmp(near, "case") == 0    ? "upper and lower case count"
                      : strcmp(near, "slash") == 0 ? "a slash at the beginning or the end makes another topic"
                                                   : "+ and # at the beginning do not match topics with $";
    why_find(w, "problem", "NEAR", WHY_PARAMS("filter", filter, "how", near),
             "It has subscribed to %s, which does not match: %s.", filter, how);
}

static void not_subscribed(struct why_case *w)
{
    char at[WHY_TIME_N];
    const json_t *e = why_last(w, "subscribe_denied|subscribe_refused|unsubscribed", w->id);
    const char *event = json_str(e, "event"), *filter = json_str(e, "topic");
    say_near(w);
    if (event && strcmp(event, "unsubscribed") == 0)
        why_say(w, "no", "UNSUBSCRIBED",
                WHY_PARAMS("clientid", w->id, "topic", w->topic, "filter", filter, "at", json_str(e, "at")),
                "No: %s is not subscribed to %s any more; it unsubscribed from %s at %s.", w->id, w->topic,
                filter, why_at(at, e, "at"));
    else if (event)
        why_say(w, "no", "SUBSCRIBE_REFUSED",
                WHY_PARAMS("clientid", w->id, "topic", w->topic, "filter", filter, "at", json_str(e, "at"),
                           "reason", why_text(e)),
                "No: %s has no subscription that matches %s; its SUBSCRIBE to %s was refused at %s: %s.",
                w->id, w->topic, filter, why_at(at, e, "at"), why_text(e));
    else
        why_say(w, "no", "NOT_SUBSCRIBED", WHY_PARAMS("clientid", w->id, "topic", w->topic),
                "No: %s has no subscription that matches %s.", w->id, w->topic);
}

static int64_t number(const json_t *o, const char *name)
{
    return json_int(o, name, 0);
}

static const char *number_text(char out[WHY_NUMBER_N], const json_t *o, const char *name)
{
    snprintf(out, WHY_NUMBER_N, "%lld", (long long)number(o, name));
    return out;
}

/* By bytes: there is no room for one more of the usual size. */
static bool is_full_by_bytes(const json_t *c)
{
    int64_t n = number(c, "queued"), bytes = number(c, "queued_bytes"), max = number(c, "queue_bytes_max");
    return max && n && bytes + bytes / n > max;
}

static bool is_full(const json_t *c)
{
    int64_t max = number(c, "queue_max");
    return (max && number(c, "queued") >= max) || is_full_by_bytes(c);
}

static void queue_full(struct why_case *w)
{
    char n[WHY_NUMBER_N], max[WHY_NUMBER_N];
    bool by_bytes = is_full_by_bytes(w->client);
    number_text(n, w->client, by_bytes ? "queued_bytes" : "queued");
    number_text(max, w->client, by_bytes ? "queue_bytes_max" : "queue_max");
    why_say(w, "no", by_bytes ? "QUEUE_BYTES_FULL" : "QUEUE_FULL",
            WHY_PARAMS("clientid", w->id, "count", n, "max", max),
            "No: the queue of %s is full, with %s %s of at most %s: further messages are dropped.", w->id, n,
            by_bytes ? "bytes" : "messages", max);
}

/* The highest QoS of the subscriptions that are listed; whether none is plain, or all have No Local. */
static void subs_look(const struct why_case *w, int64_t *qos, bool *all_shared, bool *any_no_local)
{
    size_t i;
    json_t *s;
    *qos = 0;
    *all_shared = json_array_size(w->subs) > 0;
    *any_no_local = false;
    json_array_foreach((json_t *)(uintptr_t)w->subs, i, s)
    {
        *qos = number(s, "qos") > *qos ? number(s, "qos") : *qos;
        *all_shared = *all_shared && json_str(s, "group");
        *any_no_local = *any_no_local || json_bool(s, "no_local", false);
    }
}

static void offline(struct why_case *w, int64_t qos)
{
    char at[WHY_TIME_N], n[WHY_NUMBER_N];
    number_text(n, w->client, "queued");
    why_at(at, w->client, "since");
    if (qos == 0 && !json_bool(w->client, "keeps_qos0", false))
        why_say(w, "no", "OFFLINE_QOS0", WHY_PARAMS("clientid", w->id, "at", json_str(w->client, "since")),
                "No: %s has been offline since %s, and its subscription has QoS 0: nothing is kept for it.",
                w->id, at);
    else
        why_say(w, "later", "OFFLINE_KEPT",
                WHY_PARAMS("clientid", w->id, "at", json_str(w->client, "since"), "waiting", n),
                "Not yet: %s has been offline since %s; what is published with QoS 1 and 2 waits until it "
                "comes back, %s now.",
                w->id, at, n);
}

/* The last time that another node gave up what waited for the one that the client is on. */
static const json_t *given_up(const struct why_case *w)
{
    const char *node = json_str(w->client, "node");
    for (size_t i = json_array_size(w->events); node && i-- > 0;) {
        const json_t *e = json_array_get(w->events, i);
        if (strcmp(json_str(e, "event"), "node_given_up") == 0 && why_names(e, node))
            return e;
    }
    return NULL;
}

static void say_given_up(struct why_case *w, const json_t *e)
{
    char at[WHY_TIME_N];
    const char *node = json_str(e, "node"), *peer = json_str(w->client, "node");
    why_say(
        w, "yes", "WAS_GIVEN_UP",
        WHY_PARAMS("clientid", w->id, "topic", w->topic, "node", node, "peer", peer, "at", json_str(e, "at"),
                   "reason", why_text(e)),
        "Yes: a message to %s would be sent to %s now. But at %s %s gave up %s, where it is (%s): what was "
        "published there until they met again has not reached it.",
        w->topic, w->id, why_at(at, e, "at"), node, peer, why_text(e));
}

/* What has happened to messages under the topic, of which the latest counts. */
static void from_events(struct why_case *w, int64_t qos, bool all_shared)
{
    static const char before[] = "publish_denied|publish_refused|no_subscribers|overload|link_full";
    static const char at_it[] = "queue_full|slow_reader|offline_qos0|expired|too_large|no_local|"
                                "delivery_denied|store_failed|store_damaged|queue_lost";
    char at[WHY_TIME_N];
    const json_t *lost = why_last(w, before, NULL), *dropped = why_last(w, at_it, w->id);
    const json_t *sent = why_last(w, "sent", w->id), *apart = given_up(w);
    if (why_is_later(dropped, lost))
        lost = dropped;
    if (lost && !why_is_later(sent, lost)) {
        const char *who = json_str(lost, "clientid"), *event = json_str(lost, "event");
        bool is_publisher = lost != dropped && who;
        why_say(w, "no", "DROPPED",
                WHY_PARAMS("clientid", w->id, "topic", w->topic, "at", json_str(lost, "at"), "reason",
                           why_text(lost), "event", event, "publisher", is_publisher ? who : ""),
                "No: at %s a message to %s%s%s did not get through: %s. %s would get one now.",
                why_at(at, lost, "at"), w->topic, is_publisher ? " from " : "", is_publisher ? who : "",
                why_text(lost), w->id);
    } else if (apart && !why_is_later(sent, apart)) {
        say_given_up(w, apart);
    } else if (sent) {
        why_say(w, "yes", "SENT",
                WHY_PARAMS("clientid", w->id, "topic", w->topic, "at", json_str(sent, "at")),
                "Yes: messages to %s are sent to %s, the last one at %s.", w->topic, w->id,
                why_at(at, sent, "at"));
    } else if (all_shared) {
        why_say(
            w, "perhaps", "SHARED", WHY_PARAMS("clientid", w->id, "topic", w->topic),
            "Perhaps: the subscriptions of %s that match %s are shared: each message goes to one member of "
            "the group.",
            w->id, w->topic);
    } else {
        char level[2] = {(char)('0' + qos % 3), 0};
        why_say(
            w, "yes", "WOULD_ARRIVE", WHY_PARAMS("clientid", w->id, "topic", w->topic, "qos", level),
            "Yes: a message to %s would be sent to %s now, with QoS %s at most; none is known to have been "
            "lost.",
            w->topic, w->id, level);
    }
}

static bool connected_trouble(struct why_case *w, int64_t qos)
{
    char n[WHY_NUMBER_N], waiting[WHY_NUMBER_N];
    const json_t *c = w->client;
    number_text(n, c, "inflight");
    number_text(waiting, c, "queued");
    if (qos > 0 && number(c, "inflight_max") && number(c, "inflight") >= number(c, "inflight_max")) {
        why_say(
            w, "later", "INFLIGHT_FULL", WHY_PARAMS("clientid", w->id, "count", n, "waiting", waiting),
            "Not yet: %s has not acknowledged %s messages, as many as may be in flight; %s wait behind them.",
            w->id, n, waiting);
        return true;
    }
    if (json_bool(c, "reads_slowly", false)) {
        why_say(w, qos ? "later" : "no", "READS_SLOWLY", WHY_PARAMS("clientid", w->id),
                "%s: %s reads more slowly than it is sent to; QoS 0 is dropped meanwhile.",
                qos ? "Not yet" : "No", w->id);
        return true;
    }
    return false;
}

static void of_both(struct why_case *w)
{
    int64_t qos;
    bool all_shared, any_no_local;
    const json_t *c = w->client;
    subs_look(w, &qos, &all_shared, &any_no_local);
    if (any_no_local)
        why_find(w, "note", "NO_LOCAL", NULL,
                 "Its subscription has No Local: it does not get what it publishes.");
    if (!number(c, "matching")) {
        not_subscribed(w);
    } else if (!json_bool(c, "may_receive", true)) {
        const char *reason = json_str(c, "receive_why");
        why_say(w, "no", "DENIED", WHY_PARAMS("clientid", w->id, "topic", w->topic, "reason", reason),
                "No: %s has subscribed, but the rules do not let %s reach it: %s.", w->id, w->topic, reason);
    } else if (is_full(c)) {
        queue_full(w);
    } else if (!json_bool(c, "connected", false)) {
        offline(w, qos);
    } else if (!connected_trouble(w, qos)) {
        from_events(w, qos, all_shared);
    }
}

/* ---- one of them alone ---------------------------------------------------------------------------- */

static void of_client(struct why_case *w)
{
    const json_t *c = w->client;
    char at[WHY_TIME_N], n[WHY_NUMBER_N], waiting[WHY_NUMBER_N];
    const char *node = json_str(c, "node");
    number_text(n, c, "subscriptions");
    number_text(waiting, c, "queued");
    why_at(at, c, "since");
    if (!json_bool(c, "connected", false)) {
        const json_t *end = why_last(w, "disconnected", w->id);
        why_say(w, "no", "OFFLINE",
                WHY_PARAMS("clientid", w->id, "at", json_str(c, "since"), "node", node, "reason",
                           end ? why_text(end) : "", "waiting", waiting),
                "%s is offline since %s%s%s; its session is kept on %s, with %s messages waiting.", w->id, at,
                end ? ": " : "", end ? why_text(end) : "", node, waiting);
    } else if (is_full(c)) {
        queue_full(w);
    } else if (!connected_trouble(w, number(c, "inflight"))) {
        why_say(w, "yes", "CONNECTED",
                WHY_PARAMS("clientid", w->id, "at", json_str(c, "since"), "node", node, "count", n, "waiting",
                           waiting),
                "%s is connected to %s since %s, with %s subscriptions and %s messages waiting.", w->id, node,
                at, n, waiting);
    }
}

static void topic_denied(struct why_case *w, const json_t *denied)
{
    char at[WHY_TIME_N];
    why_say(w, "no", "PUBLISH_REFUSED",
            WHY_PARAMS("topic", w->topic, "at", json_str(denied, "at"), "reason", why_text(denied),
                       "publisher", json_str(denied, "clientid")),
            "No: the last message to %s that is known was refused at %s: %s.", w->topic,
            why_at(at, denied, "at"), why_text(denied));
}

static void of_topic(struct why_case *w)
{
    const json_t *t = w->state, *denied = why_last(w, "publish_denied|publish_refused", NULL);
    int64_t all = number(t, "sessions") + number(t, "members");
    int64_t online = number(t, "connected") + number(t, "members_connected");
    const char *s = (online ? online : all) == 1 ? "" : "s", *es = *s ? "" : "es";
    char count[24];
    snprintf(count, sizeof count, "%lld", (long long)(online ? online : all));
    if (denied && !why_is_later(why_last(w, "published|sent|no_subscribers", NULL), denied))
        topic_denied(w, denied);
    else if (!all && json_array_size(w->missing))
        why_say(w, "unknown", "NOBODY_SOME_MISSING", WHY_PARAMS("topic", w->topic),
                "Unknown: nobody has subscribed to %s on the nodes that have answered.", w->topic);
    else if (!all)
        why_say(w, "no", "NOBODY", WHY_PARAMS("topic", w->topic),
                "No: nobody has a subscription that matches %s.", w->topic);
    else if (!online)
        why_say(w, "later", "ONLY_OFFLINE", WHY_PARAMS("topic", w->topic, "count", count),
                "Not yet: %s subscription%s match%s %s, but nobody of them is connected.", count, s, es,
                w->topic);
    else
        why_say(w, "yes", "SUBSCRIBED", WHY_PARAMS("topic", w->topic, "count", count),
                "Yes: %s connected subscription%s match%s %s.", count, s, es, w->topic);
}

void why_judge(json_t *answer)
{
    const char *id = json_str(answer, "clientid"), *topic = json_str(answer, "topic");
    struct why_case w = {
        .answer = answer,
        .id = id,
        .topic = topic,
        .client = json_object_get(answer, "client"),
        .state = json_object_get(answer, "topic_state"),
        .subs = json_object_get(answer, "subscriptions"),
        .events = json_object_get(answer, "events"),
        .missing = json_object_get(answer, "missing"),
        .findings = json_array(),
    };
    if (id && !w.client)
        absent(&w);
    else if (id && topic)
        of_both(&w);
    else if (id)
        of_client(&w);
    else
        of_topic(&w);
    why_findings(&w);
    json_put(answer, "findings", w.findings);
}
