/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/call.h"
#include "node/admin/api/routes.h"
#include "node/admin/command.h"
#include "proto/base/err.h"

/* Listeners, by id as "tcp:default". */

static json_t *most(uint32_t connections_max)
{
    return connections_max ? json_of_u64(connections_max) : json_of_str("infinity");
}

static json_t *status_of(const struct io_listener_info *l)
{
    json_t *o = json_object();
    json_put(o, "running", json_boolean(l->is_running));
    json_put(o, "current_connections", json_of_u64(l->connections));
    json_put(o, "max_connections", most(l->connections_max));
    return o;
}

static json_t *refused_of(const struct io_listener_info *l)
{
    json_t *o = json_object();
    for (int r = 0; r < IO_REFUSALS; r++)
        json_put(o, io_refusal_name((enum io_refusal)r), json_of_u64(l->refused[r]));
    json_put(o, "before_connect", json_of_u64(l->shut_before_connect));
    return o;
}

static json_t *row(const struct api_call *c, const struct io_listener_info *l)
{
    json_t *o = json_object(), *nodes = json_array(), *here = json_object();
    const char *colon = strchr(l->name, ':');
    json_put(o, "id", json_of_str(l->name));
    json_put(o, "type",
             json_of_bytes(bytes_of(l->name, colon ? (size_t)(colon - l->name) : strlen(l->name))));
    json_put(o, "name", json_of_str(colon ? colon + 1 : l->name));
    json_put(o, "bind", json_of_str(l->bind));
    json_put(o, "enable", json_true());
    json_put(o, "acceptors", json_of_u64(io_workers(c->env->conf.io)));
    json_put(o, "accepted", json_of_u64(l->accepted));
    json_put(o, "refused", refused_of(l));
    json_put(o, "status", status_of(l));
    json_put(here, "node", json_of_str(api_node_name(c)));
    json_put(here, "status", status_of(l));
    json_push(nodes, here);
    json_put(o, "node_status", nodes);
    return o;
}

static void list(struct api_call *c)
{
    struct io *io = c->env->conf.io;
    json_t *all = json_array();
    for (uint32_t i = 0; i < io_listeners(io); i++) {
        struct io_listener_info l;
        io_listener_info(io, i, &l);
        json_push(all, row(c, &l));
    }
    api_reply(c, 200, all);
}

static json_t *find(json_t *all, const char *id)
{
    size_t i;
    json_t *o;
    json_array_foreach(all, i, o) if (strcmp(json_str(o, "id"), id) == 0) return o;
    return NULL;
}

/* One more node's word about a listener that another one has, too. */
static void add(json_t *sum, const json_t *o)
{
    json_t *status = json_object_get(sum, "status");
    const json_t *more = json_object_get(o, "status");
    bool is_running = json_bool(status, "running", false) && json_bool(more, "running", false);
    json_put(
        status, "current_connections",
        json_integer(json_int(status, "current_connections", 0) + json_int(more, "current_connections", 0)));
    json_put(status, "running", json_boolean(is_running));
    json_put(sum, "accepted", json_integer(json_int(sum, "accepted", 0) + json_int(o, "accepted", 0)));
    json_array_extend(json_object_get(sum, "node_status"), json_object_get(o, "node_status"));
}

static void list_merge(struct api_call *c)
{
    json_t *all = json_array(), *part, *o;
    size_t i, k;
    json_array_foreach((json_t *)(uintptr_t)c->parts, i, part)
        json_array_foreach(json_object_get(part, "answer"), k, o)
    {
        json_t *sum = find(all, json_str(o, "id"));
        if (sum)
            add(sum, o);
        else
            json_push(all, json_incref(o));
    }
    api_reply(c, 200, all);
}

static void done(struct api_call *c, enum err e)
{
    if (e == OK)
        api_reply(c, 204, NULL);
    else if (e == ERR_NOTFOUND)
        api_fail(c, 404, "NOT_FOUND", "There is no listener of this name.");
    else
        api_fail(c, 400, "BAD_REQUEST", "The listener cannot use its address: %s.", err_name(e));
}

