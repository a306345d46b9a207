/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/call.h"
#include "node/admin/api/routes.h"
#include "node/admin/api/when.h"
#include "node/admin/command.h"
#include "node/admin/tracing.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Traces of a client, a topic or an address: each node writes its own file. */

enum { PIECE_BYTES = 1000, PIECE_BYTES_MAX = 64 * 1024, MINUTES = 10 };

/* EMQX's word for what is traced, which is the name of a field as well. */
static const char *by_word(enum trace_by by)
{
    return by == TRACE_CLIENT ? "clientid" : trace_by_name(by);
}

static json_t *row(const struct api_call *c, const struct trace_info *t)
{
    json_t *o = json_object(), *sizes = json_object();
    json_put(o, "name", json_of_str(t->name));
    json_put(o, "type", json_of_str(by_word(t->rule.by)));
    json_put(o, by_word(t->rule.by), json_of_bytes(t->rule.value));
    json_put(o, "status", json_of_str(t->state == TRACE_RUNS ? "running" : "stopped"));
    json_put(o, "start_at", json_of_time(t->start_ms));
    json_put(o, "end_at", json_of_time(t->end_ms));
    json_put(sizes, api_node_name(c), json_of_u64(t->bytes));
    json_put(o, "log_size", sizes);
    return o;
}

static void list(struct api_call *c)
{
    json_t *all = json_array();
    for (uint32_t i = 0; i < TRACES_MAX; i++) {
        struct trace_info t;
        traces_info(c->env->conf.traces, i, &t);
        if (t.state != TRACE_FREE)
            json_push(all, row(c, &t));
    }
    api_reply(c, 200, all);
}

/* The same trace of all nodes is one, which runs while it runs anywhere. */
static void row_join(json_t *all, json_t *by_name, json_t *one)
{
    const char *name = json_str(one, "name"), *status = json_str(one, "status");
    json_t *first = name ? json_object_get(by_name, name) : NULL;
    if (!name)
        return;
    if (!first) {
        json_push(all, json_incref(one));
        json_object_set(by_name, name, one);
        return;
    }
    json_object_update(json_object_get(first, "log_size"), json_object_get(one, "log_size"));
    if (status && strcmp(status, "running") == 0)
        json_put(first, "status", json_of_str(status));
}

static json_t *rows_join(const struct api_call *c)
{
    json_t *all = json_array(), *by_name = json_object(), *part, *one;
    size_t i, j;
    json_array_foreach((json_t *)(uintptr_t)c->parts, i, part)
    {
        json_t *answer = json_object_get(part, "answer");
        if (json_int(part, "status", 500) != 200)
            continue;
        if (json_is_object(answer))
            row_join(all, by_name, answer);
        json_array_foreach(answer, j, one) row_join(all, by_name, one);
    }
    json_decref(by_name);
    return all;
}

static void list_merge(struct api_call *c)
{
    api_reply(c, 200, rows_join(c));
}

/* ---- one ------------------------------------------------------------------------------------------ */

static void not_found(struct api_call *c)
{
    api_fail(c, 404, "NOT_FOUND", "There is no trace of this name.");
}

static bool rule_read(struct api_call *c, struct trace_rule *rule)
{
    const char *type = json_str(c->body, "type"), *payload = json_str(c->body, "payload_encode");
    *rule = (struct trace_rule){.payload = TRACE_PAYLOAD_HIDDEN};
    bool is_known = trace_by_find(strcmp(type, "clientid") == 0 ? "client" : type, &rule->by);
    if (payload && !trace_payload_find(payload, &rule->payload))
        is_known = false;
    rule->value = json_bytes(c->body, type);
    if (!is_known || !rule->value.n)
        api_fail(c, 400, "BAD_REQUEST", "%s: is missing: what is to be traced", type);
    return is_known && rule->value.n;
}

