/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/http.h"

#include "node/admin/api/api.h"
#include "node/admin/api/front.h"
#include "node/admin/http_static.h"
#include "node/io/certs.h"
#include "proto/base/check.h"
#include "proto/base/clock.h"
#include "proto/base/mem.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    HEADERS_BYTES_MAX = 8192,
    BODY_BYTES_MAX = FRONT_BODY_BYTES_MAX,
    SILENCE_S = 5,
    LIFE_MS = 10000, /* of a connection: it is there for one request */
    CONNS_MAX = 64,  /* others wait in the backlog */
    LOOK_MS = 250,
    BACKLOG = 128,
};

struct http {
    struct admin_env *env;
    struct api *api;
    struct http_listener {
        struct http *http;
        struct evhttp *server; /* NULL: there is none */
        struct evconnlistener *listener;
        struct certs *certs; /* NULL: without TLS */
    } listeners[ADMIN_HTTPS + 1];
    struct event *timer;
    struct http_conn {
        struct bufferevent *bev; /* NULL: free; else a reference of our own */
        uint64_t until_ms;
    } conns[CONNS_MAX];
    uint32_t conns_n;
    bool is_full; /* not accepting until one goes */
};

bool http_query_is(const char *query, const char *name, const char *value)
{
    size_t n = strlen(name), m = strlen(value);
    for (const char *p = query; *p;) {
        size_t part = strcspn(p, "&");
        if (part == n + 1 + m && memcmp(p, name, n) == 0 && p[n] == '=' && memcmp(p + n + 1, value, m) == 0)
            return true;
        p += part + (p[part] == '&');
    }
    return false;
}

/* ---- answers -------------------------------------------------------------------------------------- */

static void answer_send(struct evhttp_request *req, struct http_answer *a)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(req);
    struct evbuffer *body = evbuffer_new();
    char length[24];
    CHECK(body);
    snprintf(length, sizeof length, "%zu", a->body.n);
    evhttp_add_header(headers, "Content-Type",
                      a->format == HTTP_JSON ? "application/json" : "text/plain; charset=utf-8");
    evhttp_add_header(headers, "Content-Length", length);
    evhttp_add_header(headers, "Cache-Control", "no-store");
    evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    evhttp_add_header(headers, "Connection", "close");
    /* HEAD has everything but the body. */
    if (evhttp_request_get_command(req) != EVHTTP_REQ_HEAD)
        evbuffer_add(body, a->body.p, a->body.n);
    evhttp_send_reply(req, a->status, NULL, body);
    evbuffer_free(body);
    text_fini(&a->body);
}

static void refuse(struct evhttp_request *req, int status, const char *code, const char *message)
{
    struct http_answer a = {.status = status, .format = HTTP_JSON};
    text_printf(&a.body, "{\"code\":\"%s\",\"message\":\"%s\"}", code, message);
    answer_send(req, &a);
}

static const struct http_route *route_find(const char *path)
{
    static const struct http_route *const tables[] = {http_routes_health, http_routes_metrics};
    for (size_t i = 0; i < array_len(tables); i++)
        for (const struct http_route *r = tables[i]; r->path; r++)
            if (strcmp(r->path, path) == 0)
                return r;
    return NULL;
}

static void on_request(struct evhttp_request *req, void *arg)
{
    struct http *h = arg;
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
    const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
    const char *query = uri ? evhttp_uri_get_query(uri) : NULL;
    const struct http_route *route = path ? route_find(path) : NULL;
    enum evhttp_cmd_type method = evhttp_request_get_command(req);
    bool is_read = method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD;
    struct http_answer a = {.status = 200};
    if (!route && path && (api_take(h->api, req, path) || (is_read && http_static_answer(req, path))))
        return;
    if (!route) {
        refuse(req, 404, "NOT_FOUND", "There is nothing at this path.");
        return;
    }
    if (!is_read) {
        evhttp_add_header(evhttp_request_get_output_headers(req), "Allow", "GET, HEAD");
        refuse(req, 405, "METHOD_NOT_ALLOWED", "Only GET and HEAD are allowed here.");
        return;
    }
    route->run(h->env, query ? query : "", &a);
    answer_send(req, &a);
}

/* ---- connections ---------------------------------------------------------------------------------- */

/* evhttp of libevent 2.1 bounds neither how many connections there are nor how long one may take that sends a
 * byte now and then, and it tells nobody when one ends. So each is given to it with a reference kept here:
 * one that evhttp is done with is known by its missing callbacks. */

static bool is_done(const struct http_conn *c)
{
    bufferevent_data_cb on_read, on_write;
    bufferevent_event_cb on_event;
    bufferevent_getcb(c->bev, &on_read, &on_write, &on_event, NULL);
    return !on_read && !on_write && !on_event;
}

static void conn_drop(struct http *h, struct http_conn *c)
{
    bufferevent_decref(c->bev); /* closes the socket when it was the last reference */
    c->bev = NULL;
    h->conns_n--;
}

static void accepting_set(struct http *h, bool is_accepting)
{
    h->is_full = !is_accepting;
    for (struct http_listener *l = h->listeners; l <= h->listeners + ADMIN_HTTPS; l++) {
        if (l->listener && is_accepting)
            evconnlistener_enable(l->listener);
        else if (l->listener)
            evconnlistener_disable(l->listener);
    }
}

