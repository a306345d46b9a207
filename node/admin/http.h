/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_HTTP_H
#define COVEY_ADMIN_HTTP_H

/* The HTTP server of the admin thread: whether the node lives, is ready, what it is; the API (api/api.h); the
 * dashboard. What is answered here is GET and HEAD and changes nothing, so nobody is asked who he is.
 * Requests are bounded in size and time. */

#include "node/admin/command.h"

struct event_base;
struct http;

/* Binds the addresses of env->conf.http that are given. ERR_EXISTS: an address is in use; ERR_DENIED: not
 * permitted; ERR_INVALID: not an address of this machine, or a certificate that cannot be used; ERR_LIMIT.
 * Logged with the address or file. */
MUST_USE enum err http_new(struct http **out, struct admin_env *env, struct event_base *base);
void http_free(struct http *h); /* ends every connection; NULL is fine */

enum http_format { HTTP_TEXT, HTTP_JSON };
struct http_answer {
    int status;
    enum http_format format;
    struct text body;
};
/* What answers a path. query is what stands behind the "?", not decoded; "": nothing. */
struct http_route {
    const char *path; /* NULL: the end */
    void (*run)(struct admin_env *env, const char *query, struct http_answer *out);
};
extern const struct http_route http_routes_health[];
extern const struct http_route http_routes_metrics[];

/* Does the query have name=value? */
bool http_query_is(const char *query, const char *name, const char *value);

#endif
