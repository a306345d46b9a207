/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The daemon never closes its end of the pipe: the kernel does when the process ends. */
static void grandchild_become(int pipe_fd)
{
    pid_t pid = getpid();
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    /* What the caller happened to have open is none of the daemon's business. */
    if (pipe_fd > STDERR_FILENO + 1)
        close_range(STDERR_FILENO + 1, (unsigned)pipe_fd - 1, 0);
    close_range((unsigned)pipe_fd + 1, ~0u, 0);
    umask(027);
    if (write(pipe_fd, &pid, sizeof pid) != (ssize_t)sizeof pid)
        _exit(1);
}

/* The second fork makes sure that the daemon leads no session and so never gets a terminal. */
static void child_run(int pipe_fd)
{
    if (setsid() < 0)
        _exit(1);
    pid_t pid = fork();
    if (pid != 0)
        _exit(pid < 0);
    grandchild_become(pipe_fd);
}

static enum err parent_learn(pid_t child, int pipe_fd, struct daemon_watch *watch)
{
    ssize_t n;
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    do
        n = read(pipe_fd, &watch->pid, sizeof watch->pid);
    while (n < 0 && errno == EINTR);
    watch->fd = pipe_fd;
    if (n == (ssize_t)sizeof watch->pid)
        return OK;
    close(pipe_fd);
    errno = EAGAIN;
    return ERR_IO;
}

enum err daemon_start(enum daemon_role *role, struct daemon_watch *watch)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return ERR_IO;
    pid_t pid = fork();
    if (pid < 0) {
        int e = errno;
        close(fds[0]);
        close(fds[1]);
        errno = e;
        return ERR_IO;
    }
    if (pid == 0) {
        close(fds[0]);
        child_run(fds[1]);
        *role = DAEMON_CHILD;
        return OK;
    }
    close(fds[1]);
    *role = DAEMON_PARENT;
    return parent_learn(pid, fds[0], watch);
}

bool daemon_has_ended(const struct daemon_watch *watch, int timeout_ms)
{
    struct pollfd p = {.fd = watch->fd, .events = POLLIN};
    return poll(&p, 1, timeout_ms) > 0;
}

void daemon_watch_fini(struct daemon_watch *watch)
{
    close(watch->fd);
    watch->fd = -1;
}
