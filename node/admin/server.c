/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/server.h"

#include "node/io/unix_socket.h"
#include "proto/base/check.h"
#include "proto/base/list.h"
#include "proto/base/mem.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIECES_MAX = 8, BACKLOG = 64 };

struct server {
    struct admin_env *env;
    struct event_base *base;
    struct event *accept_event;
    struct unix_socket socket;
    struct list clients;
    uint32_t clients_n;
    bool is_full; /* not accepting until one goes */
};

struct client {
    struct server *server;
    struct list link;
    struct bufferevent *bev;
    struct event *timer;
    char *request; /* what the words point into */
    const char *words[SERVER_WORDS_MAX];
    struct call call;
    bool is_running; /* call is */
    bool is_answering;
    bool is_last; /* nothing follows what is waiting to be sent */
    int status;   /* that was sent */
};

static void client_free(struct client *c)
{
    struct server *s = c->server;
    if (c->is_running)
        call_fini(&c->call);
    event_free(c->timer);
    bufferevent_free(c->bev); /* closes the socket */
    list_del(&c->link);
    free(c->request);
    free(c);
    s->clients_n--;
    if (s->is_full) {
        s->is_full = false;
        event_add(s->accept_event, NULL);
    }
}

/* ---- the answer ----------------------------------------------------------------------------------- */

static void client_send(struct client *c, struct text *t)
{
    bufferevent_write(c->bev, t->p, t->n);
    t->n = 0;
}

/* Produces until there is a good piece to send. One that gives little is gone on with in a later turn, so
 * that the others get theirs. */
static void client_produce(struct client *c)
{
    struct timeval later = {0, 0};
    struct evbuffer *out = bufferevent_get_output(c->bev);
    struct call *call = &c->call;
    call->wait_ms = 0;
    for (int i = 0;
         i < PIECES_MAX && !c->is_last && !call->wait_ms && evbuffer_get_length(out) < SERVER_PIECE_BYTES;
         i++) {
        c->is_last = !call->produce(call);
        if (c->is_last && call->status != c->status)
            text_printf(&call->out, "%c%d", 0, call->status);
        client_send(c, &call->out);
    }
    later.tv_sec = call->wait_ms / 1000;
    later.tv_usec = (suseconds_t)(call->wait_ms % 1000) * 1000;
    if (!c->is_last && (call->wait_ms || evbuffer_get_length(out) == 0))
        event_add(c->timer, &later);
}

