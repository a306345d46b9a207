/* SPDX-License-Identifier: Apache-2.0 */
#ifndef COVEY_TESTS_APP_FAKE_NODE_H
#define COVEY_TESTS_APP_FAKE_NODE_H

/* A node that has a control socket and nothing else, to start, ask and stop. The variable COVEY_TEST_NODE
 * makes it "die" at once or stay "mute". */

#include "node/app/config.h"
#include "node/app/ctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static inline int socket_listen(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&un, sizeof un) != 0 || listen(fd, 8) != 0)
        return -1;
    return fd;
}

/* Reads a request to its end; returns its bytes. */
static inline size_t request_read(int fd, char *buf, size_t size)
{
    size_t n = 0;
    while (n < 2 || buf[n - 1] || buf[n - 2]) {
        ssize_t r = read(fd, buf + n, size - n);
        if (r <= 0)
            return 0;
        n += (size_t)r;
    }
    return n;
}

/* "ping" is answered as a node does, "bad" is no answer, everything else comes back with status 3. */
static inline void answer(int fd)
{
    char req[CTL_REQUEST_BYTES_MAX];
    size_t n = request_read(fd, req, sizeof req);
    if (n == 6 && strcmp(req, "ping") == 0) {
        dprintf(fd, "0\npong\n");
    } else if (n && strcmp(req, "bad") == 0) {
        dprintf(fd, "what?\n");
    } else if (n && strcmp(req, "cut") == 0) {
        dprintf(fd, "0");
    } else if (n) {
        dprintf(fd, "3\n");
        for (const char *p = req; p < req + n - 1; p += strlen(p) + 1)
            dprintf(fd, "<%s>\n", p);
    }
    close(fd);
}

static inline int fake_node(const struct config *conf, const char *const *env, struct log_sink *log)
{
    const char *how = getenv("COVEY_TEST_NODE");
    sigset_t set;
    struct pollfd p[2] = {{.events = POLLIN}, {.events = POLLIN}};
    (void)env;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_UNBLOCK, &set, NULL); /* its handler is enough for the log */
    LOG(log, LOG_NOTICE, "node start name=%s", conf->node.name);
    if (how && strcmp(how, "die") == 0) {
        LOG(log, LOG_ERROR, "node died reason=told");
        return 7;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    p[0].fd = signalfd(-1, &set, SFD_CLOEXEC);
    p[1].fd = how && strcmp(how, "mute") == 0 ? -1 : socket_listen(conf->node.ctl_socket);
    for (;;) {
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return 1;
        if (p[0].revents)
            break;
        if (p[1].revents)
            answer(accept(p[1].fd, NULL, NULL));
        LOG(log, LOG_NOTICE, "node turn");
    }
    LOG(log, LOG_NOTICE, "node stop");
    close(p[0].fd);
    close(p[1].fd);
    unlink(conf->node.ctl_socket);
    return 0;
}

#endif
