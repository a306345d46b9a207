/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/transport_proxy.h"

#include "node/core/conn.h"
#include "node/core/identity.h"
#include "node/io/proxy_header.h"
#include "proto/base/check.h"

#include <stdlib.h>

struct proxy {
    struct transport t;
    struct proxy_header header; /* without cert_name */
    struct identity *identity;  /* NULL: none */
    uint8_t *buf; /* the header as it comes, then what has come behind it; NULL: nothing waits */
    size_t n, at;
};

static struct proxy *proxy_of(struct transport *t)
{
    return container_of(t, struct proxy, t);
}

/* What came behind the header. */
static ssize_t rest_take(struct proxy *p, uint8_t *buf, size_t cap)
{
    size_t n = p->n - p->at < cap ? p->n - p->at : cap;
    memcpy(buf, p->buf + p->at, n);
    p->at += n;
    p->t.has_input = p->at < p->n;
    if (!p->t.has_input) {
        free(p->buf);
        p->buf = NULL;
    }
    return (ssize_t)n;
}

/* What the proxy says of its client's certificate counts as if the client had shown it here: whoever may
 * send a header may say who it is. */
static void header_done(struct proxy *p)
{
    struct bytes none = bytes_of(NULL, 0);
    if (p->header.cert_name.n)
        p->identity = identity_new(p->header.cert_name, none, false);
    p->header.cert_name = none;
    p->t.is_open = true;
    p->at = p->header.size;
}

static ssize_t fault(struct transport_env *env, enum transport_fault fault)
{
    env->fault = fault;
    env->fault_text = NULL;
    return TRANSPORT_FAULT;
}

static ssize_t header_take(struct proxy *p, struct transport_env *env)
{
    ssize_t r = transport_recv(NULL, p->t.fd, env, p->buf + p->n, PROXY_HEADER_MAX - p->n);
    if (r < 0)
        return r;
    p->n += (size_t)r;
    switch (proxy_header_parse(p->buf, p->n, &p->header)) {
    case PROXY_MORE:
        return TRANSPORT_AGAIN;
    case PROXY_BAD:
        break;
    case PROXY_CHECKSUM:
        return fault(env, TRANSPORT_FAULT_PROXY_CHECKSUM);
    case PROXY_DONE:
        header_done(p);
        return 0;
    }
    return fault(env, TRANSPORT_FAULT_PROXY_HEADER);
}

static ssize_t proxy_recv(struct transport *t, struct transport_env *env, uint8_t *buf, size_t cap)
{
    struct proxy *p = proxy_of(t);
    if (!t->is_open) {
        ssize_t r = header_take(p, env);
        if (r < 0)
            return r;
    }
    if (p->buf && p->at < p->n)
        return rest_take(p, buf, cap);
    free(p->buf);
    p->buf = NULL;
    return transport_recv(NULL, t->fd, env, buf, cap);
}

static ssize_t proxy_send(struct transport *t, struct transport_env *env, const struct iovec *iov, int n)
{
    return transport_send(NULL, t->fd, env, iov, n);
}

static ssize_t proxy_shutdown(struct transport *t, struct transport_env *env)
{
    (void)t;
    (void)env;
    return 0;
}

static void proxy_free(struct transport *t, struct transport_env *env)
{
    (void)env;
    free(proxy_of(t)->buf);
    free(proxy_of(t)->identity);
    free(proxy_of(t));
}

static struct identity *proxy_identity(struct transport *t)
{
    struct identity *i = proxy_of(t)->identity;
    proxy_of(t)->identity = NULL;
    return i;
}

static const struct transport_ops proxy_ops = {"proxy",        proxy_recv, proxy_send,
                                               proxy_shutdown, proxy_free, proxy_identity};

struct transport *transport_proxy_new(int fd)
{
    struct proxy *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->buf = malloc(PROXY_HEADER_MAX);
    if (!p->buf) {
        free(p);
        return NULL;
    }
    p->t = (struct transport){.ops = &proxy_ops, .fd = fd};
    return &p->t;
}

bool transport_proxy_peer(struct transport *top, struct conn_peer *out)
{
    for (; top; top = top->below) {
        if (top->ops != &proxy_ops)
            continue;
        const struct proxy *p = proxy_of(top);
        if (!p->header.has_source)
            return false;
        memcpy(out->address, p->header.address, sizeof out->address);
        out->port = p->header.port;
        return true;
    }
    return false;
}
