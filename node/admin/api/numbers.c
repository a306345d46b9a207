/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/numbers.h"

uint64_t numbers_find(const struct sys_figure *v, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(v[i].name, name) == 0)
            return v[i].value;
    return 0;
}

void numbers_add(json_t *sum, const json_t *from)
{
    const char *name;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)from, name, v) if (json_is_integer(v))
        json_put(sum, name, json_integer(json_int(sum, name, 0) + json_integer_value(v)));
}