static bool end_read(struct api_call *c, uint64_t *end_ms)
{
    const char *end = json_str(c->body, "end_at"), *start = json_str(c->body, "start_at");
    uint64_t now_ms = wall_ms(), start_ms = now_ms;
    *end_ms = now_ms + (uint64_t)MINUTES * 60 * 1000;
    if (start && (!when_read(start, &start_ms) || start_ms > now_ms + 60 * 1000)) {
        api_fail(c, 400, "BAD_REQUEST", "start_at: a trace begins at once");
        return false;
    }
    if (end && (!when_read(end, end_ms) || *end_ms <= now_ms)) {
        api_fail(c, 400, "BAD_REQUEST", "end_at: must be a time in the future, as 2026-01-31T12:00:00Z");
        return false;
    }
    return true;
}

static void add(struct api_call *c)
{
    struct trace_rule rule;
    uint64_t end_ms;
    const char *why, *name = json_str(c->body, "name");
    if (!rule_read(c, &rule) || !end_read(c, &end_ms))
        return;
    enum err e = tracing_start(c->env, name, &rule, end_ms, &why);
    if (e != OK) {
        api_fail(c,
                 e == ERR_EXISTS ? 409
                 : e == ERR_IO   ? 503
                                 : 400,
                 e == ERR_EXISTS ? "ALREADY_EXISTS"
                 : e == ERR_IO   ? "SERVICE_UNAVAILABLE"
                                 : "BAD_REQUEST",
                 "name: %s", why);
        return;
    }
    struct trace_info t;
    traces_info(c->env->conf.traces, traces_find(c->env->conf.traces, name), &t);
    api_reply(c, 200, row(c, &t));
}

static void add_merge(struct api_call *c)
{
    json_t *rows = rows_join(c);
    api_reply(c, 200, json_incref(json_array_get(rows, 0)));
    json_decref(rows);
}

static void stop(struct api_call *c)
{
    if (tracing_stop(c->env, api_param(c, 0)) != OK) {
        not_found(c);
        return;
    }
    json_t *o = json_object();
    json_put(o, "name", json_of_str(api_param(c, 0)));
    json_put(o, "enable", json_false());
    api_reply(c, 200, o);
}

static void stop_merge(struct api_call *c)
{
    json_t *o = json_object();
    json_put(o, "name", json_of_str(api_param(c, 0)));
    json_put(o, "enable", json_false());
    api_reply(c, 200, o);
}

static void remove_one(struct api_call *c)
{
    if (tracing_delete(c->env, api_param(c, 0)) == OK)
        api_reply(c, 204, NULL);
    else
        not_found(c);
}

static void remove_merge(struct api_call *c)
{
    api_reply(c, 204, NULL);
}

/* ---- what is written ------------------------------------------------------------------------------ */

/* Whole lines, when there is one: a character is not cut in two. */
static size_t whole_lines(const char *p, size_t n)
{
    for (size_t i = n; i > 0; i--)
        if (p[i - 1] == '\n')
            return i;
    return n;
}

static void log_piece(struct api_call *c)
{
    char path[4096];
    int64_t position = json_int(c->query, "position", 0);
    size_t most = (size_t)json_int(c->query, "bytes", PIECE_BYTES);
    if (traces_find(c->env->conf.traces, api_param(c, 0)) == TRACES_MAX) {
        not_found(c);
        return;
    }
    int fd = open(traces_path(c->env->conf.traces, api_param(c, 0), path, sizeof path), O_RDONLY | O_CLOEXEC);
    char *p = mem_alloc(most);
    ssize_t n = fd < 0 ? 0 : pread(fd, p, most, position);
    if (fd >= 0)
        close(fd);
    size_t whole = n > 0 ? whole_lines(p, (size_t)n) : 0;
    json_t *o = json_object(), *meta = json_object();
    json_put(o, "items", json_of_bytes(bytes_of((const uint8_t *)p, whole)));
    json_put(meta, "position", json_of_u64((uint64_t)position + whole));
    json_put(meta, "bytes", json_of_u64(whole));
    json_put(o, "meta", meta);
    free(p);
    api_reply(c, 200, o);
}

/* ---- the table ------------------------------------------------------------------------------------ */

static const struct api_shape sizes_shape = {"trace_sizes", (const struct api_field[]){{0}}, API_OPEN_REST,
                                             API_INT};
