/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/json.h"

#include "node/core/sys.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <stdlib.h>

json_t *json_of_bytes(struct bytes b)
{
    json_t *v = json_stringn((const char *)b.p, b.n);
    if (v || !b.n)
        return v ? v : json_of_str("");
    char *copy = mem_dup(b.p, b.n);
    for (uint32_t i = 0; i < b.n; i++)
        copy[i] = (unsigned char)copy[i] < 0x80 ? copy[i] : '?';
    v = json_stringn(copy, b.n);
    CHECK(v);
    free(copy);
    return v;
}

json_t *json_of_str(const char *s)
{
    json_t *v = json_string(s);
    return v ? v : json_of_bytes(bytes_str(s));
}

json_t *json_of_u64(uint64_t v)
{
    return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

json_t *json_of_time(uint64_t wall_ms)
{
    char text[SYS_TEXT_MAX];
    return json_string(sys_datetime_text(text, wall_ms));
}

void json_put(json_t *object, const char *name, json_t *value)
{
    CHECK(json_object_set_new(object, name, value) == 0);
}

void json_push(json_t *array, json_t *value)
{
    CHECK(json_array_append_new(array, value) == 0);
}

const char *json_str(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

int64_t json_int(const json_t *object, const char *name, int64_t fallback)
{
    const json_t *v = json_object_get(object, name);
    return json_is_integer(v) ? json_integer_value(v) : fallback;
}

bool json_bool(const json_t *object, const char *name, bool fallback)
{
    const json_t *v = json_object_get(object, name);
    return json_is_boolean(v) ? json_is_true(v) : fallback;
}

struct bytes json_bytes(const json_t *object, const char *name)
{
    const json_t *v = json_object_get(object, name);
    return bytes_of(json_string_value(v), json_string_length(v));
}

char *json_text(const json_t *value, size_t *n)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    CHECK(text);
    *n = strlen(text);
    return text;
}
