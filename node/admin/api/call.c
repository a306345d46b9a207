/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/call.h"

#include "node/admin/api/api_i.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <event2/event.h>
#include <stdarg.h>
#include <stdlib.h>

struct api_call *api_call_new(struct api *api, const struct api_route *route)
{
    struct api_call *c = mem_zalloc(sizeof *c);
    c->api = api;
    c->env = api->env;
    c->route = route;
    c->query = json_object();
    c->missing_why = json_object();
    return c;
}

struct api_call *api_call_copy(const struct api_call *from)
{
    struct api_call *c = mem_zalloc(sizeof *c);
    c->api = from->api;
    c->env = from->env;
    c->route = from->route;
    c->query = json_incref(from->query);
    c->body = json_incref(from->body);
    c->who = from->who;
    c->window = from->window;
    for (uint32_t i = 0; i < from->params.count; i++) {
        c->params.v[i] = mem_dup(from->params.v[i], from->params.n[i]);
        c->params.n[i] = from->params.n[i];
    }
    c->params.count = from->params.count;
    return c;
}

void api_call_free(struct api_call *c)
{
    if (!c)
        return;
    if (c->state)
        c->state_free(c->state);
    if (c->timer)
        event_free(c->timer);
    api_params_fini(&c->params);
    json_decref(c->query);
    json_decref(c->body);
    json_decref(c->answer);
    json_decref(c->missing_why);
    free(c);
}

static void call_end(struct api_call *c)
{
    if (c->timer)
        list_del(&c->link);
    if (!c->status)
        api_fail(c, 500, "INTERNAL_ERROR", "There is no answer.");
    c->done(c, c->done_arg);
}

static void later(struct api_call *c)
{
    static const struct timeval now = {0, 0};
    CHECK(event_add(c->timer, &now) == 0);
}

static void go_on(struct api_call *c)
{
    c->is_waiting = false;
    if (!c->step(c))
        call_end(c);
    else if (!c->is_waiting)
        later(c);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    go_on(arg);
}

void api_call_run(struct api_call *c, void (*done)(struct api_call *c, void *arg), void *arg)
{
    c->done = done;
    c->done_arg = arg;
    c->route->run(c);
    if (!c->step) {
        call_end(c);
        return;
    }
    c->timer = evtimer_new(c->api->base, on_timer, c);
    CHECK(c->timer);
    list_push(&c->api->calls, &c->link);
    if (!c->is_waiting)
        later(c);
}

void api_call_wake(struct api_call *c)
{
    CHECK(c->is_waiting && c->step);
    go_on(c);
}

void api_call_cut(struct api_call *c)
{
    CHECK(!c->is_waiting);
    api_fail(c, 503, "SERVICE_UNAVAILABLE", "The node is stopping.");
    call_end(c);
}

const char *api_param(const struct api_call *c, uint32_t i)
{
    CHECK(i < c->params.count);
    return c->params.v[i];
}

struct bytes api_param_bytes(const struct api_call *c, uint32_t i)
{
    CHECK(i < c->params.count);
    return bytes_of(c->params.v[i], c->params.n[i]);
}

const char *api_node_name(const struct api_call *c)
{
    return node_conf(c->env->conf.node)->name;
}

void api_reply(struct api_call *c, int status, json_t *answer)
{
    json_decref(c->answer);
    c->status = status;
    c->answer = answer;
}

json_t *api_error(const char *code, const char *message)
{
    json_t *e = json_object();
    json_put(e, "code", json_of_str(code));
    json_put(e, "message", json_of_str(message));
    return e;
}

void api_fail(struct api_call *c, int status, const char *code, const char *fmt, ...)
{
    char message[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    api_reply(c, status, api_error(code, message));
}
