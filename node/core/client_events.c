/* SPDX-License-Identifier: Apache-2.0 */
#include "node/core/client_events.h"

#include "node/core/deliver.h"
#include "node/core/shard_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- JSON ----------------------------------------------------------------------------------------- */

struct json {
    uint8_t *p;
    uint32_t n;
    uint32_t cap;
};

static void put(struct json *j, const char *text, size_t n)
{
    if (j->cap - j->n < n) {
        j->cap = (j->cap + (uint32_t)n) * 2;
        j->p = mem_realloc(j->p, j->cap);
    }
    memcpy(j->p + j->n, text, n);
    j->n += (uint32_t)n;
}

static void put_text(struct json *j, struct bytes b)
{
    char escaped[8];
    put(j, "\"", 1);
    for (uint32_t i = 0; i < b.n; i++) {
        uint8_t c = b.p[i];
        if (c == '"' || c == '\\')
            put(j, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\%c", c));
        else if (c < 0x20 || c == 0x7f)
            put(j, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", c));
        else
            put(j, (const char *)&b.p[i], 1);
    }
    put(j, "\"", 1);
}

/* The comma, and "name": */
static void member(struct json *j, const char *name)
{
    put(j, j->n && j->p[j->n - 1] != '{' ? ",\"" : "\"", j->n && j->p[j->n - 1] != '{' ? 2 : 1);
    put(j, name, strlen(name));
    put(j, "\":", 2);
}

static void put_member(struct json *j, const char *name, struct bytes value)
{
    member(j, name);
    put_text(j, value);
}

static void put_number(struct json *j, const char *name, uint64_t v)
{
    char buf[24];
    member(j, name);
    put(j, buf, (size_t)snprintf(buf, sizeof buf, "%llu", (unsigned long long)v));
}

static void put_bool(struct json *j, const char *name, bool v)
{
    member(j, name);
    put(j, v ? "true" : "false", v ? 4 : 5);
}

/* ---- topics --------------------------------------------------------------------------------------- */

/* Without the cache of topics: each client has its own. */
static bool is_wanted(struct shard *sh, struct bytes topic)
{
    struct routes *t = sh->node->routes;
    routes_match(t, topic, routes_hash(t, topic), &sh->subs.found);
    return sh->subs.found.n > 0;
}

/* $SYS/brokers/NODE/clients/CLIENTID/NAME in a buffer of the caller's to free; n 0: nobody wants it. */
static struct bytes wanted_topic(struct session *s, const char *name)
{
    struct bytes node = bytes_str(s->shard->node->conf.name), id = session_id(s);
    uint8_t *buf = mem_alloc(node.n + id.n + 64), *p = buf;
    p = bytes_put(bytes_put(p, bytes_str("$SYS/brokers/")), node);
    p = bytes_put(bytes_put(p, bytes_str("/clients/")), id);
    p = bytes_put(bytes_put(p, bytes_str("/")), bytes_str(name));
    struct bytes topic = bytes_of(buf, (size_t)(p - buf));
    if (topic.n <= UINT16_MAX && is_wanted(s->shard, topic))
        return topic;
    free(buf);
    return bytes_of(NULL, 0);
}

static void put_names(struct json *j, const struct session *s)
{
    put(j, "{", 1);
    put_member(j, "clientid", session_id(s));
    put_member(j, "username", bytes_str(s->username ? s->username : "undefined"));
    put_number(j, "ts", s->shard->wall_ms);
    put_member(j, "protocol", bytes_str("mqtt"));
}

/* Ends and publishes it; takes the topic and the object. */
static void publish(struct shard *sh, struct bytes topic, struct json *j)
{
    enum topic_verdict verdict;
    put(j, "}", 1);
    const struct match *match = subs_match(&sh->subs, topic, &verdict);
    if (match) {
        struct publication p = {.m = {.topic = topic, .payload = bytes_of(j->p, j->n)}};
        deliver_match(sh, &p, match);
        publication_fini(sh, &p);
        COUNT(sh, EVENTS_PUBLISHED);
    }
    free(j->p);
    free((void *)(uintptr_t)topic.p);
}

/* ---- events --------------------------------------------------------------------------------------- */

static bool is_on(const struct shard *sh, enum event e)
{
    return unlikely(sh->settings->events & e);
}

static void put_conn(struct json *j, const struct conn *c)
{
    put_member(j, "ipaddress", bytes_str(c->peer.address));
    put_number(j, "sockport", c->peer.port);
    put_member(j, "proto_name", bytes_str(c->version == MQTT_V31 ? "MQIsdp" : "MQTT"));
    put_number(j, "proto_ver", c->version);
}

void client_event_connected(struct conn *c)
{
    struct session *s = c->session;
    struct json j = {0};
    struct bytes topic = is_on(c->shard, EVENT_CONNECTED) ? wanted_topic(s, "connected") : bytes_of(NULL, 0);
    if (!topic.n)
        return;
    put_names(&j, s);
    put_conn(&j, c);
    put_number(&j, "keepalive", c->keep_alive_ms / 10 / c->settings->keep_alive_percent);
    put_number(&j, "expiry_interval", s->expiry_s);
    put_bool(&j, "clean_start", s->clean_start);
    put_number(&j, "connack", 0);
    put_number(&j, "connected_at", s->since_ms);
    publish(c->shard, topic, &j);
}

/* EMQX's word where it has one. */
static const char *end_text(enum conn_end end)
{
    switch ((unsigned)end) {
    case CONN_END_CLIENT:
        return "normal";
    case CONN_END_LOST:
        return "tcp_closed";
    case CONN_END_KEEP_ALIVE:
        return "keepalive_timeout";
    case CONN_END_TAKEN_OVER:
        return "takenover";
    default:
        return conn_end_name(end);
    }
}

void client_event_disconnected(struct session *s, const struct conn *c, uint64_t connected_ms)
{
    struct json j = {0};
    struct bytes topic =
        is_on(c->shard, EVENT_DISCONNECTED) ? wanted_topic(s, "disconnected") : bytes_of(NULL, 0);
    if (!topic.n)
        return;
    put_names(&j, s);
    put_conn(&j, c);
    put_member(&j, "reason", bytes_str(end_text((enum conn_end)c->end)));
    put_number(&j, "connected_at", connected_ms);
    put_number(&j, "disconnected_at", c->shard->wall_ms);
    publish(c->shard, topic, &j);
}

void client_event_subscribed(struct session *s, const struct subscription *sub, struct bytes filter,
                             int is_new)
{
    struct json j = {0};
    struct bytes topic =
        is_on(s->shard, EVENT_SUBSCRIBED) ? wanted_topic(s, "subscribed") : bytes_of(NULL, 0);
    if (!topic.n)
        return;
    put_names(&j, s);
    put_member(&j, "topic", filter);
    member(&j, "subopts");
    put(&j, "{", 1);
    put_number(&j, "qos", sub->qos);
    put_number(&j, "nl", sub->no_local);
    put_number(&j, "rap", sub->retain_as_published);
    put_number(&j, "rh", sub->retain_handling);
    put_bool(&j, "is_new", is_new);
    put(&j, "}", 1);
    publish(s->shard, topic, &j);
}

void client_event_unsubscribed(struct session *s, struct bytes filter)
{
    struct json j = {0};
    struct bytes topic =
        is_on(s->shard, EVENT_UNSUBSCRIBED) ? wanted_topic(s, "unsubscribed") : bytes_of(NULL, 0);
    if (!topic.n)
        return;
    put_names(&j, s);
    put_member(&j, "topic", filter);
    publish(s->shard, topic, &j);
}
