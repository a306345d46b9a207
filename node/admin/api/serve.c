/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/serve.h"

#include "node/admin/api/api_i.h"
#include "proto/base/mem.h"

#include <stdlib.h>

char *serve_request_write(const struct api_call *head, const struct api_window *window, size_t *n)
{
    json_t *o = json_object(), *params = json_array(), *who = json_object();
    for (uint32_t i = 0; i < head->params.count; i++)
        json_push(params, json_of_bytes(api_param_bytes(head, i)));
    json_put(who, "name", json_of_str(head->who.name));
    json_put(who, "address", json_of_str(head->who.address));
    json_put(o, "method", json_of_str(api_method_name(head->route->method)));
    json_put(o, "path", json_of_str(head->route->path));
    json_put(o, "params", params);
    json_put(o, "query", json_incref(head->query));
    if (head->body)
        json_put(o, "body", json_incref(head->body));
    json_put(o, "who", who);
    json_put(o, "skip", json_of_u64(window->skip));
    json_put(o, "take", json_of_u64(window->take));
    char *text = json_text(o, n);
    json_decref(o);
    return text;
}

json_t *serve_answer_read(struct bytes answer, int *status)
{
    json_t *o = json_loadb((const char *)answer.p, answer.n, 0, NULL);
    int64_t code = json_int(o, "status", 0);
    json_t *value = json_object_get(o, "answer");
    *status = code >= 200 && code < 600 ? (int)code : 0;
    value = *status && !json_is_null(value) ? json_incref(value) : NULL;
    json_decref(o);
    return value;
}

/* ---- serving -------------------------------------------------------------------------------------- */

struct served {
    void (*done)(void *arg, struct bytes answer);
    void *arg;
};

static void answer_give(struct served *s, int status, const json_t *answer)
{
    size_t n;
    json_t *o = json_object();
    json_put(o, "status", json_integer(status));
    json_put(o, "answer", answer ? json_incref((json_t *)(uintptr_t)answer) : json_null());
    char *text = json_text(o, &n);
    s->done(s->arg, bytes_of(text, n));
    free(text);
    json_decref(o);
    free(s);
}

static void on_done(struct api_call *c, void *arg)
{
    answer_give(arg, c->status, c->answer);
    api_call_free(c);
}

static const struct api_route *route_named(const json_t *o)
{
    const char *method = json_str(o, "method"), *path = json_str(o, "path");
    for (const struct api_route *const *t = api_tables; method && path && *t; t++)
        for (const struct api_route *r = *t; r->path; r++)
            if (r->scope != API_HERE && strcmp(r->path, path) == 0 &&
                strcmp(api_method_name(r->method), method) == 0)
                return r;
    return NULL;
}

static uint32_t params_wanted(const char *path)
{
    uint32_t n = 0;
    for (const char *p = path; *p; p++)
        n += *p == '{';
    return n;
}

/* What the route checks in a request of a user is checked again: the other node may be of another version. */
static bool query_is_sound(const struct api_route *r, const json_t *query)
{
    struct text why = {0};
    struct api_shape shape = {.fields = r->query, .rest = API_CLOSED};
    bool is_sound = api_shape_check(&shape, query, &why);
    text_fini(&why);
    return is_sound;
}

static bool body_is_sound(const struct api_route *r, const json_t *body)
{
    struct text why = {0};
    struct api_field array = {.name = "body", .type = API_ARRAY, .flags = API_REQUIRED, .of = r->body};
    struct api_shape wrap = {.fields = (struct api_field[]){array, {0}}};
    bool is_sound;
    if (r->body_form == API_NOTHING)
        return !body;
    if (r->body_form == API_LIST) {
        json_t *o = json_object();
        json_put(o, "body", json_incref((json_t *)(uintptr_t)body));
        is_sound = api_shape_check(&wrap, o, &why);
        json_decref(o);
    } else {
        is_sound = api_shape_check(r->body, body, &why);
    }
    text_fini(&why);
    return is_sound;
}

static struct api_call *call_of(struct api *a, const json_t *o)
{
    const struct api_route *r = route_named(o);
    json_t *params = json_object_get(o, "params"), *query = json_object_get(o, "query");
    json_t *body = json_object_get(o, "body"), *who = json_object_get(o, "who"), *param;
    size_t i;
    if (!r || json_array_size(params) != params_wanted(r->path) || !query_is_sound(r, query) ||
        !body_is_sound(r, body))
        return NULL;
    struct api_call *c = api_call_new(a, r);
    json_decref(c->query);
    c->query = json_incref(query);
    c->body = json_incref(body);
    json_array_foreach(params, i, param)
    {
        const char *v = json_is_string(param) ? json_string_value(param) : "";
        c->params.n[i] = strlen(v);
        c->params.v[i] = mem_text(v);
        c->params.count++;
    }
    c->window.skip = (uint64_t)json_int(o, "skip", 0);
    c->window.take = (uint32_t)json_int(o, "take", 0);
    const char *name = json_str(who, "name"), *address = json_str(who, "address");
    snprintf(c->who.name, sizeof c->who.name, "%s", name ? name : "");
    snprintf(c->who.address, sizeof c->who.address, "%s", address ? address : "");
    return c;
}

void api_serve(struct api *a, struct bytes request, void (*done)(void *arg, struct bytes answer), void *arg)
{
    json_t *o = json_loadb((const char *)request.p, request.n, JSON_REJECT_DUPLICATES, NULL);
    const json_t *replica = json_object_get(o, "replica");
    struct api_call *c = json_is_object(o) && !replica ? call_of(a, o) : NULL;
    struct served *s = mem_alloc(sizeof *s);
    *s = (struct served){done, arg};
    if (replica) {
        json_t *answer = replica_serve(a, replica);
        answer_give(s, 200, answer);
        json_decref(answer);
        json_decref(o);
        return;
    }
    json_decref(o);
    if (c) {
        api_call_run(c, on_done, s);
        return;
    }
    json_t *e = api_error("NOT_SUPPORTED", "This node does not know such a call.");
    answer_give(s, 501, e);
    json_decref(e);
}
