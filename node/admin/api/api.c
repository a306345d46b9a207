/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/api.h"

#include "node/admin/api/api_i.h"
#include "node/admin/api/fan.h"
#include "node/admin/api/front.h"
#include "node/admin/api/openapi.h"
#include "node/admin/api/peers.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdlib.h>

static const char prefix[] = "/api/v5";

/* ---- answers -------------------------------------------------------------------------------------- */

/* A request and its call; freed when it is answered. */
struct request {
    struct evhttp_request *req; /* NULL: its connection has gone */
    struct api_call *call;
    char *path;
    bool is_head;
};

static void headers_put(struct evhttp_request *req)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evhttp_add_header(headers, "Connection", "close");
}

static void text_free(const void *data, size_t n, void *text)
{
    (void)data;
    (void)n;
    free(text);
}

/* answer NULL: without a body. */
static void reply(struct evhttp_request *req, int status, const json_t *answer, bool is_head)
{
    struct evbuffer *body = evbuffer_new();
    CHECK(body);
    headers_put(req);
    if (answer) {
        size_t n;
        char length[24], *text = json_text(answer, &n);
        snprintf(length, sizeof length, "%zu", n);
        evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", "application/json");
        evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Length", length);
        if (is_head)
            free(text);
        else
            CHECK(evbuffer_add_reference(body, text, n, text_free, text) == 0);
    }
    evhttp_send_reply(req, status, NULL, body);
    evbuffer_free(body);
}

static void retry_put(struct evhttp_request *req, uint32_t retry_s)
{
    char text[16];
    snprintf(text, sizeof text, "%u", retry_s);
    evhttp_add_header(evhttp_request_get_output_headers(req), "Retry-After", text);
}

/* Names of nodes come from other nodes: nothing that could end a header. */
static void missing_put(struct evhttp_request *req, const json_t *missing, const json_t *why)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    struct text names = {0}, reasons = {0};
    size_t i;
    json_t *name;
    json_array_foreach((json_t *)(uintptr_t)missing, i, name)
    {
        const char *reason = json_str(why, json_string_value(name));
        text_add(&names, i ? ", " : "");
        text_escaped(&names, bytes_of(json_string_value(name), json_string_length(name)), ",");
        text_printf(&reasons, "%s%s", i ? ", " : "", reason ? reason : "no_answer");
    }
    text_printf(&names, "%c", 0);
    text_printf(&reasons, "%c", 0);
    if (i) {
        evhttp_add_header(headers, "Covey-Missing", names.p);
        evhttp_add_header(headers, "Covey-Missing-Why", reasons.p);
    }
    text_fini(&names);
    text_fini(&reasons);
}

static void request_end(struct request *r)
{
    if (r->req)
        evhttp_connection_set_closecb(evhttp_request_get_connection(r->req), NULL, NULL);
    api_call_free(r->call);
    free(r->path);
    free(r);
}

static void request_answer(struct request *r, const json_t *missing)
{
    struct api_call *c = r->call;
    if (c->route->method != API_GET && !c->route->is_unaudited)
        audit_add(c->api->audit, &c->who, c->route->method, r->path, c->status, c->env->conf.log);
    if (r->req) {
        struct evhttp_request *req = r->req;
        if (c->retry_s)
            retry_put(req, c->retry_s);
        missing_put(req, missing, c->missing_why);
        evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
        r->req = NULL;
        reply(req, c->status, c->answer, r->is_head);
    }
    request_end(r);
}

static void on_fan(void *arg, const json_t *missing)
{
    request_answer(arg, missing);
}

/* The connection and with it the request are freed. */
static void on_close(struct evhttp_connection *conn, void *arg)
{
    struct request *r = arg;
    (void)conn;
    r->req = NULL;
}

/* ---- requests ------------------------------------------------------------------------------------- */

static bool method_of(struct evhttp_request *req, enum api_method *m)
{
    switch (evhttp_request_get_command(req)) {
    case EVHTTP_REQ_GET:
    case EVHTTP_REQ_HEAD:
        *m = API_GET;
        return true;
    case EVHTTP_REQ_POST:
        *m = API_POST;
        return true;
    case EVHTTP_REQ_PUT:
        *m = API_PUT;
        return true;
    case EVHTTP_REQ_DELETE:
        *m = API_DELETE;
        return true;
    default:
        return false;
    }
}

static void refuse(struct evhttp_request *req, int status, const char *code, const char *message)
{
    json_t *e = api_error(code, message);
    reply(req, status, e, evhttp_request_get_command(req) == EVHTTP_REQ_HEAD);
    json_decref(e);
}

