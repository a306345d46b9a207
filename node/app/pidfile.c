/* SPDX-License-Identifier: Apache-2.0 */
#include "node/app/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* Classic record locks, not flock(): only they tell who holds the lock. The process must not open the file a
 * second time, since closing any descriptor of it would drop the lock. */
static struct flock whole_file(void)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

static enum err pid_write(int fd)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
        return ERR_IO;
    return OK;
}

/* The holder of before removes the file before it lets go: a lock on a file without a name guards nothing. */
static bool has_name(int fd, const char *path)
{
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

enum err pidfile_take(const char *path, int *out)
{
    for (;;) {
        struct flock lock = whole_file();
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0)
            return ERR_IO;
        if (fcntl(fd, F_SETLK, &lock) != 0) {
            int e = errno;
            close(fd);
            errno = e;
            return e == EACCES || e == EAGAIN ? ERR_LOCKED : ERR_IO;
        }
        if (!has_name(fd, path)) {
            close(fd);
            continue;
        }
        if (pid_write(fd)) {
            int e = errno;
            close(fd);
            errno = e;
            return ERR_IO;
        }
        *out = fd;
        return OK;
    }
}

void pidfile_release(const char *path, int fd)
{
    unlink(path);
    close(fd);
}

enum err pidfile_holder(const char *path, pid_t *pid)
{
    struct flock lock = whole_file();
    *pid = 0;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOTDIR ? OK : ERR_IO;
    int rc = fcntl(fd, F_GETLK, &lock);
    int e = errno;
    close(fd);
    errno = e;
    if (rc != 0)
        return ERR_IO;
    if (lock.l_type != F_UNLCK)
        *pid = lock.l_pid;
    return OK;
}
