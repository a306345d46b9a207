/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_ROUTE_H
#define COVEY_ADMIN_API_ROUTE_H

/* The calls of the HTTP API, as tables: a method and a path, who may, what goes in and comes out, what
 * answers. Everything else follows from them: routing, checks, the description at /api-docs. */

#include "node/admin/api/field.h"

struct api_call;

enum api_method { API_GET, API_POST, API_PUT, API_DELETE, API_METHODS };
const char *api_method_name(enum api_method m); /* "GET" */

/* Whom a call asks. */
enum api_scope {
    API_HERE,    /* this node alone */
    API_NODE,    /* the node that the path names by {node} */
    API_ALL,     /* every node; the parts are merged, of a page one node after the other */
    API_FINDING, /* every node; the best answer counts: a success over "not found" over what failed */
};

enum api_role {
    API_OPEN,   /* anybody */
    API_SELF,   /* whoever has logged in, also one who has to change the password first */
    API_VIEWER, /* may look */
    API_ADMIN,  /* may change */
    API_PERSON, /* an administrator who has logged in: not by an API key */
};

enum api_answer {
    API_NOTHING, /* 204 */
    API_ONE,     /* an object of the shape */
    API_LIST,    /* an array of them */
    API_PAGE,    /* {"data": [...], "meta": {...}} */
};

struct api_route {
    enum api_method method;
    const char *path; /* "/clients/{clientid}/subscribe", below /api/v5; NULL: the end */
    enum api_scope scope;
    enum api_role role;
    void (*run)(struct api_call *c); /* this node's part */
    /* API_ALL: makes one answer of c->parts; NULL: the arrays are joined. With API_PAGE run() gives whole
     * arrays, and merge() the page of all of them (fan_page()). */
    void (*merge)(struct api_call *c);
    const struct api_field *query; /* NULL: none */
    const struct api_shape *body;  /* NULL: none */
    enum api_answer
        body_form; /* API_ONE or API_LIST; API_NOTHING: none, or an array of strings without shape */
    enum api_answer answer;
    const struct api_shape *shape; /* of the answer */
    bool also_202;                 /* the same with status 202 */
    bool also_one;                 /* API_LIST: or one object, as the query asks */
    bool is_unaudited;             /* too many of them, and they change nothing that stays */
    const char *tag;
    const char *summary;
    const char *refusals; /* "404 CLIENTID_NOT_FOUND, 503 ..." besides those of all calls; NULL: none */
};

extern const struct api_route *const api_tables[]; /* ended by NULL */

enum { API_PARAMS_MAX = 2, API_PARAM_BYTES_MAX = 65535 };
/* What {name} stands for in a path that was matched, decoded; from malloc(). */
struct api_params {
    char *v[API_PARAMS_MAX];
    size_t n[API_PARAMS_MAX];
    uint32_t count;
};
void api_params_fini(struct api_params *p);

/* The route for a path, as it stands in the request without /api/v5 and query. NULL: there is none; *allowed
 * is then the methods, a bit each, that the path has. A parameter that is not decodable UTF-8, or has a NUL,
 * matches nothing. */
const struct api_route *api_route_find(enum api_method method, const char *path, struct api_params *params,
                                       unsigned *allowed);

/* A part of an address without its %XX, from malloc(), NUL-terminated; NULL: not well formed. */
char *api_decode(const char *p, size_t n, size_t *out_n);

#endif
