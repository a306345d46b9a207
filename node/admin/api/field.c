/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/field.h"

#include <errno.h>
#include <stdlib.h>

/* Where a value is, for people: a list from the inside out. */
struct place {
    const struct place *in;
    const char *name; /* NULL: the item with this number */
    size_t index;
};

static void place_put(struct text *t, const struct place *p)
{
    if (!p)
        return;
    place_put(t, p->in);
    if (!p->name) {
        text_printf(t, "[%zu]", p->index);
        return;
    }
    text_add(t, p->in ? "." : "");
    text_escaped(t, bytes_str(p->name), "");
}

static bool refuse(struct text *why, const struct place *p, const char *what)
{
    place_put(why, p);
    text_printf(why, "%s%s", p ? ": " : "", what);
    return false;
}

static bool is_choice(const char *choices, const char *value)
{
    size_t n = strlen(value);
    for (const char *p = choices; *p;) {
        size_t part = strcspn(p, "|");
        if (part == n && memcmp(p, value, n) == 0)
            return true;
        p += part + (p[part] == '|');
    }
    return false;
}

static bool string_check(const struct api_field *f, const json_t *v, const struct place *p, struct text *why)
{
    char text[128];
    int64_t n = (int64_t)json_string_length(v);
    if (f->max && (n < f->min || n > f->max)) {
        snprintf(text, sizeof text, "must have %lld to %lld bytes", (long long)f->min, (long long)f->max);
        return refuse(why, p, text);
    }
    if (f->choices && !is_choice(f->choices, json_string_value(v))) {
        snprintf(text, sizeof text, "must be one of %s", f->choices);
        return refuse(why, p, text);
    }
    return true;
}

static bool number_check(const struct api_field *f, int64_t v, const struct place *p, struct text *why)
{
    char text[96];
    if (!f->max || (v >= f->min && v <= f->max))
        return true;
    snprintf(text, sizeof text, "must be from %lld to %lld", (long long)f->min, (long long)f->max);
    return refuse(why, p, text);
}

static bool shape_check(const struct api_shape *s, const json_t *object, const struct place *in,
                        struct text *why);

static bool array_check(const struct api_field *f, const json_t *v, const struct place *p, struct text *why)
{
    size_t i;
    json_t *item;
    if (!json_is_array(v))
        return refuse(why, p, "must be an array");
    json_array_foreach((json_t *)(uintptr_t)v, i, item)
    {
        struct place at = {p, NULL, i};
        if (f->of ? !shape_check(f->of, item, &at, why)
                  : !json_is_string(item) && !refuse(why, &at, "must be a string"))
            return false;
    }
    return true;
}

static bool value_check(const struct api_field *f, const json_t *v, const struct place *p, struct text *why)
{
    if (json_is_null(v) && f->flags & API_NULLABLE)
        return true;
    switch (f->type) {
    case API_STRING:
    case API_TIME:
        return json_is_string(v) ? string_check(f, v, p, why) : refuse(why, p, "must be a string");
    case API_INT:
        return json_is_integer(v) ? number_check(f, json_integer_value(v), p, why)
                                  : refuse(why, p, "must be a whole number");
    case API_NUMBER:
        return json_is_number(v) || refuse(why, p, "must be a number");
    case API_BOOL:
        return json_is_boolean(v) || refuse(why, p, "must be true or false");
    case API_STRING_OR_INT:
        return json_is_string(v) || json_is_integer(v) ||
               refuse(why, p, "must be a string or a whole number");
    case API_OBJECT:
        if (!json_is_object(v))
            return refuse(why, p, "must be an object");
        return !f->of || shape_check(f->of, v, p, why);
    case API_ARRAY:
        return array_check(f, v, p, why);
    case API_ANY:
        break;
    }
    return true;
}

static const struct api_field *field_find(const struct api_field *fields, const char *name)
{
    for (const struct api_field *f = fields; f && f->name; f++)
        if (strcmp(f->name, name) == 0)
            return f;
    return NULL;
}

static bool shape_check(const struct api_shape *s, const json_t *object, const struct place *in,
                        struct text *why)
{
    const char *name;
    json_t *v;
    if (!json_is_object(object))
        return refuse(why, in, "must be an object");
    json_object_foreach((json_t *)(uintptr_t)object, name, v)
    {
        struct place at = {in, name, 0};
        struct api_field rest = {.type = s->rest_type};
        const struct api_field *f = field_find(s->fields, name);
        if (!f && s->rest == API_CLOSED)
            return refuse(why, &at, "there is no such field");
        if (!value_check(f ? f : &rest, v, &at, why))
            return false;
    }
    for (const struct api_field *f = s->fields; f && f->name; f++) {
        struct place at = {in, f->name, 0};
        if (f->flags & API_REQUIRED && !json_object_get(object, f->name))
            return refuse(why, &at, "is missing");
    }
    return true;
}

bool api_shape_check(const struct api_shape *s, const json_t *object, struct text *why)
{
    return shape_check(s, object, NULL, why);
}

/* ---- the query ------------------------------------------------------------------------------------ */

static json_t *value_of(const struct api_field *f, const char *value)
{
    char *end;
    long long v;
    switch (f->type) {
    case API_BOOL:
        if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
            return json_boolean(value[0] == 't');
        return NULL;
    case API_INT:
        errno = 0;
        v = strtoll(value, &end, 10);
        return *value && !*end && !errno ? json_integer(v) : NULL;
    default:
        return json_string(value);
    }
}

bool api_query_add(const struct api_field *fields, json_t *object, const char *name, const char *value,
                   struct text *why)
{
    struct place at = {NULL, name, 0};
    const struct api_field *f = field_find(fields, name);
    if (!f)
        return refuse(why, &at, "there is no such parameter");
    if (json_object_get(object, name))
        return refuse(why, &at, "is given twice");
    json_t *v = value_of(f, value);
    if (!v)
        return refuse(why, &at,
                      f->type == API_BOOL  ? "must be true or false"
                      : f->type == API_INT ? "must be a whole number"
                                           : "must be UTF-8");
    json_put(object, name, v);
    return value_check(f, v, &at, why);
}
