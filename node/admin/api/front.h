/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_FRONT_H
#define COVEY_ADMIN_API_FRONT_H

/* A request as it comes over HTTP, up to a call that may be run: who asks, what is in it. Refusals are
 * answers of the API, {"code", "message"}. */

#include "node/admin/api/call.h"

enum { FRONT_BODY_BYTES_MAX = 2 << 20 };

/* What is known of a request, for the checks below; borrowed. */
struct front_request {
    enum api_method method;
    const char *query;         /* behind the "?", not decoded; "": none */
    const char *authorization; /* headers; NULL: not there */
    const char *content_type;
    const char *fetch_site; /* Sec-Fetch-Site */
    const char *address;
    struct bytes body;
};

/* Fills in the call that a request asks for, allocated by api_call_new(). False: it is refused, c->status and
 * c->answer say how. */
bool front_read(struct api_call *c, const struct front_request *r);

#endif