static void client_go_on(struct client *c)
{
    if (!c->is_last)
        client_produce(c);
    if (c->is_last && evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
        client_free(c);
}

/* All that there was has gone; or there was nothing yet. */
static void on_written(struct bufferevent *bev, void *arg)
{
    struct client *c = arg;
    (void)bev;
    if (c->is_answering && !c->call.wait_ms)
        client_go_on(c);
}

/* While the request is not there it is out of time; later it is for the next pieces. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    struct client *c = arg;
    (void)fd;
    (void)what;
    if (c->is_answering)
        client_go_on(c);
    else
        client_free(c);
}

static void answer_begin(struct client *c, int status)
{
    struct timeval tv = {SERVER_TIMEOUT_MS / 1000, 0};
    struct text head = {0};
    c->is_answering = true;
    c->status = status;
    event_del(c->timer);
    bufferevent_disable(c->bev, EV_READ);
    bufferevent_set_timeouts(c->bev, NULL, &tv);
    text_printf(&head, "%d\n", status);
    client_send(c, &head);
    text_fini(&head);
}

static void answer_refuse(struct client *c, const char *why)
{
    struct text t = {0};
    answer_begin(c, 1);
    text_printf(&t, "%s\n", why);
    client_send(c, &t);
    text_fini(&t);
    c->is_last = true;
}

/* ---- the request ---------------------------------------------------------------------------------- */

static void request_run(struct client *c, uint32_t words_n)
{
    call_init(&c->call, c->server->env, c->words, words_n);
    c->is_running = true;
    answer_begin(c, c->call.status);
    c->is_last = !c->call.produce;
    client_send(c, &c->call.out);
    client_produce(c);
}

/* Words, each ended by a NUL, ended by one more. request: n bytes of them, with the last. */
static void request_split(struct client *c, size_t n)
{
    uint32_t words_n = 0;
    for (size_t at = 0; at + 1 < n; at += strlen(c->request + at) + 1) {
        if (words_n == SERVER_WORDS_MAX) {
            answer_refuse(c, "Too many words.");
            return;
        }
        c->words[words_n++] = c->request + at;
    }
    request_run(c, words_n);
}

/* The number of bytes up to and with the NUL that ends the request; 0: not there yet. */
static size_t request_size(const uint8_t *p, size_t n)
{
    if (n && !p[0])
        return 1;
    for (size_t i = 1; i < n; i++) {
        if (!p[i - 1] && !p[i])
            return i + 1;
    }
    return 0;
}

static void on_readable(struct bufferevent *bev, void *arg)
{
    struct client *c = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    size_t n = evbuffer_get_length(in);
    if (n > SERVER_REQUEST_BYTES_MAX)
        n = SERVER_REQUEST_BYTES_MAX;
    const uint8_t *p = evbuffer_pullup(in, (ev_ssize_t)n);
    size_t size = p ? request_size(p, n) : 0;
    if (size) {
        c->request = mem_dup(p, size);
        request_split(c, size);
    } else if (n == SERVER_REQUEST_BYTES_MAX) {
        answer_refuse(c, "The request is too large.");
    }
}

/* An error, a time-out, or the end of what they send; with a request under way reading is off, and so the end
 * is not seen here. */
static void on_end(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    (void)what;
    client_free(arg);
}

static void client_new(struct server *s, int fd)
{
    struct timeval tv = {SERVER_TIMEOUT_MS / 1000, 0};
    struct client *c = mem_zalloc(sizeof *c);
    c->server = s;
    c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
    c->timer = event_new(s->base, -1, 0, on_timer, c);
    CHECK(c->bev && c->timer);
    event_add(c->timer, &tv);
    bufferevent_setcb(c->bev, on_readable, on_written, on_end, c);
    bufferevent_setwatermark(c->bev, EV_READ, 0, SERVER_REQUEST_BYTES_MAX);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
    list_push(&s->clients, &c->link);
    s->clients_n++;
}

/* ---- the socket ----------------------------------------------------------------------------------- */

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct server *s = arg;
    (void)what;
    if (s->clients_n == SERVER_CONNS_MAX) {
        s->is_full = true;
        event_del(s->accept_event);
        return;
    }
    int conn = accept4((int)fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (conn >= 0)
        client_new(s, conn);
}

enum err server_new(struct server **out, struct admin_env *env, struct event_base *base)
{
    const char *path = env->conf.ctl_socket;
    struct unix_socket socket;
    int error = unix_socket_listen(
        &socket, &(struct unix_socket_conf){.path = path, .mode = 0600, .backlog = BACKLOG});
    if (error) {
        LOG(env->conf.log, LOG_ERROR, "ctl socket failed path=%s error=\"%s\"", path,
            unix_socket_fault(error));
        return error == EEXIST || error == EADDRINUSE ? ERR_EXISTS : ERR_IO;
    }
    struct server *s = mem_zalloc(sizeof *s);
    s->env = env;
    s->base = base;
    s->socket = socket;
    list_init(&s->clients);
    s->accept_event = event_new(base, socket.fd, EV_READ | EV_PERSIST, on_accept, s);
    CHECK(s->accept_event && event_add(s->accept_event, NULL) == 0);
    *out = s;
    return OK;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    s->is_full = false;
    list_each_safe(l, &s->clients) client_free(container_of(l, struct client, link));
    event_free(s->accept_event);
    close(s->socket.fd);
    unix_socket_remove(&s->socket, s->env->conf.ctl_socket);
    free(s);
}
