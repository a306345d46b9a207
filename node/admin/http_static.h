/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_ADMIN_HTTP_STATIC_H
#define COVEY_ADMIN_HTTP_STATIC_H

/* The dashboard over HTTP: its files, with the headers that keep a browser from doing more with them than it
 * must. */

#include <stdbool.h>

struct evhttp_request;

/* Answers a GET or HEAD of a file, and of "/". path is not decoded: no file has a name that needs it. false:
 * there is no such file, and nothing is answered. */
bool http_static_answer(struct evhttp_request *req, const char *path);

#endif
