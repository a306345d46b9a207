/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_CALL_H
#define COVEY_ADMIN_API_CALL_H

/* One call of the API on this node: what a route's run() and merge() work with. It is over when run() returns
 * without having set step; else step is called again and again in turns of the loop of their own, so that a
 * long listing holds nobody up, or, while is_waiting, when somebody calls api_call_wake().
 *
 * Answers are set by api_reply() and api_fail(); neither: 500. */

#include "node/admin/api/accounts.h"
#include "node/admin/api/route.h"
#include "proto/base/list.h"

struct api;

/* Who asks. role is API_VIEWER, API_ADMIN, or API_PERSON for an administrator who has logged in. */
struct api_who {
    char name[ACCOUNT_NAME_MAX + 1]; /* of the user, or of the key */
    char address[46];
    enum api_role role;
    bool must_change; /* the password, before anything else */
    bool is_person;
    const char *token; /* as it came, while the request lives; NULL: none */
};

/* The rows that a part of a listing is to answer (API_PAGE). */
struct api_window {
    uint64_t skip; /* of the rows that match */
    uint32_t take;
};

struct api_call {
    struct api *api;
    struct admin_env *env;
    const struct api_route *route;
    struct api_params params;
    json_t *query; /* an object, also without parameters */
    json_t *body;  /* NULL: none */
    struct api_who who;
    struct api_window window;

    int status;
    json_t *answer;   /* NULL: none */
    uint32_t retry_s; /* for Retry-After; 0: none */

    bool (*step)(struct api_call *c); /* false: that was all */
    bool is_waiting;
    void *state; /* of step */
    void (*state_free)(void *state);

    /* For merge(): [{"node": name, "status": 200, "answer": ...}], those that answered. */
    const json_t *parts;
    /* Of the nodes whose part is missing, why: {name: "down", "no_http" (it runs without), or "no_answer"}.
     */
    json_t *missing_why;

    struct event *timer;
    struct list link;                            /* of those that are under way */
    void (*done)(struct api_call *c, void *arg); /* owns the call */
    void *done_arg;
};

/* A copy of what is asked, for a part. */
struct api_call *api_call_new(struct api *api, const struct api_route *route);
struct api_call *api_call_copy(const struct api_call *c);
void api_call_free(struct api_call *c); /* NULL is fine; it does not run */
/* Runs it; done(c, arg) is called once, perhaps before this returns. */
void api_call_run(struct api_call *c, void (*done)(struct api_call *c, void *arg), void *arg);
/* The call that waits goes on with its step. */
void api_call_wake(struct api_call *c);
/* It does not wait: it ends with 503. */
void api_call_cut(struct api_call *c);

const char *api_param(const struct api_call *c, uint32_t i);
struct bytes api_param_bytes(const struct api_call *c, uint32_t i);
const char *api_node_name(const struct api_call *c); /* of this node */

void api_reply(struct api_call *c, int status, json_t *answer); /* takes answer, NULL with 204 */
void api_fail(struct api_call *c, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* {"code", "message"} */
json_t *api_error(const char *code, const char *message);

#endif