static void refuse_method(struct evhttp_request *req, unsigned allowed)
{
    struct text t = {0};
    for (int m = 0; m < API_METHODS; m++)
        if (allowed & 1u << m)
            text_printf(&t, "%s%s%s", t.n ? ", " : "", api_method_name((enum api_method)m),
                        m == API_GET ? ", HEAD" : "");
    text_printf(&t, "%c", 0);
    evhttp_add_header(evhttp_request_get_output_headers(req), "Allow", t.p);
    refuse(req, 405, "METHOD_NOT_ALLOWED", "This method is not allowed here.");
    text_fini(&t);
}

static void read_and_run(struct request *r, enum api_method method)
{
    struct evhttp_request *req = r->req;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
    struct evbuffer *body = evhttp_request_get_input_buffer(req);
    const char *query = evhttp_uri_get_query(uri);
    char *address = NULL;
    ev_uint16_t port;
    size_t n = evbuffer_get_length(body);
    evhttp_connection_get_peer(evhttp_request_get_connection(req), &address, &port);
    struct front_request f = {
        .method = method,
        .query = query ? query : "",
        .authorization = evhttp_find_header(headers, "Authorization"),
        .content_type = evhttp_find_header(headers, "Content-Type"),
        .fetch_site = evhttp_find_header(headers, "Sec-Fetch-Site"),
        .address = address ? address : "",
        .body = bytes_of(evbuffer_pullup(body, -1), n),
    };
    bool may_run = front_read(r->call, &f);
    evbuffer_drain(body, n);
    if (may_run)
        fan_run(r->call, on_fan, r);
    else
        request_answer(r, NULL);
}

static void take(struct api *a, struct evhttp_request *req, const char *path)
{
    enum api_method method = API_METHODS;
    struct api_params params = {0};
    unsigned allowed = 0;
    bool is_known = method_of(req, &method);
    const struct api_route *route = api_route_find(is_known ? method : API_METHODS, path, &params, &allowed);
    if (!route && allowed) {
        refuse_method(req, allowed);
    } else if (!route) {
        refuse(req, 404, "NOT_FOUND", "There is nothing at this path.");
    } else {
        struct request *r = mem_zalloc(sizeof *r);
        r->req = req;
        r->path = mem_text(path);
        r->is_head = evhttp_request_get_command(req) == EVHTTP_REQ_HEAD;
        r->call = api_call_new(a, route);
        r->call->params = params;
        evhttp_connection_set_closecb(evhttp_request_get_connection(req), on_close, r);
        read_and_run(r, method);
    }
}

/* Open to all: it tells nothing of this node but the version, which /status tells too. */
static void describe(struct api *a, struct evhttp_request *req)
{
    json_t *o = openapi_make(node_conf(a->env->conf.node)->version);
    reply(req, 200, o, evhttp_request_get_command(req) == EVHTTP_REQ_HEAD);
    json_decref(o);
}

bool api_take(struct api *a, struct evhttp_request *req, const char *path)
{
    size_t n = sizeof prefix - 1;
    enum api_method method;
    if (strcmp(path, "/api-docs") == 0 || strcmp(path, "/api-docs/swagger.json") == 0) {
        if (method_of(req, &method) && method == API_GET)
            describe(a, req);
        else
            refuse_method(req, 1u << API_GET);
        return true;
    }
    if (strncmp(path, prefix, n) != 0 || path[n] != '/')
        return false;
    take(a, req, path + n);
    return true;
}

/* ---- life ----------------------------------------------------------------------------------------- */

struct api *api_new(struct admin_env *env, struct event_base *base)
{
    struct api *a = mem_zalloc(sizeof *a);
    a->env = env;
    env->api = a;
    a->base = base;
    list_init(&a->calls);
    a->offload = offload_new(base);
    env->accounts = a->accounts = accounts_new(env, a->offload);
    a->tokens = tokens_new(env->conf.token_idle_ms);
    a->audit = audit_new();
    a->monitor = monitor_new(env, base);
    if (env->conf.cluster) {
        a->links = peers_new(a);
        a->replica = replica_new(a);
    }
    return a;
}

void api_free(struct api *a)
{
    if (!a)
        return;
    a->env->api = NULL;
    peers_stop(a->links);
    replica_stop(a->replica);
    offload_free(a->offload); /* calls that wait for it go on */
    a->peers = NULL;
    while (!list_is_empty(&a->calls))
        api_call_cut(container_of(a->calls.next, struct api_call, link));
    replica_free(a->replica);
    peers_free(a->links);
    monitor_free(a->monitor);
    audit_free(a->audit);
    tokens_free(a->tokens);
    accounts_free(a->accounts);
    free(a);
}

void api_peers_set(struct api *a, const struct api_peers *peers)
{
    a->peers = peers;
}
