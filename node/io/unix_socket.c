/* SPDX-License-Identifier: Apache-2.0 */
#include "node/io/unix_socket.h"

#include "proto/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_TRIES = 100, LOCK_WAIT_MS = 10, GROUP_BYTES_MAX = 1 << 20 };

bool unix_socket_path_fits(const char *path)
{
    return strlen(path) < sizeof((struct sockaddr_un *)0)->sun_path;
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, path, strlen(path) + 1);
    return un;
}

static bool number_read(const char *text, gid_t *out)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, 10);
    *out = (gid_t)n;
    return *text >= '0' && *text <= '9' && !*end && !errno && n < (gid_t)-1;
}

bool unix_socket_group(const char *name, gid_t *out)
{
    struct group group, *found = NULL;
    bool is_short = true;
    for (size_t n = 1024; is_short && n <= GROUP_BYTES_MAX; n *= 4) {
        char *buf = mem_alloc(n);
        is_short = getgrnam_r(name, &group, buf, n, &found) == ERANGE;
        if (found)
            *out = found->gr_gid;
        free(buf);
    }
    return found || number_read(name, out);
}

/* One at a time looks whether a file is in the way and puts its own there: else the second of two that begin
 * together would take the new file of the first for an old one. A folder that cannot be locked is no reason
 * not to listen. */
static int folder_lock(const char *path)
{
    const struct timespec pause = {.tv_nsec = LOCK_WAIT_MS * 1000000L};
    size_t n = (size_t)(strrchr(path, '/') - path);
    char *folder = mem_zalloc(n + 2);
    memcpy(folder, n ? path : "/", n ? n : 1);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    for (int i = 0; fd >= 0 && i < LOCK_TRIES && flock(fd, LOCK_EX | LOCK_NB) != 0; i++)
        nanosleep(&pause, NULL);
    return fd;
}

/* Does a process listen there? 0: none does, else EADDRINUSE or what hinders asking. */
static int ask_living(const struct sockaddr_un *un)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    int error = connect(fd, (const struct sockaddr *)un, sizeof *un) == 0 ? EADDRINUSE : errno;
    close(fd);
    if (error == EAGAIN || error == EPROTOTYPE) /* its backlog is full; it is of another kind */
        error = EADDRINUSE;
    return error == ECONNREFUSED || error == ENOENT ? 0 : error;
}

static int way_clear(const struct sockaddr_un *un)
{
    struct stat st;
    if (lstat(un->sun_path, &st) != 0)
        return errno == ENOENT ? 0 : errno;
    if (!S_ISSOCK(st.st_mode))
        return EEXIST;
    int error = ask_living(un);
    if (!error && unlink(un->sun_path) != 0 && errno != ENOENT)
        error = errno;
    return error;
}

/* Nobody can connect before listen(), so that the file has its mode and group in time. The mode of the socket
 * becomes that of the file, but for what the umask takes from it; to give that back glibc needs /proc. */
static int file_make(struct unix_socket *s, const struct sockaddr_un *un, const struct unix_socket_conf *c)
{
    struct stat st;
    gid_t group = (gid_t)-1;
    if (c->group && *c->group && !unix_socket_group(c->group, &group))
        return ESRCH;
    if (fchmod(s->fd, c->mode) != 0 || bind(s->fd, (const struct sockaddr *)un, sizeof *un) != 0)
        return errno;
    if (lstat(c->path, &st) != 0)
        return errno;
    s->dev = st.st_dev;
    s->ino = st.st_ino;
    if ((group != (gid_t)-1 && fchownat(AT_FDCWD, c->path, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW) != 0) ||
        ((st.st_mode & ALLPERMS) != c->mode &&
         fchmodat(AT_FDCWD, c->path, c->mode, AT_SYMLINK_NOFOLLOW) != 0) ||
        listen(s->fd, c->backlog) != 0) {
        int error = errno;
        unix_socket_remove(s, c->path);
        return error;
    }
    return 0;
}

int unix_socket_listen(struct unix_socket *out, const struct unix_socket_conf *conf)
{
    *out = (struct unix_socket){.fd = -1};
    if (!unix_socket_path_fits(conf->path))
        return ENAMETOOLONG;
    const struct sockaddr_un un = address_of(conf->path);
    int lock = folder_lock(conf->path);
    int error = way_clear(&un);
    if (!error && (out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) < 0)
        error = errno;
    if (!error && (error = file_make(out, &un, conf))) {
        close(out->fd);
        out->fd = -1;
    }
    if (lock >= 0)
        close(lock);
    return error;
}

void unix_socket_remove(const struct unix_socket *s, const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && st.st_dev == s->dev && st.st_ino == s->ino)
        unlink(path);
}

const char *unix_socket_fault(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "a process listens there already";
    case EEXIST:
        return "a file that is no socket is there";
    case ENAMETOOLONG:
        return "the path is too long for a socket";
    case ESRCH:
        return "there is no such group";
    default:
        return strerror(error);
    }
}
