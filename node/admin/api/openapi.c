/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/openapi.h"

#include "node/admin/api/route.h"

#include <stdlib.h>

static json_t *reference(json_t *schemas, const struct api_shape *s);

static json_t *typed(const char *type)
{
    json_t *o = json_object();
    if (type)
        json_put(o, "type", json_of_str(type));
    return o;
}

static json_t *array_of(json_t *items)
{
    json_t *o = typed("array");
    json_put(o, "items", items);
    return o;
}

static json_t *type_schema(json_t *schemas, enum api_type type, const struct api_shape *of)
{
    json_t *o, *either;
    switch (type) {
    case API_STRING:
        return typed("string");
    case API_TIME:
        o = typed("string");
        json_put(o, "format", json_of_str("date-time"));
        return o;
    case API_INT:
        return typed("integer");
    case API_NUMBER:
        return typed("number");
    case API_BOOL:
        return typed("boolean");
    case API_STRING_OR_INT:
        o = json_object();
        either = json_array();
        json_push(either, typed("string"));
        json_push(either, typed("integer"));
        json_put(o, "oneOf", either);
        return o;
    case API_OBJECT:
        return of ? reference(schemas, of) : typed("object");
    case API_ARRAY:
        return array_of(of ? reference(schemas, of) : typed("string"));
    case API_ANY:
        break;
    }
    return json_object();
}

static json_t *choices_of(const char *choices)
{
    json_t *all = json_array();
    for (const char *p = choices; *p;) {
        size_t n = strcspn(p, "|");
        json_push(all, json_of_bytes(bytes_of(p, n)));
        p += n + (p[n] == '|');
    }
    return all;
}

static json_t *field_schema(json_t *schemas, const struct api_field *f)
{
    json_t *o = type_schema(schemas, f->type, f->of);
    bool is_string = f->type == API_STRING;
    if (json_object_get(o, "$ref"))
        return o; /* nothing may stand beside it */
    if (f->help)
        json_put(o, "description", json_of_str(f->help));
    if (f->choices)
        json_put(o, "enum", choices_of(f->choices));
    if (f->max) {
        json_put(o, is_string ? "minLength" : "minimum", json_integer(f->min));
        json_put(o, is_string ? "maxLength" : "maximum", json_integer(f->max));
    }
    if (f->flags & API_NULLABLE)
        json_put(o, "nullable", json_true());
    return o;
}

static json_t *shape_schema(json_t *schemas, const struct api_shape *s)
{
    json_t *o = typed("object"), *properties = json_object(), *required = json_array();
    for (const struct api_field *f = s->fields; f->name; f++) {
        json_put(properties, f->name, field_schema(schemas, f));
        if (f->flags & API_REQUIRED)
            json_push(required, json_of_str(f->name));
    }
    json_put(o, "properties", properties);
    if (json_array_size(required))
        json_put(o, "required", json_incref(required));
    json_decref(required);
    json_put(o, "additionalProperties",
             s->rest == API_CLOSED ? json_false() : type_schema(schemas, s->rest_type, NULL));
    return o;
}

/* A reference to the shape, which stands in schemas from then on. */
static json_t *reference(json_t *schemas, const struct api_shape *s)
{
    struct text t = {0};
    json_t *o = json_object();
    if (!json_object_get(schemas, s->name)) {
        json_put(schemas, s->name, json_null()); /* it may name itself */
        json_put(schemas, s->name, shape_schema(schemas, s));
    }
    text_printf(&t, "#/components/schemas/%s", s->name);
    json_put(o, "$ref", json_of_bytes(bytes_of(t.p, t.n)));
    text_fini(&t);
    return o;
}

/* ---- calls ---------------------------------------------------------------------------------------- */

static json_t *json_content(json_t *schema)
{
    json_t *o = json_object(), *media = json_object();
    json_put(media, "schema", schema);
    json_put(o, "application/json", media);
    return o;
}

static json_t *page_schema(json_t *schemas, const struct api_shape *s)
{
    static const struct api_field fields[] = {
        API_HAS("page", INT, "Number of the page"),
        API_HAS("limit", INT, "Rows of a page"),
        API_MAY("count", INT, "All rows; left out where counting would mean looking at all"),
        API_HAS("hasnext", BOOL, "Whether there is a next page"),
        API_MAY("missing", ARRAY, "Nodes that did not answer"),
        API_MAY("missing_why", OBJECT, "Why each did not: down, no_http (it runs without) or no_answer"),
        {0},
    };
    static const struct api_shape meta = {"page_meta", fields, API_CLOSED, API_ANY};
    json_t *o = typed("object"), *properties = json_object(), *required = json_array();
    json_put(properties, "data", array_of(reference(schemas, s)));
    json_put(properties, "meta", reference(schemas, &meta));
    json_push(required, json_of_str("data"));
    json_push(required, json_of_str("meta"));
    json_put(o, "properties", properties);
    json_put(o, "required", required);
    return o;
}

static json_t *form_schema(json_t *schemas, enum api_answer form, const struct api_shape *s)
{
    switch (form) {
    case API_ONE:
        return reference(schemas, s);
    case API_LIST:
        return array_of(s ? reference(schemas, s) : typed("string"));
    case API_PAGE:
        return page_schema(schemas, s);
    case API_NOTHING:
        break;
    }
    return NULL;
}

