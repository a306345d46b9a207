/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/http_static.h"

#include "node/admin/static_file.h"
#include "proto/base/check.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio.h>
#include <string.h>

/* Nothing comes from elsewhere, and neither scripts nor styles are inline: the pages set styles from scripts
 * only, which is allowed. The WebSocket tool connects to other ports of any host. */
static const char policy[] = "default-src 'self'; connect-src 'self' ws: wss:; object-src 'none'; "
                             "base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static const char left_out[] = "<!doctype html><title>Covey</title><h1>Covey is running</h1>"
                               "<p>The dashboard was left out of this program: there was no npm when it was "
                               "built. <code>covey ctl status</code> tells how the node is.</p>\n";

static const struct static_file *file_find(const char *path)
{
    if (strcmp(path, "/") == 0)
        path = "/index.html";
    for (const struct static_file *f = static_files; f->path; f++)
        if (strcmp(f->path, path) == 0)
            return f;
    return NULL;
}

/* If-None-Match is a list of tags, or "*"; W/ before one does not matter here. */
static bool is_known(const char *list, const char *etag)
{
    return list && (strstr(list, etag) || strcmp(list, "*") == 0);
}

static void answer(struct evhttp_request *req, int status, const void *body, size_t n)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    struct evbuffer *buf = evbuffer_new();
    CHECK(buf);
    evhttp_add_header(headers, "Content-Security-Policy", policy);
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
    evhttp_add_header(headers, "Connection", "close");
    if (status == 200) {
        char length[24];
        snprintf(length, sizeof length, "%zu", n);
        evhttp_add_header(headers, "Content-Length", length);
        /* The bytes are of the program: no copy of them is made. */
        if (evhttp_request_get_command(req) != EVHTTP_REQ_HEAD)
            CHECK(evbuffer_add_reference(buf, body, n, NULL, NULL) == 0);
    }
    evhttp_send_reply(req, status, NULL, buf);
    evbuffer_free(buf);
}

bool http_static_answer(struct evhttp_request *req, const char *path)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    const struct static_file *f = file_find(path);
    if (!f && !static_files[0].path && strcmp(path, "/") == 0) {
        evhttp_add_header(headers, "Content-Type", "text/html; charset=utf-8");
        evhttp_add_header(headers, "Cache-Control", "no-store");
        answer(req, 200, left_out, sizeof left_out - 1);
        return true;
    }
    if (!f)
        return false;
    evhttp_add_header(headers, "ETag", f->etag);
    evhttp_add_header(headers, "Cache-Control",
                      f->is_fixed ? "public, max-age=31536000, immutable" : "no-cache");
    if (is_known(evhttp_find_header(evhttp_request_get_input_headers(req), "If-None-Match"), f->etag)) {
        answer(req, 304, NULL, 0);
        return true;
    }
    evhttp_add_header(headers, "Content-Type", f->type);
    /* Whoever names no encodings takes any (RFC 9110, 12.5.3), and every browser names this one. */
    evhttp_add_header(headers, "Content-Encoding", "gzip");
    answer(req, 200, f->gz, f->n);
    return true;
}
