/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_FIELD_H
#define COVEY_ADMIN_API_FIELD_H

/* What requests may hold and answers do hold, as tables: requests are checked against them, and the
 * description of the API (openapi.h) is made from them. */

#include "node/admin/api/json.h"
#include "node/admin/text.h"

enum api_type {
    API_STRING,
    API_INT,
    API_NUMBER,
    API_BOOL,
    API_TIME,          /* a string as "2026-11-23T10:00:00.123Z" */
    API_OBJECT,        /* `of` says what is in it; NULL: anything */
    API_ARRAY,         /* of objects, or of strings where `of` is NULL */
    API_STRING_OR_INT, /* "infinity", or a number */
    API_ANY,
};
enum { API_REQUIRED = 1, API_NULLABLE = 2 };

struct api_shape;
struct api_field {
    const char *name; /* NULL: the end */
    enum api_type type;
    unsigned flags;
    int64_t min, max;    /* of a number; of the bytes of a string; max 0: no bounds */
    const char *choices; /* "a|b|c", of a string; NULL: any */
    const struct api_shape *of;
    const char *help;
};
enum api_rest { API_CLOSED, API_OPEN_REST /* other fields may be there */ };
struct api_shape {
    const char *name; /* of the schema */
    const struct api_field *fields;
    enum api_rest rest;
    enum api_type rest_type; /* of the other fields */
};

/* For tables: a shape of these fields; a field of an answer that is always there, or may be missing. */
#define API_SHAPE(variable, name_, ...)                                                            \
    static const struct api_shape variable = {name_, (const struct api_field[]){__VA_ARGS__, {0}}, \
                                              API_CLOSED, API_ANY}
#define API_HAS(name_, type_, help_)                                             \
    {                                                                            \
        .name = name_, .type = API_##type_, .flags = API_REQUIRED, .help = help_ \
    }
#define API_MAY(name_, type_, help_)                      \
    {                                                     \
        .name = name_, .type = API_##type_, .help = help_ \
    }

/* An object of a shape, or an array of such. */
#define API_HAS_OF(name_, type_, shape_, help_)                                                   \
    {                                                                                             \
        .name = name_, .type = API_##type_, .flags = API_REQUIRED, .of = &(shape_), .help = help_ \
    }
#define API_MAY_OF(name_, type_, shape_, help_)                            \
    {                                                                      \
        .name = name_, .type = API_##type_, .of = &(shape_), .help = help_ \
    }
/* A text that is one of these, "a|b|c". */
#define API_HAS_WORD(name_, words_, help_)                                                         \
    {                                                                                              \
        .name = name_, .type = API_STRING, .flags = API_REQUIRED, .choices = words_, .help = help_ \
    }

/* Does the object have the shape? Unknown fields, missing ones, wrong types and values out of bounds are
 * refused; why gets "field: what is wrong", where the place within is named as "properties.qos". */
bool api_shape_check(const struct api_shape *s, const json_t *object, struct text *why);
/* Adds one parameter of the query to the object, turned into its type. */
bool api_query_add(const struct api_field *fields, json_t *object, const char *name, const char *value,
                   struct text *why);

#endif