static json_t *parameter(json_t *schemas, const char *name, size_t n, const struct api_field *f)
{
    json_t *o = json_object();
    json_put(o, "name", json_of_bytes(bytes_of(name, n)));
    json_put(o, "in", json_of_str(f ? "query" : "path"));
    json_put(o, "required", json_boolean(!f));
    json_put(o, "schema", f ? field_schema(schemas, f) : typed("string"));
    return o;
}

static json_t *parameters(json_t *schemas, const struct api_route *r)
{
    json_t *all = json_array();
    for (const char *p = strchr(r->path, '{'); p; p = strchr(p, '{')) {
        size_t n = strcspn(++p, "}");
        json_push(all, parameter(schemas, p, n, NULL));
    }
    for (const struct api_field *f = r->query; f && f->name; f++)
        json_push(all, parameter(schemas, f->name, strlen(f->name), f));
    return all;
}

/* "404 CLIENTID_NOT_FOUND, 503 BUSY" */
static void refusals_put(json_t *schemas, json_t *responses, const char *refusals)
{
    static const struct api_field fields[] = {
        API_HAS("code", STRING, "What is wrong, for programs"),
        API_HAS("message", STRING, "The same for people; names the field"),
        {0}};
    static const struct api_shape error = {"error", fields, API_OPEN_REST, API_ANY};
    for (const char *p = refusals; p && *p;) {
        char status[4] = "";
        size_t n = strcspn(p, ",");
        json_t *o = json_object();
        memcpy(status, p, 3);
        json_put(o, "description", json_of_bytes(bytes_of(p + 4, n - 4)));
        json_put(o, "content", json_content(reference(schemas, &error)));
        json_put(responses, status, o);
        p += n;
        p += strspn(p, ", ");
    }
}

static json_t *answer_schema(json_t *schemas, const struct api_route *r)
{
    json_t *schema = form_schema(schemas, r->answer, r->shape);
    if (!r->also_one)
        return schema;
    json_t *o = json_object(), *either = json_array();
    json_push(either, schema);
    json_push(either, form_schema(schemas, API_ONE, r->shape));
    json_put(o, "oneOf", either);
    return o;
}

static json_t *responses(json_t *schemas, const struct api_route *r)
{
    json_t *all = json_object(), *o = json_object();
    json_t *schema = answer_schema(schemas, r);
    refusals_put(schemas, all, "400 BAD_REQUEST");
    if (r->role != API_OPEN)
        refusals_put(schemas, all, "401 UNAUTHORIZED, 403 FORBIDDEN");
    refusals_put(schemas, all, r->refusals);
    json_put(o, "description", json_of_str(schema ? "The answer" : "Done"));
    if (schema)
        json_put(o, "content", json_content(schema));
    json_put(all, schema ? "200" : "204", o);
    if (r->also_202)
        json_put(all, "202", json_incref(o));
    return all;
}

static json_t *call_of(json_t *schemas, const struct api_route *r)
{
    json_t *o = json_object(), *tags = json_array(), *body = json_object();
    json_push(tags, json_of_str(r->tag));
    json_put(o, "tags", tags);
    json_put(o, "summary", json_of_str(r->summary));
    json_put(o, "parameters", parameters(schemas, r));
    if (r->body_form != API_NOTHING) {
        json_put(body, "required", json_true());
        json_put(body, "content", json_content(form_schema(schemas, r->body_form, r->body)));
        json_put(o, "requestBody", json_incref(body));
    }
    json_decref(body);
    json_put(o, "responses", responses(schemas, r));
    if (r->role == API_OPEN)
        json_put(o, "security", json_array());
    return o;
}

static json_t *paths(json_t *schemas)
{
    static const char *const names[API_METHODS] = {"get", "post", "put", "delete"};
    json_t *all = json_object();
    for (const struct api_route *const *t = api_tables; *t; t++) {
        for (const struct api_route *r = *t; r->path; r++) {
            if (!json_object_get(all, r->path))
                json_put(all, r->path, json_object());
            json_put(json_object_get(all, r->path), names[r->method], call_of(schemas, r));
        }
    }
    return all;
}

static json_t *security(json_t *components)
{
    json_t *schemes = json_pack("{s:{s:s, s:s}, s:{s:s, s:s}}", "token", "type", "http", "scheme", "bearer",
                                "api_key", "type", "http", "scheme", "basic");
    json_put(components, "securitySchemes", schemes);
    return json_pack("[{s:[]}, {s:[]}]", "token", "api_key");
}

json_t *openapi_make(const char *version)
{
    json_t *o = json_object(), *schemas = json_object(), *components = json_object();
    json_put(o, "openapi", json_of_str("3.0.3"));
    json_put(o, "info",
             json_pack("{s:s, s:s, s:s}", "title", "Covey", "version", version, "description",
                       "The HTTP API of a Covey node: what it and its cluster do, and how to steer them."));
    json_put(o, "servers", json_pack("[{s:s}]", "url", "/api/v5"));
    json_put(o, "paths", paths(schemas));
    json_put(components, "schemas", schemas);
    json_put(o, "security", security(components));
    json_put(o, "components", components);
    return o;
}
