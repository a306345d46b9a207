/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/transport.h"

#include "node/io/transport_ws.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

const char *transport_fault_name(enum transport_fault f)
{
    static const char *const names[TRANSPORT_FAULTS] = {
        [TRANSPORT_FAULT_NONE] = "none",
        [TRANSPORT_FAULT_TLS_PLAINTEXT] = "tls_plaintext",
        [TRANSPORT_FAULT_TLS_HANDSHAKE] = "tls_handshake",
        [TRANSPORT_FAULT_TLS_DATA] = "tls_data",
        [TRANSPORT_FAULT_WS_NOT_HTTP] = "ws_not_http",
        [TRANSPORT_FAULT_WS_REQUEST] = "ws_request",
        [TRANSPORT_FAULT_WS_PATH] = "ws_path",
        [TRANSPORT_FAULT_WS_VERSION] = "ws_version",
        [TRANSPORT_FAULT_WS_SUBPROTOCOL] = "ws_subprotocol",
        [TRANSPORT_FAULT_WS_PROTOCOL] = "ws_protocol",
        [TRANSPORT_FAULT_WS_TEXT] = "ws_text",
        [TRANSPORT_FAULT_WS_TOO_BIG] = "ws_too_big",
        [TRANSPORT_FAULT_PLAIN_TLS] = "plain_tls",
        [TRANSPORT_FAULT_PLAIN_HTTP] = "plain_http",
        [TRANSPORT_FAULT_PROXY_HEADER] = "proxy_header",
        [TRANSPORT_FAULT_PROXY_CHECKSUM] = "proxy_checksum",
    };
    CHECK(f < TRANSPORT_FAULTS);
    return names[f];
}

void transport_env_init(struct transport_env *env)
{
    *env = (struct transport_env){.buf = mem_alloc(TRANSPORT_BUF)};
}

void transport_env_fini(struct transport_env *env)
{
    ws_codecs_free(env);
    free(env->buf);
    env->buf = NULL;
}

static ssize_t code_of(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR ? TRANSPORT_AGAIN : TRANSPORT_LOST;
}

ssize_t transport_fd_recv(int fd, uint8_t *buf, size_t cap)
{
    ssize_t n = recv(fd, buf, cap, 0);

    if (likely(n > 0))
        return n;
    return n == 0 ? TRANSPORT_EOF : code_of(errno);
}

ssize_t transport_fd_send(int fd, const struct iovec *iov, int n)
{
    ssize_t r;

    if (n == 0)
        return 0;
    if (likely(n == 1)) {
        r = send(fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
    } else {
        /* sendmsg() does not write to the vector; its type just does not say so. */
        struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)n};
        r = sendmsg(fd, &m, MSG_NOSIGNAL);
    }
    return likely(r >= 0) ? r : code_of(errno);
}

ssize_t transport_recv(struct transport *t, int fd, struct transport_env *env, uint8_t *buf, size_t cap)
{
    return t ? t->ops->recv(t, env, buf, cap) : transport_fd_recv(fd, buf, cap);
}

ssize_t transport_send(struct transport *t, int fd, struct transport_env *env, const struct iovec *iov, int n)
{
    return t ? t->ops->send(t, env, iov, n) : transport_fd_send(fd, iov, n);
}

ssize_t transport_shutdown(struct transport *t, struct transport_env *env)
{
    for (; t; t = t->below) {
        ssize_t r = t->ops->shutdown(t, env);
        if (r < 0)
            return r;
    }
    return 0;
}

void transport_free(struct transport *t, struct transport_env *env)
{
    while (t) {
        struct transport *below = t->below;
        t->ops->free(t, env);
        t = below;
    }
}

struct identity *transport_identity(struct transport *t)
{
    for (; t; t = t->below)
        if (t->ops->identity)
            return t->ops->identity(t);
    return NULL;
}

bool transport_is_open(const struct transport *t)
{
    for (; t; t = t->below)
        if (!t->is_open)
            return false;
    return true;
}

bool transport_has_input(const struct transport *t)
{
    for (; t; t = t->below)
        if (t->has_input)
            return true;
    return false;
}

bool transport_wants_write(const struct transport *t)
{
    for (; t; t = t->below)
        if (t->wants_write)
            return true;
    return false;
}
