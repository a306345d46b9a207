/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/ctl.h"

#include "proto/base/check.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static enum err err_of_errno(int e)
{
    switch (e) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
        return ERR_CLOSED;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case EAGAIN: /* the node's backlog is full */
        return ERR_AGAIN;
    default:
        return ERR_IO;
    }
}

static enum err socket_open(const char *path, int *out)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof un.sun_path)
        return ERR_INVALID;
    memcpy(un.sun_path, path, n + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ERR_IO;
    /* A Unix socket connects at once or not at all. */
    if (connect(fd, (const struct sockaddr *)&un, sizeof un) != 0) {
        int e = errno;
        close(fd);
        return err_of_errno(e);
    }
    *out = fd;
    return OK;
}

static enum err fd_wait(int fd, short events, int timeout_ms)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n;
    do
        n = poll(&p, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n > 0 ? OK : n == 0 ? ERR_AGAIN : ERR_IO;
}

/* MSG_NOSIGNAL: a node that goes away must not kill the command with SIGPIPE. */
static enum err request_send(int fd, const char *p, size_t n, int timeout_ms)
{
    while (n) {
        ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
        if (w > 0) {
            p += w;
            n -= (size_t)w;
        } else if (errno == EAGAIN) {
            enum err e = fd_wait(fd, POLLOUT, timeout_ms);
            if (e)
                return e;
        } else if (errno != EINTR) {
            return ERR_IO;
        }
    }
    return OK;
}

/* The first line of the answer; what is behind it goes on to out, up to a NUL. */
struct answer {
    FILE *out;
    char line[8];
    size_t line_n;
    bool has_status;
    bool is_over; /* the text is: the status comes again */
    int status;
};

/* From the NUL on, or what follows of it. */
static enum err last_status_feed(struct answer *a, const char *p, size_t n)
{
    if (!a->is_over) {
        a->is_over = true;
        a->status = 0;
        p++;
        n--;
    }
    for (; n; p++, n--) {
        if (*p < '0' || *p > '9' || a->status > 99)
            return ERR_IO;
        a->status = a->status * 10 + *p - '0';
    }
    return OK;
}

static enum err answer_feed(struct answer *a, const char *p, size_t n)
{
    while (n && !a->has_status) {
        char c = *p++;
        n--;
        if (c == '\n' && a->line_n) {
            a->line[a->line_n] = 0;
            a->status = (int)strtol(a->line, NULL, 10);
            a->has_status = true;
        } else if (c < '0' || c > '9' || a->line_n + 1 == sizeof a->line) {
            return ERR_IO;
        } else {
            a->line[a->line_n++] = c;
        }
    }
    const char *nul = a->is_over ? p : memchr(p, 0, n);
    size_t text_n = nul ? (size_t)(nul - p) : n;
    if (text_n && a->out) {
        fwrite(p, 1, text_n, a->out);
        fflush(a->out);
    }
    return nul ? last_status_feed(a, nul, n - text_n) : OK;
}

static enum err answer_read(int fd, struct answer *a, int timeout_ms)
{
    char buf[4096];
    for (;;) {
        ssize_t n = read(fd, buf, sizeof buf);
        enum err e = OK;
        if (n == 0)
            return a->has_status ? OK : ERR_IO;
        if (n > 0)
            e = answer_feed(a, buf, (size_t)n);
        else if (errno == EAGAIN)
            e = fd_wait(fd, POLLIN, timeout_ms);
        else if (errno != EINTR)
            e = ERR_IO;
        if (e)
            return e;
    }
}

/* Bytes of the request in buf, or 0 when it is none. */
static size_t request_put(char *buf, const char *const *words, size_t n)
{
    size_t o = 0;
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(words[i]) + 1;
        /* An empty word would read as the end of the request. */
        if (len == 1 || len + 1 > CTL_REQUEST_BYTES_MAX - o)
            return 0;
        memcpy(buf + o, words[i], len);
        o += len;
    }
    if (o)
        buf[o++] = 0;
    return o;
}

static enum err call_on(int fd, const char *const *words, size_t n, int timeout_ms, struct answer *a)
{
    char *buf = malloc(CTL_REQUEST_BYTES_MAX);
    if (!buf)
        return ERR_NOMEM;
    size_t len = request_put(buf, words, n);
    enum err e = len ? request_send(fd, buf, len, timeout_ms) : ERR_INVALID;
    free(buf);
    return e ? e : answer_read(fd, a, timeout_ms);
}

enum err ctl_call(const char *socket_path, const char *const *words, size_t n, int timeout_ms, FILE *out,
                  int *status)
{
    struct answer a = {.out = out};
    int fd;
    enum err e = socket_open(socket_path, &fd);
    if (e)
        return e;
    e = call_on(fd, words, n, timeout_ms, &a);
    close(fd);
    *status = a.status;
    return e;
}

enum err ctl_ping(const char *socket_path, int timeout_ms, pid_t *pid)
{
    static const char *const words[] = {"ping"};
    struct answer a = {.out = NULL};
    struct ucred peer = {0};
    socklen_t peer_n = sizeof peer;
    int fd;
    enum err e = socket_open(socket_path, &fd);
    if (e)
        return e;
    if (pid)
        *pid = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_n) == 0 ? peer.pid : 0;
    e = call_on(fd, words, array_len(words), timeout_ms, &a);
    close(fd);
    if (e)
        return e;
    return a.status == 0 ? OK : ERR_AGAIN;
}