static bool is_there(struct api_call *c, bool *is_running)
{
    struct io *io = c->env->conf.io;
    for (uint32_t i = 0; i < io_listeners(io); i++) {
        struct io_listener_info l;
        io_listener_info(io, i, &l);
        *is_running = l.is_running;
        if (strcmp(l.name, api_param(c, 0)) == 0)
            return true;
    }
    done(c, ERR_NOTFOUND);
    return false;
}

/* What is so already is no error. */
static void start(struct api_call *c)
{
    bool is_running;
    if (is_there(c, &is_running))
        done(c, is_running ? OK : io_listener_start(c->env->conf.io, api_param(c, 0)));
}

static void stop(struct api_call *c)
{
    bool is_running;
    if (is_there(c, &is_running))
        done(c, is_running ? io_listener_stop(c->env->conf.io, api_param(c, 0)) : OK);
}

static void restart(struct api_call *c)
{
    bool is_running;
    if (!is_there(c, &is_running))
        return;
    enum err e = is_running ? io_listener_stop(c->env->conf.io, api_param(c, 0)) : OK;
    done(c, e == OK ? io_listener_start(c->env->conf.io, api_param(c, 0)) : e);
}

/* The worst that a node says. */
static void act_merge(struct api_call *c)
{
    const json_t *worst = NULL;
    size_t i;
    json_t *part;
    json_array_foreach((json_t *)(uintptr_t)c->parts, i,
                       part) if (!worst || json_int(part, "status", 0) > json_int(worst, "status", 0)) worst =
        part;
    json_t *answer = json_object_get(worst, "answer");
    api_reply(c, (int)json_int(worst, "status", 500), json_is_null(answer) ? NULL : json_incref(answer));
}

/* ---- the table ------------------------------------------------------------------------------------ */

API_SHAPE(status_shape, "listener_status", API_HAS("running", BOOL, "On every node that has answered"),
          API_HAS("current_connections", INT, "Connections now"),
          API_HAS("max_connections", STRING_OR_INT, "Most there may be on a node"));
API_SHAPE(
    node_status_shape, "listener_node_status", API_HAS("node", STRING, "The node"),
    {.name = "status", .type = API_OBJECT, .flags = API_REQUIRED, .of = &status_shape, .help = "Its own"});
API_SHAPE(listener_shape, "listener", API_HAS("id", STRING, "As tcp:default"),
          API_HAS("type", STRING, "tcp, ssl, ws, wss or unix"), API_HAS("name", STRING, "As default"),
          API_HAS("bind", STRING, "Its address, or the path of a Unix socket"),
          API_HAS("enable", BOOL, "Always true: others are not listed"),
          API_HAS("acceptors", INT, "Threads that accept"),
          API_HAS("accepted", INT, "Connections since the start"),
          API_HAS("refused", OBJECT, "Connections that were refused, by reason"),
          {.name = "status",
           .type = API_OBJECT,
           .flags = API_REQUIRED,
           .of = &status_shape,
           .help = "Of all nodes"},
          {.name = "node_status",
           .type = API_ARRAY,
           .flags = API_REQUIRED,
           .of = &node_status_shape,
           .help = "Of each node"});

#define ACT(path_, run_, summary_)                                                                 \
    {                                                                                              \
        .method = API_POST, .path = "/listeners/{id}/" path_, .scope = API_ALL, .role = API_ADMIN, \
        .run = run_, .merge = act_merge, .tag = "Listeners", .summary = summary_,                  \
        .refusals = "404 NOT_FOUND"                                                                \
    }

const struct api_route api_routes_listeners[] = {
    {.method = API_GET,
     .path = "/listeners",
     .scope = API_ALL,
     .role = API_VIEWER,
     .run = list,
     .merge = list_merge,
     .answer = API_LIST,
     .shape = &listener_shape,
     .tag = "Listeners",
     .summary = "All listeners"},
    ACT("start", start, "Start it on all nodes"),
    ACT("stop", stop, "Stop it on all nodes; its connections stay"),
    ACT("restart", restart, "Stop and start it on all nodes; its connections stay"),
    {0},
};
