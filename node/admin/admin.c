/* SPDX-License-Identifier: Apache-2.0 */
#include "node/admin/admin.h"

#include "proto/base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct admin {
    struct admin_conf conf;
    pthread_t thread;
    int fd;
};

static void answer(int fd)
{
    char req[256];
    ssize_t n = read(fd, req, sizeof req);
    static const char pong[] = "0\npong\n", unknown[] = "1\nunknown command\n";
    if (n > 4 && memcmp(req, "ping", 5) == 0)
        n = write(fd, pong, sizeof pong - 1);
    else
        n = write(fd, unknown, sizeof unknown - 1);
    close(fd);
}

static void *admin_main(void *arg)
{
    struct admin *a = arg;
    int fd;
    while ((fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        answer(fd);
    return NULL;
}

enum err admin_new(struct admin **out, const struct admin_conf *conf)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    struct admin *a = mem_zalloc(sizeof *a);
    a->conf = *conf;
    a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(sun.sun_path, conf->ctl_socket, strnlen(conf->ctl_socket, sizeof sun.sun_path - 1));
    unlink(conf->ctl_socket);
    mode_t old = umask(0177);
    int r = bind(a->fd, (struct sockaddr *)&sun, sizeof sun);
    umask(old);
    if (r != 0 || listen(a->fd, 16) != 0 || pthread_create(&a->thread, NULL, admin_main, a) != 0) {
        LOG(conf->log, LOG_ERROR, "ctl socket failed path=%s error=\"%s\"", conf->ctl_socket, strerror(errno));
        close(a->fd);
        free(a);
        return ERR_IO;
    }
    *out = a;
    return OK;
}

void admin_free(struct admin *a)
{
    if (!a)
        return;
    shutdown(a->fd, SHUT_RDWR);
    pthread_join(a->thread, NULL);
    close(a->fd);
    unlink(a->conf.ctl_socket);
    free(a);
}