API_SHAPE(trace_shape, "trace", API_HAS("name", STRING, "Its name"),
          API_HAS_WORD("type", "clientid|topic|ip_address", "What is traced"),
          API_MAY("clientid", STRING, "This client"), API_MAY("topic", STRING, "What fits this filter"),
          API_MAY("ip_address", STRING, "This address"),
          API_HAS_WORD("status", "running|stopped", "Whether it runs on any node"),
          API_HAS("start_at", TIME, "Since when"), API_HAS("end_at", TIME, "Until when"),
          API_HAS_OF("log_size", OBJECT, sizes_shape, "Bytes of the file of each node"));
API_SHAPE(trace_body, "trace_new",
          {"name", API_STRING, API_REQUIRED, 1, TRACE_NAME_MAX, NULL, NULL, "Letters, digits, _ and -"},
          API_HAS_WORD("type", "clientid|topic|ip_address", "What is traced"),
          {"clientid", API_STRING, 0, 1, TRACE_VALUE_MAX, NULL, NULL, "This client"},
          {"topic", API_STRING, 0, 1, TRACE_VALUE_MAX, NULL, NULL, "What fits this filter"},
          {"ip_address", API_STRING, 0, 1, TRACE_VALUE_MAX, NULL, NULL, "This address"},
          API_MAY("start_at", TIME, "A trace begins at once: none, or now"),
          API_MAY("end_at", TIME, "In ten minutes, unless it is given"),
          {"payload_encode", API_STRING, 0, 0, 0, "hidden|text|hex", NULL,
           "How payloads are written; hidden"});
API_SHAPE(stopped_shape, "trace_stopped", API_HAS("name", STRING, "Its name"),
          API_HAS("enable", BOOL, "false"));
API_SHAPE(meta_shape, "trace_meta", API_HAS("position", INT, "Where the next piece begins"),
          API_HAS("bytes", INT, "Of this piece"));
API_SHAPE(piece_shape, "trace_log", API_HAS("items", STRING, "Lines of the file"),
          API_HAS_OF("meta", OBJECT, meta_shape, "Where it is"));
static const struct api_field piece_query[] = {
    API_MAY("node", STRING, "The node whose file it is"),
    {"position", API_INT, 0, 0, INT64_MAX / 2, NULL, NULL, "Where the piece begins; 0"},
    {"bytes", API_INT, 0, 1, PIECE_BYTES_MAX, NULL, NULL, "Of a piece at most; 1000"},
    {0},
};

#define OF_ALL(method_, path_, role_, run_, merge_, summary_)                                        \
    .method = method_, .path = path_, .scope = API_ALL, .role = role_, .run = run_, .merge = merge_, \
    .tag = "Trace", .summary = summary_

const struct api_route api_routes_trace[] = {
    {OF_ALL(API_GET, "/trace", API_VIEWER, list, list_merge, "Traces, with the size of each node's file"),
     .answer = API_LIST, .shape = &trace_shape},
    {OF_ALL(API_POST, "/trace", API_ADMIN, add, add_merge,
            "Write what happens to a client, a topic or an address"),
     .body = &trace_body, .body_form = API_ONE, .answer = API_ONE, .shape = &trace_shape,
     .refusals = "409 ALREADY_EXISTS"},
    {OF_ALL(API_PUT, "/trace/{name}/stop", API_ADMIN, stop, stop_merge, "End a trace; its files stay"),
     .answer = API_ONE, .shape = &stopped_shape, .refusals = "404 NOT_FOUND"},
    {OF_ALL(API_DELETE, "/trace/{name}", API_ADMIN, remove_one, remove_merge,
            "End a trace and delete its files"),
     .refusals = "404 NOT_FOUND"},
    {.method = API_GET,
     .path = "/trace/{name}/log",
     .scope = API_FINDING,
     .role = API_VIEWER,
     .run = log_piece,
     .query = piece_query,
     .answer = API_ONE,
     .shape = &piece_shape,
     .refusals = "404 NOT_FOUND",
     .tag = "Trace",
     .summary = "A piece of a node's file"},
    {0},
};
