/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_API_API_H
#define COVEY_ADMIN_API_API_H

/* The HTTP API below /api/v5: see, and steer, a node and its cluster. Calls are tables (route.h). A call is
 * answered for all nodes: this one runs its part and asks the others for theirs, and says in the header
 * Covey-Missing, and in the answer where there is a place, who did not answer.
 *
 * Who asks is known by a token of POST /login or by an API key (Basic). Nothing is done for the sake of a
 * cookie, so no other site can act through a browser; what a browser sends on its own for another site is
 * refused besides. */

#include "node/admin/command.h"

struct api;
struct event_base;
struct evhttp_request;

/* How another node is asked. Everything happens in the admin thread's loop. */
struct api_peers {
    /* Sends the request; done is called once with the answer, or with why there is none. */
    void (*ask)(void *ctx, const char *node, struct bytes request,
                void (*done)(void *arg, enum err e, struct bytes answer), void *arg);
    void *ctx;
};

struct api *api_new(struct admin_env *env, struct event_base *base);
/* Before the connections are freed; requests under way are dropped. NULL is fine. */
void api_free(struct api *a);

/* NULL: nobody can be asked, and the other nodes are named as missing. */
void api_peers_set(struct api *a, const struct api_peers *peers);
/* A request of another node: done(arg, answer) is called once, with an answer that lives as long as the call.
 */
void api_serve(struct api *a, struct bytes request, void (*done)(void *arg, struct bytes answer), void *arg);

/* Takes a request whose path belongs to the API; false: it does not. It is answered later. */
bool api_take(struct api *a, struct evhttp_request *req, const char *path);

#endif
