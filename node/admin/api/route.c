/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/api/route.h"

#include "proto/base/mem.h"
#include "proto/topic/utf8.h"

#include <stdlib.h>

const char *api_method_name(enum api_method m)
{
    static const char *const names[API_METHODS] = {"GET", "POST", "PUT", "DELETE"};
    return names[m];
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *api_decode(const char *p, size_t n, size_t *out_n)
{
    char *out = mem_alloc(n + 1);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        int c = (unsigned char)p[i];
        if (c == '%') {
            int high = i + 2 < n ? hex(p[i + 1]) : -1, low = high < 0 ? -1 : hex(p[i + 2]);
            c = low < 0 ? 0 : high << 4 | low;
            i += 2;
        }
        if (!c) {
            free(out);
            return NULL;
        }
        out[at++] = (char)c;
    }
    out[at] = 0;
    *out_n = at;
    if (utf8_is_valid(bytes_of(out, at)))
        return out;
    free(out);
    return NULL;
}

void api_params_fini(struct api_params *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        free(p->v[i]);
    *p = (struct api_params){0};
}

static bool param_take(struct api_params *params, const char *p, size_t n)
{
    size_t out_n;
    char *v =
        n && n <= 3 * API_PARAM_BYTES_MAX && params->count < API_PARAMS_MAX ? api_decode(p, n, &out_n) : NULL;
    if (!v)
        return false;
    params->v[params->count] = v;
    params->n[params->count++] = out_n;
    return true;
}

/* Part by part: what is in braces takes one whole part. */
static bool path_match(const char *pattern, const char *path, struct api_params *params)
{
    while (*pattern == '/' && *path == '/') {
        size_t want = strcspn(++pattern, "/"), have = strcspn(++path, "/");
        if (pattern[0] == '{') {
            if (!param_take(params, path, have))
                return false;
        } else if (want != have || memcmp(pattern, path, want) != 0) {
            return false;
        }
        pattern += want;
        path += have;
    }
    return !*pattern && !*path;
}

const struct api_route *api_route_find(enum api_method method, const char *path, struct api_params *params,
                                       unsigned *allowed)
{
    *params = (struct api_params){0};
    *allowed = 0;
    for (const struct api_route *const *t = api_tables; *t; t++) {
        for (const struct api_route *r = *t; r->path; r++) {
            bool matches = path_match(r->path, path, params);
            if (matches && r->method == method)
                return r;
            *allowed |= matches ? 1u << r->method : 0;
            api_params_fini(params);
        }
    }
    return NULL;
}