/* Lets those go that are done, and ends those that take too long: evhttp sees that as the client's doing. */
static void conns_look(struct http *h)
{
    uint64_t now = mono_ms();
    for (struct http_conn *c = h->conns; c < h->conns + CONNS_MAX; c++) {
        if (c->bev && is_done(c))
            conn_drop(h, c);
        else if (c->bev && now >= c->until_ms)
            shutdown(bufferevent_getfd(c->bev), SHUT_RDWR);
    }
    if (h->is_full && h->conns_n < CONNS_MAX)
        accepting_set(h, true);
}

static void timer_set(struct http *h)
{
    static const struct timeval tv = {0, LOOK_MS * 1000};
    if (h->conns_n && !evtimer_pending(h->timer, NULL))
        evtimer_add(h->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    conns_look(arg);
    timer_set(arg);
}

static struct bufferevent *buffers_new(struct event_base *base, struct certs *certs)
{
    if (!certs)
        return bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    enum io_cert_name unused;
    SSL_CTX *ctx = certs_ref(certs, &unused);
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    CHECK(ssl);
    SSL_set_read_ahead(ssl, 0); /* libevent asks for what is decrypted, and would not see the rest */
    struct bufferevent *bev =
        bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
    if (bev)
        bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

/* evhttp asks for the buffers of a connection that it has accepted; it sets their callbacks right after. */
static struct bufferevent *on_conn(struct event_base *base, void *arg)
{
    const struct http_listener *l = arg;
    struct http *h = l->http;
    struct http_conn *c = h->conns;
    conns_look(h);
    while (c->bev)
        c++;
    c->bev = buffers_new(base, l->certs);
    CHECK(c->bev);
    bufferevent_incref(c->bev);
    c->until_ms = mono_ms() + LIFE_MS;
    if (++h->conns_n == CONNS_MAX)
        accepting_set(h, false);
    timer_set(h);
    return c->bev;
}

/* ---- life ----------------------------------------------------------------------------------------- */

static enum err error_of(int system)
{
    switch (system) {
    case EADDRINUSE:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return ERR_INVALID;
    default:
        return ERR_LIMIT;
    }
}

static struct evhttp *server_make(struct http_listener *l, struct event_base *base)
{
    struct evhttp *s = evhttp_new(base);
    CHECK(s);
    evhttp_set_max_headers_size(s, HEADERS_BYTES_MAX);
    evhttp_set_max_body_size(s, BODY_BYTES_MAX);
    evhttp_set_timeout(s, SILENCE_S);
    /* All of them, so that it is we who refuse them. */
    evhttp_set_allowed_methods(s, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_PUT |
                                      EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
                                      EVHTTP_REQ_PATCH);
    evhttp_set_gencb(s, on_request, l->http);
    evhttp_set_bevcb(s, on_conn, l);
    return s;
}

/* Listens, and answers from then on. */
static enum err listener_open(struct http *h, int at, struct event_base *base)
{
    static const char *const names[] = {[ADMIN_HTTP] = "http", [ADMIN_HTTPS] = "https"};
    const struct admin_http *conf = &h->env->conf.http[at];
    struct log_sink *log = h->env->conf.log;
    struct http_listener *l = &h->listeners[at];
    l->http = h;
    if (!conf->addr_n)
        return OK;
    if (at == ADMIN_HTTPS && certs_new(&l->certs, names[at], &conf->tls, log) != OK)
        return ERR_INVALID;
    /* Without SO_REUSEPORT: two nodes must not share the address without noticing. */
    l->listener = evconnlistener_new_bind(base, NULL, NULL,
                                          LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE,
                                          BACKLOG, (const struct sockaddr *)&conf->addr, (int)conf->addr_n);
    if (!l->listener) {
        enum err e = error_of(errno);
        LOG(log, LOG_ERROR, "%s not started address=%s error=\"%s\"%s%s%s", names[at], conf->text,
            strerror(errno), e == ERR_EXISTS ? " hint=\"see dashboard.listeners." : "",
            e == ERR_EXISTS ? names[at] : "", e == ERR_EXISTS ? ".bind and .enable\"" : "");
        return e;
    }
    l->server = server_make(l, base);
    CHECK(evhttp_bind_listener(l->server, l->listener));
    LOG(log, LOG_NOTICE, "%s started address=%s", names[at], conf->text);
    return OK;
}

enum err http_new(struct http **out, struct admin_env *env, struct event_base *base)
{
    struct http *h = mem_zalloc(sizeof *h);
    h->env = env;
    h->timer = evtimer_new(base, on_timer, h);
    CHECK(h->timer);
    for (int i = ADMIN_HTTP; i <= ADMIN_HTTPS; i++) {
        enum err e = listener_open(h, i, base);
        if (e != OK) {
            http_free(h);
            return e;
        }
    }
    h->api = api_new(env, base);
    env->https_certs = h->listeners[ADMIN_HTTPS].certs;
    *out = h;
    return OK;
}

static void listener_close(struct http_listener *l)
{
    if (l->server)
        evhttp_free(l->server); /* ends the connections and the listener */
    certs_free(l->certs);
}

void http_free(struct http *h)
{
    if (!h)
        return;
    h->env->https_certs = NULL;
    api_free(h->api);
    for (int i = ADMIN_HTTP; i <= ADMIN_HTTPS; i++)
        listener_close(&h->listeners[i]);
    for (struct http_conn *c = h->conns; c < h->conns + CONNS_MAX; c++)
        if (c->bev)
            conn_drop(h, c);
    event_free(h->timer);
    free(h);
}
